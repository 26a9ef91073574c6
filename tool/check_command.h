// `inflight check`: what a program does to its requests that the standard does not allow.
#pragma once

#include <string>
#include <vector>

namespace tool {

struct CheckOptions {
  std::string library;  // empty: the one next to this tool
  std::string engine;   // empty: whatever INFLIGHT_ENGINE says
  bool json = false;
  std::vector<std::string> command;
};

// Runs the program and prints what was found to standard error; ends as the program ended, but with
// kNothingRead if that is 0 and something was found. Comes back only by a Failure.
[[noreturn]] void check_program(const CheckOptions& options);

}  // namespace tool
