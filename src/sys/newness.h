// Whether a thread that has run a callback can be made to look newly made (C15).
#pragma once

#include <sched.h>

#include "sys/call.h"

namespace inflight::sys {

// A kept thread's memory of how it was when it began. Used by that thread only.
class Newness {
 public:
  Newness();

  // Puts back what a callback may have changed about the calling thread. False when that is not
  // possible, and the thread must end: thread-specific data was set, or a thread_local object
  // changed (their destructors run only at a thread's end), or the scheduling.
  bool restore() const;

 private:
  cpu_set_t affinity_;
  long policy_;
  long nice_;
};

}  // namespace inflight::sys
