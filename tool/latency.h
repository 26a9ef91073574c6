// Reading a histogram of times (inflight/stats.h): shares and the way times are printed.
#pragma once

#include <cstdint>
#include <string>

#include "stats_page.h"

namespace tool {

uint64_t total_of(const Histogram& histogram);

// The time, in nanoseconds, that `share` (0 to 1) of the requests did not exceed: the middle of its
// bucket, so it is right to a sixteenth. 0 for an empty histogram.
uint64_t time_at(const Histogram& histogram, double share);

// 950 ns, 12.3 us, 4.56 ms, 7.89 s.
std::string time_text(uint64_t nanoseconds);

}  // namespace tool
