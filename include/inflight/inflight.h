/* inflight/inflight.h - what <aio.h> has no function for: which library serves, how it is set up,
 * and what it has counted.
 *
 * All functions may be called from any thread and in signal handlers. A program that is to run
 * without the library as well declares them weak and looks whether they are there:
 *
 *     #pragma weak inflight_version
 *     if (inflight_version != NULL) printf("inflight %s\n", inflight_version());
 *
 * Structures grow at their end with new versions. The caller says how large its own is; the library
 * fills what both know, sets what it does not know to 0, and says in `size` how much it knew.
 */
#ifndef INFLIGHT_INFLIGHT_H
#define INFLIGHT_INFLIGHT_H

#include <inflight/stats.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum inflight_engine {
  INFLIGHT_ENGINE_AUTO = 0, /* as a preference: chosen for each request */
  INFLIGHT_ENGINE_URING = 1,
  INFLIGHT_ENGINE_KAIO = 2,
  INFLIGHT_ENGINE_THREADS = 3
};

struct inflight_info {
  size_t size;           /* bytes of this structure that the library filled */
  uint32_t preferred;    /* an enum inflight_engine: INFLIGHT_ENGINE, or auto */
  uint32_t usable;       /* engines that work here: the sum of 1 << enum inflight_engine */
  uint32_t untried;      /* engines that no request has needed yet; the same form */
  uint32_t outstanding;  /* requests that have not ended */
  uint32_t threads;      /* most worker threads at work at a time */
  uint32_t counting;     /* 1: counters are kept (INFLIGHT_STATS) */
  uint64_t inline_limit; /* bytes: the longest read that the caller may carry out itself */
  uint64_t spin;         /* nanoseconds to look for an event before sleeping */
};

struct inflight_counts {
  size_t size;                             /* bytes of this structure that the library filled */
  uint64_t value[INFLIGHT_STATS_COUNTERS]; /* by enum inflight_counter of inflight/stats.h */
};

/* The library's version, such as "0.1.0". */
const char* inflight_version(void);

/* How the library is set up in this process: 0, or -1 and errno: EINVAL when `size` is too small to
 * hold the member `size`, ENOMEM when the library cannot start. */
int inflight_get_info(struct inflight_info* info, size_t size);

/* What the process has counted so far: 0, or -1 and errno: EINVAL as above, ENODATA when nothing is
 * counted, because INFLIGHT_STATS was not set when the process made its first request. */
int inflight_get_counts(struct inflight_counts* counts, size_t size);

#ifdef __cplusplus
}
#endif

#endif
