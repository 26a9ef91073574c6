// The kernel AIO engine: io_submit(2) for O_DIRECT files, made by the submitting thread itself.
//
// The kernel takes the file in that call, no descriptor is needed (C21), and the request does not
// die with its thread (C18). RWF_NOWAIT makes a request that would block in the call (an allocating
// write, an extent not in memory) come back, and the pool carries it instead. One helper thread
// waits for the completions.
//
// A program that makes one request at a time and waits for it would pay for two wake-ups: the
// thread's and its own. When that is seen to be its way, the thread turns passive: it only looks
// every millisecond whether a completion is left lying, and the program's thread takes the
// completion itself in aio_suspend, as the leader. Nobody else takes completions while there is
// one.
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

  bool passive;     // the thread sleeps at the doorbell
  bool has_leader;  // a waiting thread takes the completions
  bool unled;       // the last request was not waited for by itself (yet)
  uint32_t streak;  // so many requests in a row were made and waited for one at a time
  uint32_t demand;  // the streak that makes the thread passive; 0: kFirstDemand
  uint32_t submitted;
  sys::FutexWord doorbell;
};

// True if the request is one for this engine.
bool suits_kaio(const Process& process, const core::Request& request);

// Hands a moving request to the kernel. False: the caller keeps it, and another engine must carry
// it. After true the request may be finished already. Without the lock, signals blocked.
bool submit_to_kaio(Process& process, core::Request& request, core::Effects& effects);

// Handles the completions that are there, without waiting: the spawner's part while it can make no
// thread for that.
void take_events(Process& process, core::Effects& effects);

// For a thread that is about to wait for this block's request alone: takes the completions itself,
// for a moment and until `deadline` at most, if the engine's thread leaves them to it. Without the
// lock, signals blocked.
enum class Led : uint8_t { no, in_vain, finished };
Led lead_kaio(Process& process, const aiocb& block, const timespec* deadline);

void* kaio_main(void* process);

}  // namespace inflight::engine
