// Whether reads of a descriptor are worth trying in the caller, as the inline engine needs to know
// before each: a file open with O_DIRECT would make the caller wait for the disk, and one without a
// position cannot be asked.
//
// Asking the kernel costs a tenth of a cached read, so each thread remembers a few answers. They
// are hints. A descriptor that was closed and opened anew behind the library's back, or changed by
// fcntl(F_SETFL), is seen as it is after kUses reads at the latest; until then a read may be made
// by the caller although it waits, or take the longer way although it need not. Either is right,
// only slower. A close that the library sees ends all hints.
#pragma once

#include <errno.h>

#include <atomic>
#include <cstdint>
#include <utility>

#include "sys/call.h"

namespace inflight::engine {

// Async-signal-safe: an entry is one word, and a handler that changes it between a load and a store
// here only loses its own answer.
class InlineHints {
 public:
  // `closes` counts the closes of the descriptor seen so far.
  bool suits(int fd, uint32_t closes) {
    std::atomic<uint64_t>& entry = entry_of(fd);
    const uint64_t known = entry.load(std::memory_order_relaxed);
    if (known >> 8 == key(fd, closes) >> 8 && (known & kUses) > 0) {
      entry.store(known - 1, std::memory_order_relaxed);
      return (known & kSuits) != 0;
    }
    if (reads_streams_) return false;
    const long flags = sys::get_status_flags(fd);
    const bool answer = flags >= 0 && (flags & O_DIRECT) == 0;
    entry.store(key(fd, closes) | kUses | (answer ? kSuits : 0), std::memory_order_relaxed);
    return answer;
  }

  // Large reads that are submitted one after the other without a wait between them are better
  // copied by several threads side by side; the first, by the caller, who may not submit another.
  bool first_since_wait() { return !std::exchange(submitted_large_, true); }
  void waited() { submitted_large_ = false; }

  // Who reads one stream often reads many, more than there are entries: after one, a descriptor of
  // which nothing is known is taken for another, and nothing is asked of it here.
  void examined(bool is_stream) { reads_streams_ = is_stream; }

  // It was tried in vain, with this errno.
  void tried(int fd, uint32_t closes, long error) {
    if (error == -ESPIPE) entry_of(fd).store(key(fd, closes) | kUses, std::memory_order_relaxed);
  }

 private:
  static constexpr size_t kEntries = 8;
  static constexpr uint64_t kSuits = 0x80;
  static constexpr uint64_t kUses = 0x7f;  // how often an answer is used, and the mask for the rest

  static uint64_t key(int fd, uint32_t closes) {
    return uint64_t{static_cast<uint32_t>(fd)} << 32 | uint64_t{closes & 0xffffff} << 8;
  }
  std::atomic<uint64_t>& entry_of(int fd) { return entries_[static_cast<uint32_t>(fd) % kEntries]; }

  bool submitted_large_ = false;
  bool reads_streams_ = false;
  std::atomic<uint64_t> entries_[kEntries] = {};  // fd:32, closes:24, suits:1, uses left:7
};

// The calling thread's.
inline InlineHints& inline_hints() {
  static constinit thread_local InlineHints hints;
  return hints;
}

}  // namespace inflight::engine
