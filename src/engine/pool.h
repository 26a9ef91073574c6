// The pool engine: worker threads that make ordinary blocking system calls. It carries what copies
// or blocks for a bounded time (buffered writes, fsync, large or cold reads), and what no other
// engine can carry.
//
// Guarded by the process lock.
#pragma once

#include "core/core.h"
#include "core/priority_queue.h"

namespace inflight::engine {

struct Process;

struct Pool {
  static constexpr int kMostBlocked = 1024;

  core::PriorityQueue queue;
  sys::FutexWord doorbell;  // idle workers sleep here
  int workers;
  int idle;      // of those, asleep and not yet called
  int called;    // calls that no worker has answered yet
  int starting;  // asked of the spawner
  int blocked;   // workers with a request that may wait for ever; they do not count to the limit
  int limit;
};

// Lock held.
void push(Process& process, core::Request& request, core::Effects& effects);
// Takes a queued request; null if there is none. Lock held.
core::Request* take_from_pool(Process& process, core::Effects& effects);

// Makes the request's system calls and finishes it. Without the lock.
void work_on(Process& process, core::Request& request);

void* worker_main(void* process);

}  // namespace inflight::engine
