// Submission by whoever carries out the effects, completion on one helper thread or a leader. A
// submitted request belongs to the kernel until its event arrives; `in_flight` keeps the thread
// alive for it. All of Kaio but `status` and `context` is guarded by the process lock.
#include "engine/kaio.h"

#include <errno.h>

#include "engine/dispatch.h"
#include "engine/observe.h"

namespace inflight::engine {
namespace {

using core::Effects;
using core::Request;

constexpr unsigned kCapacities[] = {2048, 256, 32};  // the system's total is limited: aio-max-nr
constexpr int kBatch = 64;
// So many at once; also what a handler's own small stack has room for.
constexpr int kMostAtOnce = 16;
// So many in the kernel make a file busy. The wait for the next completion is then a quarter of a
// transfer at most, on average.
constexpr uint32_t kBusy = 4;
constexpr long kLongestLead = 2'000'000;  // nanoseconds that a leader waits with signals blocked
constexpr long kLookMilliseconds = 1;
constexpr int kQuietLooks = 16;
constexpr uint32_t kFirstDemand = 8;
constexpr uint32_t kLastDemand = 4096;

// Sets the context up once. Others carry on without kernel AIO meanwhile.
bool open_context(Kaio& kaio) {
  auto status = Kaio::Status::untried;
  if (!kaio.status.compare_exchange_strong(status, Kaio::Status::opening)) {
    return status == Kaio::Status::ready;
  }
  for (const unsigned capacity : kCapacities) {
    if (sys::kaio_setup(capacity, kaio.context) == 0) {
      kaio.status.store(Kaio::Status::ready);
      return true;
    }
  }
  kaio.status.store(Kaio::Status::unusable);
  return false;
}

void ring(Kaio& kaio, Effects& effects) {
  kaio.doorbell.fetch_add(1, std::memory_order_relaxed);  // the lock orders it
  effects.wake(kaio.doorbell);
}

// Notes how requests are made; a crowd needs the thread. Lock held.
void note_submission(Kaio& kaio, const Request& request, Effects& effects) {
  ++kaio.submitted;
  const bool lone = kaio.in_flight == 1 && request.group == nullptr &&
                    request.notice.what.kind == core::Notification::Kind::none;
  if (!lone || kaio.unled) kaio.streak = 0;
  kaio.unled = lone;
  if (!lone && kaio.passive && !kaio.has_leader) ring(kaio, effects);
}

void on_event(Process& process, const io_event& event, core::Effects& effects) {
  sys::Guard guard(process.core.lock);
  --process.kaio.in_flight;
  if (!process.kaio.held.empty()) effects.submit = true;
  Request* request = core::find(process.core, event.data);
  if (request == nullptr) return;
  --request->file->in_kernel;
  // EAGAIN: it would have blocked. EINVAL: the pool asks once more, and gives the true answer.
  if (event.res == -EAGAIN || event.res == -EINVAL || event.res == -EOPNOTSUPP) {
    push(process, *request, effects);
  } else {
    end_or_continue(process, *request, event.res, effects);
  }
}

// A batch of held requests on its way into the kernel.
struct Batch {
  int count = 0;
  Request* requests[kMostAtOnce];
  iocb controls[kMostAtOnce];
  iocb* list[kMostAtOnce];

