// Reads what belongs to others: each number for itself, so that they are of about the same moment.
#include "runtime/query.h"

#include <errno.h>

#include "runtime/start.h"

namespace inflight::runtime {
namespace {

using engine::Choice;
using engine::Kaio;

uint32_t number_of(Choice choice) {
  switch (choice) {
    case Choice::ring:
      return INFLIGHT_ENGINE_URING;
    case Choice::kaio:
      return INFLIGHT_ENGINE_KAIO;
    case Choice::threads:
      return INFLIGHT_ENGINE_THREADS;
    case Choice::automatic:
      break;
  }
  return INFLIGHT_ENGINE_AUTO;
}

}  // namespace

int describe(inflight_info& info) {
  engine::Process* process = start();
  if (process == nullptr) return -ENOMEM;
  info.preferred = number_of(process->choice);
  info.usable = 1U << INFLIGHT_ENGINE_THREADS;
  const auto tell = [&](inflight_engine engine, bool usable, bool tried) {
    if (usable) info.usable |= 1U << engine;
    if (!tried) info.untried |= 1U << engine;
  };
  {
    const sys::SignalBlock signals;
    sys::Guard guard(process->core.lock);
    const engine::Streams& streams = process->streams;
    tell(INFLIGHT_ENGINE_URING, streams.had_ring && !streams.no_ring,
         streams.had_ring || streams.no_ring);
  }
  const Kaio::Status kaio = process->kaio.status.load(std::memory_order_acquire);
  tell(INFLIGHT_ENGINE_KAIO, kaio == Kaio::Status::ready,
       kaio == Kaio::Status::ready || kaio == Kaio::Status::unusable);
  info.outstanding = process->core.outstanding.load();
  info.threads = static_cast<uint32_t>(process->pool.limit);
  info.counting = process->statistics() != nullptr ? 1 : 0;
  info.inline_limit = process->inline_limit;
  info.spin = static_cast<uint64_t>(process->spin);
  return 0;
}

int add_up(inflight_counts& counts) {
  const engine::Process* process = started();
  inflight_stats* stats = process != nullptr ? process->statistics() : nullptr;
  if (stats == nullptr) return -ENODATA;
  for (auto& row : stats->value) {
    for (int counter = 0; counter < INFLIGHT_COUNTERS; ++counter) {
      counts.value[counter] +=
          std::atomic_ref<uint64_t>(row[counter]).load(std::memory_order_relaxed);
    }
  }
  return 0;
}

}  // namespace inflight::runtime
