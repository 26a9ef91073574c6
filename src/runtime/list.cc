// lio_listio. The group is shared by the call and the completions, under the process lock.
#include <limits.h>

#include "engine/dispatch.h"
#include "engine/inline_hint.h"
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

// Signals are blocked for this many entries at a time, or bytes that the caller copies itself: few
// system calls, and no long deafness.
constexpr int kEntriesPerBlock = 64;
constexpr size_t kBytesPerBlock = size_t{1} << 20;

bool is_request(const aiocb* entry) { return entry != nullptr && entry->aio_lio_opcode != LIO_NOP; }

// A list that is being submitted, in the process that it was begun in.
struct Submission {
  Process& process;
  uint32_t epoch;
  Group* group = nullptr;

  // A handler has forked, and this is the child: the group and the entries so far were the
  // parent's. (0: it forked before the epoch was looked at.)
  bool is_left_behind() const { return epoch == 0 || !process.is_still(epoch); }
};

// Null when memory is exhausted, and in a child. Signals blocked.
Group* open_group(Submission& submission, const Notification& notification, const sigevent* event,
                  bool is_awaited) {
  Process& process = submission.process;
  if (submission.is_left_behind() || engine::ensure_spawner(process) != 0) return nullptr;
  sys::Guard guard(process.core.lock);
  Group* group = core::open_group(process.core, notification, is_awaited);
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

// From the entry `first` on, which becomes the first that is left: fewer than all only in a child.
// 0, or EAGAIN if an entry found no memory.
int submit_entries(const Submission& submission, aiocb* const list[], int& first, int count) {
  Process& process = submission.process;
  int error = 0;
  engine::Target target{};
  target.fd = -1;  // none is known; for a descriptor of -1 "closed" is right
  while (first < count) {
    const int end = count - first < kEntriesPerBlock ? count : first + kEntriesPerBlock;
    const sys::SignalBlock signals;
    if (submission.is_left_behind()) break;
    Effects effects;
    size_t bytes = 0;
    for (; first < end && bytes < kBytesPerBlock; ++first) {
      if (!is_request(list[first])) continue;
      const size_t size = list[first]->aio_nbytes;
      const int refused =
          engine::submit_entry(process, *list[first], *submission.group, target, effects);
      if (refused != 0) error = refused;
      if (target.is_cold) bytes += size;  // copied, or tried to
    }
    engine::carry_out(process, effects);
  }
  return error;
}

// True if one of its entries has failed so far.
bool leave_group(const Submission& submission) {
  Process& process = submission.process;
  const sys::SignalBlock signals;
  if (submission.is_left_behind()) return false;
  Effects effects;
  bool failed;
  {
    sys::Guard guard(process.core.lock);
    failed = submission.group->failed;
    core::release_undelivered(process.core, *submission.group, effects);
  }
  engine::carry_out(process, effects);
  return failed;
}

// The waiting call's part of the group is given up also when the thread is cancelled.
void leave_group_later(void* submission) { leave_group(*static_cast<Submission*>(submission)); }

int wait_for(const Submission& submission) {
  Process& process = submission.process;
  core::WaitLink link;
  Wait wait(process, submission.epoch, &link);
  {
    const sys::SignalBlock signals;
    if (submission.is_left_behind()) return 0;
    sys::Guard guard(process.core.lock);
    if (--submission.group->unfinished == 0) return 0;
    wait.watch(submission.group->first_waiter);
  }
  return wait.sleep(nullptr);
}

int wait_and_leave(Submission& submission, int error) {
  engine::hold_nothing_back(submission.process);
  int result;
  {
    const sys::CleanupScope scope(leave_group_later, &submission);
    result = wait_for(submission);
  }
  const bool failed = leave_group(submission);
  if (result != 0) return result;
  if (error != 0) return -error;
  return failed ? -EIO : 0;
}

}  // namespace

int list(int mode, aiocb* const entries[], int count, const sigevent* event) {
  if ((mode != LIO_WAIT && mode != LIO_NOWAIT) || count < 0) return -EINVAL;
  Notification notification{};
  if (mode == LIO_NOWAIT && event != nullptr && !core::read_sigevent(*event, notification)) {
    return -EINVAL;
  }
  if (mode == LIO_WAIT) {
    sys::cancellation_point();
    engine::inline_hints().waited();
  }
  Process* process = start();
  if (process == nullptr) return -EAGAIN;
  Submission submission{*process, process->epoch.load()};
  engine::count(*process, INFLIGHT_LISTS);
  int first = submit_first_inline(*process, entries, count);
  if (first == count && notification.kind == Notification::Kind::none) return 0;
  {
    const sys::SignalBlock signals;
    submission.group = open_group(submission, notification, event, mode == LIO_WAIT);
  }
  int error = EAGAIN;
  if (submission.group != nullptr) error = submit_entries(submission, entries, first, count);
  // What had not been submitted is the child's own.
  if (submission.is_left_behind() && (first < count || submission.group == nullptr)) {
    return list(mode, entries + first, count - first, event);
  }
  if (submission.group == nullptr) return -EAGAIN;
  if (mode == LIO_WAIT) return wait_and_leave(submission, error);
  leave_group(submission);
  return -error;
}

}  // namespace inflight::runtime
