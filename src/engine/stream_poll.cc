// The stream thread's turns without a ring: ppoll over all armed requests. The list is built anew
// each turn, O(n), which is the price of needing nothing but this one system call.
#include <errno.h>

#include "engine/dispatch.h"
#include "engine/stream_thread.h"

namespace inflight::engine {
namespace {

using core::Request;

constexpr timespec kAgain{0, 5'000'000};  // when the kernel will not wait for the whole list
constexpr timespec kNow{0, 0};

}  // namespace

void StreamThread::take_news_for_poll() {
  Streams& streams = process_.streams;
  core::Effects effects;
  {
    sys::Guard guard(process_.core.lock);
    while (Request* request = streams.inbox.pop_front()) {
      request->place = core::Place::polled;
      streams.armed.push_back(*request);
    }
    while (Request* request = streams.positional.first()) {
      streams.positional.remove(*request);
      push(process_, *request, effects);
    }
  }
  carry_out(process_, effects);
}

bool StreamThread::make_room(size_t count) {
  if (count <= capacity_) return true;
  const size_t capacity = (count + 1024) * 2;
  auto* polled =
      static_cast<pollfd*>(sys::map_pages(capacity * sizeof(pollfd), sys::OnFork::unmap));
  auto* tickets = static_cast<core::Ticket*>(
      sys::map_pages(capacity * sizeof(core::Ticket), sys::OnFork::unmap));
  if (polled == nullptr || tickets == nullptr) {
    if (polled != nullptr) sys::unmap_pages(polled, capacity * sizeof(pollfd));
    if (tickets != nullptr) sys::unmap_pages(tickets, capacity * sizeof(core::Ticket));
    return false;
  }
  give_back_room();
  polled_ = polled;
  tickets_ = tickets;
  capacity_ = capacity;
  return true;
}

void StreamThread::give_back_room() {
  if (polled_ != nullptr) sys::unmap_pages(polled_, capacity_ * sizeof(pollfd));
  if (tickets_ != nullptr) sys::unmap_pages(tickets_, capacity_ * sizeof(core::Ticket));
  polled_ = nullptr;
  tickets_ = nullptr;
  capacity_ = 0;
}

// Lists what is armed. `count` is how many there are; false if they do not fit.
bool StreamThread::fill_poll_list(size_t& count) {
  count = 0;
  const auto& armed = process_.streams.armed;
  for (Request* request = armed.first(); request != nullptr;
       request = core::RequestQueue::next(*request)) {
    if (count < capacity_) {
      const auto events = static_cast<short>(request->is_write() ? POLLOUT : POLLIN);
      polled_[count] = {request->fd, events, 0};
      tickets_[count] = request->ticket();
    }
    ++count;
  }
  return count <= capacity_;
}

// Waits in pieces when the list is longer than RLIMIT_NOFILE, which the program may have lowered.
long StreamThread::poll_pieces(size_t count, const timespec* timeout) {
  long ready = sys::wait_for_readiness(polled_, count, timeout, sys::kNudgeableMask);
  if (ready != -EINVAL) return ready;
  ready = 0;
  size_t piece = count / 2;
  for (size_t at = 0; at < count && piece > 0;) {
    const size_t length = piece < count - at ? piece : count - at;
    const long result = sys::wait_for_readiness(polled_ + at, length, &kNow, sys::kNudgeableMask);
    if (result == -EINVAL) {
      piece /= 2;
      continue;
    }
    if (result > 0) ready += result;
    at += length;
  }
  if (ready > 0) return ready;
  const long slept = sys::wait_for_readiness(nullptr, 0, &kAgain, sys::kNudgeableMask);
  if (piece == 0 && slept == 0) {
    // Not one descriptor may be polled: ask each file itself.
    for (size_t i = 0; i < count; ++i) polled_[i].revents = polled_[i].events;
    return static_cast<long>(count);
  }
  return 0;
}

// There is no memory for a list: in the next turns each file is asked itself.
void StreamThread::ask_each() {
  {
    sys::Guard guard(process_.core.lock);
    while (Request* request = process_.streams.armed.pop_front()) {
      request->place = core::Place::fresh;
      process_.streams.fresh.push_back(*request);
    }
  }
  sys::nap(kAgain.tv_nsec / 1000);
}

void StreamThread::turn_with_poll() {
  Streams& streams = process_.streams;
  take_news_for_poll();
  size_t count;
  bool fits;
  bool idle;
  bool now;
  {
    sys::Guard guard(process_.core.lock);
    streams.removal_count = 0;  // what is no longer armed is no longer polled
    fits = fill_poll_list(count);
    // No poll is under way here, so no file of a stopped request is held, unless by a ring that was
    // given up.
    if (ring_.memory == nullptr) publish_sync(streams.sync_wanted);
    idle = nothing_to_do();
    const bool news =
        !streams.inbox.empty() || !streams.fresh.empty() || !streams.positional.empty();
    if (fits && !news) streams.sleeper.store(static_cast<int>(sys::thread_id()));
    now = news;
  }
  if (!fits) {
    if (!make_room(count)) ask_each();
    return;
  }
  const timespec* timeout = now ? &kNow : streams.in_ring > 0 ? &kAgain : longest_wait(idle);
  const long ready = poll_pieces(count, timeout);
  sleepless();
  idle_turn_ = idle && ready == 0;
  io_uring_cqe completion;
  while (ring_.memory != nullptr && ring_.take(completion)) on_completion(completion);
  for (size_t i = 0; i < count && ready > 0; ++i) {
    if (polled_[i].revents != 0) on_ready(tickets_[i]);
  }
}

}  // namespace inflight::engine
