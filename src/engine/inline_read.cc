// Owns nothing; runs on the submitting thread, with or without signals blocked.
#include "engine/inline_read.h"

#include <sys/stat.h>

namespace inflight::engine {

bool read_inline(int fd, void* buffer, size_t length, off_t offset, long& result) {
  if (offset < 0) return false;
  result = sys::read_without_waiting(fd, buffer, length, offset);
  if (result < 0) return false;
  if (static_cast<size_t>(result) == length) return true;
  // Short: the rest is not in memory, or the file ends here. (Linux 5.9 and 5.10 also gave 0 for
  // data that was not in memory.)
  sys::FileFacts file;
  if (sys::look_at(fd, true, file) < 0 || !S_ISREG(file.mode)) return false;
  return offset + result >= file.size && file.size > 0;
}

}  // namespace inflight::engine
