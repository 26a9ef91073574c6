// Requests that wait for an engine, the least lowered first (C11), in call order among equals.
// Valid as zeros; guarded by the process lock.
#pragma once

#include "core/request.h"

namespace inflight::core {

class PriorityQueue {
 public:
  bool empty() const { return nonempty_ == 0; }

  void push(Request& request) {
    queues_[request.priority].push_back(request);
    nonempty_ |= 1U << request.priority;
  }

  void remove(Request& request) {
    RequestQueue& queue = queues_[request.priority];
    queue.remove(request);
    if (queue.empty()) nonempty_ &= ~(1U << request.priority);
  }

  Request* first() const { return empty() ? nullptr : queues_[__builtin_ctz(nonempty_)].first(); }

 private:
  static constexpr int kPriorities = 21;  // AIO_PRIO_DELTA_MAX is 20

  RequestQueue queues_[kPriorities];
  uint32_t nonempty_;  // bit p: queues_[p] holds something
};

}  // namespace inflight::core
