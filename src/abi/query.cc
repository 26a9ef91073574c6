// The functions of include/inflight/inflight.h: structures whose size the caller tells, and errno.
#include "runtime/query.h"

#include <errno.h>
#include <string.h>

#define INFLIGHT_EXPORT extern "C" __attribute__((visibility("default")))

namespace {

// Copies what both sides know of a structure into the caller's, which may be of another version.
template <class Structure>
int hand_over(Structure& ours, int result, Structure* theirs, size_t size) {
  if (result >= 0 && size < sizeof ours.size) result = -EINVAL;
  if (result < 0) {
    errno = -result;
    return -1;
  }
  ours.size = size < sizeof ours ? size : sizeof ours;
  memcpy(theirs, &ours, ours.size);
  if (size > sizeof ours) {
    memset(reinterpret_cast<char*>(theirs) + sizeof ours, 0, size - sizeof ours);
  }
  return 0;
}

}  // namespace

INFLIGHT_EXPORT const char* inflight_version() { return INFLIGHT_LIBRARY_VERSION; }

INFLIGHT_EXPORT int inflight_get_info(inflight_info* info, size_t size) {
  inflight_info ours{};
  return hand_over(ours, inflight::runtime::describe(ours), info, size);
}

INFLIGHT_EXPORT int inflight_get_counts(inflight_counts* counts, size_t size) {
  inflight_counts ours{};
  return hand_over(ours, inflight::runtime::add_up(ours), counts, size);
}
