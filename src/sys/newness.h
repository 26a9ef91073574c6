// Whether a thread that has run a callback can be made to look newly made (C15).
#pragma once

#include <sched.h>
#include <stdint.h>

#include "sys/call.h"

namespace inflight::sys {

// What sched_getattr(2) tells. <linux/sched/types.h> cannot be had together with <sched.h>.
struct Scheduling {
  uint32_t size;
  uint32_t policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime;
  uint64_t deadline;
  uint64_t period;
};

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
  Scheduling scheduling_;
};

}  // namespace inflight::sys
