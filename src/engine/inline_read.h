// The inline engine: a read that the page cache can answer is made by the caller itself.
#pragma once

#include <cstddef>

#include "sys/call.h"

namespace inflight::engine {

inline constexpr size_t kSmallRead = 16 * 1024;  // takes less than it costs to have it done

// True when the whole answer was there: `result` is what read(2) would give. False says nothing
// about why; another engine carries the request from the start and finds the answer or the error.
// Not for O_DIRECT files, where it would wait for the disk. Async-signal-safe, leaves errno alone.
bool read_inline(int fd, void* buffer, size_t length, off_t offset, long& result);

}  // namespace inflight::engine
