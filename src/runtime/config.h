// The INFLIGHT_ variables and the statistics page.
#pragma once

#include "engine/process.h"

namespace inflight::runtime {

struct Config {
  engine::Choice choice = engine::Choice::automatic;  // INFLIGHT_ENGINE
  int threads = 0;                                    // INFLIGHT_THREADS, 0: not given
  size_t inline_limit = 64 * 1024;                    // INFLIGHT_INLINE, bytes
  long spin = -1;                                     // INFLIGHT_SPIN, microseconds, -1: not given
};

// A value that means nothing is reported on standard error, once in the life of the process, and
// the default is used.
Config read_config();

// The page in the directory that INFLIGHT_STATS names; null when it is unset or cannot be made.
inflight_stats* open_statistics(pid_t pid);
inflight_trace* open_trace(pid_t pid);

}  // namespace inflight::runtime
