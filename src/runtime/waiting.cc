// Waiting. A Wait is used by the thread that made it; its links are guarded by the process lock
// while they are in a request's list.
#include "runtime/waiting.h"

#include <errno.h>
#include <limits.h>

#include "engine/inline_hint.h"
#include "runtime/calls.h"
#include "runtime/start.h"

namespace inflight::runtime {
namespace {

using engine::Process;

constexpr int kFewLinks = 32;    // what a handler's own small stack has room for
constexpr int kManyLinks = 256;  // beyond that, pages are worth their system calls
constexpr long kLookAgainMilliseconds = 2;

// Other threads may change the list meanwhile (C13): each entry is loaded once.
const aiocb* entry(const aiocb* const list[], int index) {
  return const_cast<const aiocb* const volatile*>(list)[index];
}

bool any_finished(const aiocb* const list[], int count) {
  for (int i = 0; i < count; ++i) {
    const aiocb* block = entry(list, i);
    if (block != nullptr && core::status_of(*block) != EINPROGRESS) return true;
  }
  return false;
}

// Looks out for a moment. How much that pays is learned apart for what a worker is about to finish,
// which comes soon, and for all else.
bool finished_soon(Process& process, const aiocb* const list[], int count) {
  if (count > kFewLinks) return false;
  const bool expected = process.pool.expected.load(std::memory_order_relaxed) != 0;
  sys::Spin& spin = expected ? process.look_for_pool : process.look_for_others;
  const long time = expected ? process.pool.spin : process.spin;
  return spin.until(time, [=] { return any_finished(list, count); });
}

// Where the caller waits for one request of the kernel's AIO, it may take the completion itself. 0
// or -EINTR; -EAGAIN: nothing came of it.
int take_completion(Process& process, const aiocb* const list[], int count,
                    const timespec* deadline) {
  if (count != 1 || process.kaio.status.load() != engine::Kaio::Status::ready) return -EAGAIN;
  const aiocb* block = entry(list, 0);
  if (block == nullptr) return -EAGAIN;
  const sys::SignalBlock signals;
  switch (engine::lead_kaio(process, *block, deadline)) {
    case engine::Led::finished:
      return 0;
    case engine::Led::in_vain:
      return signals.will_interrupt() ? -EINTR : -EAGAIN;
    case engine::Led::no:
      break;
  }
  return -EAGAIN;
}

bool earlier(const timespec& one, const timespec& other) {
  return one.tv_sec < other.tv_sec || (one.tv_sec == other.tv_sec && one.tv_nsec < other.tv_nsec);
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

// Reads the list, once, and links the waiter into every request in flight; true if one of them
// has finished already. A block may say EINPROGRESS and yet have no request: another thread is
// inside its submission, or a fork copied it.
bool watch_all(Process& process, Wait& wait, const aiocb* const list[], int count) {
  const sys::SignalBlock signals;
  sys::Guard guard(process.core.lock);
  for (int i = 0; i < count; ++i) {
    const aiocb* block = entry(list, i);
    if (block == nullptr) continue;
    if (core::status_of(*block) != EINPROGRESS) return true;
    core::Request* request = core::find(process.core, *block);
    if (request != nullptr) {
      wait.watch(request->first_waiter);
    } else {
      wait.watch_unknown(*block);
    }
  }
  return false;
}

// Where and when a call began.
struct Began {
  Process& process;
  uint32_t epoch;
};

// With room for `count` links.
int suspend_with(const Began& began, core::WaitLink* links, const aiocb* const list[], int count,
                 const timespec* deadline) {
  Process& process = began.process;
  Wait wait(process, began.epoch, links);
  if (watch_all(process, wait, list, count)) return 0;
  while (!wait.knows_all()) {
    const timespec soon = sys::deadline_after(kLookAgainMilliseconds);
    const bool last_time = deadline != nullptr && earlier(*deadline, soon);
    const int result = wait.sleep(last_time ? deadline : &soon);
    if (result == 0 || wait.look_again()) return 0;
    if (result != -ETIMEDOUT) return result;
    if (last_time) return -EAGAIN;
  }
  const int result = wait.sleep(deadline);
  return result == -ETIMEDOUT ? -EAGAIN : result;
}

// With the links on the stack. Not inlined: the caller's frame must not hold the largest.
template <int kLinks>
__attribute__((noinline)) int suspend_on_stack(const Began& began, const aiocb* const list[],
                                               int count, const timespec* deadline) {
  core::WaitLink links[kLinks];
  return suspend_with(began, links, list, count, deadline);
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

int suspend_long(const Began& began, const aiocb* const list[], int count,
                 const timespec* deadline) {
  const size_t bytes = static_cast<size_t>(count) * sizeof(core::WaitLink);
  LinkPages pages{static_cast<core::WaitLink*>(sys::map_pages(bytes, sys::OnFork::wipe)), bytes};
  if (pages.links == nullptr) return -EAGAIN;
  int result;
  {
    const sys::CleanupScope scope(LinkPages::release, &pages);
    result = suspend_with(began, pages.links, list, count, deadline);
  }
  LinkPages::release(&pages);
  return result;
}

}  // namespace

// A link that is made in a child would not be undone: see unlink().
void Wait::watch(core::WaitLink*& head) {
  if (process_.is_still(epoch_)) core::insert(links_[count_++], waiter_, head);
}

void Wait::watch_unknown(const aiocb& block) {
  links_[count_++] = {&block, nullptr, nullptr, nullptr, nullptr};
  ++unknown_;
}

bool Wait::look_again() {
  const sys::SignalBlock signals;
  sys::Guard guard(process_.core.lock);
  if (!process_.is_still(epoch_)) return false;
  for (size_t i = 0; i < count_ && unknown_ > 0; ++i) {
    const aiocb* block = links_[i].unknown;
    if (block == nullptr) continue;
    if (core::status_of(*block) != EINPROGRESS) return true;
    core::Request* request = core::find(process_.core, *block);
    if (request == nullptr) continue;
    core::insert(links_[i], waiter_, request->first_waiter);
    --unknown_;
  }
  return false;
}

void Wait::abandoned(void* self) {
  auto* wait = static_cast<Wait*>(self);
  wait->cancel_type_.restore();  // a handler that jumps out leaves it as the wait had it
  wait->unlink();
}

int Wait::sleep(const timespec* deadline) {
  while (!fired()) {
    if (!process_.is_still(epoch_)) return -EINTR;
    const long result = sys::cancellable_futex_wait(not_fired(), here(), deadline, cancel_type_);
    if (fired()) break;
    if (result == -ETIMEDOUT || result == -EINTR) return static_cast<int>(result);
  }
  return 0;
}

void Wait::sleep_through(const timespec* deadline) {
  while (!fired() && process_.is_still(epoch_)) {
    if (sys::futex_wait_both(not_fired(), here(), deadline) == -ETIMEDOUT) return;
  }
}

void Wait::unlink() {
  if (count_ == 0) return;
  const sys::SignalBlock signals;
  if (!process_.is_still(epoch_)) return;
  sys::Guard guard(process_.core.lock);
  for (size_t i = 0; i < count_; ++i) core::remove(links_[i]);
  count_ = 0;
}

int suspend(const aiocb* const list[], int count, const timespec* timeout) {
  // First of all: from here on a fork is noticed.
  Process* const known = started();
  const uint32_t epoch = known != nullptr ? known->epoch.load() : 0;
  sys::cancellation_point();
  if (count < 0) return -EINVAL;
  if (timeout != nullptr && (timeout->tv_nsec < 0 || timeout->tv_nsec >= 1'000'000'000)) {
    return -EINVAL;
  }
  if (known != nullptr) engine::count(*known, INFLIGHT_SUSPENDS);
  engine::inline_hints().waited();
  if (any_finished(list, count)) return 0;
  timespec deadline;
  bool timed = timeout != nullptr;
  if (timed) {
    if (timeout->tv_sec < 0 || (timeout->tv_sec == 0 && timeout->tv_nsec == 0)) return -EAGAIN;
    timed = deadline_of(*timeout, deadline);
  }
  Process* process = start();
  if (process == nullptr) return -EAGAIN;
  const timespec* end = timed ? &deadline : nullptr;
  engine::hold_nothing_back(*process);
  if (finished_soon(*process, list, count)) return 0;
  const int taken = take_completion(*process, list, count, end);
  if (taken != -EAGAIN) return taken;
  const Began began{*process, epoch != 0 ? epoch : process->epoch.load()};
  if (count <= kFewLinks) return suspend_on_stack<kFewLinks>(began, list, count, end);
  if (count <= kManyLinks) return suspend_on_stack<kManyLinks>(began, list, count, end);
  return suspend_long(began, list, count, end);
}

}  // namespace inflight::runtime
