// Requests of which no more than so many are worth carrying at a time: more threads at them would
// stand in each other's way. The others wait here, by priority. Valid as zeros; guarded by the
// process lock, except that waiting() may be asked without it, for a guess.
#pragma once

#include <atomic>

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
      wait(request);
    }
    return request.has_turn;
  }

  int waiting() const { return count_.load(std::memory_order_relaxed); }

  // A request that has its turn needs it no more: the one that has it instead, or null.
  Request* pass(Request& request) {
    request.turns = nullptr;
    Request* next = waiting_.first();
    if (next == nullptr) {
      --taken_;
      return nullptr;
    }
    remove(*next);
    next->has_turn = true;
    return next;
  }

  // A request that waits for its turn needs none.
  void leave(Request& request) {
    request.turns = nullptr;
    remove(request);
  }

 private:
  void wait(Request& request) {
    waiting_.push(request);
    count_.store(waiting() + 1, std::memory_order_relaxed);
  }
  void remove(Request& request) {
    waiting_.remove(request);
    count_.store(waiting() - 1, std::memory_order_relaxed);
  }

  PriorityQueue waiting_;
  std::atomic<int> count_;  // of those waiting
  int taken_;
};

}  // namespace inflight::core
