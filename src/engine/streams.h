// The stream engine: one helper thread that waits until pipes, sockets, terminals and eventfds are
// ready, any number of them, and then transfers without waiting (C8, C9, C14). It waits in its
// io_uring (POLL_ADD), or in ppoll where there is none (C25). While it has a ring, it also carries
// positional requests there: cold reads, and everything when INFLIGHT_ENGINE=uring.
//
// A request in State::armed waits here and can be stopped at any moment under the lock, because
// no byte moves until the thread has taken it to State::moving.
//
// sync protocol (C22): a poll holds a reference to its file, so a close must not return before
// polls of stopped requests are gone, or the file's other end would not see the close. Whoever
// needs that, as holds_stopped says, raises sync_wanted, nudges and waits until sync_done has
// caught up: then every poll removed before has let go of its file.
#pragma once

#include "core/core.h"
#include "core/priority_queue.h"
#include "sys/signals.h"
#include "sys/spin.h"

namespace inflight::engine {

struct Process;

struct Streams {
  static constexpr int kRemovals = 256;
  // So many positional requests the kernel gets at once; the others wait here by priority (C11).
  static constexpr uint32_t kMostInRing = 64;

  core::RequestQueue fresh;    // armed, and to be tried before they are polled
  core::RequestQueue inbox;    // armed, and to be polled
  core::RequestQueue armed;    // polled
  core::RequestQueue resting;  // ready, they say, and yet not: to be polled after a rest
  core::PriorityQueue positional;
  core::Ticket removals[kRemovals];  // polls to take back
  int removal_count;                 // over kRemovals: take back every poll, and post anew
  uint32_t in_ring;                  // positional requests the kernel has
  uint32_t sync_wanted;
  sys::FutexWord sync_done;
  std::atomic<bool> holds_stopped;  // changes under the lock; the close family looks without it
  bool wanted;                      // a thread is asked of the spawner
  bool alive;
  bool no_ring;   // tried, and refused
  bool had_ring;  // one has been opened
  // The id of a thread that has handed all this over because its ring cannot be entered any more,
  // else 0. The ring's polls hold their files until it has ended.
  int leaving;
  // Changes with all of the above, under the lock; the thread looks out for it without the lock.
  std::atomic<uint32_t> news;
  sys::Spin look;
  std::atomic<int> sleeper;  // the thread's id while it must be nudged, else 0
  sys::NudgeTimer timer;     // nudges it when a signal cannot
  bool has_timer;

  bool watches_any() const {
    return !fresh.empty() || !inbox.empty() || !armed.empty() || !resting.empty();
  }
};

// True if positional requests can go to the ring (or may be able to: it is not open yet).
bool ring_is_possible(const Process& process);

// Lock held: a stream request that must wait for readiness (or be `tried` first), a positional
// one for the ring.
void arm(Process& process, core::Request& request, bool tried, core::Effects& effects);
void push_to_ring(Process& process, core::Request& request, core::Effects& effects);
// Lock held: an armed or ring-queued request leaves.
void remove_from_streams(Process& process, core::Request& request, core::Effects& effects);

// Wakes the thread if it sleeps. Without the lock, signals blocked.
void nudge_streams(Process& process);
// Waits for the sync protocol. Without the lock.
void sync_streams(Process& process);

void* streams_main(void* process);

// One attempt to transfer without waiting.
enum class Step : uint8_t {
  ended,       // `result` is the request's answer
  waits,       // not ready
  impossible,  // this file cannot be asked without waiting: a worker must
};
Step transfer_without_waiting(core::Request& request, long& result);

}  // namespace inflight::engine
