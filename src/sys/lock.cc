// Futex waits. Owns no state; runs on whichever thread calls.
#include "sys/lock.h"

#include <errno.h>

namespace inflight::sys {
namespace {

constexpr long kFutexWaitv = 449;  // the headers of Debian 12 know it, older ones do not
constexpr int kSpins = 100;        // a section is shorter than the sleep that would wait for it

struct WaitvEntry {  // struct futex_waitv
  uint64_t value;
  uint64_t address;
  uint32_t flags;
  uint32_t reserved;
};

WaitvEntry entry_of(Expected expected) {
  return {expected.value, reinterpret_cast<uint64_t>(&expected.word), 2U | FUTEX_PRIVATE_FLAG, 0};
}

}  // namespace

long futex_wait(const FutexWord& word, uint32_t expected, const timespec* deadline) {
  return call(SYS_futex, &word, static_cast<long>(FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG),
              static_cast<long>(expected), deadline, 0L, static_cast<long>(FUTEX_BITSET_MATCH_ANY));
}

// The kernel restarts FUTEX_WAIT after an SA_RESTART handler only when it has no timeout;
// futex_waitv, whose timeout is absolute, it restarts always.
long futex_wait_both(Expected word, Expected other, const timespec* deadline) {
  const WaitvEntry entries[] = {entry_of(word), entry_of(other)};
  const long result =
      call(kFutexWaitv, entries, 2L, 0L, deadline, static_cast<long>(CLOCK_MONOTONIC));
  if (result != -ENOSYS && result != -EPERM) return result < 0 ? result : 0;
  return futex_wait(word.word, word.value, deadline);
}

void nap(long microseconds) {
  const timespec span{microseconds / 1'000'000, microseconds % 1'000'000 * 1000};
  call(SYS_clock_nanosleep, static_cast<long>(CLOCK_MONOTONIC), 0L, &span, 0L);
}

timespec deadline_after(long milliseconds) {
  timespec time = monotonic_now();
  time.tv_sec += milliseconds / 1000;
  time.tv_nsec += milliseconds % 1000 * 1'000'000;
  if (time.tv_nsec >= 1'000'000'000) {
    time.tv_nsec -= 1'000'000'000;
    ++time.tv_sec;
  }
  return time;
}

timespec time_until(const timespec& deadline, const timespec& most) {
  const timespec now = monotonic_now();
  timespec left{deadline.tv_sec - now.tv_sec, deadline.tv_nsec - now.tv_nsec};
  if (left.tv_nsec < 0) {
    --left.tv_sec;
    left.tv_nsec += 1'000'000'000;
  }
  if (left.tv_sec < 0) return {0, 0};
  const bool less =
      left.tv_sec < most.tv_sec || (left.tv_sec == most.tv_sec && left.tv_nsec < most.tv_nsec);
  return less ? left : most;
}

void Lock::acquire_contended() {
  for (int spin = 0; spin < kSpins; ++spin) {
    uint32_t expected = kFree;
    if (word_.load(std::memory_order_relaxed) == kFree &&
        word_.compare_exchange_weak(expected, kHeld, std::memory_order_acquire,
                                    std::memory_order_relaxed)) {
      return;
    }
    __builtin_ia32_pause();
  }
  while (word_.exchange(kContended, std::memory_order_acquire) != kFree) {
    futex_wait(word_, kContended, nullptr);
  }
}

}  // namespace inflight::sys
