// The two forms in which the counters are printed.
#include "stats_command.h"

#include <fmt/format.h>

#include <cstdio>
#include <map>

#include "counter_table.h"
#include "failure.h"
#include "say.h"
#include "stats_page.h"

namespace tool {

namespace {

void print_tables(const std::vector<Page>& pages, bool each) {
  if (each) {
    for (const Page& page : pages) {
      fmt::print("{}, process {} ({})\n\n", page.program, page.pid, page.file);
      print_counts(stdout, page.sums.counts);
      fmt::print("\n");
    }
    return;
  }
  std::map<std::string, size_t> programs;
  for (const Page& page : pages) ++programs[page.program];
  std::string names;
  for (const auto& [program, count] : programs) {
    names += fmt::format("{}{}", names.empty() ? "" : ", ", program);
    if (count > 1) names += fmt::format(" ({})", count);
  }
  fmt::print("{} process{}: {}\n\n", pages.size(), pages.size() == 1 ? "" : "es", names);
  print_counts(stdout, add_up(pages).counts);
}

void print_json(const std::vector<Page>& pages) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Page& page : pages) {
    list.push_back({{"file", page.file},
                    {"program", page.program},
                    {"pid", page.pid},
                    {"counters", json_of(page.sums.counts)}});
  }
  const nlohmann::ordered_json document = {{"pages", list},
                                           {"total", json_of(add_up(pages).counts)}};
  // A process may call itself anything; bytes that are not UTF-8 must not end in an exception.
  const auto replace = nlohmann::ordered_json::error_handler_t::replace;
  fmt::print("{}\n", document.dump(2, ' ', false, replace));
}

}  // namespace

int print_stats(const StatsOptions& options) {
  std::vector<Page> pages;
  bool complete = true;
  for (const std::string& file : find_pages(options.paths)) {
    try {
      pages.push_back(read_page(file));
    } catch (const Failure& failure) {
      complete = false;
      say("inflight stats: {}\n", failure.what());
    }
  }
  if (options.json) {
    print_json(pages);
  } else if (!pages.empty()) {
    print_tables(pages, options.each);
  }
  if (pages.empty() && complete) {
    throw Failure(kNothingRead,
                  fmt::format("no pages (*.stats) in {}: did a program make a request there with "
                              "INFLIGHT_STATS set to it?",
                              fmt::join(options.paths, ", ")));
  }
  return complete ? kSuccess : kNothingRead;
}

}  // namespace tool
