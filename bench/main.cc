// Runs the rows in alternating rounds and prints medians as ratios; --json writes everything.
#include <fmt/format.h>
#include <getopt.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>

#include "rows.h"
#include "scale.h"

namespace {

using bench::Row;
using bench::Way;
using bench::Work;

struct Options {
  bench::Bench bench;
  int rounds = 5;
  std::string only = ".";
  std::string json;
  bool series = false;
};

struct Figures {
  std::vector<double> rates;
  std::vector<double> p99s;
  void add(const bench::Speed& speed) {
    rates.push_back(speed.rate);
    p99s.push_back(speed.p99);
  }
  static double median_of(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
  }
  double median() const { return median_of(rates); }
  double spread() const {
    const auto [least, most] = std::minmax_element(rates.begin(), rates.end());
    return median() > 0 ? (*most - *least) / median() : 0;
  }
};

struct Result {
  const Row* row;
  Figures glibc, own, peer, limit;
};

Result run(const Row& row, const Options& options) {
  Result result{&row, {}, {}, {}, {}};
  Work limiting = row.work;
  limiting.threads = row.limit.threads;
  for (int round = 0; round < options.rounds; ++round) {
    fmt::print(stderr, "\r{:<60} round {} of {}", row.name, round + 1, options.rounds);
    result.glibc.add(measure(options.bench, row.work, Way::glibc));
    result.own.add(measure(options.bench, row.work, row.own));
    result.peer.add(measure(options.bench, row.work, row.peer));
    if (row.limit.known()) {
      result.limit.add(measure(options.bench, limiting, row.limit.way));
    }
  }
  fmt::print(stderr, "\r{:79}\r", "");
  return result;
}

double ratio(const Figures& one, const Figures& other) {
  return other.median() > 0 ? one.median() / other.median() : 0;
}

std::string against(double reached, double goal) {
  if (goal == 0) return fmt::format("{:6.2f}       ", reached);
  return fmt::format("{:6.2f} {:>5.4g} {}", reached, goal, reached >= goal ? "+" : "-");
}

std::string limit_name(const Row& row) {
  const int threads = row.limit.threads;
  return threads == 1 ? name_of(row.limit.way)
                      : fmt::format("{} in {} threads", name_of(row.limit.way), threads);
}

void print_line(const Result& result) {
  const Row& row = *result.row;
  fmt::print("{:<44}{:>9.0f} {:>9.0f} {:>9.0f} {} {}  {:3.0f} %\n", row.name, result.own.median(),
             result.glibc.median(), result.peer.median(),
             against(ratio(result.own, result.glibc), row.against_glibc),
             against(ratio(result.own, result.peer), row.against_peer),
             100 * std::max(result.own.spread(), result.peer.spread()));
  if (row.limit.known()) {
    fmt::print("    {:<40}{:>9.0f} {:>34.2f} {:>14.2f}\n", limit_name(row), result.limit.median(),
               ratio(result.limit, result.glibc), ratio(result.limit, result.peer));
  }
  fflush(stdout);
}

nlohmann::ordered_json json_of(const Result& result) {
  const Row& row = *result.row;
  const auto figures = [](Way way, const Figures& of) {
    return nlohmann::ordered_json{{"way", name_of(way)},
                                  {"median", of.median()},
                                  {"p99", Figures::median_of(of.p99s)},
                                  {"rates", of.rates}};
  };
  nlohmann::ordered_json document = {{"name", row.name},
                                     {"depth", row.work.depth},
                                     {"own", figures(row.own, result.own)},
                                     {"glibc", figures(Way::glibc, result.glibc)},
                                     {"peer", figures(row.peer, result.peer)},
                                     {"against_glibc", ratio(result.own, result.glibc)},
                                     {"against_peer", ratio(result.own, result.peer)},
                                     {"goal_glibc", row.against_glibc},
                                     {"goal_peer", row.against_peer}};
  if (row.limit.known()) {
    document["limit"] = {{"way", limit_name(row)}, {"median", result.limit.median()}};
  }
  return document;
}

nlohmann::ordered_json scale(const Options& options) {
  auto curves = nlohmann::ordered_json::array();
  for (const bench::Curve& curve : measure_scale(options.bench, std::min(options.rounds, 3))) {
    fmt::print("{}, {}, over {}:", curve.name, curve.unit, curve.over);
    for (const auto& [number, figure] : curve.points) fmt::print("  {}: {:.0f}", number, figure);
    fmt::print("\n");
    curves.push_back({{"name", curve.name},
                      {"over", curve.over},
                      {"unit", curve.unit},
                      {"points", curve.points}});
  }
  return curves;
}

Options parse(int argc, char** argv) {
  Options options;
  options.bench.directory = "/var/tmp";
  constexpr option kLong[] = {
      {"library", required_argument, nullptr, 'l'}, {"directory", required_argument, nullptr, 'd'},
      {"rounds", required_argument, nullptr, 'n'},  {"seconds", required_argument, nullptr, 's'},
      {"rows", required_argument, nullptr, 'r'},    {"json", required_argument, nullptr, 'j'},
      {"series", no_argument, nullptr, 'x'},        {nullptr, 0, nullptr, 0}};
  for (int choice; (choice = getopt_long(argc, argv, "", kLong, nullptr)) != -1;) {
    switch (choice) {
      case 'l':
        options.bench.library = optarg;
        break;
      case 'd':
        options.bench.directory = optarg;
        break;
      case 'n':
        options.rounds = std::max(1, atoi(optarg));
        break;
      case 's':
        options.bench.seconds = atof(optarg);
        break;
      case 'r':
        options.only = optarg;
        break;
      case 'j':
        options.json = optarg;
        break;
      case 'x':
        options.series = true;
        break;
      default:
        exit(2);
    }
  }
  if (options.bench.library.empty()) {
    fmt::print(stderr,
               "usage: inflight_bench --library FILE [--directory DIRECTORY] [--rounds N]\n"
               "       [--seconds S] [--rows REGEX] [--series] [--json FILE]\n");
    exit(2);
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  prepare_file(options.bench);
  fmt::print("{:<44}{:>9} {:>9} {:>9} {:>14} {:>14}\n", "requests per second, medians", "inflight",
             "glibc", "peer", "x glibc  goal", "x peer  goal");
  nlohmann::ordered_json document;
  const std::regex wanted(options.only);
  const auto run_all = [&](const std::vector<Row>& rows, const char* part) {
    document[part] = nlohmann::ordered_json::array();
    for (const Row& row : rows) {
      if (!std::regex_search(row.name, wanted)) continue;
      const Result result = run(row, options);
      print_line(result);
      document[part].push_back(json_of(result));
    }
  };
  run_all(bench::rows(), "rows");
  if (options.series) run_all(bench::depth_rows(), "series");
  if (options.series) document["scale"] = scale(options);
  remove_file(options.bench);
  if (!options.json.empty()) std::ofstream(options.json) << document.dump(1) << "\n";
}
