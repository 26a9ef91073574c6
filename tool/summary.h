// What `inflight run --stats` prints when the program has ended.
#pragma once

#include <cstdint>
#include <cstdio>
#include <vector>

#include "stats_page.h"

namespace tool {

// How many requests were outstanding, and how many had ended, at a moment.
struct Sample {
  uint64_t outstanding = 0;
  uint64_t ended = 0;
};

Sample sample_of(const Counts& counts);

void print_summary(FILE* stream, const Sums& sums, const std::vector<Sample>& samples);
void print_summary_json(FILE* stream, const Sums& sums, const std::vector<Sample>& samples);

}  // namespace tool
