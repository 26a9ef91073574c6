// The spawner thread. What is wanted stands in the other engines' counters, under the process
// lock; the spawner looks at all of them whenever its doorbell rings.
#include "engine/spawner.h"

#include <errno.h>

#include "engine/dispatch.h"
#include "engine/process.h"
#include "engine/stream_thread.h"

namespace inflight::engine {
namespace {

constexpr size_t kHelperStack = size_t{64} << 10;
constexpr long kRetryMilliseconds = 1;
constexpr long kLongestEnding = 4096;  // then a thread's end was not the program's

void count_helper(Process& process, int change) {
  sys::Guard guard(process.core.lock);
  process.spawner.helpers += change;
}

// 0 if the thread was made, or an errno. The helper is counted before it exists, so that it cannot
// end uncounted.
int start(Process& process, void* (*main)(void*), void* argument, size_t stack,
          const sys::ThreadAttributes* attributes) {
  count_helper(process, 1);
  const int error = sys::start_thread(main, argument, stack, attributes);
  if (error == 0) {
    count(process, INFLIGHT_THREADS_STARTED);
  } else {
    count_helper(process, -1);
  }
  return error;
}

bool start_helper(Process& process, void* (*main)(void*)) {
  return start(process, main, &process, kHelperStack, nullptr) == 0;
}

// With no thread to be had, the requests in the pool's queue are worked on here.
void work_as_pool(Process& process) {
  for (;;) {
    core::Request* request;
    core::Effects effects;
    {
      sys::Guard guard(process.core.lock);
      if (process.pool.workers > 0) return;
      request = take_from_pool(process, effects);
    }
    carry_out(process, effects);
    if (request == nullptr) return;
    work_on(process, *request);
  }
}

// Takes what the others asked for; a thread counts as theirs from here on.
struct Wanted {
  int workers;
  bool streams;
  bool kaio;
  bool notifier;
};

Wanted take_wanted(Process& process) {
  sys::Guard guard(process.core.lock);
  Pool& pool = process.pool;
  const Wanted wanted{pool.starting, process.streams.wanted, process.kaio.wanted,
                      process.notifier.wanted};
  pool.workers += pool.starting;
  pool.starting = 0;
  if (wanted.streams) process.streams.alive = true;
  if (wanted.kaio) process.kaio.alive = true;
  if (wanted.notifier) ++process.notifier.starting;
  process.streams.wanted = process.kaio.wanted = process.notifier.wanted = false;
  return wanted;
}

// With no thread to be had, streams are polled here.
void work_as_streams(Process& process) {
  sys::prepare_nudges();
  StreamThread(process).stand_in();
}

// What the stream thread would have carried in its ring goes to the pool. Nobody holds a file.
void give_back_streams(Process& process, core::Effects& effects) {
  Streams& streams = process.streams;
  streams.alive = false;
  streams.wanted = streams.watches_any();
  streams.holds_stopped.store(false);
  while (core::Request* request = streams.positional.first()) {
    streams.positional.remove(*request);
    push(process, *request, effects);
  }
  streams.sync_done.store(streams.sync_wanted, std::memory_order_release);
  sys::futex_wake(&streams.sync_done, INT32_MAX);
}

void give_back(Process& process, const Wanted& failed, core::Effects& effects) {
  sys::Guard guard(process.core.lock);
  process.pool.workers -= failed.workers;
  process.pool.starting += failed.workers;
  if (failed.streams) give_back_streams(process, effects);
  if (failed.kaio) {
    process.kaio.alive = false;
    process.kaio.wanted = true;
  }
  if (failed.notifier) {
    --process.notifier.starting;
    process.notifier.wanted = true;
  }
}

// Makes the threads that are wanted; false if some could not be made.
bool start_wanted(Process& process) {
  const Wanted wanted = take_wanted(process);
  Wanted failed{};
  for (int i = 0; i < wanted.workers; ++i) {
    if (!start_helper(process, worker_main)) ++failed.workers;
  }
  failed.streams = wanted.streams && !start_helper(process, streams_main);
  failed.kaio = wanted.kaio && !start_helper(process, kaio_main);
  // Callbacks are the program's code: they get a stack of the program's size.
  failed.notifier = wanted.notifier && start(process, notifier_main, &process, 0, nullptr) != 0;
  if (failed.workers == 0 && !failed.streams && !failed.kaio && !failed.notifier) return true;
  if (failed.streams) work_as_streams(process);
  core::Effects effects;
  give_back(process, failed, effects);
  if (failed.kaio) take_events(process, effects);
  carry_out(process, effects);
  work_as_pool(process);
  return false;
}

// Threads for callbacks that brought attributes; false if one could not be made.
bool start_particular(Process& process) {
  for (;;) {
    core::Notice* notice;
    {
      sys::Guard guard(process.core.lock);
      notice = process.notifier.particular.pop_front();
    }
    if (notice == nullptr) return true;
    const sys::ThreadAttributes& attributes = notice->what.attributes->value;
    const int error = start(process, particular_main, notice, 0, &attributes);
    if (error == 0) continue;
    core::Effects effects;
    {
      sys::Guard guard(process.core.lock);
      if (error == EAGAIN) {
        process.notifier.particular.push_back(*notice);
        return false;
      }
      // No thread can be like that (a processor that is not there, a policy that is forbidden): the
      // notification is worth more than its attributes.
      process.core.attributes.give(*notice->what.attributes);
      notice->what.attributes = nullptr;
      queue_callback(process, *notice, effects);
    }
    carry_out(process, effects);
  }
}

// A thread is to be made. Lock held.
bool is_wanted(const Process& process) {
  return process.streams.wanted || process.kaio.wanted || process.notifier.wanted ||
         process.pool.starting > 0;
}

// True when the program's threads have all ended and nothing is left to do: the process ends with
// the last thread, which must not be this one for ever.
bool may_end(Process& process) {
  Spawner& spawner = process.spawner;
  if (!sys::first_thread_has_ended()) return false;
  sys::Guard guard(process.core.lock);
  spawner.awaits_end = true;
  if (spawner.helpers != 0 || is_wanted(process)) return false;
  if (process.core.requests.in_use() != 0 || process.core.groups.in_use() != 0) return false;
  spawner.alive = false;
  return true;
}

// After so many milliseconds without an end: until the next look.
long next_look(const Spawner& spawner, long ending) {
  if (ending < kLongestEnding) return ending * 2;
  return spawner.first_thread_ends.load() && !spawner.awaits_end ? kLongestEnding : 0;
}

void* spawner_main(void* argument) {
  Process& process = *static_cast<Process*>(argument);
  Spawner& spawner = process.spawner;
  begin_helper("inflight-spawn");
  // Milliseconds until the next look whether this was the end; 0: no reason to look.
  long ending = sys::first_thread_has_ended() ? 1 : 0;
  for (;;) {
    const uint32_t seen = spawner.doorbell.load(std::memory_order_acquire);
    bool again = !start_wanted(process);
    again |= !start_particular(process);
    again |= !retry_refused(process);
    again |= call_for_overdue(process);
    // A thread tells of its end shortly before it; and helpers linger for an idle second.
    if (spawner.program_thread_ended.exchange(false)) ending = 1;
    if (ending > 0 && may_end(process)) return nullptr;
    if (again && ending > 0) ending = 1;  // what is to be done ends without a helper's end
    const timespec soon = sys::deadline_after(again ? kRetryMilliseconds : ending);
    sys::futex_wait(spawner.doorbell, seen, again || ending > 0 ? &soon : nullptr);
    if (!again) ending = next_look(spawner, ending);
  }
}

// A thread of the program ends: it may be the last one.
void on_thread_end(void*) {
  Process* process = process_pointer.load(std::memory_order_acquire);
  if (process == nullptr || process->epoch.load() == 0) return;
  if (sys::thread_id() == process->pid) process->spawner.first_thread_ends.store(true);
  process->spawner.program_thread_ended.store(true);
  process->spawner.doorbell.fetch_add(1);
  sys::futex_wake(&process->spawner.doorbell, 1);
}

// The first thread may leave its last request to others, and end later than they.
__attribute__((constructor)) void watch_first_thread() {
  if (sys::thread_id() == sys::process_id()) watch_program_thread();
}

}  // namespace

int ensure_spawner(Process& process) {
  Spawner& spawner = process.spawner;
  {
    sys::Guard guard(process.core.lock);
    if (spawner.alive) return 0;
    spawner.alive = true;
  }
  if (sys::start_thread(spawner_main, &process, kHelperStack, nullptr) == 0) {
    count(process, INFLIGHT_THREADS_STARTED);
    return 0;
  }
  sys::Guard guard(process.core.lock);
  spawner.alive = false;
  return EAGAIN;
}

void watch_program_thread() {
  static thread_local bool watched = false;
  if (watched) return;
  watched = true;
  sys::watch_end_of_this_thread(on_thread_end);
}

void ring_spawner(Process& process) {
  process.spawner.doorbell.fetch_add(1);
  // Its memory may be gone only if it ended with the program's last thread. A request that was
  // made since then brings it back; with no thread to be had, there is nothing but to try again.
  while (ensure_spawner(process) != 0) sys::nap(1000);
  sys::futex_wake(&process.spawner.doorbell, 1);
}

}  // namespace inflight::engine
