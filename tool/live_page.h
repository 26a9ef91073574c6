// The statistics page of a running process, mapped.
#pragma once

#include <inflight/stats.h>
#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "stats_page.h"

namespace tool {

// What a page held at one moment.
struct Snapshot {
  std::chrono::steady_clock::time_point when;
  Sums sums;
  std::vector<inflight_descriptor> descriptors;
};

// Says in the page that somebody watches, as long as it lives: then the process notes times.
class LivePage {
 public:
  // A Failure when there is no such process, or when it has no page.
  explicit LivePage(pid_t pid);
  ~LivePage();
  LivePage(const LivePage&) = delete;
  LivePage& operator=(const LivePage&) = delete;

  std::string program() const;
  Snapshot look() const;

  // False when the process has ended, or has become another program.
  bool is_alive() const;

 private:
  pid_t pid_;
  std::string path_;
  inflight_stats* stats_;
};

}  // namespace tool
