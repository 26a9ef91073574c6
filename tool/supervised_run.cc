// From the first run on the signals are blocked in the tool and taken one by one; each program
// starts with what the tool was started with.
#include "supervised_run.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

namespace tool {

namespace {

// The tool's own faults, and what only says that the terminal is somebody else's.
constexpr int kOwn[] = {SIGSEGV, SIGBUS, SIGFPE,  SIGILL, SIGTRAP,
                        SIGABRT, SIGSYS, SIGTTIN, SIGTTOU};
constexpr timespec kTick{0, 100'000'000};

// What the tool's process was given, and what it makes of that.
struct Takeover {
  sigset_t awaited;
  sigset_t mask_before;
  struct sigaction child_before;

  Takeover() {
    sigfillset(&awaited);
    for (const int signal : kOwn) sigdelset(&awaited, signal);
    sigprocmask(SIG_BLOCK, &awaited, &mask_before);
    // Ignored, as the tool's parent may have had it, children would leave no status.
    struct sigaction by_default {};
    by_default.sa_handler = SIG_DFL;
    sigaction(SIGCHLD, &by_default, &child_before);
  }
  void undo() const {
    sigaction(SIGCHLD, &child_before, nullptr);
    sigprocmask(SIG_SETMASK, &mask_before, nullptr);
  }
};

bool asks_to_end(int signal) {
  return signal == SIGINT || signal == SIGTERM || signal == SIGHUP || signal == SIGQUIT;
}

// The terminal sends its signals to the program as well, but a hangup to the session's leader only.
bool has_it_already(const siginfo_t& info) {
  return info.si_code == SI_KERNEL && info.si_signo != SIGHUP;
}

// As if it had not been taken: not at all where nobody could make the tool go on again, as for the
// program. Until SIGCONT, which is handed on then.
void stop_as_asked() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTSTP);
  raise(SIGTSTP);
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
  sigprocmask(SIG_BLOCK, &set, nullptr);
}

void hand_on(pid_t child, const siginfo_t& info) {
  if (info.si_signo == SIGCHLD) return;
  if (!has_it_already(info)) kill(child, info.si_signo);
  if (info.si_signo == SIGTSTP) stop_as_asked();
}

Ended wait_and_hand_on(pid_t child, const sigset_t& awaited, const std::function<void()>& tick) {
  int asked_to_end = 0;
  for (;;) {
    Ended ended{};
    ended.asked_to_end = asked_to_end;
    if (wait4(child, &ended.status, WNOHANG, &ended.usage) == child) return ended;
    siginfo_t info{};
    const int signal = sigtimedwait(&awaited, &info, &kTick);
    if (signal > 0) {
      hand_on(child, info);
      if (asks_to_end(signal)) asked_to_end = signal;
    } else if (tick) {
      tick();
    }
  }
}

}  // namespace

Ended run_supervised(const Supervision& supervision) {
  static const Takeover takeover;
  const pid_t child = start(supervision.launch, [&] {
    takeover.undo();
    if (supervision.prepare) supervision.prepare();
  });
  return wait_and_hand_on(child, takeover.awaited, supervision.tick);
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
