// The worker threads. A worker owns the request it took (State::running) until it has finished it;
// the queues and the counters belong to the process lock.
#include "engine/pool.h"

#include <errno.h>

#include "engine/dispatch.h"
#include "engine/process.h"
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

// What the system calls answer.
long perform(Request& request) {
  if (!request.is_transfer()) return synchronize(request);
  // The program may clear O_NONBLOCK after the submission; the answer is still not to be waited
  // for.
  if (request.kind == FileKind::stream && (request.status_flags & O_NONBLOCK) != 0) {
    long result = 0;
    if (transfer_without_waiting(request, result) == Step::ended) return result;
  }
  return transfer(request);
}

// Asks for one more worker, if the limit allows it and nobody is idle.
void want_worker(Pool& pool, core::Effects& effects) {
  if (pool.workers + pool.starting - pool.blocked >= pool.limit) return;
  ++pool.starting;
  effects.spawn = true;
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
    ++pool.idle;
    const uint32_t seen = pool.doorbell.load(std::memory_order_relaxed);  // changes under the lock
    process.core.lock.release();
    const timespec deadline = sys::deadline_after(kIdleMilliseconds);
    const long slept = sys::futex_wait(pool.doorbell, seen, &deadline, false);
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
  pool.queue.push(request);
  if (pool.idle > 0) {
    --pool.idle;
    ++pool.called;
    pool.doorbell.fetch_add(1, std::memory_order_relaxed);  // the lock orders it
    ++effects.workers;
  } else {
    want_worker(pool, effects);
  }
}

Request* take_from_pool(Process& process, core::Effects& effects) {
  Pool& pool = process.pool;
  Request* request = pool.queue.first();
  if (request == nullptr) return nullptr;
  pool.queue.remove(*request);
  request->state = core::State::running;
  if (request->may_block) {
    ++pool.blocked;
    // Those behind it must not wait for a worker that may never come back.
    if (!pool.queue.empty() && pool.blocked < Pool::kMostBlocked) want_worker(pool, effects);
  }
  return request;
}

void work_on(Process& process, Request& request) {
  const long result = perform(request);
  core::Effects effects;
  {
    sys::Guard guard(process.core.lock);
    if (request.may_block) --process.pool.blocked;
    end_request(process, request, result, effects);
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
