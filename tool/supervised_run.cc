// The signals are blocked in the tool and taken one by one; the program starts with the mask that
// the tool had. A pipe that exec closes tells whether it started.
#include "supervised_run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "failure.h"

namespace tool {

namespace {

constexpr int kHandedOn[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
constexpr timespec kTick{0, 100'000'000};

[[noreturn]] void become(const Supervision& supervision, const sigset_t& mask, int report) {
  sigprocmask(SIG_SETMASK, &mask, nullptr);
  for (const auto& [name, value] : supervision.variables) setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> arguments;
  for (const std::string& word : supervision.command) {
    arguments.push_back(const_cast<char*>(word.c_str()));
  }
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  const int error = errno;
  const ssize_t written = write(report, &error, sizeof error);
  _exit(written == sizeof error ? 127 : 126);
}

int wait_and_hand_on(pid_t child, const sigset_t& awaited, const std::function<void()>& tick) {
  for (;;) {
    int status = 0;
    if (waitpid(child, &status, WNOHANG) == child) return status;
    siginfo_t info{};
    const int signal = sigtimedwait(&awaited, &info, &kTick);
    if (signal < 0 && tick) tick();
    // The terminal sends its signals to the program as well.
    if (signal > 0 && signal != SIGCHLD && info.si_code != SI_KERNEL) kill(child, signal);
  }
}

}  // namespace

int run_supervised(const Supervision& supervision) {
  sigset_t awaited, before;
  sigemptyset(&awaited);
  sigaddset(&awaited, SIGCHLD);
  for (const int signal : kHandedOn) sigaddset(&awaited, signal);
  sigprocmask(SIG_BLOCK, &awaited, &before);
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) {
    throw Failure(kCannotPrepare, fmt::format("cannot make a pipe: {}", std::strerror(errno)));
  }
  const pid_t child = fork();
  if (child == 0) become(supervision, before, report[1]);
  close(report[1]);
  if (child < 0) {
    throw Failure(kCannotPrepare, fmt::format("cannot fork: {}", std::strerror(errno)));
  }
  int error = 0;
  const bool failed = read(report[0], &error, sizeof error) == sizeof error;
  close(report[0]);
  const int status = wait_and_hand_on(child, awaited, supervision.tick);
  if (failed) {
    throw Failure(error == ENOENT ? kNotFound : kCannotExecute,
                  fmt::format("cannot run {}: {}", supervision.command[0], std::strerror(error)));
  }
  return status;
}

void end_like(int status) {
  fflush(stdout);
  if (WIFEXITED(status)) _exit(WEXITSTATUS(status));
  const rlimit no_core{0, 0};  // the program has left its own
  setrlimit(RLIMIT_CORE, &no_core);
  const int signal = WTERMSIG(status);
  ::signal(signal, SIG_DFL);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  raise(signal);
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
  _exit(128 + signal);
}

}  // namespace tool
