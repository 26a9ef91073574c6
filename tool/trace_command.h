// `inflight trace`: a picture of every request of a program.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tool {

struct TraceOptions {
  std::string library;           // empty: the one next to this tool
  std::string engine;            // empty: whatever INFLIGHT_ENGINE says
  std::string output;            // a file for the spans, in the trace format of Chrome and Perfetto
  std::string svg;               // a file for a drawing
  std::string spans = "262144";  // how many requests of each process are kept
  std::vector<std::string> command;
};

// Runs the program, writes the files, and ends as the program ended. A file that cannot be written
// is reported before the program starts, and the program runs all the same; the exit code is then
// kNothingRead if the program's was 0. Comes back only by a Failure.
[[noreturn]] void trace_program(const TraceOptions& options);

}  // namespace tool
