// Everything that inflight keeps about the process, in one place that a fork wipes (C23).
//
// The memory is mapped at the first request and advised MADV_WIPEONFORK: a child finds zeros,
// which every part below accepts as "nothing yet": no request, no helper thread, lock free. The
// pointer itself lives in ordinary memory and stays good in the child.
#pragma once

#include <atomic>

#include "core/closing.h"
#include "core/core.h"
#include "engine/kaio.h"
#include "engine/notifier.h"
#include "engine/pool.h"
#include "engine/spawner.h"
#include "engine/streams.h"
#include "inflight/stats.h"
#include "inflight/trace.h"

namespace inflight::engine {

enum class Choice : uint8_t { automatic, ring, kaio, threads };

struct Process {
  // Which start of the library this is: 0 before the first request and in a forked child before
  // its own first. Does not repeat along a line of descent, so code that was interrupted by a fork
  // (a callback that forks, a handler) can tell that the state it knew is gone; as a futex word it
  // ends a wait that the kernel goes on with in the child.
  sys::FutexWord epoch;

  bool is_still(uint32_t known_epoch) const { return epoch.load() == known_epoch; }
  pid_t pid;
  Choice choice;
  size_t inline_limit;  // bytes that the caller copies itself
  long spin;            // nanoseconds to look for any other event than a worker's; 0: never

  // Null unless INFLIGHT_STATS and INFLIGHT_TRACE are set. Without the lock, each is to be read
  // once: a handler may fork in between, and in the child it is null then. What it pointed to stays
  // mapped there, so that the child may finish the call that the handler interrupted.
  std::atomic<inflight_stats*> stats;
  std::atomic<inflight_trace*> trace;
  std::atomic<bool> observed;  // one of the two is there

  inflight_stats* statistics() const { return stats.load(std::memory_order_relaxed); }
  inflight_trace* spans() const { return trace.load(std::memory_order_relaxed); }

  sys::Spin look_for_pool;  // by the program's waits
  sys::Spin look_for_others;

  core::Core core;
  core::Closing closing;
  Pool pool;
  Streams streams;
  Kaio kaio;
  Notifier notifier;
  Spawner spawner;
};

// Null before the first request. Set once, by runtime/start.
extern std::atomic<Process*> process_pointer;

inline Process& process() { return *process_pointer.load(std::memory_order_acquire); }

// Counts in the statistics page, if there is one.
inline void count(const Process& process, inflight_counter counter, uint64_t amount = 1) {
  inflight_stats* stats = process.statistics();
  if (stats == nullptr) return;
  // Threads differ in where their control block lies: that spreads them over the columns.
  const auto here = reinterpret_cast<uintptr_t>(__builtin_thread_pointer());
  const size_t shard = (here >> 12 ^ here >> 6) % INFLIGHT_STATS_SHARDS;
  std::atomic_ref<uint64_t>(stats->value[shard][counter])
      .fetch_add(amount, std::memory_order_relaxed);
}

}  // namespace inflight::engine
