// Blocking signals around a critical section, and the nudge.
//
// Protocol (C16). A handler may call any function of the library at any instruction. So whoever
// holds the process lock, or owns a request in state `moving`, has every signal blocked: no
// handler can then run on that thread and wait for what the thread itself must do. Blocking goes
// to the kernel directly, because glibc's functions leave signal 32 open.
//
// Signal 33, glibc's SIGSETXID, is never blocked, here or in helper threads: setuid() waits until
// every thread has changed its credentials, with a lock held that pthread_create needs (C24). Its
// handler makes one system call and knows nothing of us.
//
// The nudge is signal 32 sent to one helper thread that waits in ppoll or io_uring_enter with 32
// open; it makes that call return. No descriptor is needed (C21). 32 is glibc's SIGCANCEL, which
// programs cannot use; glibc's own handler ignores it when si_code is not SI_TKILL, and where
// glibc has not installed one yet, an empty one stands in until it does.
#pragma once

#include "sys/call.h"

namespace inflight::sys {

inline constexpr int kNudgeSignal = 32;
inline constexpr SignalMask kAllSignals = ~(SignalMask{1} << (33 - 1));
inline constexpr SignalMask kNudgeableMask = kAllSignals & ~(SignalMask{1} << (kNudgeSignal - 1));

// The kernel has no reason to refuse it. But a helper thread with the nudge open loses it while it
// works, and a program's thread would get back a mask that was never read: so whatever stands
// between (a tracer, a sandbox) is asked again.
inline SignalMask set_signal_mask(SignalMask mask) {
  constexpr int kAttempts = 4;
  SignalMask before = 0;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const long result = call(SYS_rt_sigprocmask, static_cast<long>(SIG_SETMASK), &mask, &before,
                             static_cast<long>(sizeof mask));
    if (result == 0) break;
  }
  return before;
}

// Blocks every signal for a scope. Nests.
class SignalBlock {
 public:
  SignalBlock() : before_(set_signal_mask(kAllSignals)) {}
  ~SignalBlock() { set_signal_mask(before_); }
  SignalBlock(const SignalBlock&) = delete;
  SignalBlock& operator=(const SignalBlock&) = delete;

  // True if the end of the block will run a handler that was installed without SA_RESTART, which
  // a wait must tell of (EINTR).
  bool will_interrupt() const;

 private:
  SignalMask before_;
};

// Makes sure that a nudge cannot end the process. Called by each thread that can be nudged,
// before it first opens the signal.
void prepare_nudges();

// A kernel timer that nudges the calling thread. Its signal is set aside when it is made, so that
// it goes out even when the process's signal queue is full.
class NudgeTimer {
 public:
  // False if there is no room for it now.
  bool make();
  void remove();
  void fire() const;

 private:
  int id_;
};

// False when the signal queue is full: the timer must be fired instead.
bool nudge(long pid, long tid);

}  // namespace inflight::sys
