// Reads the statistics pages that processes running on inflight leave (include/inflight/stats.h).
//
// A page may come from another version of the library than this tool, and its process may be
// writing it at this moment; so the header is believed only as far as the file's size allows.
#pragma once

#include <inflight/stats.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tool {

// A counter's place in `Counts` is its enum inflight_counter.
using Counts = std::array<uint64_t, INFLIGHT_COUNTERS>;

using Errors = std::array<uint64_t, INFLIGHT_STATS_ERRORS>;
using Histogram = std::array<uint64_t, INFLIGHT_STATS_BUCKETS>;
using Times = std::array<std::array<Histogram, INFLIGHT_PHASES>, INFLIGHT_OPERATIONS>;

// What can be added up of a page.
struct Sums {
  Counts counts{};
  Errors errors{};
  Times times{};
};

struct Page {
  std::string file;
  std::string program;
  int64_t pid = 0;
  Sums sums;
  std::vector<inflight_descriptor> descriptors;
};

// The name a counter has in JSON: the enumerator, lower case and without its prefix.
std::string_view counter_name(inflight_counter counter);

// The page, or a Failure that names the file and what is wrong with it.
Page read_page(const std::string& path);

// What the arguments name: files as they are, and of directories the *.stats files, by name.
// A path that does not exist is a Failure; a directory without pages adds nothing.
std::vector<std::string> find_pages(const std::vector<std::string>& paths);

Sums add_up(const std::vector<Page>& pages);

}  // namespace tool
