// Notifications. A notice belongs to the thread that delivers it until it calls delivered(); the
// queues belong to the process lock.
#include "engine/notifier.h"

#include <errno.h>
#include <string.h>

#include "engine/dispatch.h"
#include "engine/observe.h"
#include "sys/newness.h"

namespace inflight::engine {
namespace {

using core::Effects;
using core::Notice;
using core::Notification;
using Kind = Notification::Kind;

constexpr char kThreadName[] = "inflight-notify";

uint32_t span_of(const Notice& notice) {
  return notice.request == nullptr ? 0 : notice.request->span;
}

// False when the signal queue is full. `span` is the request's, or 0.
bool send(const Process& process, const Notification& what, uint32_t span) {
  siginfo_t info{};
  info.si_signo = what.signal;
  info.si_code = SI_ASYNCIO;
  info.si_pid = process.pid;
  info.si_uid = static_cast<uid_t>(sys::user_id());
  info.si_value = what.value;
  observe_notification(process, what, span);
  const long result = what.kind == Kind::signal ? sys::queue_signal(process.pid, what.signal, info)
                                                : sys::queue_signal_to_thread(
                                                      process.pid, what.thread, what.signal, info);
  if (result == 0) count(process, INFLIGHT_SIGNALS_SENT);
  return result != -EAGAIN;  // any other failure: nobody is there to be told
}

void refuse(Process& process, Notice& notice, Effects& effects) {
  process.spawner.refused.push_back(notice);
  process.spawner.refused_count.fetch_add(1);
  effects.spawn = true;
}

void want_notifier(Notifier& notifier, Effects& effects) {
  if (notifier.idle > 0 || notifier.starting > 0 || notifier.wanted) return;
  notifier.wanted = true;
  effects.spawn = true;
}

// Lock held.
void call_one(Notifier& notifier, Effects& effects) {
  if (notifier.idle == 0) return want_notifier(notifier, effects);
  --notifier.idle;
  ++notifier.called;
  notifier.doorbell.fetch_add(1, std::memory_order_relaxed);  // the lock orders it
  ++effects.notifiers;
}

// A thread ends; somebody else must come for what is queued. Lock held.
void leave(Notifier& notifier, Effects& effects) {
  --notifier.threads;
  if (!notifier.queue.empty()) call_one(notifier, effects);
}

// A callback in progress, for the case that it does not return.
struct Callback {
  Process& process;
  Notice& notice;
  uint32_t epoch;
  bool kept;  // the thread is one of Notifier::threads

  // False in a child that the callback forked: nothing here exists there.
  bool ended(bool thread_ends) const {
    if (!process.is_still(epoch)) return false;
    Effects effects;
    {
      sys::Guard guard(process.core.lock);
      count(process, INFLIGHT_CALLBACKS_RUN);
      core::delivered(process.core, notice, effects);
      if (thread_ends) {
        if (kept) leave(process.notifier, effects);
        helper_ends(process);
      }
    }
    carry_out(process, effects);
    return true;
  }

