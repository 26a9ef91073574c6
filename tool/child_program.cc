// A pipe that exec closes tells whether the program started in the child.
#include "child_program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "failure.h"

namespace tool {

int become(const Launch& launch) {
  for (const auto& [name, value] : launch.variables) {
    if (setenv(name.c_str(), value.c_str(), 1) != 0) return errno;
  }
  std::vector<char*> arguments;
  for (const std::string& word : launch.command) {
    arguments.push_back(const_cast<char*>(word.c_str()));
  }
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  return errno;
}

pid_t start(const Launch& launch, const std::function<void()>& prepare) {
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) {
    throw Failure(kCannotPrepare, fmt::format("cannot make a pipe: {}", std::strerror(errno)));
  }
  const pid_t child = fork();
  if (child == 0) {
    prepare();
    const int error = become(launch);
    const ssize_t written = write(report[1], &error, sizeof error);
    _exit(written == sizeof error ? kNotFound : kCannotExecute);
  }
  close(report[1]);
  if (child < 0) {
    close(report[0]);
    throw Failure(kCannotPrepare, fmt::format("cannot fork: {}", std::strerror(errno)));
  }
  int error = 0;
  const bool failed = read(report[0], &error, sizeof error) == sizeof error;
  close(report[0]);
  if (failed) {
    while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
    fail_to_start(launch.command[0], error);
  }
  return child;
}

void fail_to_start(const std::string& program, int error) {
  throw Failure(error == ENOENT ? kNotFound : kCannotExecute,
                fmt::format("cannot run {}: {}", program, std::strerror(error)));
}

}  // namespace tool
