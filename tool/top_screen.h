// What `inflight top` shows of the time between two looks at a page.
#pragma once

#include <sys/types.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "live_page.h"

namespace tool {

struct DescriptorRates {
  int number = 0;
  std::string file;  // as /proc names it; empty when it is closed by now
  double requests = 0;
  double bytes = 0;
  uint64_t outstanding = 0;
  uint64_t mean_ns = 0;
};

struct Rates {
  double seconds = 0;
  Sums sums;  // of that time
  uint64_t outstanding = 0;
  std::vector<DescriptorRates> descriptors;  // those with requests, the busiest first
};

Rates rates_between(const Snapshot& before, const Snapshot& now, pid_t pid);

// Lines no longer than `columns`, `lines` at most.
std::vector<std::string> screen_of(const Rates& rates, const std::string& program, pid_t pid,
                                   size_t columns, size_t lines);

nlohmann::ordered_json json_of(const Rates& rates, const std::string& program, pid_t pid);

}  // namespace tool
