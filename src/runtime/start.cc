// Starting: mapping the state, reading the variables, opening the statistics page. Whoever comes
// first does it, under the process lock with signals blocked; others wait for that lock.
#include "runtime/start.h"

#include "runtime/config.h"

namespace inflight::runtime {
namespace {

using engine::Process;

// Both live in ordinary memory: a child inherits them.
std::atomic<uint32_t> starts{0};
std::atomic<int> wished_threads{0};

// Turns keep the copying to as many as there are processors (core/turns.h); who waits for a disk is
// not in the way, and sixteen keep one busy.
int default_limit() {
  const int count = sys::processor_count() * 2;
  return count < 16 ? 16 : count < 64 ? count : 64;
}

// Microseconds. A stream's event comes soon or late, and looking for it takes processor time from
// who makes it come. A worker and who waits for it meet each other again and again: each looks for
// longer than waking the other takes (some 30 on a virtual machine), or once they have missed each
// other they go on doing so.
constexpr long kSpin = 20;
constexpr long kPoolSpin = 50;

long spin_of(const Config& config, long not_given) {
  if (sys::processor_count() == 1) return 0;
  return 1000 * (config.spin >= 0 ? config.spin : not_given);
}

Process* map_process() {
  Process* process = engine::process_pointer.load(std::memory_order_acquire);
  if (process != nullptr) return process;
  auto* fresh = static_cast<Process*>(sys::map_pages(sizeof(Process), sys::OnFork::wipe));
  if (fresh == nullptr) return nullptr;
  if (engine::process_pointer.compare_exchange_strong(process, fresh)) return fresh;
  sys::unmap_pages(fresh, sizeof(Process));  // another thread was first
  return process;
}

void configure(Process& process) {
  const Config config = read_config();
  process.pid = static_cast<pid_t>(sys::process_id());
  process.choice = config.choice;
  process.inline_limit = config.inline_limit;
  const int processors = sys::processor_count();
  process.pool.most_copies = processors > 1 ? processors - 1 : 1;
  process.spin = spin_of(config, kSpin);
  process.pool.spin = spin_of(config, kPoolSpin);
  const int wish = wished_threads.load(std::memory_order_relaxed);
  process.pool.limit = config.threads > 0 ? config.threads : wish > 0 ? wish : default_limit();
  process.stats = open_statistics(process.pid);
  process.trace = open_trace(process.pid);
  process.observed = process.statistics() != nullptr || process.spans() != nullptr;
}

}  // namespace

Process* start() {
  if (Process* process = started()) {
    engine::watch_program_thread();
    return process;
  }
  Process* process = map_process();
  if (process == nullptr) return nullptr;
  engine::watch_program_thread();
  const sys::SignalBlock signals;
  {
    sys::Guard guard(process->core.lock);
    if (process->epoch.load(std::memory_order_relaxed) == 0) {
      configure(*process);
      process->epoch.store(starts.fetch_add(1) + 1, std::memory_order_release);
    }
  }
  return process;
}

void wish_for_threads(int threads) {
  if (threads > 0) wished_threads.store(threads < 1024 ? threads : 1024);
}

}  // namespace inflight::runtime
