#include "trace_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "failure.h"

namespace tool {

namespace {

Trace read_trace(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  inflight_trace header{};
  file.read(reinterpret_cast<char*>(&header), sizeof header);
  if (!file) throw Failure(kNothingRead, fmt::format("{}: cannot be read", path));
  Trace trace;
  if (header.magic == 0) return trace;  // its process was just starting when it ended
  if (header.magic != INFLIGHT_TRACE_MAGIC || header.span_size != sizeof(inflight_span)) {
    throw Failure(kNothingRead, fmt::format("{}: is of another version of the library", path));
  }
  trace.program.assign(header.program, strnlen(header.program, sizeof header.program));
  trace.pid = header.pid;
  const uint64_t count = std::min(header.used, header.capacity);
  trace.lost = header.used - count;
  trace.spans.resize(count);
  file.read(reinterpret_cast<char*>(trace.spans.data()),
            static_cast<std::streamsize>(count * sizeof(inflight_span)));
  if (!file) throw Failure(kNothingRead, fmt::format("{}: is cut short", path));
  std::erase_if(trace.spans, [](const inflight_span& span) { return span.finished == 0; });
  std::sort(trace.spans.begin(), trace.spans.end(),
            [](const auto& one, const auto& other) { return one.submitted < other.submitted; });
  return trace;
}

}  // namespace

std::vector<Trace> read_traces(const std::string& directory) {
  std::vector<Trace> traces;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    // An empty one is told of by PageDirectory.
    if (entry.path().extension() != ".trace" || entry.file_size() == 0) continue;
    traces.push_back(read_trace(entry.path().string()));
  }
  return traces;
}

}  // namespace tool
