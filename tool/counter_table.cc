// The counters in groups, each with its share of the group's whole.
#include "counter_table.h"

#include <fmt/format.h>

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
      {"on",
       true,
       {{INFLIGHT_ON_FILES, "files and block devices"},
        {INFLIGHT_ON_STREAMS, "pipes, sockets, terminals"},
        {INFLIGHT_ON_OTHERS, "anything else"}}},
      {"ended",
       true,
       {{INFLIGHT_SUCCEEDED, "with success"},
        {INFLIGHT_FAILED, "with an error"},
        {INFLIGHT_CANCELED, "canceled"}}},
      {"bytes", false, {{INFLIGHT_BYTES_READ, "read"}, {INFLIGHT_BYTES_WRITTEN, "written"}}},
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

void print_section(FILE* stream, const Section& section, const Counts& counts) {
  uint64_t whole = 0;
  for (const Line& line : section.lines) whole += counts[line.counter];
  if (section.shares) {
    fmt::print(stream, "{:<32}{:>18}\n", section.title, grouped(whole));
  } else {
    fmt::print(stream, "{}\n", section.title);
  }
  for (const Line& line : section.lines) {
    const uint64_t count = counts[line.counter];
    fmt::print(stream, "  {:<30}{:>18}", line.label, grouped(count));
    if (section.shares && whole != 0) {
      fmt::print(stream, "  {:>5.1f} %",
                 100.0 * static_cast<double>(count) / static_cast<double>(whole));
    }
    fmt::print(stream, "\n");
  }
}

}  // namespace

std::string grouped(uint64_t number) {
  std::string text = std::to_string(number);
  for (size_t place = text.size(); place > 3; place -= 3) text.insert(place - 3, 1, ',');
  return text;
}

void print_counts(FILE* stream, const Counts& counts) {
  for (const Section& section : sections()) print_section(stream, section, counts);
}

nlohmann::ordered_json json_of(const Counts& counts) {
  nlohmann::ordered_json object;
  for (int counter = 0; counter < INFLIGHT_COUNTERS; ++counter) {
    object[std::string(counter_name(static_cast<inflight_counter>(counter)))] = counts[counter];
  }
  return object;
}

}  // namespace tool
