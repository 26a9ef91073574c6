// Which descriptors are being closed right now (C22).
//
// A close marks its descriptors before it looks whether requests are outstanding, and a submission
// counts itself as outstanding before it looks at the marks; both are sequentially consistent, so
// at least one of the two sees the other. A submission that finds its descriptor marked does not
// start: the request is held, and the close stops it when it is done. So no request that was
// accepted before the number was free can act on the file that gets the number next.
#pragma once

#include <atomic>

#include "core/request.h"

namespace inflight::core {

struct Closing {
  static constexpr int kMarks = 64;

  std::atomic<uint64_t> marks[kMarks];  // (first + 1) << 32 | last; 0: unused
  std::atomic<uint32_t> crowd;          // closes that found no free mark: they cover everything
  RequestQueue held;                    // guarded by the process lock, like the number
  std::atomic<uint32_t> held_count;

  // The mark's index, or kMarks for the crowd.
  int begin(uint32_t first, uint32_t last) {
    const uint64_t value = uint64_t{first + 1} << 32 | last;
    const auto here = reinterpret_cast<uintptr_t>(__builtin_thread_pointer()) >> 6;
    for (int i = 0; i < kMarks; ++i) {
      const int at = static_cast<int>((here + static_cast<unsigned>(i)) % kMarks);
      uint64_t unused = 0;
      if (marks[at].load(std::memory_order_relaxed) == 0 &&
          marks[at].compare_exchange_strong(unused, value)) {
        return at;
      }
    }
    crowd.fetch_add(1);
    return kMarks;
  }

  void end(int mark) {
    if (mark < kMarks) {
      marks[mark].store(0);
    } else {
      crowd.fetch_sub(1);
    }
  }

  bool covers(int fd) const {
    if (crowd.load() != 0) return true;
    for (const auto& mark : marks) {
      const uint64_t value = mark.load();
      if (value == 0) continue;
      const auto number = static_cast<uint32_t>(fd);
      if (number >= (value >> 32) - 1 && number <= static_cast<uint32_t>(value)) return true;
    }
    return false;
  }
};

}  // namespace inflight::core
