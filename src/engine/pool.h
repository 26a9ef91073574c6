// The pool engine: worker threads that make ordinary blocking system calls. It carries what copies
// or blocks for a bounded time (buffered writes, fsync, large or cold reads), and what no other
// engine can carry.
//
// Guarded by the process lock.
#pragma once

#include "core/core.h"
#include "sys/spin.h"

namespace inflight::engine {

struct Process;

struct Pool {
  static constexpr int kMostBlocked = 1024;

  core::PriorityQueue queue;
  core::Turns copies;       // reads that only copy: as many threads at them as there are processors
  int most_copies;          // besides the one that submits
  sys::FutexWord doorbell;  // idle workers sleep here
  // One idle worker may look for work without sleeping. It alone sets this, under the lock, and
  // who clears it, under the lock, has called it; it looks without the lock.
  std::atomic<bool> looking;
  sys::Spin look;
  long spin;  // nanoseconds that a worker looks for work, and a waiter for a worker's end; 0: never
  // Requests queued or in a worker's hands that end soon: worth looking out for (runtime/waiting).
  // Changes under the lock.
  std::atomic<int> expected;
  int workers;
  int idle;      // of those, asleep and not yet called
  int called;    // calls that no worker has answered yet
  int starting;  // asked of the spawner
  int blocked;   // workers with a request that may wait for ever; they do not count to the limit
  int limit;
};

// Lock held.
void push(Process& process, core::Request& request, core::Effects& effects);
// A queued request leaves without having been begun. Lock held.
void remove_from_pool(Process& process, core::Request& request);
// Takes a queued request; null if there is none. Lock held.
core::Request* take_from_pool(Process& process, core::Effects& effects);

// Makes the request's system calls and finishes it. Without the lock.
void work_on(Process& process, core::Request& request);

void* worker_main(void* process);

}  // namespace inflight::engine
