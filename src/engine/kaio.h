// The kernel AIO engine: io_submit(2) for O_DIRECT files, made by the submitting thread itself.
//
// The kernel takes the file in that call, no descriptor is needed (C21), and the request does not
// die with its thread (C18). RWF_NOWAIT makes a request that would block in the call (an allocating
// write, an extent not in memory) come back, and the pool carries it instead. One helper thread
// waits for the completions.
#pragma once

#include "core/core.h"

namespace inflight::engine {

struct Process;

struct Kaio {
  enum class Status : uint8_t { untried, opening, ready, unusable };

  std::atomic<Status> status;
  aio_context_t context;
  uint32_t in_flight;  // guarded by the process lock, as the rest
  bool wanted;         // a thread is asked of the spawner
  bool alive;
};

// True if the request is one for this engine.
bool suits_kaio(const Process& process, const core::Request& request);

// Hands a moving request to the kernel. False: the caller keeps it, and another engine must carry
// it. After true the request may be finished already. Without the lock, signals blocked.
bool submit_to_kaio(Process& process, core::Request& request, core::Effects& effects);

// Handles the completions that are there, without waiting: the spawner's part while it can make no
// thread for that.
void take_events(Process& process, core::Effects& effects);

void* kaio_main(void* process);

}  // namespace inflight::engine
