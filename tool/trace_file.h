// Reads the spans that processes running on inflight leave (include/inflight/trace.h).
#pragma once

#include <inflight/trace.h>

#include <string>
#include <vector>

namespace tool {

struct Trace {
  std::string program;
  int64_t pid = 0;
  uint64_t lost = 0;  // requests without a span
  std::vector<inflight_span> spans;
};

// Every *.trace file of the directory. A file that is damaged is a Failure.
std::vector<Trace> read_traces(const std::string& directory);

}  // namespace tool
