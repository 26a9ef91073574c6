// The signals are blocked in the tool and taken one by one; the program starts with the mask that
// the tool had.
#include "supervised_run.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

namespace tool {

namespace {

constexpr int kHandedOn[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
constexpr timespec kTick{0, 100'000'000};

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
  const pid_t child =
      start(supervision.launch, [&before] { sigprocmask(SIG_SETMASK, &before, nullptr); });
  return wait_and_hand_on(child, awaited, supervision.tick);
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
