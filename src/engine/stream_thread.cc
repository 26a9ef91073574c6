// The stream thread's loop, and its turns with the ring. Runs on that thread only; takes the
// process lock for the queues and never holds it across a system call.
#include "engine/stream_thread.h"

#include <errno.h>

#include "engine/dispatch.h"
#include "engine/observe.h"

namespace inflight::engine {
namespace {

using core::Effects;
using core::Request;
using core::State;

// Completions are told apart by their user data: a ticket's low word is an index below 2^26.
constexpr uint64_t kPollTag = uint64_t{1} << 31;
constexpr size_t kCopiedHere = 64 * 1024;
constexpr uint64_t kRemovalData = ~uint64_t{0};

constexpr timespec kIdle{kIdleMilliseconds / 1000, kIdleMilliseconds % 1000 * 1'000'000};
constexpr timespec kRest{0, 10'000'000};
constexpr timespec kMoment{0, 1'000'000};
constexpr long kMomentMicroseconds = 100;
// The kernel does not tell when a ring is gone that may not be entered.
constexpr long kTakenDownMicroseconds = 20'000;
constexpr int kVainBeforeRest = 4;
constexpr int kFreshPerTurn = 64;  // then those that are polled get their turn

uint8_t opcode_of(const Request& request) {
  if (!request.is_transfer()) return IORING_OP_FSYNC;
  return request.is_write() ? IORING_OP_WRITE : IORING_OP_READ;
}

void fill_positional(io_uring_sqe& entry, const Request& request) {
  entry.opcode = opcode_of(request);
  entry.fd = request.fd;
  entry.user_data = request.ticket();
  // In the kernel's threads: a long copy here would hold up all that comes behind it (C8).
  if (request.is_transfer() && request.length > kCopiedHere) entry.flags = IOSQE_ASYNC;
  if (request.operation == core::Operation::fdatasync) entry.fsync_flags = IORING_FSYNC_DATASYNC;
  if (!request.is_transfer()) return;
  entry.addr = reinterpret_cast<uint64_t>(request.next_byte());
  entry.len = static_cast<uint32_t>(request.left());  // at most 0x7ffff000
  entry.off = static_cast<uint64_t>(request.offset) + request.done;
}

}  // namespace

void StreamThread::run() {
  Streams& streams = process_.streams;
  await_predecessor();
  has_timer_ = timer_.make();
  {
    sys::Guard guard(process_.core.lock);
    streams.timer = timer_;
    streams.has_timer = has_timer_;
  }
  use_ring_ = !streams.no_ring && ring_.open();
  {
    sys::Guard guard(process_.core.lock);
    (use_ring_ ? streams.had_ring : streams.no_ring) = true;
  }
  do {
    end_rest();
    try_fresh();
    if (use_ring_) {
      turn_with_ring();
    } else {
      turn_with_poll();
    }
  } while (!hands_over() && (!idle_turn_ || !ends_when_idle()));
  if (has_timer_) timer_.remove();
  ring_.close();
  give_back_room();
}

void StreamThread::stand_in() {
  await_predecessor();
  stands_in_ = resting_ = true;
  end_rest();
  try_fresh();
  turn_with_poll();  // makes room for the list, if there is anything to wait for
  turn_with_poll();
  give_back_room();
  // Whoever comes next knows nothing of what was polled here.
  sys::Guard guard(process_.core.lock);
  while (Request* request = process_.streams.armed.pop_front()) {
    request->place = core::Place::inbox;
    process_.streams.inbox.push_back(*request);
  }
}

bool StreamThread::nothing_to_do() const {
  const Streams& streams = process_.streams;
  return !streams.watches_any() && streams.positional.empty() && streams.in_ring == 0 &&
         streams.removal_count == 0 && removals_in_flight_ == 0 &&
         streams.sync_wanted == streams.sync_done.load(std::memory_order_relaxed);
}

bool StreamThread::ends_when_idle() {
  sys::Guard guard(process_.core.lock);
  if (!nothing_to_do()) return false;
  process_.streams.alive = false;
  process_.streams.has_timer = false;
  helper_ends(process_);
  return true;
}

void StreamThread::publish_sync(uint32_t wanted) {
  process_.streams.holds_stopped.store(false);
  sys::FutexWord& done = process_.streams.sync_done;
  if (done.load(std::memory_order_relaxed) == wanted) return;
  done.store(wanted, std::memory_order_release);
  sys::futex_wake(&done, INT32_MAX);
}

bool StreamThread::post_poll(Request& request) {
  io_uring_sqe* entry = ring_.next_entry();
  if (entry == nullptr) return false;
  Streams& streams = process_.streams;
  streams.inbox.remove(request);
  streams.armed.push_back(request);
  request.place = core::Place::polled;
  entry->opcode = IORING_OP_POLL_ADD;
  entry->fd = request.fd;
  entry->poll32_events = request.is_write() ? POLLOUT : POLLIN;
  entry->user_data = request.ticket() | kPollTag;
  return true;
}

bool StreamThread::post_positional(Request& request) {
  io_uring_sqe* entry = ring_.next_entry();
  if (entry == nullptr) return false;
  Streams& streams = process_.streams;
  streams.positional.remove(request);
  request.state = State::running;
  observe_start(process_, request);
  ++streams.in_ring;
  fill_positional(*entry, request);
  return true;
}

bool StreamThread::post_removals() {
  Streams& streams = process_.streams;
  const bool all = streams.removal_count > Streams::kRemovals;
  while (streams.removal_count > 0) {
    io_uring_sqe* entry = ring_.next_entry();
    if (entry == nullptr) return false;
    entry->user_data = kRemovalData;
    ++removals_in_flight_;
    if (all) {
      // Too many to name: every poll comes back, and those still wanted are posted anew.
      entry->opcode = IORING_OP_ASYNC_CANCEL;
      entry->cancel_flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL;
      streams.removal_count = 0;
      return true;
    }
    entry->opcode = IORING_OP_POLL_REMOVE;
    entry->addr = streams.removals[--streams.removal_count] | kPollTag;
  }
  return true;
}

bool StreamThread::post_news_to_ring() {
  Streams& streams = process_.streams;
  // Removals last: the poll they name is then posted already, whenever it was armed.
  while (Request* request = streams.inbox.first()) {
    if (!post_poll(*request)) return false;
  }
  while (Request* request = streams.positional.first()) {
    if (streams.in_ring == Streams::kMostInRing) break;  // the next completion makes room
    if (!post_positional(*request)) return false;
  }
  return post_removals();
}

// With nothing left to post: looks for a moment, then goes to sleep unless something came.
long StreamThread::wait_in_ring(uint32_t seen, bool idle) {
  Streams& streams = process_.streams;
  const long submitted = ring_.to_submit > 0 ? ring_.enter(false, nullptr) : 0;
  if (submitted < 0) return submitted;
  const auto came = [&] {
    return ring_.has_completion() || ring_.has_work() ||
           streams.news.load(std::memory_order_relaxed) != seen;
  };
  if (streams.look.until(process_.spin, came)) {
    return ring_.has_work() ? ring_.enter(false, nullptr) : 0;
  }
  {
    sys::Guard guard(process_.core.lock);
    if (streams.news.load(std::memory_order_relaxed) != seen) return 0;
    streams.sleeper.store(static_cast<int>(sys::thread_id()));
  }
  const long entered = ring_.enter(true, longest_wait(idle));
  sleepless();
  return entered;
}

void StreamThread::turn_with_ring() {
  Streams& streams = process_.streams;
  bool may_sleep;
  bool idle;
  uint32_t wanted;
  uint32_t seen;
  {
    sys::Guard guard(process_.core.lock);
    const bool posted_all = post_news_to_ring();
    wanted = streams.sync_wanted;
    seen = streams.news.load(std::memory_order_relaxed);
    const bool in_sync = wanted == streams.sync_done.load(std::memory_order_relaxed);
    may_sleep = posted_all && in_sync && streams.fresh.empty();
    idle = may_sleep && nothing_to_do();
  }
  const timespec before = idle ? sys::monotonic_now() : timespec{};
  const long entered = may_sleep ? wait_in_ring(seen, idle) : ring_.enter(false, nullptr);
  if (entered < 0) {
    give_up_ring();
    return;
  }
  io_uring_cqe completion;
  while (ring_.take(completion)) on_completion(completion);
  if (removals_in_flight_ == 0) {
    sys::Guard guard(process_.core.lock);
    if (streams.removal_count == 0) publish_sync(wanted);
  }
  idle_turn_ = idle && sys::monotonic_now().tv_sec > before.tv_sec;
}

void StreamThread::on_completion(const io_uring_cqe& completion) {
  if (completion.user_data == kRemovalData) {
    if (removals_in_flight_ > 0) --removals_in_flight_;  // after a given-up ring nobody counts
    return;
  }
  if ((completion.user_data & kPollTag) != 0) {
    on_ready(completion.user_data & ~kPollTag);
    return;
  }
  Effects effects;
  {
    sys::Guard guard(process_.core.lock);
    --process_.streams.in_ring;
    Request* request = core::find(process_.core, completion.user_data);
    if (request != nullptr) {
      const int result = completion.res;
      const bool elsewhere = result == -EAGAIN || result == -EINVAL || result == -EOPNOTSUPP ||
                             result == -EINTR || result == -ECANCELED;
      if (elsewhere) {
        push(process_, *request, effects);  // a worker gives the true answer
      } else {
        end_or_continue(process_, *request, result, effects);
      }
    }
  }
  carry_out(process_, effects);
}

void StreamThread::give_up_ring() {
  // A filter that came after the ring forbids entering it. What the kernel has completes into
  // memory; what it never got goes to the pool. Polls cannot be taken back: see hands_over().
  use_ring_ = false;
  Effects effects;
  {
    sys::Guard guard(process_.core.lock);
    Streams& streams = process_.streams;
    streams.no_ring = true;
    for (unsigned at = *ring_.sq_head; at != *ring_.sq_tail; ++at) {
      const uint64_t data = ring_.sqes[at & ring_.sq_mask].user_data;
      if (data == kRemovalData || (data & kPollTag) != 0) continue;
      Request* request = core::find(process_.core, data);
      --streams.in_ring;
      if (request != nullptr) push(process_, *request, effects);
    }
    removals_in_flight_ = 0;
  }
  carry_out(process_, effects);
}

// The polls in a ring that was given up hold their files until the kernel has taken the ring down,
// after this thread's end. So it ends, once the kernel has nothing else there, and another goes on
// without a ring; who waits for the sync protocol waits for that one.
bool StreamThread::hands_over() {
  if (use_ring_ || ring_.memory == nullptr) return false;
  Effects effects;
  {
    sys::Guard guard(process_.core.lock);
    Streams& streams = process_.streams;
    if (streams.in_ring > 0) return false;
    for (core::RequestQueue* queue : {&streams.armed, &streams.resting}) {
      while (Request* request = queue->pop_front()) {
        request->place = core::Place::inbox;
        streams.inbox.push_back(*request);
      }
    }
    streams.leaving = static_cast<int>(sys::thread_id());
    streams.holds_stopped.store(true);
    streams.has_timer = false;
    streams.wanted = true;
    effects.spawn = true;
    helper_ends(process_);
  }
  carry_out(process_, effects);
  return true;
}

void StreamThread::await_predecessor() {
  int leaving;
  {
    sys::Guard guard(process_.core.lock);
    leaving = process_.streams.leaving;
    process_.streams.leaving = 0;
  }
  if (leaving == 0) return;
  while (sys::is_thread(process_.pid, leaving)) sys::nap(kMomentMicroseconds);
  sys::nap(kTakenDownMicroseconds);
}

void StreamThread::on_ready(core::Ticket ticket) {
  Request* request;
  {
    sys::Guard guard(process_.core.lock);
    request = core::find(process_.core, ticket);
    if (request == nullptr || request->state != State::armed) return;
    if (request->place != core::Place::polled) return;
    process_.streams.armed.remove(*request);
    request->state = State::moving;
  }
  attempt(*request, true);
}

const timespec* StreamThread::longest_wait(bool idle) const {
  if (stands_in_) return &kMoment;
  if (idle) return &kIdle;
  // Without a timer a full signal queue can lose a nudge.
  return resting_ || !has_timer_ ? &kRest : nullptr;
}

// A socket with something in its error queue is ready for ever, and has nothing to read.
void StreamThread::rest(Request& request) {
  Streams& streams = process_.streams;
  request.state = State::armed;
  request.place = core::Place::resting;
  streams.resting.push_back(request);
  if (!resting_) rest_began_ = sys::monotonic_now();
  resting_ = true;
}

void StreamThread::end_rest() {
  if (!resting_) return;
  const timespec now = sys::monotonic_now();
  const long passed =
      (now.tv_sec - rest_began_.tv_sec) * 1'000'000'000 + now.tv_nsec - rest_began_.tv_nsec;
  if (passed < kRest.tv_nsec) return;
  sys::Guard guard(process_.core.lock);
  while (Request* request = process_.streams.resting.pop_front()) {
    request->place = core::Place::inbox;
    process_.streams.inbox.push_back(*request);
  }
  resting_ = false;
}

void StreamThread::try_fresh() {
  for (int i = 0; i < kFreshPerTurn; ++i) {
    Request* request;
    {
      sys::Guard guard(process_.core.lock);
      request = process_.streams.fresh.pop_front();
      if (request == nullptr) return;
      request->state = State::moving;
    }
    attempt(*request, false);
  }
}

void StreamThread::attempt(Request& request, bool ready) {
  long result = 0;
  const size_t before = request.done;
  const Step step =
      request.may_block ? Step::impossible : transfer_without_waiting(request, result);
  Effects effects;
  {
    sys::Guard guard(process_.core.lock);
    switch (step) {
      case Step::ended:
        end_request(process_, request, result, effects);
        break;
      case Step::waits:
        if (ready && request.done == before && ++request.vain >= kVainBeforeRest) {
          request.vain = 0;
          rest(request);
        } else {
          arm(process_, request, true, effects);
        }
        break;
      case Step::impossible:
        request.may_block = true;
        if (ready) {
          push(process_, request, effects);
        } else {
          arm(process_, request, true, effects);
        }
        break;
    }
  }
  carry_out(process_, effects);
}

}  // namespace inflight::engine
