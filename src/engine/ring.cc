// The ring's memory and its two queues. Runs on the stream thread only. Index loads and stores
// that the kernel shares are acquire and release, as io_uring(7) asks.
#include "engine/ring.h"

#include <errno.h>

#include <atomic>

#include "sys/memory.h"
#include "sys/signals.h"

namespace inflight::engine {
namespace {

// Newer than Debian 12's <linux/io_uring.h>.
constexpr unsigned kSetupNoMmap = 1U << 14;
constexpr unsigned kSetupRegisteredOnly = 1U << 15;

constexpr unsigned kMostRefusals = 1000;  // a filter may say EAGAIN, too, and will for ever

constexpr size_t kRingBytes = 64 * 1024;
constexpr size_t kSqeBytes = Ring::kEntries * sizeof(io_uring_sqe);

// The header's reserved words at the end of each offsets struct became the memory's address.
void set_addresses(io_uring_params& parameters, void* ring, void* sqes) {
  parameters.cq_off.resv2 = reinterpret_cast<uint64_t>(ring);
  parameters.sq_off.resv2 = reinterpret_cast<uint64_t>(sqes);
}

unsigned load_acquire(unsigned* word) {
  return std::atomic_ref<unsigned>(*word).load(std::memory_order_acquire);
}

void store_release(unsigned* word, unsigned value) {
  std::atomic_ref<unsigned>(*word).store(value, std::memory_order_release);
}

}  // namespace

bool Ring::open() {
  *this = {};
  memory = sys::map_pages(kRingBytes, sys::OnFork::unmap);
  sqe_memory = sys::map_pages(kSqeBytes, sys::OnFork::unmap);
  io_uring_params parameters{};
  parameters.flags =
      kSetupNoMmap | kSetupRegisteredOnly | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
  set_addresses(parameters, memory, sqe_memory);
  const long result =
      memory == nullptr || sqe_memory == nullptr ? -ENOMEM : sys::ring_setup(kEntries, parameters);
  if (result < 0) {
    close();
    return false;
  }
  number = static_cast<int>(result);
  auto* base = static_cast<char*>(memory);
  const auto word = [base](unsigned offset) { return reinterpret_cast<unsigned*>(base + offset); };
  sqes = static_cast<io_uring_sqe*>(sqe_memory);
  sq_head = word(parameters.sq_off.head);
  sq_tail = word(parameters.sq_off.tail);
  sq_flags = word(parameters.sq_off.flags);
  sq_mask = *word(parameters.sq_off.ring_mask);
  cq_head = word(parameters.cq_off.head);
  cq_tail = word(parameters.cq_off.tail);
  cq_mask = *word(parameters.cq_off.ring_mask);
  cqes = reinterpret_cast<io_uring_cqe*>(base + parameters.cq_off.cqes);
  // Entry i of the submission array always names sqe i.
  unsigned* array = word(parameters.sq_off.array);
  for (unsigned i = 0; i <= sq_mask; ++i) array[i] = i;
  return true;
}

void Ring::close() {
  // The kernel drops the registered ring itself when the thread that owns it ends.
  if (memory != nullptr) sys::unmap_pages(memory, kRingBytes);
  if (sqe_memory != nullptr) sys::unmap_pages(sqe_memory, kSqeBytes);
  *this = {};
}

io_uring_sqe* Ring::next_entry() {
  const unsigned tail = *sq_tail;  // only this thread writes it
  if (tail - load_acquire(sq_head) > sq_mask) return nullptr;
  io_uring_sqe* entry = &sqes[tail & sq_mask];
  *entry = {};
  // Nothing reads the tail before the enter call, so it may move before the entry is filled in.
  store_release(sq_tail, tail + 1);
  ++to_submit;
  return entry;
}

long Ring::enter(bool wait, const timespec* timeout) {
  const sys::SignalMask mask = sys::kNudgeableMask;
  io_uring_getevents_arg argument{};
  argument.sigmask = reinterpret_cast<uint64_t>(&mask);
  argument.sigmask_sz = sizeof mask;
  argument.ts = reinterpret_cast<uint64_t>(timeout);
  constexpr unsigned kFlags =
      IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG | IORING_ENTER_REGISTERED_RING;
  const long result = sys::ring_enter(number, to_submit, wait ? 1 : 0, kFlags, &argument);
  if (result > 0) to_submit -= static_cast<unsigned>(result);
  const bool refused_for_now = result == -EBUSY || result == -EAGAIN;
  refused = refused_for_now ? refused + 1 : 0;
  if (result >= 0) return 0;
  const bool passing = result == -ETIME || result == -EINTR || refused_for_now;
  if (!passing || refused > kMostRefusals) return result;
  to_submit = *sq_tail - load_acquire(sq_head);  // the entries may have gone all the same
  return 0;
}

bool Ring::has_completion() const { return *cq_head != load_acquire(cq_tail); }

bool Ring::has_work() const { return (load_acquire(sq_flags) & IORING_SQ_TASKRUN) != 0; }

bool Ring::take(io_uring_cqe& completion) {
  const unsigned head = *cq_head;  // only this thread writes it
  if (head == load_acquire(cq_tail)) return false;
  completion = cqes[head & cq_mask];
  store_release(cq_head, head + 1);
  return true;
}

}  // namespace inflight::engine
