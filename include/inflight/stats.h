/* inflight/stats.h - the counters that a process running on inflight publishes.
 *
 * When the environment holds INFLIGHT_STATS=DIRECTORY, each process that makes an asynchronous
 * request maps one file there, named PID-N.stats (N counts the pages this pid made: a process that
 * called exec has two), and counts in it. The file stays when the process ends, however it ends.
 * Without the variable nothing is opened and nothing is counted.
 *
 * The page is written with relaxed atomic additions and may be read at any moment, also while the
 * process runs; a reader sees each counter whole, but not all of them at one instant. To spare
 * threads each other's cache lines, every counter is the sum of INFLIGHT_STATS_SHARDS columns.
 *
 * Times, errors and descriptors are noted only while somebody wants them: a viewer adds 1 to
 * `watchers` (atomically, through a shared writable mapping), and takes it back when it leaves;
 * INFLIGHT_STATS_TIMES=1 in the environment counts as a viewer that is always there.
 */
#ifndef INFLIGHT_STATS_H
#define INFLIGHT_STATS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define INFLIGHT_STATS_MAGIC 0x316c667461747369ULL /* "istatfl1", little endian */
#define INFLIGHT_STATS_SHARDS 16
#define INFLIGHT_STATS_COUNTERS 32    /* room for counters */
#define INFLIGHT_STATS_BUCKETS 320    /* of a histogram */
#define INFLIGHT_STATS_ERRORS 160     /* room for errno values */
#define INFLIGHT_STATS_DESCRIPTORS 64 /* that are told apart */

/* What is counted. The order is part of the file format: new counters go to the end. */
enum inflight_counter {
  INFLIGHT_READS,           /* requests accepted: reads, from aio_read and lio_listio */
  INFLIGHT_WRITES,          /* requests accepted: writes */
  INFLIGHT_FSYNCS,          /* requests accepted: aio_fsync */
  INFLIGHT_LISTS,           /* lio_listio calls */
  INFLIGHT_SUSPENDS,        /* aio_suspend calls */
  INFLIGHT_CANCELS,         /* aio_cancel calls */
  INFLIGHT_BY_INLINE,       /* requests finished by the caller itself, without waiting */
  INFLIGHT_BY_KAIO,         /* requests finished by the kernel's own AIO (io_submit) */
  INFLIGHT_BY_RING,         /* requests finished by io_uring */
  INFLIGHT_BY_STREAM,       /* requests finished by the thread that waits for streams */
  INFLIGHT_BY_POOL,         /* requests finished by a worker of the pool */
  INFLIGHT_SUCCEEDED,       /* requests that ended with status 0 */
  INFLIGHT_FAILED,          /* requests that ended with an errno other than ECANCELED */
  INFLIGHT_CANCELED,        /* requests that ended with ECANCELED */
  INFLIGHT_SIGNALS_SENT,    /* notifications sent as a signal */
  INFLIGHT_CALLBACKS_RUN,   /* notifications run as a function on a thread */
  INFLIGHT_THREADS_STARTED, /* helper threads started, notification threads included */
  INFLIGHT_ON_FILES,        /* requests ended: on regular files and block devices */
  INFLIGHT_ON_STREAMS,      /* requests ended: on pipes, sockets, terminals, eventfds */
  INFLIGHT_ON_OTHERS,       /* requests ended: on anything else, closed descriptors included */
  INFLIGHT_BYTES_READ,      /* bytes */
  INFLIGHT_BYTES_WRITTEN,   /* bytes */
  INFLIGHT_COUNTERS         /* how many there are; keep last */
};

/* A request's time: until an engine or a worker began with it, and from then to its end. A read
 * that is answered within the call has service only; a stream that was waited for, and what was
 * cancelled before anybody began with it, waiting only. */
enum inflight_phase { INFLIGHT_WAITING, INFLIGHT_SERVICE, INFLIGHT_PHASES };

enum inflight_operation { INFLIGHT_READ, INFLIGHT_WRITE, INFLIGHT_SYNC, INFLIGHT_OPERATIONS };

struct inflight_descriptor {
  uint32_t number; /* the descriptor + 1; 0: unused, and so are those behind it */
  uint32_t reserved;
  uint64_t submitted; /* requests, since somebody watches */
  uint64_t ended;
  uint64_t bytes;
  uint64_t nanoseconds; /* from submission to end, the sum */
};

struct inflight_stats {
  uint64_t magic;    /* INFLIGHT_STATS_MAGIC */
  uint32_t counters; /* INFLIGHT_COUNTERS of the library that made the page */
  uint32_t shards;   /* INFLIGHT_STATS_SHARDS of that library */
  int32_t pid;       /* the process, in its own pid namespace */
  char program[28];  /* /proc/self/comm when the page was made, ended by a NUL */
  uint32_t watchers; /* how many want times */
  char padding[12];
  /* Add up a column for the counter's value. */
  uint64_t value[INFLIGHT_STATS_SHARDS][INFLIGHT_STATS_COUNTERS];
  uint64_t errors[INFLIGHT_STATS_ERRORS]; /* requests that ended with this errno */
  /* Requests by time: bucket i counts those of inflight_bucket_begin(i) nanoseconds or more, and
   * less than inflight_bucket_begin(i + 1). */
  uint64_t times[INFLIGHT_OPERATIONS][INFLIGHT_PHASES][INFLIGHT_STATS_BUCKETS];
  struct inflight_descriptor descriptors[INFLIGHT_STATS_DESCRIPTORS];
};

/* Eight buckets for each power of two: a bucket is at most an eighth wider than its begin. */
static inline uint64_t inflight_bucket_begin(uint32_t bucket) {
  const uint64_t step = 8 + bucket % 8;
  return bucket < 8 ? bucket : step << (bucket / 8 - 1);
}

static inline uint64_t inflight_bucket_of(uint64_t nanoseconds) {
  uint64_t shift = 0, bucket;
  while (nanoseconds >> shift >= 16) ++shift;
  bucket = 8 * shift + (nanoseconds >> shift);
  return bucket < INFLIGHT_STATS_BUCKETS ? bucket : INFLIGHT_STATS_BUCKETS - 1;
}

#ifdef __cplusplus
}
#endif

#endif
