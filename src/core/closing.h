// Which descriptors are being closed right now (C22).
//
// A close marks its descriptors before it looks whether requests are outstanding, and a submission
// counts itself as outstanding before it looks at the marks; both are sequentially consistent, so
// at least one of the two sees the other. A submission that finds its descriptor marked by another
// thread takes itself back, waits until the mark is gone and looks at the descriptor anew. One that
// finds a mark of its own thread is made by a handler that interrupted the close: it cannot wait,
// and ends as cancelled.
//
// Before all that a submission has asked the kernel which file the descriptor is. A close that has
// come and gone since then is known by the count of closes, which it raises before it takes its
// mark away: then, too, the submission takes itself back and looks anew. So a request stands with
// the file that its number means, where a later close finds it, and none acts on a file that was
// opened after its submission.
#pragma once

#include <atomic>
#include <cstdint>

namespace inflight::core {

struct Closing {
  static constexpr int kMarks = 64;
  static constexpr uint32_t kCounts = 64;
  enum class Cover : uint8_t {
    none,
    by_this_thread,
    being_settled,  // by another thread, which has not made its system call yet
    being_closed,   // by another thread, which is about to make it or has made it
  };

  struct Mark {
    std::atomic<uintptr_t> owner;  // the closing thread's control block; 0: free
    std::atomic<uint64_t> range;   // (first + 1) << 32 | last; 0: covers nothing
    std::atomic<bool> entered;     // the requests are settled, the system call follows
  };

  Mark marks[kMarks];
  std::atomic<uint32_t> crowd;  // closes that found no free mark: they cover everything
  // Closes so far, of the descriptors with the same remainder: those of others matter little.
  std::atomic<uint32_t> ended[kCounts];

  static uintptr_t this_thread() { return reinterpret_cast<uintptr_t>(__builtin_thread_pointer()); }

  // The mark's index, or kMarks for one of the crowd.
  int begin(uint32_t first, uint32_t last) {
    const uintptr_t self = this_thread();
    const size_t home = self >> 6 ^ self >> 12;
    for (size_t i = 0; i < kMarks; ++i) {
      Mark& mark = marks[(home + i) % kMarks];
      uintptr_t nobody = 0;
      if (mark.owner.load(std::memory_order_relaxed) != 0) continue;
      if (!mark.owner.compare_exchange_strong(nobody, self)) continue;
      mark.entered.store(false, std::memory_order_relaxed);
      mark.range.store(uint64_t{first + 1} << 32 | last);
      return static_cast<int>(&mark - marks);
    }
    crowd.fetch_add(1);
    return kMarks;
  }

  void enter(int mark) {
    if (mark < kMarks) marks[mark].entered.store(true);
  }

  // What is known of a descriptor is worth something only until this changes.
  uint32_t count(int fd) const {
    return ended[static_cast<uint32_t>(fd) % kCounts].load(std::memory_order_acquire);
  }

  void end(int mark) {
    if (mark == kMarks) {
      count_range(0, kCounts);
      return leave_crowd();
    }
    const uint64_t range = marks[mark].range.load(std::memory_order_relaxed);
    const auto after_first = static_cast<uint32_t>(range >> 32);
    const auto last = static_cast<uint32_t>(range);
    if (after_first == last + 1) {
      count_one(last);
    } else if (range != 0) {
      count_range(after_first - 1, last);
    }
    marks[mark].range.store(0, std::memory_order_release);
    marks[mark].owner.store(0, std::memory_order_release);
  }

  void count_one(uint32_t number) {
    ended[number % kCounts].fetch_add(1, std::memory_order_release);
  }

  void count_range(uint32_t first, uint32_t last) {
    const uint32_t length = last - first < kCounts ? last - first + 1 : kCounts;
    for (uint32_t i = 0; i < length; ++i) count_one(first + i);
  }

  // A handler may have forked since begin(), or inside it. In the child all this was wiped then: a
  // mark is cleared as if it were there, but there may be no crowd to leave.
  void leave_crowd() {
    uint32_t count = crowd.load();
    while (count != 0 && !crowd.compare_exchange_weak(count, count - 1)) {
    }
  }

  Cover cover(int fd) const {
    if (crowd.load() != 0) return Cover::being_closed;
    const auto number = static_cast<uint32_t>(fd);
    for (const Mark& mark : marks) {
      const uint64_t range = mark.range.load();
      if (range == 0 || number < (range >> 32) - 1 || number > static_cast<uint32_t>(range)) {
        continue;
      }
      if (mark.owner.load() == this_thread()) return Cover::by_this_thread;
      return mark.entered.load() ? Cover::being_closed : Cover::being_settled;
    }
    return Cover::none;
  }
};

}  // namespace inflight::core
