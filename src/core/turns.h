// Requests of which no more than so many are worth carrying at a time: more threads at them would
// stand in each other's way. The others wait here, by priority. Valid as zeros; guarded by the
// process lock.
#pragma once

#include "core/priority_queue.h"

namespace inflight::core {

class Turns {
 public:
  // True if the request has its turn at once; else it waits for one.
  bool take(Request& request, int most) {
    request.turns = this;
    request.has_turn = taken_ < most;
    if (request.has_turn) {
      ++taken_;
    } else {
      waiting_.push(request);
    }
    return request.has_turn;
  }

  // A request that has its turn needs it no more: the one that has it instead, or null.
  Request* pass(Request& request) {
    request.turns = nullptr;
    Request* next = waiting_.first();
    if (next == nullptr) {
      --taken_;
      return nullptr;
    }
    waiting_.remove(*next);
    next->has_turn = true;
    return next;
  }

  // A request that waits for its turn needs none.
  void leave(Request& request) {
    request.turns = nullptr;
    waiting_.remove(request);
  }

 private:
  PriorityQueue waiting_;
  int taken_;
};

}  // namespace inflight::core
