// The page is found in the process's own list of mappings, so that nobody has to know its
// directory.
#include "live_page.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "failure.h"

namespace tool {

namespace {

// The process's number as it knows it itself, which is what its page says.
int32_t own_number(pid_t pid) {
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("NSpid:")) return std::stoi(line.substr(line.find_last_of(" \t")));
  }
  return pid;
}

// A forked process has its parent's page mapped as well; only one with its own number counts.
std::string find_page(pid_t pid) {
  std::ifstream maps(fmt::format("/proc/{}/maps", pid));
  if (!maps) {
    throw Failure(kNothingRead, fmt::format("process {}: {}", pid,
                                            errno == ENOENT ? "there is none" : strerror(errno)));
  }
  const std::string own = fmt::format("/{}-", own_number(pid));
  std::string found;
  for (std::string line; std::getline(maps, line);) {
    const size_t path = line.find('/');
    if (path == std::string::npos || !line.ends_with(".stats")) continue;
    if (line.compare(line.rfind('/'), own.size(), own) == 0) found = line.substr(path);
  }
  if (maps.bad()) throw Failure(kNothingRead, fmt::format("process {}: {}", pid, strerror(errno)));
  if (!found.empty()) return found;
  throw Failure(kNothingRead,
                fmt::format("process {} has no statistics page: either it has made no asynchronous "
                            "request yet, or it was started without one (inflight run --stats, or "
                            "INFLIGHT_STATS=DIRECTORY)",
                            pid));
}

inflight_stats* map_page(pid_t pid, const std::string& path) {
  // Through the process, whose root and mounts may be others.
  const std::string name = fmt::format("/proc/{}/root{}", pid, path);
  const int file = open(name.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) throw Failure(kNothingRead, fmt::format("{}: {}", name, strerror(errno)));
  struct stat status {};
  void* memory = MAP_FAILED;
  if (fstat(file, &status) == 0 && status.st_size >= static_cast<off_t>(sizeof(inflight_stats))) {
    memory = mmap(nullptr, sizeof(inflight_stats), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  }
  close(file);
  if (memory == MAP_FAILED) throw Failure(kNothingRead, fmt::format("{}: cannot be mapped", name));
  auto* stats = static_cast<inflight_stats*>(memory);
  if (stats->magic != INFLIGHT_STATS_MAGIC || stats->shards != INFLIGHT_STATS_SHARDS) {
    munmap(memory, sizeof(inflight_stats));
    throw Failure(kNothingRead, fmt::format("{}: is of another version of the library", name));
  }
  return stats;
}

}  // namespace

LivePage::LivePage(pid_t pid) : pid_(pid), path_(find_page(pid)), stats_(map_page(pid, path_)) {
  std::atomic_ref<uint32_t>(stats_->watchers).fetch_add(1);
}

LivePage::~LivePage() {
  std::atomic_ref<uint32_t>(stats_->watchers).fetch_sub(1);
  munmap(stats_, sizeof(inflight_stats));
}

std::string LivePage::program() const {
  return {stats_->program, strnlen(stats_->program, sizeof stats_->program)};
}

Snapshot LivePage::look() const {
  Snapshot snapshot;
  snapshot.when = std::chrono::steady_clock::now();
  for (const auto& row : stats_->value) {
    for (int counter = 0; counter < INFLIGHT_COUNTERS; ++counter) {
      snapshot.sums.counts[counter] +=
          std::atomic_ref<const uint64_t>(row[counter]).load(std::memory_order_relaxed);
    }
  }
  std::memcpy(snapshot.sums.errors.data(), stats_->errors, sizeof stats_->errors);
  std::memcpy(snapshot.sums.times.data(), stats_->times, sizeof stats_->times);
  for (const inflight_descriptor& descriptor : stats_->descriptors) {
    if (descriptor.number == 0) break;
    snapshot.descriptors.push_back(descriptor);
  }
  return snapshot;
}

bool LivePage::is_alive() const {
  std::ifstream maps(fmt::format("/proc/{}/maps", pid_));
  for (std::string line; std::getline(maps, line);) {
    if (line.ends_with(path_)) return true;
  }
  return false;
}

}  // namespace tool
