#include "top_screen.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <ctime>

#include "counter_table.h"
#include "latency.h"
#include "summary.h"

namespace tool {

namespace {

constexpr const char* kOperations[] = {"reads", "writes", "syncs"};
constexpr inflight_counter kAccepted[] = {INFLIGHT_READS, INFLIGHT_WRITES, INFLIGHT_FSYNCS};
constexpr inflight_counter kWays[] = {INFLIGHT_BY_INLINE, INFLIGHT_BY_KAIO, INFLIGHT_BY_RING,
                                      INFLIGHT_BY_STREAM, INFLIGHT_BY_POOL};

template <class Numbers>
void take_away(Numbers& from, const Numbers& before) {
  for (size_t i = 0; i < from.size(); ++i) from[i] -= std::min(before[i], from[i]);
}

std::string file_of(pid_t pid, int number) {
  char name[PATH_MAX];
  const ssize_t length =
      readlink(fmt::format("/proc/{}/fd/{}", pid, number).c_str(), name, sizeof name);
  return length < 0 ? std::string() : std::string(name, static_cast<size_t>(length));
}

DescriptorRates rates_of(const inflight_descriptor& now, const inflight_descriptor& before,
                         double seconds, pid_t pid) {
  DescriptorRates rates;
  rates.number = static_cast<int>(now.number) - 1;
  rates.file = file_of(pid, rates.number);
  const uint64_t ended = now.ended - before.ended;
  rates.requests = static_cast<double>(ended) / seconds;
  rates.bytes = static_cast<double>(now.bytes - before.bytes) / seconds;
  rates.outstanding = now.submitted > now.ended ? now.submitted - now.ended : 0;
  if (ended != 0) rates.mean_ns = (now.nanoseconds - before.nanoseconds) / ended;
  return rates;
}

double per_second(uint64_t count, double seconds) { return static_cast<double>(count) / seconds; }

std::string short_number(double value) {
  if (value < 1e4) return fmt::format("{:.0f}", value);
  if (value < 1e6) return fmt::format("{:.1f}k", value / 1e3);
  if (value < 1e9) return fmt::format("{:.1f}M", value / 1e6);
  return fmt::format("{:.1f}G", value / 1e9);
}

// A path's end tells more than its beginning.
std::string end_of(const std::string& text, size_t most) {
  if (text.size() <= most) return text;
  return most < 3 ? std::string() : "..." + text.substr(text.size() - (most - 3));
}

std::string ways_line(const Counts& counts) {
  uint64_t all = 0;
  for (const inflight_counter way : kWays) all += counts[way];
  std::string line = "by";
  for (const inflight_counter way : kWays) {
    const double share =
        all == 0 ? 0 : 100.0 * static_cast<double>(counts[way]) / static_cast<double>(all);
    line += fmt::format("  {} {:.0f} %", counter_name(way).substr(3), share);
  }
  return line;
}

std::string operation_line(const Rates& rates, int operation) {
  const Histogram& waiting = rates.sums.times[operation][INFLIGHT_WAITING];
  const Histogram& service = rates.sums.times[operation][INFLIGHT_SERVICE];
  return fmt::format(
      "{:<8}{:>10}{:>12}{:>12}{:>14}{:>12}", kOperations[operation],
      short_number(per_second(rates.sums.counts[kAccepted[operation]], rates.seconds)),
      time_text(time_at(waiting, 0.5)), time_text(time_at(waiting, 0.99)),
      time_text(time_at(service, 0.5)), time_text(time_at(service, 0.99)));
}

}  // namespace

Rates rates_between(const Snapshot& before, const Snapshot& now, pid_t pid) {
  Rates rates;
  const std::chrono::duration<double> passed = now.when - before.when;
  rates.seconds = std::max(passed.count(), 1e-3);
  rates.sums = now.sums;
  take_away(rates.sums.counts, before.sums.counts);
  take_away(rates.sums.errors, before.sums.errors);
  for (int operation = 0; operation < INFLIGHT_OPERATIONS; ++operation) {
    for (int phase = 0; phase < INFLIGHT_PHASES; ++phase) {
      take_away(rates.sums.times[operation][phase], before.sums.times[operation][phase]);
    }
  }
  rates.outstanding = sample_of(now.sums.counts).outstanding;
  for (size_t i = 0; i < now.descriptors.size(); ++i) {
    // Entries keep their place in the page.
    const inflight_descriptor earlier =
        i < before.descriptors.size() ? before.descriptors[i] : inflight_descriptor{};
    const DescriptorRates one = rates_of(now.descriptors[i], earlier, rates.seconds, pid);
    if (one.requests > 0 || one.outstanding > 0) rates.descriptors.push_back(one);
  }
  std::sort(rates.descriptors.begin(), rates.descriptors.end(),
            [](const auto& one, const auto& other) { return one.requests > other.requests; });
  return rates;
}

std::vector<std::string> screen_of(const Rates& rates, const std::string& program, pid_t pid,
                                   size_t columns, size_t lines) {
  const Counts& counts = rates.sums.counts;
  const Sample sample = sample_of(counts);
  const std::time_t now = std::time(nullptr);
  std::vector<std::string> screen;
  screen.push_back(fmt::format("inflight top - {}, process {} - {:%H:%M:%S} (q quits)", program,
                               pid, fmt::localtime(now)));
  screen.push_back(
      fmt::format("{}/s ended, {} outstanding, {}B/s read, {}B/s written, {} failed, {} canceled",
                  short_number(per_second(sample.ended, rates.seconds)), rates.outstanding,
                  short_number(per_second(counts[INFLIGHT_BYTES_READ], rates.seconds)),
                  short_number(per_second(counts[INFLIGHT_BYTES_WRITTEN], rates.seconds)),
                  counts[INFLIGHT_FAILED], counts[INFLIGHT_CANCELED]));
  screen.push_back(ways_line(counts));
  screen.emplace_back();
  screen.push_back(fmt::format("{:<8}{:>10}{:>12}{:>12}{:>14}{:>12}", "", "per second",
                               "waiting p50", "p99", "service p50", "p99"));
  for (int operation = 0; operation < INFLIGHT_OPERATIONS; ++operation) {
    screen.push_back(operation_line(rates, operation));
  }
  screen.emplace_back();
  screen.push_back(fmt::format("{:>6}{:>10}{:>10}{:>12}{:>11}  {}", "FD", "REQ/S", "B/S",
                               "OUTSTANDING", "MEAN", "FILE"));
  for (const DescriptorRates& one : rates.descriptors) {
    std::string line =
        fmt::format("{:>6}{:>10}{:>10}{:>12}{:>11}  ", one.number, short_number(one.requests),
                    short_number(one.bytes), one.outstanding, time_text(one.mean_ns));
    line +=
        end_of(one.file.empty() ? "(closed)" : one.file, columns - std::min(columns, line.size()));
    screen.push_back(std::move(line));
  }
  if (screen.size() > lines) screen.resize(lines);
  for (std::string& line : screen) line.resize(std::min(line.size(), columns));
  return screen;
}

nlohmann::ordered_json json_of(const Rates& rates, const std::string& program, pid_t pid) {
  nlohmann::ordered_json descriptors = nlohmann::ordered_json::array();
  for (const DescriptorRates& one : rates.descriptors) {
    descriptors.push_back({{"descriptor", one.number},
                           {"file", one.file},
                           {"requests_per_second", one.requests},
                           {"bytes_per_second", one.bytes},
                           {"outstanding", one.outstanding},
                           {"mean_ns", one.mean_ns}});
  }
  return {{"program", program},
          {"pid", pid},
          {"seconds", rates.seconds},
          {"outstanding", rates.outstanding},
          {"counters", json_of(rates.sums.counts)},
          {"descriptors", descriptors}};
}

}  // namespace tool
