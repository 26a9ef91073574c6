// Starts a program in a child and waits for it. A pipe that exec closes tells whether it started.
#include "measured_run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>

#include "failure.h"

namespace tool {

namespace {

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

// Becomes the program; on failure the errno goes into the pipe.
[[noreturn]] void become(const Launch& launch, int report) {
  for (const auto& [name, value] : launch.variables) setenv(name.c_str(), value.c_str(), 1);
  if (!launch.show_output) {
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(nowhere, STDOUT_FILENO);
    dup2(nowhere, STDERR_FILENO);
  }
  std::vector<char*> arguments;
  for (const std::string& word : launch.command) {
    arguments.push_back(const_cast<char*>(word.c_str()));
  }
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  const int error = errno;
  const ssize_t written = write(report, &error, sizeof error);
  _exit(written == sizeof error ? 127 : 126);
}

}  // namespace

Run run_measured(const Launch& launch) {
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) {
    throw Failure(kCannotPrepare, fmt::format("cannot make a pipe: {}", std::strerror(errno)));
  }
  const auto begin = std::chrono::steady_clock::now();
  const pid_t child = fork();
  if (child == 0) become(launch, report[1]);
  close(report[1]);
  if (child < 0) {
    throw Failure(kCannotPrepare, fmt::format("cannot fork: {}", std::strerror(errno)));
  }
  int error = 0;
  const bool failed = read(report[0], &error, sizeof error) == sizeof error;
  close(report[0]);
  Run run;
  rusage usage{};
  while (wait4(child, &run.status, 0, &usage) < 0 && errno == EINTR) {
  }
  if (failed) {
    throw Failure(error == ENOENT ? kNotFound : kCannotExecute,
                  fmt::format("cannot run {}: {}", launch.command[0], std::strerror(error)));
  }
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
  run.seconds = taken.count();
  run.cpu_seconds = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  run.megabytes = static_cast<double>(usage.ru_maxrss) / 1024;
  run.switches = static_cast<double>(usage.ru_nvcsw + usage.ru_nivcsw);
  return run;
}

}  // namespace tool
