// Waiting. A Wait is used by the thread that made it; its links are guarded by the process lock
// while they are in a request's list.
#include "runtime/waiting.h"

#include <errno.h>
#include <limits.h>

#include "runtime/calls.h"
#include "runtime/start.h"

namespace inflight::runtime {
namespace {

using engine::Process;

constexpr int kLinksOnStack = 32;
constexpr long kLookAgainMilliseconds = 2;

bool any_finished(const aiocb* const list[], int count) {
  for (int i = 0; i < count; ++i) {
    if (list[i] != nullptr && core::status_of(*list[i]) != EINPROGRESS) return true;
  }
  return false;
}

bool earlier(const timespec& one, const timespec& other) {
  return one.tv_sec < other.tv_sec ||
         (one.tv_sec == other.tv_sec && one.tv_nsec < other.tv_nsec);
}

// The end of the caller's timeout; false when that is later than the clock can say: never.
bool deadline_of(const timespec& timeout, timespec& deadline) {
  deadline = sys::monotonic_now();
  if (__builtin_add_overflow(deadline.tv_sec, timeout.tv_sec, &deadline.tv_sec)) return false;
  deadline.tv_nsec += timeout.tv_nsec;
  if (deadline.tv_nsec >= 1'000'000'000) {
    deadline.tv_nsec -= 1'000'000'000;
    if (__builtin_add_overflow(deadline.tv_sec, 1, &deadline.tv_sec)) return false;
  }
  return deadline.tv_sec < LONG_MAX / 1'000'000'000;
}

enum class Watched : uint8_t { all, some_finished, some_unknown };

// Links the waiter into every listed request that is in flight. A block may say EINPROGRESS and
// yet have no request: another thread is inside its submission, or it was copied by a fork.
Watched watch_all(Process& process, Wait& wait, const aiocb* const list[], int count) {
  const sys::SignalBlock signals;
  sys::Guard guard(process.core.lock);
  Watched watched = Watched::all;
  for (int i = 0; i < count; ++i) {
    if (list[i] == nullptr) continue;
    if (core::status_of(*list[i]) != EINPROGRESS) return Watched::some_finished;
    core::Request* request = core::find(process.core, *list[i]);
    if (request != nullptr) {
      wait.watch(request->first_waiter);
    } else {
      watched = Watched::some_unknown;
    }
  }
  return watched;
}

// Waits once, with room for the links at `links`: 0 when a request has finished, -EAGAIN when the
// list must be looked at again, -EINTR, or -ETIMEDOUT at the caller's deadline.
int wait_once(Process& process, core::WaitLink* links, const aiocb* const list[], int count,
              const timespec* deadline) {
  Wait wait(process, links, static_cast<size_t>(count));
  const Watched watched = watch_all(process, wait, list, count);
  if (watched == Watched::some_finished) return 0;
  if (watched == Watched::all) return wait.sleep(deadline);
  const timespec soon = sys::deadline_after(kLookAgainMilliseconds);
  const bool last_time = deadline != nullptr && earlier(*deadline, soon);
  const int result = wait.sleep(last_time ? deadline : &soon);
  return result == -ETIMEDOUT && !last_time ? -EAGAIN : result;
}

int suspend_with(Process& process, core::WaitLink* links, const aiocb* const list[], int count,
                 const timespec* deadline) {
  for (;;) {
    const int result = wait_once(process, links, list, count, deadline);
    if (result != -EAGAIN) return result == -ETIMEDOUT ? -EAGAIN : result;
    if (any_finished(list, count)) return 0;
  }
}

// Pages for the links of a long list, also given back when the wait is abandoned.
struct LinkPages {
  core::WaitLink* links;
  size_t bytes;
  static void release(void* self) {
    auto* pages = static_cast<LinkPages*>(self);
    sys::unmap_pages(pages->links, pages->bytes);
  }
};

int suspend_long(Process& process, const aiocb* const list[], int count,
                 const timespec* deadline) {
  const size_t bytes = static_cast<size_t>(count) * sizeof(core::WaitLink);
  LinkPages pages{
      static_cast<core::WaitLink*>(sys::map_pages(bytes, sys::OnFork::unmap)), bytes};
  if (pages.links == nullptr) return -EAGAIN;
  int result;
  {
    const sys::CleanupScope scope(LinkPages::release, &pages);
    result = suspend_with(process, pages.links, list, count, deadline);
  }
  LinkPages::release(&pages);
  return result;
}

}  // namespace

void Wait::watch(core::WaitLink*& head) {
  if (count_ == capacity_) return;
  core::insert(links_[count_++], waiter_, head);
}

int Wait::sleep(const timespec* deadline) {
  const sys::CleanupScope scope(abandoned, this);
  while (!fired()) {
    const long result = sys::cancellable_futex_wait(waiter_.fired, 0, deadline);
    if (fired()) break;
    if (result == -ETIMEDOUT || result == -EINTR) return static_cast<int>(result);
  }
  return 0;
}

void Wait::sleep_through() {
  while (!fired()) sys::futex_wait(waiter_.fired, 0, nullptr, false);
}

void Wait::unlink() {
  if (count_ == 0 || process_.epoch.load() != epoch_) return;
  const sys::SignalBlock signals;
  sys::Guard guard(process_.core.lock);
  for (size_t i = 0; i < count_; ++i) core::remove(links_[i]);
  count_ = 0;
}

int suspend(const aiocb* const list[], int count, const timespec* timeout) {
  sys::cancellation_point();
  if (count < 0) return -EINVAL;
  if (timeout != nullptr &&
      (timeout->tv_nsec < 0 || timeout->tv_nsec >= 1'000'000'000)) {
    return -EINVAL;
  }
  if (Process* process = started()) engine::count(*process, INFLIGHT_SUSPENDS);
  if (any_finished(list, count)) return 0;
  timespec deadline;
  bool timed = timeout != nullptr;
  if (timed) {
    if (timeout->tv_sec < 0 || (timeout->tv_sec == 0 && timeout->tv_nsec == 0)) return -EAGAIN;
    timed = deadline_of(*timeout, deadline);
  }
  Process* process = start();
  if (process == nullptr) return -EAGAIN;
  if (count <= kLinksOnStack) {
    core::WaitLink links[kLinksOnStack];
    return suspend_with(*process, links, list, count, timed ? &deadline : nullptr);
  }
  return suspend_long(*process, list, count, timed ? &deadline : nullptr);
}

}  // namespace inflight::runtime
