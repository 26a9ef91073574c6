// Reading the environment at the start. Runs once per process under the process lock; the reports
// are remembered in ordinary memory, so that forked children do not repeat them.
#include "runtime/config.h"

#include <stdlib.h>
#include <string.h>

#include "sys/memory.h"

namespace inflight::runtime {
namespace {

using engine::Choice;

constexpr size_t kLongestPath = 4096;
constexpr int kPagesPerPid = 100;
constexpr long kDefaultSpans = 262'144;
constexpr long kMostSpans = 1L << 24;

// A line put together without stdio, which a handler may have interrupted.
class Text {
 public:
  Text& add(const char* part) {
    const size_t length = strlen(part);
    const size_t room = sizeof buffer_ - 1 - length_;
    const size_t taken = length < room ? length : room;
    memcpy(buffer_ + length_, part, taken);
    length_ += taken;
    buffer_[length_] = '\0';
    return *this;
  }
  Text& add(long number) {
    char digits[24];
    char* end = digits + sizeof digits - 1;
    *end = '\0';
    do {
      *--end = static_cast<char>('0' + number % 10);
      number /= 10;
    } while (number > 0);
    return add(end);
  }
  const char* c_str() const { return buffer_; }
  size_t length() const { return length_; }

 private:
  char buffer_[kLongestPath] = {};
  size_t length_ = 0;
};

void report(bool& reported, const char* variable, const char* value, const char* expected) {
  if (reported) return;
  reported = true;
  Text text;
  text.add("inflight: ").add(variable).add("=").add(value).add(": expected ").add(expected);
  text.add("; using the default\n");
  sys::write_next(2, text.c_str(), text.length());
}

bool parse_number(const char* text, long most, long& number) {
  char* end = nullptr;
  number = strtol(text, &end, 10);
  return *text != '\0' && *end == '\0' && number >= 0 && number <= most;
}

void read_number(const char* variable, long most, const char* expected, bool& reported,
                 long& value) {
  const char* text = getenv(variable);
  long number;
  if (text == nullptr) return;
  if (parse_number(text, most, number)) {
    value = number;
  } else {
    report(reported, variable, text, expected);
  }
}

Choice read_choice() {
  static bool reported = false;
  const char* text = getenv("INFLIGHT_ENGINE");
  if (text == nullptr || strcmp(text, "auto") == 0) return Choice::automatic;
  if (strcmp(text, "uring") == 0) return Choice::ring;
  if (strcmp(text, "kaio") == 0) return Choice::kaio;
  if (strcmp(text, "threads") == 0) return Choice::threads;
  report(reported, "INFLIGHT_ENGINE", text, "auto, uring, kaio or threads");
  return Choice::automatic;
}

// Makes and maps DIRECTORY/PID-N.suffix, if the variable names a directory.
void* open_page(const char* variable, const char* suffix, size_t bytes, pid_t pid, bool& reported) {
  const char* directory = getenv(variable);
  if (directory == nullptr || *directory == '\0') return nullptr;
  for (int page = 1; page <= kPagesPerPid; ++page) {
    Text path;
    path.add(directory).add("/").add(pid).add("-").add(page).add(suffix);
    bool exists;
    void* memory = sys::create_shared_file(path.c_str(), bytes, exists);
    if (memory != nullptr) return memory;
    if (!exists) break;
  }
  report(reported, variable, directory, "a directory to write to, with room");
  return nullptr;
}

template <size_t length>
void copy_program(char (&program)[length]) {
  char name[16] = {};
  static_assert(length >= sizeof name);
  sys::copy_name_of_this_thread(name);
  memcpy(program, name, sizeof name);
}

}  // namespace

Config read_config() {
  static bool threads_reported = false;
  static bool inline_reported = false;
  static bool spin_reported = false;
  Config config;
  config.choice = read_choice();
  long threads = 0;
  read_number("INFLIGHT_THREADS", 1024, "a number from 0 to 1024", threads_reported, threads);
  config.threads = static_cast<int>(threads);
  auto limit = static_cast<long>(config.inline_limit);
  read_number("INFLIGHT_INLINE", 1L << 30, "a number of bytes up to 1073741824", inline_reported,
              limit);
  config.inline_limit = static_cast<size_t>(limit);
  read_number("INFLIGHT_SPIN", 10000, "a number of microseconds up to 10000", spin_reported,
              config.spin);
  return config;
}

inflight_stats* open_statistics(pid_t pid) {
  static bool reported = false;
  auto* stats = static_cast<inflight_stats*>(
      open_page("INFLIGHT_STATS", ".stats", sizeof(inflight_stats), pid, reported));
  if (stats == nullptr) return nullptr;
  copy_program(stats->program);
  stats->counters = INFLIGHT_COUNTERS;
  stats->shards = INFLIGHT_STATS_SHARDS;
  stats->pid = pid;
  const char* times = getenv("INFLIGHT_STATS_TIMES");
  stats->watchers = times != nullptr && strcmp(times, "1") == 0 ? 1 : 0;
  std::atomic_ref<uint64_t>(stats->magic).store(INFLIGHT_STATS_MAGIC);
  return stats;
}

inflight_trace* open_trace(pid_t pid) {
  static bool reported = false;
  static bool spans_reported = false;
  long spans = kDefaultSpans;
  read_number("INFLIGHT_TRACE_SPANS", kMostSpans, "a number up to 16777216", spans_reported, spans);
  const size_t bytes = sizeof(inflight_trace) + static_cast<size_t>(spans) * sizeof(inflight_span);
  auto* trace =
      static_cast<inflight_trace*>(open_page("INFLIGHT_TRACE", ".trace", bytes, pid, reported));
  if (trace == nullptr) return nullptr;
  copy_program(trace->program);
  trace->span_size = sizeof(inflight_span);
  trace->pid = pid;
  trace->capacity = static_cast<uint64_t>(spans);
  std::atomic_ref<uint64_t>(trace->magic).store(INFLIGHT_TRACE_MAGIC);
  return trace;
}

}  // namespace inflight::runtime
