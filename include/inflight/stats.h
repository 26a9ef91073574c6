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
 */
#ifndef INFLIGHT_STATS_H
#define INFLIGHT_STATS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define INFLIGHT_STATS_MAGIC 0x316c667461747369ULL /* "istatfl1", little endian */
#define INFLIGHT_STATS_SHARDS 16

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
  INFLIGHT_COUNTERS         /* how many there are; keep last */
};

struct inflight_stats {
  uint64_t magic;    /* INFLIGHT_STATS_MAGIC */
  uint32_t counters; /* INFLIGHT_COUNTERS of the library that made the page */
  uint32_t shards;   /* INFLIGHT_STATS_SHARDS of that library */
  int32_t pid;       /* the process, in its own pid namespace */
  char program[28];  /* /proc/self/comm when the page was made, ended by a NUL */
  char padding[16];
  uint64_t value[INFLIGHT_STATS_SHARDS][32]; /* add up a column for the counter's value */
};

#ifdef __cplusplus
}
#endif

#endif
