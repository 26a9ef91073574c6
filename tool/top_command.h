// `inflight top`: a running process, once a second.
#pragma once

#include <sys/types.h>

namespace tool {

struct TopOptions {
  pid_t pid = 0;
  int looks = 0;  // 0: until q, or until the process ends
  bool json = false;
};

// Returns an ExitCode.
int show_top(const TopOptions& options);

}  // namespace tool
