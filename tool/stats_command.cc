// The two forms in which the counters are printed.
#include "stats_command.h"

#include <fmt/format.h>

#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "failure.h"
#include "stats_page.h"

namespace tool {

namespace {

struct Line {
  inflight_counter counter;
  const char* label;
};

struct Section {
  const char* title;
  bool shares;  // the lines are parts of one whole, so their share of it tells something
  std::vector<Line> lines;
};

const std::vector<Section>& sections() {
  static const std::vector<Section> all = {
      {"requests accepted",
       true,
       {{INFLIGHT_READS, "reads"}, {INFLIGHT_WRITES, "writes"}, {INFLIGHT_FSYNCS, "fsyncs"}}},
      {"finished by",
       true,
       {{INFLIGHT_BY_INLINE, "the caller itself (inline)"},
        {INFLIGHT_BY_KAIO, "the kernel's AIO (io_submit)"},
        {INFLIGHT_BY_RING, "io_uring"},
        {INFLIGHT_BY_STREAM, "the stream thread"},
        {INFLIGHT_BY_POOL, "the thread pool"}}},
      {"ended",
       true,
       {{INFLIGHT_SUCCEEDED, "with success"},
        {INFLIGHT_FAILED, "with an error"},
        {INFLIGHT_CANCELED, "canceled"}}},
      {"other calls",
       false,
       {{INFLIGHT_LISTS, "lio_listio"},
        {INFLIGHT_SUSPENDS, "aio_suspend"},
        {INFLIGHT_CANCELS, "aio_cancel"}}},
      {"behind the scenes",
       false,
       {{INFLIGHT_SIGNALS_SENT, "signals sent"},
        {INFLIGHT_CALLBACKS_RUN, "callbacks run"},
        {INFLIGHT_THREADS_STARTED, "threads started"}}},
  };
  return all;
}

std::string grouped(uint64_t number) {
  std::string text = std::to_string(number);
  for (size_t place = text.size(); place > 3; place -= 3) text.insert(place - 3, 1, ',');
  return text;
}

void print_section(const Section& section, const Counts& counts) {
  uint64_t whole = 0;
  for (const Line& line : section.lines) whole += counts[line.counter];
  if (section.shares) {
    fmt::print("{:<32}{:>18}\n", section.title, grouped(whole));
  } else {
    fmt::print("{}\n", section.title);
  }
  for (const Line& line : section.lines) {
    const uint64_t count = counts[line.counter];
    fmt::print("  {:<30}{:>18}", line.label, grouped(count));
    if (section.shares && whole != 0) {
      fmt::print("  {:>5.1f} %", 100.0 * static_cast<double>(count) / static_cast<double>(whole));
    }
    fmt::print("\n");
  }
}

void print_counts(const Counts& counts) {
  for (const Section& section : sections()) print_section(section, counts);
}

void print_tables(const std::vector<Page>& pages, bool each) {
  if (each) {
    for (const Page& page : pages) {
      fmt::print("{}, process {} ({})\n\n", page.program, page.pid, page.file);
      print_counts(page.counts);
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
  print_counts(add_up(pages));
}

nlohmann::ordered_json json_of(const Counts& counts) {
  nlohmann::ordered_json object;
  for (int counter = 0; counter < INFLIGHT_COUNTERS; ++counter) {
    object[std::string(counter_name(static_cast<inflight_counter>(counter)))] = counts[counter];
  }
  return object;
}

void print_json(const std::vector<Page>& pages) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Page& page : pages) {
    list.push_back({{"file", page.file},
                    {"program", page.program},
                    {"pid", page.pid},
                    {"counters", json_of(page.counts)}});
  }
  const nlohmann::ordered_json document = {{"pages", list}, {"total", json_of(add_up(pages))}};
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
      fmt::print(stderr, "inflight stats: {}\n", failure.what());
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
