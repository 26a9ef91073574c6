// Looking for an event for a moment before sleeping for it, where that pays.
//
// Putting a thread to sleep and waking it costs several times what a small transfer takes. So who
// expects something soon first looks for it again and again, for a bounded time; and who looked in
// vain does so less and less often. On a machine with one processor nobody does: the event could
// not happen meanwhile.
#pragma once

#include <atomic>

#include "sys/call.h"

namespace inflight::sys {

// Valid as zeros. Shared by the threads that wait for the same kind of event; what they race for
// are guesses.
class Spin {
 public:
  // Looks whether `event()` holds, for `nanoseconds` at most; says whether it did.
  template <class Event>
  bool until(long nanoseconds, Event event) {
    if (nanoseconds == 0 || !worth_it()) return event();
    const timespec begin = monotonic_now();
    for (int looks = 1;; ++looks) {
      if (event()) {
        skipped_next_.store(0, std::memory_order_relaxed);
        return true;
      }
      __builtin_ia32_pause();
      if (looks % kLooksPerTime == 0 && since(begin) > nanoseconds) break;
    }
    const uint32_t skipped = skipped_next_.load(std::memory_order_relaxed) * 2 + 1;
    skipped_next_.store(skipped < kMostSkipped ? skipped : kMostSkipped, std::memory_order_relaxed);
    to_skip_.store(skipped_next_.load(std::memory_order_relaxed), std::memory_order_relaxed);
    return event();
  }

 private:
  static constexpr uint32_t kMostSkipped = 63;  // one in 64 tries whether it would pay again
  static constexpr int kLooksPerTime = 16;

  bool worth_it() {
    const uint32_t left = to_skip_.load(std::memory_order_relaxed);
    if (left == 0) return true;
    to_skip_.store(left - 1, std::memory_order_relaxed);
    return false;
  }

  static long since(const timespec& begin) {
    const timespec now = monotonic_now();
    return (now.tv_sec - begin.tv_sec) * 1'000'000'000 + now.tv_nsec - begin.tv_nsec;
  }

  std::atomic<uint32_t> to_skip_;       // so often sleep at once
  std::atomic<uint32_t> skipped_next_;  // what to_skip_ becomes at the next failure, about
};

}  // namespace inflight::sys
