// `inflight compare`: the same program on glibc's AIO and on the library, in alternating rounds.
#pragma once

#include <string>
#include <vector>

namespace tool {

struct CompareOptions {
  std::string library;  // empty: the one next to this tool
  std::string engine;   // empty: whatever INFLIGHT_ENGINE says
  int rounds = 5;
  bool json = false;
  bool show_output = false;  // the program's, instead of dropping it
  std::vector<std::string> command;
};

// Prints to standard output, progress to standard error. Returns an ExitCode.
int compare_program(const CompareOptions& options);

}  // namespace tool
