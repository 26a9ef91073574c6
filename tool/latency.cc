#include "latency.h"

#include <fmt/format.h>

#include <cmath>

namespace tool {

uint64_t total_of(const Histogram& histogram) {
  uint64_t total = 0;
  for (const uint64_t count : histogram) total += count;
  return total;
}

uint64_t time_at(const Histogram& histogram, double share) {
  const uint64_t total = total_of(histogram);
  if (total == 0) return 0;
  const auto wanted = static_cast<uint64_t>(std::ceil(share * static_cast<double>(total)));
  uint64_t passed = 0;
  for (uint32_t bucket = 0; bucket < INFLIGHT_STATS_BUCKETS; ++bucket) {
    passed += histogram[bucket];
    if (histogram[bucket] == 0 || passed < wanted) continue;
    return (inflight_bucket_begin(bucket) + inflight_bucket_begin(bucket + 1)) / 2;
  }
  return 0;
}

std::string time_text(uint64_t nanoseconds) {
  const auto time = static_cast<double>(nanoseconds);
  if (time < 1e3) return fmt::format("{} ns", nanoseconds);
  if (time < 1e6) return fmt::format("{:.3g} us", time / 1e3);
  if (time < 1e9) return fmt::format("{:.3g} ms", time / 1e6);
  return fmt::format("{:.3g} s", time / 1e9);
}

}  // namespace tool
