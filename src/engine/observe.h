// What is told of a request to those who watch: counters, times and spans (include/inflight), and
// static probes (engine/probes.h). All of it is called from submission, completion and delivery,
// and costs a branch and a no-operation instruction where nobody watches.
//
// Times are in Request::submitted and Request::started, which belong to whoever has the request;
// the pages are shared memory, written with relaxed additions. Async-signal-safe.
#pragma once

#include "engine/probes.h"
#include "engine/process.h"

namespace inflight::engine {

// Everything that is known of a request that has ended.
struct Ended {
  core::Operation operation;
  core::Carrier carrier;
  core::FileKind kind;
  int fd;
  off_t offset;
  size_t length;
  int error;
  ssize_t result;
  uint64_t submitted;
  uint64_t started;
};

// INFLIGHT_UNOBSERVED leaves all of it out: what the benchmark compares with.
inline bool is_observed(const Process& process) {
#ifdef INFLIGHT_UNOBSERVED
  static_cast<void>(process);
  return false;
#else
  return process.observed.load(std::memory_order_relaxed);
#endif
}

namespace detail {
uint64_t now();
void submitted(const Process& process, core::Request& request);
// The number of its span, or 0.
uint32_t ended(const Process& process, const Ended& request);
uint32_t answered(const Process& process, const aiocb& block, uint64_t submitted, ssize_t result);
void notified(const Process& process, uint32_t span);
}  // namespace detail

// Somebody wants times, not counters only.
inline bool is_timed(const Process& process) {
  if (!is_observed(process)) return false;
  if (process.spans() != nullptr) return true;
  inflight_stats* stats = process.statistics();
  return stats != nullptr &&
         std::atomic_ref<uint32_t>(stats->watchers).load(std::memory_order_relaxed) != 0;
}

inline void observe_submission(const Process& process, core::Request& request) {
  INFLIGHT_PROBE5(submit, request.block, request.fd, static_cast<int>(request.operation),
                  request.length, request.offset);
  if (is_observed(process)) detail::submitted(process, request);
}

// An engine or a worker begins with it. Its first step counts, if it takes several.
inline void observe_start(const Process& process, core::Request& request) {
  INFLIGHT_PROBE2(start, request.block, request.fd);
  if (request.started == 0 && is_timed(process)) request.started = detail::now();
}

inline void observe_end(const Process& process, core::Request& request, int error, ssize_t result) {
  INFLIGHT_PROBE4(complete, request.block, request.fd, error, result);
  if (!is_observed(process)) return;
  request.span = detail::ended(
      process, {request.operation, request.carrier, request.kind, request.fd, request.offset,
                request.length, error, result, request.submitted, request.started});
}

inline void observe_notification(const Process& process, const core::Notification& what,
                                 uint32_t span) {
  INFLIGHT_PROBE3(notify, what.value.sival_ptr, static_cast<int>(what.kind), what.signal);
  if (span != 0) detail::notified(process, span);
}

// A read that is answered before there is a request: `submitted` is the time at its begin, if
// is_timed() was true then. The number of its span, or 0.
inline uint32_t observe_inline(const Process& process, const aiocb& block, uint64_t submitted,
                               ssize_t result) {
  INFLIGHT_PROBE5(submit, &block, block.aio_fildes, 0, block.aio_nbytes, block.aio_offset);
  INFLIGHT_PROBE4(complete, &block, block.aio_fildes, 0, result);
  return is_observed(process) ? detail::answered(process, block, submitted, result) : 0;
}

}  // namespace inflight::engine
