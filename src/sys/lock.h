// A futex word as an event, and the lock made of one. Both are valid as zeros.
#pragma once

#include <linux/futex.h>

#include <atomic>

#include "sys/call.h"
#include "sys/signals.h"

namespace inflight::sys {

using FutexWord = std::atomic<uint32_t>;
static_assert(sizeof(FutexWord) == sizeof(uint32_t));

// Sleeps while `word` holds `expected`. 0 after a wake-up (also a spurious one), -EAGAIN if it
// held another value, -ETIMEDOUT at the deadline (CLOCK_MONOTONIC), -EINTR after a handler ran; one
// with SA_RESTART does not end a wait without a deadline.
long futex_wait(const FutexWord& word, uint32_t expected, const timespec* deadline);

// A word together with the value that it is expected to hold.
struct Expected {
  const FutexWord& word;
  uint32_t value;
};

// The same for two words; a handler with SA_RESTART never ends it, but both words are looked at
// again after one. Kernels before 5.16 and sandboxes that forbid futex_waitv: as futex_wait, and
// `other` is not looked at.
long futex_wait_both(Expected word, Expected other, const timespec* deadline);

// The address may be stale: waking a word that nobody waits for, or memory that is gone, does
// nothing.
inline void futex_wake(const FutexWord* word, int count) {
  call(SYS_futex, word, static_cast<long>(FUTEX_WAKE | FUTEX_PRIVATE_FLAG), count);
}

// Sleeps for about `microseconds`, or less when a handler ran.
void nap(long microseconds);

// CLOCK_MONOTONIC, `milliseconds` from now.
timespec deadline_after(long milliseconds);

// From now until `deadline` (CLOCK_MONOTONIC), but no more than `most`.
timespec time_until(const timespec& deadline, const timespec& most);

// Mutual exclusion for short sections that make no system call. Whoever takes it has all signals
// blocked (helper threads always have; others hold a SignalBlock).
class Lock {
 public:
  void acquire() {
    uint32_t expected = kFree;
    // Acquire: what the last holder wrote is seen. Failing needs no order.
    if (!word_.compare_exchange_strong(expected, kHeld, std::memory_order_acquire,
                                       std::memory_order_relaxed)) {
      acquire_contended();
    }
  }
  void release() {
    if (word_.exchange(kFree, std::memory_order_release) == kContended) futex_wake(&word_, 1);
  }

 private:
  static constexpr uint32_t kFree = 0, kHeld = 1, kContended = 2;
  void acquire_contended();
  FutexWord word_;
};

class Guard {
 public:
  explicit Guard(Lock& lock) : lock_(lock) { lock_.acquire(); }
  ~Guard() { lock_.release(); }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  Lock& lock_;
};

}  // namespace inflight::sys
