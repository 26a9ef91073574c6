// The worker threads. A worker owns the request it took (State::running) until it has finished it;
// the queues and the counters belong to the process lock.
#include "engine/pool.h"

#include <errno.h>

#include "engine/dispatch.h"
#include "engine/inline_read.h"
#include "engine/observe.h"
#include "engine/streams.h"

namespace inflight::engine {
namespace {

using core::FileKind;
using core::Operation;
using core::Request;

// One step of a transfer: what pread, pwrite, read or write answers.
long step(const Request& request) {
  const off_t offset = request.offset + static_cast<off_t>(request.done);
  const bool in_order = request.kind == FileKind::stream;
  if (request.is_write()) {
    return in_order ? sys::write_next(request.fd, request.next_byte(), request.left())
                    : sys::write_at(request.fd, request.next_byte(), request.left(), offset);
  }
  return in_order ? sys::read_next(request.fd, request.next_byte(), request.left())
                  : sys::read_at(request.fd, request.next_byte(), request.left(), offset);
}

// A short step is followed by another only where the answer would otherwise be shorter than the
// contract allows: a disk file is short only at its end, a stream takes all that is written (C9).
bool goes_on_when_short(const Request& request) {
  if (request.kind == FileKind::disk) return !request.may_block;
  const bool blocking = (request.status_flags & O_NONBLOCK) == 0;
  return request.kind == FileKind::stream && request.is_write() && blocking;
}

long transfer(Request& request) {
  for (;;) {
    if (request.is_disowned()) {
      return request.done > 0 ? static_cast<long>(request.done) : -ECANCELED;
    }
    const long result = step(request);
    if (result == -EINTR) continue;
    if (result < 0) return request.done > 0 ? static_cast<long>(request.done) : result;
    request.done += static_cast<size_t>(result);
    if (result == 0 || request.left() == 0 || !goes_on_when_short(request)) {
      return static_cast<long>(request.done);
    }
  }
}

long synchronize(const Request& request) {
  long result;
  do {
    result = request.operation == Operation::fsync ? sys::synchronize(request.fd)
                                                   : sys::synchronize_data(request.fd);
  } while (result == -EINTR);
  return result;
}

// A read that nobody has tried yet, where what is not in memory is better left to the ring.
bool is_untried(const Process& process, const Request& request) {
  return process.choice == Choice::automatic && request.operation == Operation::read &&
         request.kind == FileKind::disk && !request.may_block && !request.is_cold &&
         (request.status_flags & O_DIRECT) == 0 && request.length <= process.inline_limit &&
         ring_is_possible(process);
}

// What the system calls answer; false if they were not made, and the ring must carry the request.
bool perform(const Process& process, Request& request, long& result) {
  if (!request.is_transfer()) {
    result = synchronize(request);
    return true;
  }
  // The program may clear O_NONBLOCK after the submission; the answer is still not to be waited
  // for.
  if (request.kind == FileKind::stream && (request.status_flags & O_NONBLOCK) != 0) {
    if (transfer_without_waiting(request, result) == Step::ended) return true;
  }
  if (is_untried(process, request)) {
    request.is_cold =
        !read_inline(request.fd, request.buffer, request.length, request.offset, result);
    return !request.is_cold;
  }
  result = transfer(request);
  return true;
}

// Asks for one more worker, if the limit allows it and nobody is idle.
void want_worker(Pool& pool, core::Effects& effects) {
  if (pool.workers + pool.starting - pool.blocked >= pool.limit) return;
  ++pool.starting;
  effects.spawn = true;
}

// Counts a request that a waiter may look out for.
void expect(Pool& pool, bool may_block, int change) {
  if (!may_block) pool.expected.fetch_add(change, std::memory_order_relaxed);
}

bool wait_for_turn(const Process& process, Pool& pool, Request& request) {
  if (request.takes_turns) return !request.file->writes.take(request, 1);
  return is_untried(process, request) && !pool.copies.take(request, pool.most_copies);
}

// After the request that had its turn: the next one takes its place, and the worker that is free
// now or was called for the other comes for it.
void pass_turn(Pool& pool, Request& request) {
  if (request.turns == nullptr) return;
  Request* next = request.turns->pass(request);
  if (next != nullptr) pool.queue.push(*next);
}

// Called with the lock held, and released meanwhile: looks for work for a moment. True when this
// worker has been called.
bool look_for_work(Process& process) {
  Pool& pool = process.pool;
  if (pool.spin == 0 || pool.looking.load(std::memory_order_relaxed)) return false;
  pool.looking.store(true, std::memory_order_relaxed);
  process.core.lock.release();
  pool.look.until(pool.spin, [&] { return !pool.looking.load(std::memory_order_relaxed); });
  process.core.lock.acquire();
  if (!pool.looking.load(std::memory_order_relaxed)) return true;
  pool.looking.store(false, std::memory_order_relaxed);
  return false;
}

// The next request for this worker, after waiting for one; null when it has been idle for long
// enough to end.
Request* next_request(Process& process) {
  Pool& pool = process.pool;
  core::Effects effects;
  process.core.lock.acquire();
  for (;;) {
    Request* request = take_from_pool(process, effects);
    if (request != nullptr) {
      process.core.lock.release();
      carry_out(process, effects);
      return request;
    }
    if (look_for_work(process)) continue;
    ++pool.idle;
    const uint32_t seen = pool.doorbell.load(std::memory_order_relaxed);  // changes under the lock
    process.core.lock.release();
    const timespec deadline = sys::deadline_after(kIdleMilliseconds);
    const long slept = sys::futex_wait(pool.doorbell, seen, &deadline);
    process.core.lock.acquire();
    if (pool.called > 0) {
      --pool.called;
    } else {
      --pool.idle;
      if (slept == -ETIMEDOUT && pool.queue.empty()) break;
    }
  }
  --pool.workers;
  helper_ends(process);
  process.core.lock.release();
  return nullptr;
}

}  // namespace

void push(Process& process, Request& request, core::Effects& effects) {
  Pool& pool = process.pool;
  request.state = core::State::queued;
  request.carrier = core::Carrier::pool;
  expect(pool, request.may_block, 1);
  if (wait_for_turn(process, pool, request)) return;
  pool.queue.push(request);
  if (pool.looking.load(std::memory_order_relaxed)) {
    pool.looking.store(false, std::memory_order_relaxed);  // the lock orders it
  } else if (pool.idle > 0) {
    --pool.idle;
    ++pool.called;
    pool.doorbell.fetch_add(1, std::memory_order_relaxed);  // the lock orders it
    ++effects.workers;
  } else {
    want_worker(pool, effects);
  }
}

void remove_from_pool(Process& process, Request& request) {
  expect(process.pool, request.may_block, -1);
  if (request.turns != nullptr && !request.has_turn) return request.turns->leave(request);
  process.pool.queue.remove(request);
  pass_turn(process.pool, request);
}

Request* take_from_pool(Process& process, core::Effects& effects) {
  Pool& pool = process.pool;
  Request* request = pool.queue.first();
  if (request == nullptr) return nullptr;
  pool.queue.remove(*request);
  request->state = core::State::running;
  observe_start(process, *request);
  if (request->may_block) {
    ++pool.blocked;
    // Those behind it must not wait for a worker that may never come back.
    if (!pool.queue.empty() && pool.blocked < Pool::kMostBlocked) want_worker(pool, effects);
  }
  return request;
}

void work_on(Process& process, Request& request) {
  long result = 0;
  const bool answered = perform(process, request, result);
  core::Effects effects;
  {
    sys::Guard guard(process.core.lock);
    const bool may_block = request.may_block;
    if (may_block) --process.pool.blocked;
    pass_turn(process.pool, request);
    if (answered) {
      end_request(process, request, result, effects);
    } else {
      push_to_ring(process, request, effects);
    }
    expect(process.pool, may_block, -1);
  }
  carry_out(process, effects);
}

void* worker_main(void* argument) {
  Process& process = *static_cast<Process*>(argument);
  begin_helper("inflight-pool");
  while (Request* request = next_request(process)) work_on(process, *request);
  return nullptr;
}

}  // namespace inflight::engine
