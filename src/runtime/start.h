// The one process-wide object: made at the first request, made anew in a forked child.
#pragma once

#include "engine/process.h"

namespace inflight::runtime {

// The started process, starting it if need be; null when memory is exhausted.
// Async-signal-safe, leaves errno alone.
engine::Process* start();

// The process if it has been started here (not in a parent before a fork), else null.
inline engine::Process* started() {
  engine::Process* process = engine::process_pointer.load(std::memory_order_acquire);
  return process != nullptr && process->epoch.load(std::memory_order_acquire) != 0 ? process
                                                                                   : nullptr;
}

// aio_init(3): a wish for the number of pool threads, taken when the library has not started yet.
void wish_for_threads(int threads);

}  // namespace inflight::runtime
