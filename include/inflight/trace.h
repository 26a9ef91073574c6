/* inflight/trace.h - the record of each request of a process running on inflight.
 *
 * When the environment holds INFLIGHT_TRACE=DIRECTORY, each process that makes an asynchronous
 * request maps one file there, named PID-N.trace, and writes a span into it for each request. The
 * file has its full size from the beginning, so that a disk that fills up later cannot harm the
 * process: INFLIGHT_TRACE_SPANS spans, 262144 if the variable is not there. Later requests are
 * counted, but leave no span.
 */
#ifndef INFLIGHT_TRACE_H
#define INFLIGHT_TRACE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define INFLIGHT_TRACE_MAGIC 0x31666c6563617274ULL /* "tracelf1", little endian */

/* Times are nanoseconds of CLOCK_MONOTONIC; 0: has not happened. */
struct inflight_span {
  uint64_t submitted;
  uint64_t started;  /* an engine or a worker began with it */
  uint64_t finished; /* written last but one: a span without it is not complete */
  uint64_t notified; /* the signal was sent or the callback called, later than `finished` */
  int64_t offset;
  uint64_t length;
  int64_t result; /* as aio_return(3) gives it */
  int32_t descriptor;
  int32_t error;     /* as aio_error(3) gives it */
  uint8_t operation; /* enum inflight_operation of inflight/stats.h */
  uint8_t carrier;   /* an enum inflight_counter: INFLIGHT_BY_INLINE to INFLIGHT_BY_POOL */
  uint8_t reserved[6];
};

struct inflight_trace {
  uint64_t magic;     /* INFLIGHT_TRACE_MAGIC */
  uint32_t span_size; /* sizeof(struct inflight_span) of the library that wrote it */
  int32_t pid;
  char program[32];
  uint64_t capacity; /* spans that there is room for */
  uint64_t used;     /* requests that ended; more than `capacity`: the rest has no span */
  struct inflight_span spans[];
};

#ifdef __cplusplus
}
#endif

#endif
