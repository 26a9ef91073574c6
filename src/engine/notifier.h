// Delivery of notifications (C15): signals are sent by whoever finished the request; callbacks
// run on notification threads, which are kept for the next callback as long as they can be made
// to look new.
//
// Waking a thread costs more than most callbacks. So a thread that is done looks for the next
// callback for a moment, and while one is at work no other is woken: it comes back for what is
// queued. Unless its callback blocks or takes long; so while something is queued the spawner looks
// every millisecond, and calls one more thread whenever a callback has waited since its last look.
#pragma once

#include "core/core.h"
#include "sys/spin.h"

namespace inflight::engine {

struct Process;

struct Notifier {
  core::NoticeList queue;       // callbacks with default attributes
  core::NoticeList particular;  // callbacks whose thread has attributes: one thread each
  sys::FutexWord doorbell;
  // One idle thread may look without sleeping, as in the pool (Pool::looking).
  std::atomic<bool> looking;
  sys::Spin look;
  uint32_t queued;  // callbacks ever put into `queue`
  uint32_t taken;   // and taken from it
  uint32_t due;     // what the spawner's last look saw as queued: at the next it should be taken
  bool watched;     // the spawner looks
  int threads;
  int idle;
  int called;
  int starting;  // being made: never more than one, so that a burst does not make a crowd
  bool wanted;   // asked of the spawner
};

// Carries out or queues a notification. Without the lock, signals blocked.
void deliver(Process& process, core::Notice& notice, core::Effects& effects);

// Queues a callback for a notification thread. Lock held.
void queue_callback(Process& process, core::Notice& notice, core::Effects& effects);

// Sends the signal, if one is wanted, of a request that never had a slot (finished inline). `span`
// is its number in the trace, or 0.
void deliver_signal(Process& process, const core::Notification& what, uint32_t span);

// Calls a thread for callbacks that have waited for long; true while any are queued. Spawner only.
bool call_for_overdue(Process& process);

// Sends refused signals again; true when none is left. Spawner only.
bool retry_refused(Process& process);

void* notifier_main(void* process);
void* particular_main(void* notice);

}  // namespace inflight::engine
