// One run of a program, and what the kernel says that it took.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace tool {

struct Run {
  double seconds = 0;      // from before the fork until it was waited for
  double cpu_seconds = 0;  // its own and the kernel's for it, with the children it waited for
  double megabytes = 0;    // most memory at a time
  double switches = 0;     // context switches, voluntary and not
  int status = 0;          // as of waitpid(2)
};

struct Launch {
  std::vector<std::string> command;
  std::vector<std::pair<std::string, std::string>> variables;  // set on top of ours
  bool show_output = false;                                    // else it goes nowhere
};

// Runs the program to its end. A Failure when it cannot be started at all. Interrupts from the
// terminal reach the program, and end the tool when it has ended.
Run run_measured(const Launch& launch);

}  // namespace tool