  void add(Request& request) {
    iocb& control = controls[count];
    control = {};
    control.aio_data = request.ticket();
    control.aio_lio_opcode = request.is_write() ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
    control.aio_fildes = static_cast<uint32_t>(request.fd);
    control.aio_buf = reinterpret_cast<uint64_t>(request.next_byte());
    control.aio_nbytes = request.left();
    control.aio_offset = request.offset + static_cast<off_t>(request.done);
    control.aio_rw_flags = RWF_NOWAIT;
    list[count] = &control;
    requests[count++] = &request;
  }
};

// False if nothing is held.
bool take_held(Process& process, Batch& batch, Effects& effects) {
  Kaio& kaio = process.kaio;
  sys::Guard guard(process.core.lock);
  while (batch.count < kMostAtOnce) {
    Request* request = kaio.held.first();
    if (request == nullptr) break;
    remove_from_kaio(process, *request);
    // Before the call: its event may be handled before the call returns.
    request->state = core::State::running;
    observe_start(process, *request);
    ++request->file->in_kernel;
    ++kaio.in_flight;
    note_submission(kaio, *request, effects);
    batch.add(*request);
  }
  if (batch.count == 0) return false;
  if (!kaio.alive && !kaio.wanted) {
    kaio.wanted = true;
    effects.spawn = true;
  }
  return true;
}

// One that the kernel did not take; the pool carries it.
void give_back(Process& process, Request& request, Effects& effects) {
  sys::Guard guard(process.core.lock);
  --process.kaio.in_flight;
  --request.file->in_kernel;
  push(process, request, effects);
}

// Whether a waiting thread may take the completions now; notes that it would.
bool may_lead(Process& process, const aiocb& block) {
  Kaio& kaio = process.kaio;
  const Request* request = core::find(process.core, block);
  if (request == nullptr || request->carrier != core::Carrier::kaio) return false;
  if (request->state != core::State::running || kaio.in_flight != 1) return false;
  if (kaio.unled) ++kaio.streak;
  kaio.unled = false;
  return kaio.passive && !kaio.has_leader;
}

// The thread's passive time: it sleeps, and looks now and then whether a completion is left lying.
void stand_by(Process& process) {
  Kaio& kaio = process.kaio;
  const uint32_t demand = kaio.demand == 0 ? kFirstDemand : kaio.demand;
  sys::Guard guard(process.core.lock);
  kaio.passive = kaio.in_flight == 0 && kaio.streak >= demand;
  for (int quiet = 0; kaio.passive;) {
    const uint32_t rings = kaio.doorbell.load(std::memory_order_relaxed);
    const uint32_t submitted = kaio.submitted;
    process.core.lock.release();
    const timespec soon = sys::deadline_after(kLookMilliseconds);
    sys::futex_wait(kaio.doorbell, rings, &soon);
    process.core.lock.acquire();
    if (kaio.has_leader) continue;
    const bool rung = kaio.doorbell.load(std::memory_order_relaxed) != rings;
    const bool old = kaio.submitted == submitted;
    quiet = old ? quiet + 1 : 0;
    if (kaio.in_flight == 0) {
      kaio.passive = quiet < kQuietLooks;
    } else if (rung || old) {
      kaio.passive = false;
      kaio.streak = 0;
      kaio.demand = demand < kLastDemand ? demand * 2 : demand;
    }
  }
}

}  // namespace

bool suits_kaio(const Process& process, const Request& request) {
  if ((request.status_flags & O_DIRECT) == 0 || !request.is_transfer()) return false;
  if (request.kind != core::FileKind::disk || request.offset < 0 || request.length == 0) {
    return false;
  }
  if (process.choice != Choice::automatic && process.choice != Choice::kaio) return false;
  // A write over RLIMIT_FSIZE raises SIGXFSZ in the thread that submits it; a worker blocks that.
  return !request.is_write() || sys::file_size_limit() == sys::kNoLimit;
}

bool push_to_kaio(Process& process, Request& request, Effects& effects) {
  Kaio& kaio = process.kaio;
  if (kaio.status.load(std::memory_order_acquire) != Kaio::Status::ready && !open_context(kaio)) {
    return false;
  }
  sys::Guard guard(process.core.lock);
  request.state = core::State::queued;
  request.carrier = core::Carrier::kaio;
  kaio.held.push(request);
  const uint32_t count = kaio.held_count.load(std::memory_order_relaxed) + 1;  // the lock orders it
  kaio.held_count.store(count, std::memory_order_relaxed);
  if (request.file->in_kernel < kBusy || count >= kMostAtOnce) effects.submit = true;
  return true;
}

void remove_from_kaio(Process& process, Request& request) {
  process.kaio.held.remove(request);
  process.kaio.held_count.fetch_sub(1, std::memory_order_relaxed);  // the lock orders it
}

void submit_held(Process& process, Effects& effects) {
  for (;;) {
    Batch batch;
    if (!take_held(process, batch, effects)) return;
    for (int i = 0; i < batch.count;) {
      const long taken = sys::kaio_submit(process.kaio.context, batch.list + i, batch.count - i);
      // The first that is refused ends the call.
      if (taken > 0) {
        i += static_cast<int>(taken);
      } else {
        give_back(process, *batch.requests[i++], effects);
      }
    }
  }
}

void hold_nothing_back(Process& process) {
  // Relaxed: what this thread has submitted itself it sees.
  if (process.kaio.held_count.load(std::memory_order_relaxed) == 0) return;
  const sys::SignalBlock signals;
  Effects effects;
  effects.submit = true;
  carry_out(process, effects);
}

void take_events(Process& process, Effects& effects) {
  io_event events[kBatch];
  timespec now{0, 0};
  const long count = sys::kaio_wait(process.kaio.context, events, kBatch, &now);
  for (long i = 0; i < count; ++i) on_event(process, events[i], effects);
}

Led lead_kaio(Process& process, const aiocb& block, const timespec* deadline) {
  Kaio& kaio = process.kaio;
  core::Ticket ticket;
  {
    sys::Guard guard(process.core.lock);
    if (!may_lead(process, block)) return Led::no;
    kaio.has_leader = true;
    ticket = core::ticket_of(block);
  }
  timespec most{0, kLongestLead};
  if (deadline != nullptr) most = sys::time_until(*deadline, most);
  io_event events[kBatch];
  const long count = sys::kaio_wait(kaio.context, events, kBatch, &most);
  Effects effects;
  for (long i = 0; i < count; ++i) on_event(process, events[i], effects);
  bool finished;
  {
    sys::Guard guard(process.core.lock);
    kaio.has_leader = false;
    if (kaio.in_flight > 0) ring(kaio, effects);
    finished = core::find(process.core, ticket) == nullptr;
  }
  carry_out(process, effects);
  return finished ? Led::finished : Led::in_vain;
}

void* kaio_main(void* argument) {
  Process& process = *static_cast<Process*>(argument);
  Kaio& kaio = process.kaio;
  begin_helper("inflight-kaio");
  for (;;) {
    stand_by(process);
    io_event events[kBatch];
    timespec idle{kIdleMilliseconds / 1000, kIdleMilliseconds % 1000 * 1'000'000};
    const long count = sys::kaio_wait(kaio.context, events, kBatch, &idle);
    if (count <= 0) {
      sys::Guard guard(process.core.lock);
      if (kaio.in_flight > 0) continue;  // a slow one, or EINTR
      kaio.alive = false;
      helper_ends(process);
      return nullptr;
    }
    core::Effects effects;
    for (long i = 0; i < count; ++i) on_event(process, events[i], effects);
    carry_out(process, effects);
  }
}

}  // namespace inflight::engine
