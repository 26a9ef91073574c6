// How the cost of a request changes as more of something is there: requests, descriptors, threads.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "measure.h"

namespace bench {

struct Curve {
  std::string name;
  std::string over;                            // what there is more and more of
  std::string unit;                            // of the second figures
  std::vector<std::pair<int, double>> points;  // so many; the median of what was measured
};

// Each point is measured in a process of its own, on the library under test.
std::vector<Curve> measure_scale(const Bench& bench, int rounds);

}  // namespace bench
