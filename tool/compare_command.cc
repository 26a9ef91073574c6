// Alternating rounds, so that whatever else the machine does falls on both alike; medians, so that
// a single odd round does not count; the range of all rounds beside them.
#include "compare_command.h"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "failure.h"
#include "library.h"
#include "measured_run.h"
#include "page_directory.h"
#include "program.h"
#include "say.h"
#include "stats_page.h"
#include "supervised_run.h"

namespace tool {

namespace {

struct Figure {
  const char* name;  // in JSON
  const char* label;
  double Run::*value;
};

constexpr std::array<Figure, 4> kFigures = {{
    {"wall_seconds", "wall time, s", &Run::seconds},
    {"cpu_seconds", "CPU time, s", &Run::cpu_seconds},
    {"peak_megabytes", "peak memory, MiB", &Run::megabytes},
    {"context_switches", "context switches", &Run::switches},
}};

struct Spread {
  double least, median, most;
};

Spread spread_of(const std::vector<Run>& runs, double Run::*value) {
  std::vector<double> values;
  values.reserve(runs.size());
  for (const Run& run : runs) values.push_back(run.*value);
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  const double median =
      values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
  return {values.front(), median, values.back()};
}

void show_progress(int done, int of) {
  if (isatty(STDERR_FILENO) == 0) return;
  constexpr int kWidth = 40;
  const int filled = kWidth * done / of;
  say("\r[{:#<{}}{:.<{}}] {} of {} runs", "", filled, "", kWidth - filled, done, of);
  if (done == of) say("\r{:79}\r", "");
  fflush(stderr);
}

std::string told(int status) {
  if (WIFSIGNALED(status)) return fmt::format("was ended by signal {}", WTERMSIG(status));
  return fmt::format("ended with exit status {}", WEXITSTATUS(status));
}

void demand_success(const Run& run, const char* where) {
  if (run.status == 0) return;
  throw Failure(kNothingRead, fmt::format("the program {} on {}; there is nothing to compare "
                                          "(--show-output shows what it says)",
                                          told(run.status), where));
}

struct Comparison {
  std::vector<Run> glibc, inflight;
  Counts counts{};
  uint64_t requests() const {
    return counts[INFLIGHT_READS] + counts[INFLIGHT_WRITES] + counts[INFLIGHT_FSYNCS];
  }
};

// Whoever asked the program to end meant the comparison, however the program took it.
struct Interruption {
  int signal;
};

Run run_round(const Launch& launch, const CompareOptions& options, const char* where) {
  const Run run = run_measured(launch, options.show_output);
  if (run.asked_to_end != 0) throw Interruption{run.asked_to_end};
  demand_success(run, where);
  return run;
}

Comparison measure(const CompareOptions& options) {
  demand_servable(options.command[0]);
  const PageDirectory pages;
  const Launch on_glibc{options.command, {}};
  Launch on_inflight = on_glibc;
  on_inflight.variables = {{"LD_PRELOAD", preload_list(options.library)},
                           {"INFLIGHT_STATS", pages.path()}};
  if (!options.engine.empty())
    on_inflight.variables.emplace_back("INFLIGHT_ENGINE", options.engine);
  Comparison comparison;
  for (int round = 0; round < options.rounds; ++round) {
    show_progress(2 * round, 2 * options.rounds);
    comparison.glibc.push_back(run_round(on_glibc, options, "glibc"));
    show_progress(2 * round + 1, 2 * options.rounds);
    comparison.inflight.push_back(run_round(on_inflight, options, "inflight"));
  }
  show_progress(2 * options.rounds, 2 * options.rounds);
  comparison.counts = add_up(pages.read()).counts;
  return comparison;
}

double ratio(double glibc, double inflight) { return inflight > 0 ? glibc / inflight : 0; }

std::string shown(double value) {
  if (value >= 1000) return fmt::format("{:.0f}", value);
  return fmt::format("{:.{}f}", value, value >= 10 ? 1 : 3);
}

std::string shown(const Spread& spread) {
  return fmt::format("{} ({} - {})", shown(spread.median), shown(spread.least), shown(spread.most));
}

void print_table(const Comparison& comparison) {
  fmt::print("{:<18}{:>28}{:>28}{:>10}\n", "", "glibc", "inflight", "ratio");
  for (const Figure& figure : kFigures) {
    const Spread glibc = spread_of(comparison.glibc, figure.value);
    const Spread inflight = spread_of(comparison.inflight, figure.value);
    fmt::print("{:<18}{:>28}{:>28}", figure.label, shown(glibc), shown(inflight));
    const double times = ratio(glibc.median, inflight.median);
    fmt::print("{:>10}\n", times > 0 ? fmt::format("{:.2f}", times) : "-");
  }
  fmt::print(
      "\nMedian (least - most) of {} rounds each; a ratio above 1 is in favour of inflight.\n",
      comparison.glibc.size());
  if (comparison.requests() == 0) {
    fmt::print("The program made no AIO call that reached inflight: what differs is chance.\n");
  } else {
    fmt::print("Requests that inflight served: {} in all its rounds.\n", comparison.requests());
  }
}

nlohmann::ordered_json json_of(const Spread& spread) {
  return {{"median", spread.median}, {"least", spread.least}, {"most", spread.most}};
}

void print_json(const Comparison& comparison, const CompareOptions& options) {
  nlohmann::ordered_json figures;
  for (const Figure& figure : kFigures) {
    const Spread glibc = spread_of(comparison.glibc, figure.value);
    const Spread inflight = spread_of(comparison.inflight, figure.value);
    figures[figure.name] = {{"glibc", json_of(glibc)},
                            {"inflight", json_of(inflight)},
                            {"ratio", ratio(glibc.median, inflight.median)}};
  }
  const nlohmann::ordered_json document = {{"command", options.command},
                                           {"rounds", options.rounds},
                                           {"requests_served", comparison.requests()},
                                           {"figures", figures}};
  const auto replace = nlohmann::ordered_json::error_handler_t::replace;
  fmt::print("{}\n", document.dump(2, ' ', false, replace));
}

}  // namespace

int compare_program(const CompareOptions& options) {
  try {
    const Comparison comparison = measure(options);
    if (options.json) {
      print_json(comparison, options);
    } else {
      print_table(comparison);
    }
    return kSuccess;
  } catch (const Interruption& interruption) {
    end_like(W_EXITCODE(0, interruption.signal));
  }
}

}  // namespace tool
