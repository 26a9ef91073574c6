// Delivery of notifications (C15): signals are sent by whoever finished the request; callbacks
// run on notification threads, which are kept for the next callback as long as they can be made
// to look new.
#pragma once

#include "core/core.h"

namespace inflight::engine {

struct Process;

struct Notifier {
  core::NoticeList queue;       // callbacks with default attributes
  core::NoticeList particular;  // callbacks whose thread has attributes: one thread each
  sys::FutexWord doorbell;
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

// Sends the notification of a request that never had a slot (finished inline).
void deliver_signal(Process& process, const core::Notification& what);

// Sends refused signals again; true when none is left. Spawner only.
bool retry_refused(Process& process);

void* notifier_main(void* process);
void* particular_main(void* notice);

}  // namespace inflight::engine
