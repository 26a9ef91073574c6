#include <fmt/format.h>
#include <inflight/stats.h>

#include <algorithm>

#include "latency.h"
#include "trace_output.h"

namespace tool {

namespace {

constexpr size_t kMostSpans = 2000;
constexpr size_t kMostLines = 160;
constexpr double kWidth = 1160;
constexpr double kLeft = 20;
constexpr double kTop = 64;
constexpr double kHeight = 9;  // of a line, with the gap below it

// Waiting and service by operation: read, write, sync.
constexpr const char* kLight[] = {"#a9cdf0", "#f6c9a0", "#cfcfcf"};
constexpr const char* kDark[] = {"#1f6fb8", "#c8640f", "#707070"};
constexpr const char* kNames[] = {"read", "write", "sync"};

struct Bar {
  inflight_span span;
  size_t line;
};

uint64_t end_of(const inflight_span& span) { return std::max(span.finished, span.notified); }

// Each on the first line whose last bar has ended.
std::vector<Bar> arrange(const std::vector<inflight_span>& spans, size_t& lines) {
  std::vector<uint64_t> ends;
  std::vector<Bar> bars;
  for (const inflight_span& span : spans) {
    size_t line = 0;
    while (line < ends.size() && ends[line] > span.submitted) ++line;
    if (line == kMostLines) continue;
    if (line == ends.size()) ends.push_back(0);
    ends[line] = end_of(span);
    bars.push_back({span, line});
  }
  lines = ends.size();
  return bars;
}

void draw(std::FILE* file, const Bar& bar, uint64_t origin, double scale) {
  const inflight_span& span = bar.span;
  const int operation = std::min<int>(span.operation, INFLIGHT_SYNC);
  const double y = kTop + static_cast<double>(bar.line) * kHeight;
  const auto piece = [&](uint64_t from, uint64_t to, const char* color) {
    const double x = kLeft + static_cast<double>(from - origin) * scale;
    const double width = std::max(0.6, static_cast<double>(to - from) * scale);
    fmt::print(file, R"(<rect x="{:.2f}" y="{:.1f}" width="{:.2f}" height="{}" fill="{}"/>)", x, y,
               width, kHeight - 2, color);
  };
  fmt::print(file,
             "<g><title>{} of {} bytes at {}, descriptor {}: {} waiting, {} service{}</title>",
             kNames[operation], span.length, span.offset, span.descriptor,
             time_text(span.started - span.submitted), time_text(span.finished - span.started),
             span.error == 0 ? "" : fmt::format(", error {}", span.error));
  if (span.started > span.submitted) piece(span.submitted, span.started, kLight[operation]);
  piece(span.started, span.finished, span.error == 0 ? kDark[operation] : "#c01c28");
  if (span.notified > span.finished) piece(span.finished, span.notified, "#7a3fb0");
  fmt::print(file, "</g>\n");
}

void draw_legend(std::FILE* file) {
  double x = kLeft;
  const auto entry = [&](const char* color, const char* name) {
    fmt::print(file, R"(<rect x="{}" y="36" width="12" height="12" fill="{}"/>)", x, color);
    fmt::print(file, R"(<text x="{}" y="46">{}</text>)", x + 16, name);
    x += 135;
  };
  for (int operation = 0; operation < INFLIGHT_OPERATIONS; ++operation) {
    entry(kLight[operation], fmt::format("{}, waiting", kNames[operation]).c_str());
    entry(kDark[operation], fmt::format("{}, service", kNames[operation]).c_str());
  }
  entry("#7a3fb0", "notifying");
  entry("#c01c28", "failed");
  fmt::print(file, "\n");
}

void draw_axis(std::FILE* file, uint64_t duration, double bottom) {
  constexpr int kParts = 8;
  for (int i = 0; i <= kParts; ++i) {
    const double x = kLeft + kWidth * i / kParts;
    fmt::print(file, R"(<line x1="{0}" y1="{1}" x2="{0}" y2="{2}" stroke="#ddd"/>)", x, kTop - 6,
               bottom);
    fmt::print(file, R"(<text x="{}" y="{}" text-anchor="{}">{}</text>)", x, bottom + 14,
               i == 0        ? "start"
               : i == kParts ? "end"
                             : "middle",
               time_text(duration * static_cast<uint64_t>(i) / kParts));
  }
  fmt::print(file, "\n");
}

}  // namespace

uint64_t origin_of(const std::vector<Trace>& traces) {
  uint64_t origin = ~uint64_t{0};
  for (const Trace& trace : traces) {
    if (!trace.spans.empty()) origin = std::min(origin, trace.spans.front().submitted);
  }
  return origin == ~uint64_t{0} ? 0 : origin;
}

void write_trace_svg(std::FILE* file, const std::vector<Trace>& traces) {
  std::vector<inflight_span> spans;
  for (const Trace& trace : traces) {
    spans.insert(spans.end(), trace.spans.begin(), trace.spans.end());
  }
  std::sort(spans.begin(), spans.end(),
            [](const auto& one, const auto& other) { return one.submitted < other.submitted; });
  const size_t all = spans.size();
  spans.resize(std::min(all, kMostSpans));
  size_t lines = 0;
  const std::vector<Bar> bars = arrange(spans, lines);
  const uint64_t origin = origin_of(traces);
  uint64_t duration = 1;
  for (const Bar& bar : bars) duration = std::max(duration, end_of(bar.span) - origin);
  const double bottom = kTop + static_cast<double>(lines) * kHeight + 4;
  fmt::print(file,
             R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {1}" width="{0}" )"
             R"(height="{1}" font-family="sans-serif" font-size="11">)"
             "\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
             kWidth + 2 * kLeft, bottom + 24);
  fmt::print(file, R"(<text x="{}" y="22" font-size="14">{} of {} requests, {} at a time at most)",
             kLeft, bars.size(), all, lines);
  fmt::print(file, "</text>\n");
  draw_legend(file);
  draw_axis(file, duration, bottom);
  for (const Bar& bar : bars) draw(file, bar, origin, kWidth / static_cast<double>(duration));
  fmt::print(file, "</svg>\n");
}

}  // namespace tool
