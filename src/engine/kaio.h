// The kernel AIO engine: io_submit(2) for O_DIRECT files.
//
// The kernel takes the file in that call, no descriptor is needed (C21), and the request does not
// die with the thread that makes it (C18). RWF_NOWAIT makes a request that would block in the call
// (an allocating write, an extent not in memory) come back, and the pool carries it instead. One
// helper thread waits for the completions.
//
// Submitting is what costs: a device is told of each io_submit, however many requests it brings. So
// requests are gathered. Those of a list are submitted together; and while the kernel is busy with
// enough of a file, further ones of that file are held back, until there are many, until the
// program waits, or until the next completion, whichever is first. Who takes a completion also
// submits what is held, and one is held back only while completions of the same device are to come,
// so none is forgotten, and the wait is a fraction of what a transfer takes.
//
// A program that makes one request at a time and waits for it would pay for two wake-ups: the
// thread's and its own. When that is seen to be its way, the thread turns passive: it only looks
// every millisecond whether a completion is left lying, and the program's thread takes the
// completion itself in aio_suspend, as the leader. Nobody else takes completions while there is
// one.
#pragma once

#include "core/core.h"
#include "core/priority_queue.h"

namespace inflight::engine {

struct Process;

struct Kaio {
  enum class Status : uint8_t { untried, opening, ready, unusable };

  std::atomic<Status> status;
  aio_context_t context;
  uint32_t in_flight;                // guarded by the process lock, as the rest
  core::PriorityQueue held;          // State::queued, not submitted yet
  std::atomic<uint32_t> held_count;  // changes under the lock
  bool wanted;                       // a thread is asked of the spawner
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

// Takes a moving request, to be submitted when the effects are carried out, or later. False: the
// caller keeps it, and another engine must carry it. Without the lock, signals blocked.
bool push_to_kaio(Process& process, core::Request& request, core::Effects& effects);
// A held request leaves. Lock held.
void remove_from_kaio(Process& process, core::Request& request);

// Submits what is held. Without the lock, signals blocked.
void submit_held(Process& process, core::Effects& effects);
// The same for a thread that is about to wait: what it waits for may be among them.
void hold_nothing_back(Process& process);

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
