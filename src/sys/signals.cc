// Owns the stand-in handler of the nudge signal; see the header for the protocol.
#include "sys/signals.h"

#include <errno.h>

namespace inflight::sys {
namespace {

// What rt_sigaction(2) takes; libc's sigaction() refuses signal 32.
struct KernelAction {
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)();
  SignalMask mask;
};

constexpr unsigned long kFlagRestorer = 0x04000000;  // SA_RESTORER, which libc's headers hide

void ignore_nudge(int) {}

}  // namespace

// The return path of the handler: on x86-64 the kernel insists on one from user space.
extern "C" void inflight_signal_return();
asm(".pushsection .text\n"
    ".hidden inflight_signal_return\n"
    ".globl inflight_signal_return\n"
    ".type inflight_signal_return,@function\n"
    "inflight_signal_return:\n"
    "  mov $15, %eax\n"  // rt_sigreturn
    "  syscall\n"
    ".size inflight_signal_return, .-inflight_signal_return\n"
    ".popsection\n");

bool SignalBlock::will_interrupt() const {
  SignalMask pending = 0;
  call(SYS_rt_sigpending, &pending, static_cast<long>(sizeof pending));
  pending &= ~before_;
  for (; pending != 0; pending &= pending - 1) {
    KernelAction action{};
    const long number = __builtin_ctzl(pending) + 1;
    call(SYS_rt_sigaction, number, 0L, &action, static_cast<long>(sizeof action.mask));
    const bool handled = action.handler != SIG_DFL && action.handler != SIG_IGN;
    if (handled && number != kNudgeSignal && (action.flags & SA_RESTART) == 0) return true;
  }
  return false;
}

void prepare_nudges() {
  KernelAction current{};
  call(SYS_rt_sigaction, static_cast<long>(kNudgeSignal), 0L, &current,
       static_cast<long>(sizeof current.mask));
  if (current.handler != SIG_DFL) return;
  const KernelAction action{ignore_nudge, kFlagRestorer, inflight_signal_return, 0};
  call(SYS_rt_sigaction, static_cast<long>(kNudgeSignal), &action, 0L,
       static_cast<long>(sizeof action.mask));
}

bool NudgeTimer::make() {
  sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = kNudgeSignal;
  event._sigev_un._tid = static_cast<pid_t>(thread_id());
  return call(SYS_timer_create, static_cast<long>(CLOCK_MONOTONIC), &event, &id_) == 0;
}

void NudgeTimer::remove() { call(SYS_timer_delete, static_cast<long>(id_)); }

void NudgeTimer::fire() const {
  const itimerspec at_once{{0, 0}, {0, 1}};
  call(SYS_timer_settime, static_cast<long>(id_), 0L, &at_once, 0L);
}

bool nudge(long pid, long tid) {
  siginfo_t info{};
  info.si_signo = kNudgeSignal;
  info.si_code = SI_QUEUE;  // what glibc's handler ignores
  info.si_pid = static_cast<pid_t>(pid);
  return queue_signal_to_thread(pid, tid, kNudgeSignal, info) != -EAGAIN;
}

}  // namespace inflight::sys
