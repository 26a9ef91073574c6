// `inflight stats`: what the processes that ran on inflight did, as a table or as JSON.
#pragma once

#include <string>
#include <vector>

namespace tool {

struct StatsOptions {
  std::vector<std::string> paths;
  bool json = false;
  bool each = false;  // one table per process instead of the sum
};

// Prints to standard output; unreadable pages are named on standard error. Returns an ExitCode.
int print_stats(const StatsOptions& options);

}  // namespace tool
