// Runs on whichever thread has the request. Owns nothing: the pages belong to the Process, and are
// never unmapped.
#include "engine/observe.h"

#include <errno.h>

namespace inflight::engine {
namespace {

using core::Operation;

void add(uint64_t& counter, uint64_t amount) {
  std::atomic_ref<uint64_t>(counter).fetch_add(amount, std::memory_order_relaxed);
}

inflight_operation operation_of(Operation operation) {
  return operation == Operation::read    ? INFLIGHT_READ
         : operation == Operation::write ? INFLIGHT_WRITE
                                         : INFLIGHT_SYNC;
}

inflight_counter counter_of(Operation operation) {
  return operation == Operation::read    ? INFLIGHT_READS
         : operation == Operation::write ? INFLIGHT_WRITES
                                         : INFLIGHT_FSYNCS;
}

inflight_counter counter_of(core::Carrier carrier) {
  constexpr inflight_counter kCounters[] = {INFLIGHT_BY_INLINE, INFLIGHT_BY_KAIO, INFLIGHT_BY_RING,
                                            INFLIGHT_BY_STREAM, INFLIGHT_BY_POOL};
  return kCounters[static_cast<int>(carrier)];
}

inflight_counter counter_of(core::FileKind kind) {
  return kind == core::FileKind::disk     ? INFLIGHT_ON_FILES
         : kind == core::FileKind::stream ? INFLIGHT_ON_STREAMS
                                          : INFLIGHT_ON_OTHERS;
}

// The entry of a descriptor, taken on its first request; null when all are taken.
inflight_descriptor* entry_of(inflight_stats& stats, int fd) {
  const uint32_t wanted = static_cast<uint32_t>(fd) + 1;
  for (inflight_descriptor& entry : stats.descriptors) {
    const std::atomic_ref<uint32_t> number(entry.number);
    uint32_t found = number.load(std::memory_order_relaxed);
    if (found == 0 && number.compare_exchange_strong(found, wanted)) return &entry;
    if (found == wanted) return &entry;
  }
  return nullptr;
}

void count_submission(const Process& process, int fd) {
  inflight_stats* stats = process.statistics();
  if (stats == nullptr) return;
  if (inflight_descriptor* entry = entry_of(*stats, fd)) add(entry->submitted, 1);
}

void count_end(const Process& process, const Ended& request) {
  count(process, counter_of(request.carrier));
  count(process, counter_of(request.kind));
  count(process, request.error == 0           ? INFLIGHT_SUCCEEDED
                 : request.error == ECANCELED ? INFLIGHT_CANCELED
                                              : INFLIGHT_FAILED);
  if (request.result <= 0) return;
  const auto bytes = static_cast<uint64_t>(request.result);
  if (request.operation == Operation::read) count(process, INFLIGHT_BYTES_READ, bytes);
  if (request.operation == Operation::write) count(process, INFLIGHT_BYTES_WRITTEN, bytes);
}

void note_times(inflight_stats& stats, const Ended& request, uint64_t started, uint64_t finished) {
  const auto error = static_cast<uint32_t>(request.error);
  if (error != 0) add(stats.errors[error < INFLIGHT_STATS_ERRORS ? error : 0], 1);
  auto& times = stats.times[operation_of(request.operation)];
  add(times[INFLIGHT_WAITING][inflight_bucket_of(started - request.submitted)], 1);
  add(times[INFLIGHT_SERVICE][inflight_bucket_of(finished - started)], 1);
  if (inflight_descriptor* entry = entry_of(stats, request.fd)) {
    add(entry->ended, 1);
    add(entry->bytes, request.result > 0 ? static_cast<uint64_t>(request.result) : 0);
    add(entry->nanoseconds, finished - request.submitted);
  }
}

uint32_t write_span(inflight_trace& trace, const Ended& request, uint64_t started,
                    uint64_t finished) {
  const uint64_t number =
      std::atomic_ref<uint64_t>(trace.used).fetch_add(1, std::memory_order_relaxed);
  if (number >= trace.capacity) return 0;
  inflight_span& span = trace.spans[number];
  span.submitted = request.submitted;
  span.started = started;
  span.offset = request.offset;
  span.length = request.length;
  span.result = request.result;
  span.descriptor = request.fd;
  span.error = request.error;
  span.operation = operation_of(request.operation);
  span.carrier = static_cast<uint8_t>(counter_of(request.carrier));
  std::atomic_ref<uint64_t>(span.finished).store(finished, std::memory_order_release);
  return static_cast<uint32_t>(number) + 1;
}

}  // namespace

namespace detail {

uint64_t now() {
  const timespec time = sys::monotonic_now();
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

void submitted(const Process& process, core::Request& request) {
  count(process, counter_of(request.operation));
  if (!is_timed(process)) return;
  request.submitted = now();
  count_submission(process, request.fd);
}

uint32_t ended(const Process& process, const Ended& request) {
  count_end(process, request);
  // A request that was made before somebody came to watch has no time. One that was made while
  // somebody watched is noted though nobody does any more: it would seem outstanding for ever.
  if (request.submitted == 0) return 0;
  const uint64_t finished = now();
  const uint64_t started = request.started != 0 ? request.started : finished;
  inflight_stats* stats = process.statistics();
  inflight_trace* trace = process.spans();
  if (stats != nullptr) note_times(*stats, request, started, finished);
  return trace == nullptr ? 0 : write_span(*trace, request, started, finished);
}

uint32_t answered(const Process& process, const aiocb& block, uint64_t submitted, ssize_t result) {
  count(process, INFLIGHT_READS);
  if (submitted != 0) count_submission(process, block.aio_fildes);
  return ended(process,
               {Operation::read, core::Carrier::caller, core::FileKind::disk, block.aio_fildes,
                block.aio_offset, block.aio_nbytes, 0, result, submitted, submitted});
}

void notified(const Process& process, uint32_t span) {
  inflight_trace* trace = process.spans();
  if (trace != nullptr) trace->spans[span - 1].notified = now();
}

}  // namespace detail

}  // namespace inflight::engine
