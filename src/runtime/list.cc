// lio_listio. The group is shared by the call and the completions, under the process lock.
#include <limits.h>

#include "engine/dispatch.h"
#include "engine/submit.h"
#include "runtime/calls.h"
#include "runtime/start.h"
#include "runtime/waiting.h"

namespace inflight::runtime {
namespace {

using core::Effects;
using core::Group;
using core::Notification;
using engine::Process;

// Signals are blocked for this many entries at a time: few system calls, and no long deafness.
constexpr int kEntriesPerBlock = 64;

bool is_request(const aiocb* entry) { return entry != nullptr && entry->aio_lio_opcode != LIO_NOP; }

Group* open_group(Process& process, const Notification& notification, const sigevent* event) {
  const sys::SignalBlock signals;
  sys::Guard guard(process.core.lock);
  Group* group = core::open_group(process.core, notification);
  if (group == nullptr || notification.kind != Notification::Kind::callback) return group;
  const auto* attributes = static_cast<const pthread_attr_t*>(event->sigev_notify_attributes);
  if (attributes == nullptr) return group;
  group->notice.what.attributes = process.core.attributes.take();
  if (group->notice.what.attributes == nullptr) {
    group->notice.what.kind = Notification::Kind::none;
    Effects effects;
    core::release_undelivered(process.core, *group, effects);
    return nullptr;
  }
  sys::copy_attributes(*attributes, group->notice.what.attributes->value);
  return group;
}

// Answers the list's first entries, as far as that can be done at once; the first that is left.
int submit_first_inline(Process& process, aiocb* const list[], int count) {
  int first = 0;
  while (first < count &&
         (!is_request(list[first]) || engine::submit_inline(process, *list[first]))) {
    ++first;
  }
  return first;
}

// From the entry `first` on. 0, or EAGAIN if an entry found no memory.
int submit_entries(Process& process, Group& group, aiocb* const list[], int first, int count) {
  int error = 0;
  engine::Target target{};
  target.fd = -1;  // none is known; for a descriptor of -1 "closed" is right
  for (; first < count; first += kEntriesPerBlock) {
    const int end = count - first < kEntriesPerBlock ? count : first + kEntriesPerBlock;
    const sys::SignalBlock signals;
    Effects effects;
    for (int i = first; i < end; ++i) {
      if (!is_request(list[i])) continue;
      const int refused = engine::submit_entry(process, *list[i], group, target, effects);
      if (refused != 0) error = refused;
    }
    engine::carry_out(process, effects);
  }
  return error;
}

void leave_group(Process& process, Group& group) {
  const sys::SignalBlock signals;
  Effects effects;
  {
    sys::Guard guard(process.core.lock);
    core::release_undelivered(process.core, group, effects);
  }
  engine::carry_out(process, effects);
}

void leave_group_later(void* hold);

// The waiting call's part of the group, given up also when the thread is cancelled.
struct Hold {
  Process& process;
  Group& group;
  uint64_t epoch;
  void leave() const {
    if (process.epoch.load() == epoch) leave_group(process, group);
  }
};

void leave_group_later(void* hold) { static_cast<Hold*>(hold)->leave(); }

int wait_for(Process& process, Group& group) {
  core::WaitLink link;
  Wait wait(process, &link);
  {
    const sys::SignalBlock signals;
    sys::Guard guard(process.core.lock);
    if (--group.unfinished == 0) return 0;
    wait.watch(group.first_waiter);
  }
  return wait.sleep(nullptr);
}

int wait_and_leave(Process& process, Group& group, int error) {
  engine::hold_nothing_back(process);
  const Hold hold{process, group, process.epoch.load()};
  int result;
  bool failed = false;
  {
    const sys::CleanupScope scope(leave_group_later, const_cast<Hold*>(&hold));
    result = wait_for(process, group);
    if (process.epoch.load() == hold.epoch) failed = group.failed;
  }
  hold.leave();
  if (result != 0) return result;
  if (error != 0) return -error;
  return failed ? -EIO : 0;
}

}  // namespace

int list(int mode, aiocb* const list[], int count, const sigevent* event) {
  if ((mode != LIO_WAIT && mode != LIO_NOWAIT) || count < 0) return -EINVAL;
  Notification notification{};
  if (mode == LIO_NOWAIT && event != nullptr && !core::read_sigevent(*event, notification)) {
    return -EINVAL;
  }
  if (mode == LIO_WAIT) sys::cancellation_point();
  Process* process = start();
  if (process == nullptr) return -EAGAIN;
  engine::count(*process, INFLIGHT_LISTS);
  const int first = submit_first_inline(*process, list, count);
  if (first == count && notification.kind == Notification::Kind::none) return 0;
  {
    const sys::SignalBlock signals;
    if (engine::ensure_spawner(*process) != 0) return -EAGAIN;
  }
  Group* group = open_group(*process, notification, event);
  if (group == nullptr) return -EAGAIN;
  const int error = submit_entries(*process, *group, list, first, count);
  if (mode == LIO_WAIT) return wait_and_leave(*process, *group, error);
  leave_group(*process, *group);
  return -error;
}

}  // namespace inflight::runtime
