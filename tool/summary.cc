// Tables for people, the same as JSON for programs.
#include "summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "counter_table.h"
#include "latency.h"

namespace tool {

namespace {

constexpr const char* kOperations[] = {"read", "write", "sync"};
constexpr const char* kPhases[] = {"waiting", "service"};
constexpr double kShares[] = {0.5, 0.9, 0.99, 1.0};
constexpr const char* kShareNames[] = {"p50", "p90", "p99", "max"};
constexpr size_t kBars = 60;

// Heights from nothing to full, for a line of bars.
constexpr const char* kLevels[] = {" ",      "\u2581", "\u2582", "\u2583", "\u2584",
                                   "\u2585", "\u2586", "\u2587", "\u2588"};

std::string bars(const std::vector<uint64_t>& heights) {
  const uint64_t most = heights.empty() ? 0 : *std::max_element(heights.begin(), heights.end());
  std::string line;
  for (const uint64_t height : heights) {
    // Whatever is there is to be seen.
    const uint64_t level = most == 0 ? 0 : (height * 8 + most - 1) / most;
    line += kLevels[level];
  }
  return line;
}

// The largest of each of so many parts of the samples.
std::vector<uint64_t> thinned(const std::vector<uint64_t>& values, size_t parts) {
  if (values.size() <= parts) return values;
  std::vector<uint64_t> result(parts);
  for (size_t i = 0; i < values.size(); ++i) {
    uint64_t& part = result[i * parts / values.size()];
    part = std::max(part, values[i]);
  }
  return result;
}

// One bar for each power of two between the shortest and the longest time.
void print_histogram(FILE* stream, const Histogram& histogram) {
  std::vector<uint64_t> octaves(INFLIGHT_STATS_BUCKETS / 8);
  for (size_t i = 0; i < histogram.size(); ++i) octaves[i / 8] += histogram[i];
  size_t first = 0, last = octaves.size();
  while (first < last && octaves[first] == 0) ++first;
  while (last > first && octaves[last - 1] == 0) --last;
  const std::vector<uint64_t> shown(octaves.begin() + static_cast<ptrdiff_t>(first),
                                    octaves.begin() + static_cast<ptrdiff_t>(last));
  fmt::print(stream, "{:>20} {} {}\n",
             time_text(inflight_bucket_begin(static_cast<uint32_t>(first) * 8)), bars(shown),
             time_text(inflight_bucket_begin(static_cast<uint32_t>(last) * 8)));
}

void print_times(FILE* stream, const Times& times) {
  fmt::print(stream, "{:<20}{:>12}", "time", "requests");
  for (const char* name : kShareNames) fmt::print(stream, "{:>11}", name);
  fmt::print(stream, "\n");
  for (int operation = 0; operation < INFLIGHT_OPERATIONS; ++operation) {
    for (int phase = 0; phase < INFLIGHT_PHASES; ++phase) {
      const Histogram& histogram = times[operation][phase];
      const uint64_t total = total_of(histogram);
      if (total == 0) continue;
      fmt::print(stream, "  {:<18}{:>12}",
                 fmt::format("{}, {}", kOperations[operation], kPhases[phase]), grouped(total));
      for (const double share : kShares) {
        fmt::print(stream, "{:>11}", time_text(time_at(histogram, share)));
      }
      fmt::print(stream, "\n");
      print_histogram(stream, histogram);
    }
  }
}

void print_errors(FILE* stream, const Errors& errors) {
  for (int error = 0; error < INFLIGHT_STATS_ERRORS; ++error) {
    if (errors[error] == 0) continue;
    const char* name = strerrorname_np(error);
    fmt::print(stream, "  {:<30}{:>18}  {}\n", name != nullptr ? name : std::to_string(error),
               grouped(errors[error]), strerrordesc_np(error));
  }
}

std::vector<uint64_t> depths_of(const std::vector<Sample>& samples) {
  std::vector<uint64_t> depths;
  depths.reserve(samples.size());
  for (const Sample& sample : samples) depths.push_back(sample.outstanding);
  return depths;
}

}  // namespace

Sample sample_of(const Counts& counts) {
  const uint64_t accepted =
      counts[INFLIGHT_READS] + counts[INFLIGHT_WRITES] + counts[INFLIGHT_FSYNCS];
  const uint64_t ended =
      counts[INFLIGHT_SUCCEEDED] + counts[INFLIGHT_FAILED] + counts[INFLIGHT_CANCELED];
  return {accepted > ended ? accepted - ended : 0, ended};
}

void print_summary(FILE* stream, const Sums& sums, const std::vector<Sample>& samples) {
  print_counts(stream, sums.counts);
  print_errors(stream, sums.errors);
  print_times(stream, sums.times);
  const std::vector<uint64_t> depths = depths_of(samples);
  if (depths.empty()) return;
  // Looked at ten times a second: what came and went in between was not seen.
  fmt::print(stream, "{:<20}{:>12}\n{:>20} {}\n", "outstanding, seen",
             grouped(*std::max_element(depths.begin(), depths.end())), "over time",
             bars(thinned(depths, kBars)));
}

void print_summary_json(FILE* stream, const Sums& sums, const std::vector<Sample>& samples) {
  nlohmann::ordered_json times, errors = nlohmann::ordered_json::object();
  for (int operation = 0; operation < INFLIGHT_OPERATIONS; ++operation) {
    for (int phase = 0; phase < INFLIGHT_PHASES; ++phase) {
      const Histogram& histogram = sums.times[operation][phase];
      nlohmann::ordered_json& entry = times[kOperations[operation]][kPhases[phase]];
      entry["requests"] = total_of(histogram);
      for (size_t i = 0; i < std::size(kShares); ++i) {
        entry[std::string(kShareNames[i]) + "_ns"] = time_at(histogram, kShares[i]);
      }
    }
  }
  for (int error = 0; error < INFLIGHT_STATS_ERRORS; ++error) {
    const char* name = strerrorname_np(error);
    if (sums.errors[error] != 0) {
      errors[name != nullptr ? name : std::to_string(error)] = sums.errors[error];
    }
  }
  nlohmann::ordered_json outstanding = nlohmann::ordered_json::array();
  for (const uint64_t depth : depths_of(samples)) outstanding.push_back(depth);
  const nlohmann::ordered_json document = {{"counters", json_of(sums.counts)},
                                           {"errors", errors},
                                           {"times", times},
                                           {"outstanding_every_100_ms", outstanding}};
  fmt::print(stream, "{}\n", document.dump(2));
}

}  // namespace tool
