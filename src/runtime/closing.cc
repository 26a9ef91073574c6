// Runs on the thread that closes. A child of vfork shares this memory but has descriptors of its
// own: it is told by its process id, and leaves the parent's requests alone.
#include "runtime/closing.h"

#include "engine/dispatch.h"
#include "engine/submit.h"
#include "runtime/start.h"
#include "runtime/waiting.h"

namespace inflight::runtime {
namespace {

using core::Effects;
using core::FileKind;
using core::Request;
using core::State;
using engine::Process;
using engine::Stopped;

constexpr long kMomentMicroseconds = 20;
constexpr long kLingerMilliseconds = 100;

// What one look at the requests of the range has shown.
struct Look {
  bool disowns = false;    // no longer wait for what may or may not finish
  bool undecided = false;  // one is in State::moving
  bool waits = false;      // one on a disk file must finish first
  bool lingers = false;    // one may or may not finish
};

bool must_finish(const Request& request) {
  if (request.may_block) return false;
  return request.kind == FileKind::disk || request.state == State::running;
}

// A worker has it, and nobody knows whether it will ever finish.
bool may_linger(const Request& request) {
  return request.state == State::running && request.may_block;
}

void look_at(Process& process, Request& request, Wait& wait, Look& look, Effects& effects) {
  const bool finite = must_finish(request);
  if (may_linger(request) && look.disowns) {
    request.disown();
    return;
  }
  if (finite || may_linger(request)) {
    if (!look.waits && !look.lingers) wait.watch(request.first_waiter);
    (finite ? look.waits : look.lingers) = true;
    return;
  }
  look.undecided |= engine::stop(process, request, true, effects) == Stopped::not_yet;
}

void look_at_file(Process& process, core::File& file, uint32_t first, uint32_t last, Wait& wait,
                  Look& look, Effects& effects) {
  // From the last to the first, so that stopping one starts none that is still to be stopped.
  Request* next = file.all.last();
  while (next != nullptr) {
    Request& request = *next;
    const bool is_last = file.all.first() == &request;
    next = core::FileRequests::previous(request);
    const auto number = static_cast<uint32_t>(request.fd);
    if (number >= first && number <= last) look_at(process, request, wait, look, effects);
    if (is_last) return;  // the file may be gone
  }
}

void look_at_range(Process& process, uint32_t first, uint32_t last, Wait& wait, Look& look,
                   Effects& effects) {
  if (first == last) {
    const auto fd = static_cast<int>(first);
    const engine::Target target = engine::examine(process, fd, core::Operation::fsync);
    // What cannot be examined is not open, as a rule; else its requests must be looked for.
    if (target.kind != FileKind::closed) {
      sys::Guard guard(process.core.lock);
      core::File* file = core::find_file(process.core, target.key);
      if (file != nullptr) look_at_file(process, *file, first, last, wait, look, effects);
      return;
    }
  }
  sys::Guard guard(process.core.lock);
  for (core::File*& bucket : process.core.buckets) {
    for (core::File* file = bucket; file != nullptr;) {
      core::File* next = file->next_in_bucket;
      look_at_file(process, *file, first, last, wait, look, effects);
      file = next;
    }
  }
}

}  // namespace

ClosingScope::ClosingScope(uint32_t first, uint32_t last)
    : process_(started()), first_(first), last_(last), cleanup_(abandoned, this) {
  if (process_ == nullptr) return;
  mark_ = process_->closing.begin(first, last);
  // One that was cancelled before may be polled still.
  if (process_->core.outstanding.load() != 0 || process_->streams.holds_stopped.load()) {
    settle_requests();
  }
  process_->closing.enter(mark_);
}

ClosingScope::~ClosingScope() { end(); }

void ClosingScope::end() {
  if (process_ != nullptr) process_->closing.end(mark_);
}

void ClosingScope::settle_requests() const {
  if (sys::process_id() != process_->pid) return;
  bool lingered = false;
  for (;;) {
    core::WaitLink link;
    Wait wait(*process_, process_->epoch.load(), &link);
    Look look;
    look.disowns = lingered;
    {
      const sys::SignalBlock signals;
      Effects effects;
      look_at_range(*process_, first_, last_, wait, look, effects);
      engine::carry_out(*process_, effects);
    }
    if (process_->streams.holds_stopped.load()) engine::sync_streams(*process_);
    if (look.waits) {
      wait.sleep_through(nullptr);
    } else if (look.lingers) {
      // Long enough for the worker to have entered the system call: then the kernel holds the
      // file, whatever becomes of its number. The next look disowns what is still there.
      const timespec deadline = sys::deadline_after(kLingerMilliseconds);
      wait.sleep_through(&deadline);
      lingered = true;
    } else if (look.undecided) {
      sys::nap(kMomentMicroseconds);
    } else {
      return;
    }
  }
}

}  // namespace inflight::runtime
