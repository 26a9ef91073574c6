// Walks the stack by libgcc's unwinder. Owns nothing but each thread's knowledge of its bounds.
#include "frames.h"

#include <pthread.h>
#include <unwind.h>

namespace check {

namespace {

// The calling thread's stack.
struct Bounds {
  const char* low = nullptr;
  const char* high = nullptr;
  bool hold(const volatile void* address) const {
    const auto* place = static_cast<const char*>(const_cast<const void*>(address));
    return place >= low && place < high;
  }
};

Bounds bounds_of_this_thread() {
  thread_local Bounds bounds;
  pthread_attr_t attributes;
  if (bounds.high == nullptr && pthread_getattr_np(pthread_self(), &attributes) == 0) {
    void* low = nullptr;
    size_t size = 0;
    pthread_attr_getstack(&attributes, &low, &size);
    pthread_attr_destroy(&attributes);
    bounds.low = static_cast<char*>(low);
    bounds.high = bounds.low + size;
  }
  return bounds;
}

// libgcc tells of each frame where the one below it ends, the innermost first.
_Unwind_Reason_Code look_at_frame(_Unwind_Context* context, void* argument) {
  Frames& frames = *static_cast<Frames*>(argument);
  const uintptr_t end = _Unwind_GetCFA(context);
  if (frames.begin == 0) {
    frames.begin = end;
  } else {
    frames.homes.push_back({end, frames.function});
  }
  frames.function =
      _Unwind_FindEnclosingFunction(reinterpret_cast<void*>(_Unwind_GetIP(context) - 1));
  return _URC_NO_REASON;
}

}  // namespace

Frames frames_of_this_thread() {
  Frames frames;
  _Unwind_Backtrace(look_at_frame, &frames);
  return frames;
}

bool is_on_this_stack(const volatile void* address) {
  return bounds_of_this_thread().hold(address);
}

Home home_of(const volatile void* address) {
  if (!bounds_of_this_thread().hold(address)) return {};
  const Frames frames = frames_of_this_thread();
  if (address_of(address) < frames.begin) return {};
  for (const Home& home : frames.homes) {
    if (home.end > address_of(address)) return home.function != nullptr ? home : Home{};
  }
  return {};
}

}  // namespace check
