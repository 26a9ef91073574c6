// One measurement: a process of its own does the work for a while.
#pragma once

#include <string>

#include "work.h"

namespace bench {

// The ways of doing a work. `threads_engine` is the library with INFLIGHT_ENGINE=threads.
// The last two are limits, not peers: reads that the page cache must answer, as the caller may not
// wait for the disk, and the system calls that a byte through a pipe costs at least.
enum class Way : uint8_t {
  glibc,
  inflight,
  threads_engine,
  loop,
  notices,
  ring,
  kernel_aio,
  without_waiting,
  least_of_pipes,
};

const char* name_of(Way way);

struct Bench {
  std::string library;    // the shared object under test
  std::string directory;  // on a file system with O_DIRECT
  double seconds = 0.25;  // for one measurement
};

// Makes the file that all works use, and leaves it in the page cache.
void prepare_file(const Bench& bench);
void remove_file(const Bench& bench);

struct Speed {
  double rate = 0;  // requests per second
  double p99 = 0;   // microseconds, if the work is timed
};
Speed measure(const Bench& bench, const Work& work, Way way);

}  // namespace bench
