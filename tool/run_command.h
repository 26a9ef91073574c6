// `inflight run`: starts a program with the library preloaded.
#pragma once

#include <string>
#include <vector>

namespace tool {

struct RunOptions {
  std::string library;  // empty: the one next to this tool
  std::string engine;   // empty: whatever INFLIGHT_ENGINE says
  std::string pages;    // empty: whatever INFLIGHT_STATS says
  std::string threads;  // empty: whatever INFLIGHT_THREADS says
  bool stats = false;   // print a summary at the end
  bool json = false;    // as JSON
  std::vector<std::string> command;
};

// Becomes the program; or, to print a summary, waits for it and ends as it ended. Comes back only
// by a Failure.
[[noreturn]] void run_program(const RunOptions& options);

}  // namespace tool
