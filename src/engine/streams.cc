// The stream thread and how others reach it. The queues and counters belong to the process lock;
// the ring and the poll arrays to the thread.
//
// Going to sleep: the thread publishes its id in `sleeper` under the lock, after it has taken all
// news, and opens the nudge signal only inside the waiting call. News that come later find the id
// and send the signal, which stays pending if the thread has not entered the call yet; so no news
// is slept over.
#include "engine/streams.h"

#include <errno.h>

#include "engine/dispatch.h"
#include "engine/process.h"
#include "engine/stream_thread.h"

namespace inflight::engine {
namespace {

using core::Effects;
using core::Place;
using core::Request;
using core::State;

void tell_thread(Streams& streams, Effects& effects) {
  effects.nudge = true;
  streams.news.fetch_add(1, std::memory_order_relaxed);  // the lock orders it
  if (!streams.alive && !streams.wanted) {
    streams.wanted = true;
    effects.spawn = true;
  }
}

}  // namespace

bool ring_is_possible(const Process& process) { return !process.streams.no_ring; }

void arm(Process& process, Request& request, bool tried, Effects& effects) {
  Streams& streams = process.streams;
  request.state = State::armed;
  request.carrier = core::Carrier::stream;
  request.place = tried ? Place::inbox : Place::fresh;
  (tried ? streams.inbox : streams.fresh).push_back(request);
  tell_thread(streams, effects);
}

void push_to_ring(Process& process, Request& request, Effects& effects) {
  request.state = State::queued;
  request.carrier = core::Carrier::ring;
  process.streams.positional.push(request);
  tell_thread(process.streams, effects);
}

void remove_from_streams(Process& process, Request& request, Effects& effects) {
  Streams& streams = process.streams;
  if (request.state == State::queued) {
    streams.positional.remove(request);
    return;
  }
  switch (request.place) {
    case Place::fresh:
      return streams.fresh.remove(request);
    case Place::inbox:
      return streams.inbox.remove(request);
    case Place::resting:
      return streams.resting.remove(request);
    case Place::polled:
      break;
  }
  streams.armed.remove(request);
  streams.holds_stopped.store(true);
  if (streams.removal_count < Streams::kRemovals) {
    streams.removals[streams.removal_count] = request.ticket();
  }
  ++streams.removal_count;
  effects.nudge = true;
  streams.news.fetch_add(1, std::memory_order_relaxed);
}

void nudge_streams(Process& process) {
  // Who has taken the id must send the signal: a handler in between would wait for a thread that
  // it believes awake. So signals are blocked here, too.
  const int sleeper = process.streams.sleeper.exchange(0);
  if (sleeper == 0 || sys::nudge(process.pid, sleeper)) return;
  // The thread put its id there after it had made its timer, or it wakes by itself.
  if (process.streams.has_timer) process.streams.timer.fire();
}

void sync_streams(Process& process) {
  Streams& streams = process.streams;
  const uint32_t epoch = process.epoch.load();
  uint32_t ticket;
  {
    const sys::SignalBlock signals;
    {
      sys::Guard guard(process.core.lock);
      if (!streams.alive) return;  // it holds no file
      ticket = ++streams.sync_wanted;
      streams.news.fetch_add(1, std::memory_order_relaxed);
    }
    nudge_streams(process);
  }
  // In a child that a handler forks meanwhile there is no stream thread, and no file that it holds.
  while (process.is_still(epoch)) {
    const uint32_t done = streams.sync_done.load(std::memory_order_acquire);
    if (static_cast<int32_t>(done - ticket) >= 0) return;
    sys::futex_wait_both({streams.sync_done, done}, {process.epoch, epoch}, nullptr);
  }
}

void* streams_main(void* argument) {
  Process& process = *static_cast<Process*>(argument);
  begin_helper("inflight-stream");
  sys::prepare_nudges();
  StreamThread thread(process);
  thread.run();
  return nullptr;
}

}  // namespace inflight::engine
