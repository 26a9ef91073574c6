// `inflight probe`: which ways of carrying requests work on this machine, and why others do not.
#pragma once

#include <string>
#include <vector>

namespace tool {

struct ProbeOptions {
  std::vector<std::string> paths;  // directories whose file systems are looked at
  bool json = false;
};

// Prints to standard output. Returns an ExitCode.
int probe(const ProbeOptions& options);

}  // namespace tool