  // pthread_exit in the callback, or cancellation of its thread.
  static void abandoned(void* self) {
    sys::set_signal_mask(sys::kAllSignals);
    static_cast<Callback*>(self)->ended(true);
  }
};

// True if the thread may run another callback; otherwise it is no longer counted, and must end.
// `newness` is null for a thread made for one callback.
bool run(Process& process, Notice& notice, const sys::Newness* newness) {
  Callback callback{process, notice, process.epoch.load(), newness != nullptr};
  {
    const sys::CleanupScope scope(Callback::abandoned, &callback);
    const auto function = notice.what.function;
    const sigval value = notice.what.value;
    observe_notification(process, notice.what, span_of(notice));
    sys::set_signal_mask(0);
    function(value);
    // A cancellation that came too late for this callback must not hit the next one.
    sys::catch_up_with_cancellation();
  }
  sys::set_signal_mask(sys::kAllSignals);
  const bool as_new = newness != nullptr && newness->restore();
  return callback.ended(!as_new) && as_new;
}

// Called with the lock held, and released meanwhile. True when this thread has been called.
bool look_for_notice(Process& process) {
  Notifier& notifier = process.notifier;
  if (process.spin == 0 || notifier.looking.load(std::memory_order_relaxed)) return false;
  notifier.looking.store(true, std::memory_order_relaxed);
  process.core.lock.release();
  const auto called = [&] { return !notifier.looking.load(std::memory_order_relaxed); };
  notifier.look.until(process.spin, called);
  process.core.lock.acquire();
  if (called()) return true;
  notifier.looking.store(false, std::memory_order_relaxed);
  return false;
}

Notice* next_notice(Process& process) {
  Notifier& notifier = process.notifier;
  process.core.lock.acquire();
  for (;;) {
    Notice* notice = notifier.queue.pop_front();
    if (notice != nullptr) {
      ++notifier.taken;
      process.core.lock.release();
      return notice;
    }
    if (look_for_notice(process)) continue;
    ++notifier.idle;
    const uint32_t seen = notifier.doorbell.load(std::memory_order_relaxed);
    process.core.lock.release();
    const timespec deadline = sys::deadline_after(kIdleMilliseconds);
    const long slept = sys::futex_wait(notifier.doorbell, seen, &deadline);
    process.core.lock.acquire();
    if (notifier.called > 0) {
      --notifier.called;
    } else {
      --notifier.idle;
      if (slept == -ETIMEDOUT && notifier.queue.empty()) break;
    }
  }
  --notifier.threads;
  helper_ends(process);
  process.core.lock.release();
  return nullptr;
}

// Other processes are told of a new name, so one is not set without need.
void restore_name() {
  char name[16] = "";
  sys::copy_name_of_this_thread(name);
  if (strcmp(name, kThreadName) != 0) sys::name_this_thread(kThreadName);
}

}  // namespace

void queue_callback(Process& process, Notice& notice, Effects& effects) {
  Notifier& notifier = process.notifier;
  if (notice.what.attributes != nullptr) {
    notifier.particular.push_back(notice);
    effects.spawn = true;
    return;
  }
  const bool nobody_comes =
      notifier.threads == notifier.idle && notifier.starting == 0 && !notifier.wanted;
  notifier.queue.push_back(notice);
  ++notifier.queued;
  if (notifier.looking.load(std::memory_order_relaxed)) {
    notifier.looking.store(false, std::memory_order_relaxed);  // the lock orders it
  } else if (nobody_comes) {
    call_one(notifier, effects);
  } else if (!notifier.watched) {
    notifier.watched = true;
    notifier.due = notifier.taken;
    effects.spawn = true;
  }
}

bool call_for_overdue(Process& process) {
  Notifier& notifier = process.notifier;
  Effects effects;
  {
    sys::Guard guard(process.core.lock);
    notifier.watched = notifier.watched && !notifier.queue.empty();
    if (!notifier.watched) return false;
    const bool overdue = static_cast<int32_t>(notifier.taken - notifier.due) < 0;
    if (overdue) call_one(notifier, effects);
    notifier.due = notifier.queued;
  }
  carry_out(process, effects);
  return true;
}

void deliver(Process& process, Notice& notice, Effects& effects) {
  if (notice.what.kind == Kind::callback) {
    sys::Guard guard(process.core.lock);
    queue_callback(process, notice, effects);
    return;
  }
  {
    // Behind a refused one, order would be lost.
    sys::Guard guard(process.core.lock);
    if (!process.spawner.refused.empty()) return refuse(process, notice, effects);
  }
  const bool sent = send(process, notice.what, span_of(notice));
  sys::Guard guard(process.core.lock);
  if (sent) {
    core::delivered(process.core, notice, effects);
  } else {
    refuse(process, notice, effects);
  }
}

void deliver_signal(Process& process, const Notification& what, uint32_t span) {
  if (what.kind == Kind::none) return;
  if (process.spawner.refused_count.load() == 0 && send(process, what, span)) return;
  const sys::SignalBlock signals;
  Effects effects;
  for (;;) {
    {
      sys::Guard guard(process.core.lock);
      core::Request* request = core::take_notice(process.core, what);
      if (request != nullptr) {
        request->span = span;
        refuse(process, request->notice, effects);
        break;
      }
    }
    sys::nap(1000);  // memory is exhausted, and a notification may not be dropped
  }
  carry_out(process, effects);
}

bool retry_refused(Process& process) {
  Effects effects;
  for (;;) {
    Notice* notice;
    {
      sys::Guard guard(process.core.lock);
      notice = process.spawner.refused.first();
      if (notice == nullptr) break;
    }
    if (!send(process, notice->what, span_of(*notice))) return false;
    {
      sys::Guard guard(process.core.lock);
      process.spawner.refused.remove(*notice);
      process.spawner.refused_count.fetch_sub(1);
      core::delivered(process.core, *notice, effects);
    }
    carry_out(process, effects);
  }
  return true;
}

void* notifier_main(void* argument) {
  Process& process = *static_cast<Process*>(argument);
  begin_helper(kThreadName);
  {
    sys::Guard guard(process.core.lock);
    --process.notifier.starting;
    ++process.notifier.threads;
  }
  const sys::Newness newness;
  while (Notice* notice = next_notice(process)) {
    if (!run(process, *notice, &newness)) break;
    restore_name();
  }
  return nullptr;
}

void* particular_main(void* argument) {
  Notice& notice = *static_cast<Notice*>(argument);
  begin_helper(kThreadName);
  run(process(), notice, nullptr);
  return nullptr;
}

}  // namespace inflight::engine
