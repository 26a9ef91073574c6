// The close family, interposed (C22). Each function does what libc's does, with a ClosingScope
// around it. close stays a cancellation point: it goes on to the next definition behind this
// library (libc's, or another interposer's), found when the library is loaded.
#include <dlfcn.h>
#include <errno.h>
#include <unistd.h>

#include "runtime/closing.h"

#define INFLIGHT_EXPORT extern "C" __attribute__((visibility("default")))

extern "C" int __close(int descriptor);
extern "C" int __dup2(int from, int to) noexcept;

namespace {

using inflight::runtime::ClosingScope;

// libc's own until the constructor has run: other libraries' constructors may close files first.
int (*next_close)(int) = __close;
int (*next_dup2)(int, int) = __dup2;

__attribute__((constructor)) void find_next() {
  if (void* found = dlsym(RTLD_NEXT, "close")) next_close = reinterpret_cast<int (*)(int)>(found);
  if (void* found = dlsym(RTLD_NEXT, "dup2")) {
    next_dup2 = reinterpret_cast<int (*)(int, int)>(found);
  }
}

int answer(long result) {
  if (result >= 0) return static_cast<int>(result);
  errno = static_cast<int>(-result);
  return -1;
}

}  // namespace

INFLIGHT_EXPORT int close(int descriptor) {
  if (descriptor < 0 || !inflight::runtime::is_in_use()) return next_close(descriptor);
  const auto number = static_cast<uint32_t>(descriptor);
  const ClosingScope scope(number, number);
  return next_close(descriptor);
}

INFLIGHT_EXPORT int dup2(int from, int to) noexcept {
  // Over itself nothing is closed, and from a closed descriptor neither.
  if (to < 0 || !inflight::runtime::is_in_use() || from == to ||
      inflight::sys::get_status_flags(from) < 0) {
    return next_dup2(from, to);
  }
  const auto number = static_cast<uint32_t>(to);
  const ClosingScope scope(number, number);
  return next_dup2(from, to);
}

INFLIGHT_EXPORT int dup3(int from, int to, int flags) noexcept {
  if (to < 0 || !inflight::runtime::is_in_use() || from == to || (flags & ~O_CLOEXEC) != 0 ||
      inflight::sys::get_status_flags(from) < 0) {
    return answer(inflight::sys::duplicate_to(from, to, flags));
  }
  const auto number = static_cast<uint32_t>(to);
  const ClosingScope scope(number, number);
  return answer(inflight::sys::duplicate_to(from, to, flags));
}

INFLIGHT_EXPORT int close_range(unsigned first, unsigned last, int flags) noexcept {
  // With flags nothing is closed now (CLOSE_RANGE_CLOEXEC), or only in a table of the caller's own
  // (CLOSE_RANGE_UNSHARE), or the call fails.
  if (first > last || flags != 0 || !inflight::runtime::is_in_use()) {
    return answer(inflight::sys::close_range(first, last, static_cast<unsigned>(flags)));
  }
  const ClosingScope scope(first, last);
  return answer(inflight::sys::close_range(first, last, static_cast<unsigned>(flags)));
}

INFLIGHT_EXPORT void closefrom(int first) noexcept {
  const auto number = static_cast<uint32_t>(first < 0 ? 0 : first);
  const ClosingScope scope(number, ~0U);
  if (inflight::sys::close_range(number, ~0U, 0) == 0) return;
  // Before Linux 5.9: one by one.
  for (long fd = number; fd < sysconf(_SC_OPEN_MAX); ++fd)
    inflight::sys::close(static_cast<int>(fd));
}
