// One run of a program, and what the kernel says that it took.
#pragma once

#include "child_program.h"

namespace tool {

struct Run {
  double seconds = 0;      // from before the fork until it was waited for
  double cpu_seconds = 0;  // its own and the kernel's for it, with the children it waited for
  double megabytes = 0;    // most memory at a time
  double switches = 0;     // context switches, voluntary and not
  int status = 0;          // as of waitpid(2)
  int asked_to_end = 0;    // as of run_supervised
};

// Runs the program to its end, as run_supervised does. A Failure when it cannot be started at all.
// What it prints goes nowhere, unless it is to be shown.
Run run_measured(const Launch& launch, bool show_output);

}  // namespace tool
