// Reading and adding up of statistics pages; the format is that of include/inflight/stats.h.
#include "stats_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <system_error>

#include "failure.h"

namespace tool {

namespace {

constexpr size_t kHeaderSize = offsetof(inflight_stats, value);
constexpr size_t kColumns = sizeof(inflight_stats::value[0]) / sizeof(uint64_t);

constexpr std::array<std::string_view, INFLIGHT_COUNTERS> kNames = {
    "reads",      "writes",    "fsyncs",       "lists",         "suspends",        "cancels",
    "by_inline",  "by_kaio",   "by_ring",      "by_stream",     "by_pool",         "succeeded",
    "failed",     "canceled",  "signals_sent", "callbacks_run", "threads_started", "on_files",
    "on_streams", "on_others", "bytes_read",   "bytes_written"};
static_assert(!kNames.back().empty(), "a counter was added without a name");

[[noreturn]] void refuse(const std::string& path, const std::string& reason) {
  throw Failure(kNothingRead, fmt::format("{}: {}", path, reason));
}

std::string contents_of(const std::string& path) {
  std::error_code error;
  if (std::filesystem::exists(path, error) && !std::filesystem::is_regular_file(path, error)) {
    refuse(path, "is not a regular file");
  }
  std::ifstream stream(path, std::ios::binary);
  if (!stream) refuse(path, std::strerror(errno));
  // A page is a few KiB; the limit keeps a wrong file (a disk image, /dev/zero) from being slurped.
  constexpr size_t kLimit = size_t{1} << 20;
  std::string content(kLimit, '\0');
  stream.read(content.data(), static_cast<std::streamsize>(kLimit));
  if (stream.bad()) refuse(path, "cannot be read");
  content.resize(static_cast<size_t>(stream.gcount()));
  return content;
}

// What follows the counters; pages of the library's first version end with them.
void read_details(const std::string& content, Page& page) {
  if (content.size() < sizeof(inflight_stats)) return;
  const auto stats = std::make_unique<inflight_stats>();
  std::memcpy(stats.get(), content.data(), sizeof(inflight_stats));
  std::memcpy(page.sums.errors.data(), stats->errors, sizeof stats->errors);
  std::memcpy(page.sums.times.data(), stats->times, sizeof stats->times);
  for (const inflight_descriptor& descriptor : stats->descriptors) {
    if (descriptor.number != 0) page.descriptors.push_back(descriptor);
  }
}

template <class Numbers>
void add_each(Numbers& total, const Numbers& part) {
  for (size_t i = 0; i < total.size(); ++i) total[i] += part[i];
}

}  // namespace

std::string_view counter_name(inflight_counter counter) { return kNames.at(counter); }

Page read_page(const std::string& path) {
  const std::string content = contents_of(path);
  inflight_stats header{};
  if (content.empty()) {
    refuse(path, "is empty: its process found no room for it (a full disk, ulimit -f)");
  }
  if (content.size() < kHeaderSize) {
    refuse(path, fmt::format("is no statistics page: {} bytes are too few", content.size()));
  }
  std::memcpy(&header, content.data(), kHeaderSize);
  if (header.magic == 0) refuse(path, "is not filled in yet: its process was just starting");
  if (header.magic != INFLIGHT_STATS_MAGIC) {
    refuse(path, "is no statistics page: the first eight bytes are not \"istatfl1\"");
  }
  const size_t row_size = kColumns * sizeof(uint64_t);
  if (header.shards == 0 || header.shards > (content.size() - kHeaderSize) / row_size) {
    refuse(path, fmt::format("is cut short or damaged: {} bytes do not hold {} rows of counters",
                             content.size(), header.shards));
  }

  Page page;
  page.file = path;
  page.pid = header.pid;
  page.program.assign(header.program, strnlen(header.program, sizeof header.program));
  // An older library has fewer counters (the rest stay 0), a newer one has some unknown here.
  const size_t known = std::min<size_t>({header.counters, INFLIGHT_COUNTERS, kColumns});
  for (size_t shard = 0; shard < header.shards; ++shard) {
    std::array<uint64_t, kColumns> row;
    std::memcpy(row.data(), content.data() + kHeaderSize + shard * row_size, row_size);
    for (size_t counter = 0; counter < known; ++counter) page.sums.counts[counter] += row[counter];
  }
  if (header.shards == INFLIGHT_STATS_SHARDS) read_details(content, page);
  return page;
}

std::vector<std::string> find_pages(const std::vector<std::string>& paths) {
  namespace fs = std::filesystem;
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      if (error) refuse(path, error.message());
      files.push_back(path);
      continue;
    }
    std::vector<std::string> found;
    fs::directory_iterator entries(path, error);
    if (error) refuse(path, error.message());
    for (const fs::directory_entry& entry : entries) {
      if (entry.path().extension() == ".stats") found.push_back(entry.path().string());
    }
    std::sort(found.begin(), found.end());
    files.insert(files.end(), found.begin(), found.end());
  }
  return files;
}

Sums add_up(const std::vector<Page>& pages) {
  Sums total;
  for (const Page& page : pages) {
    add_each(total.counts, page.sums.counts);
    add_each(total.errors, page.sums.errors);
    for (int operation = 0; operation < INFLIGHT_OPERATIONS; ++operation) {
      for (int phase = 0; phase < INFLIGHT_PHASES; ++phase) {
        add_each(total.times[operation][phase], page.sums.times[operation][phase]);
      }
    }
  }
  return total;
}

}  // namespace tool
