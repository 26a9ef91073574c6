// Choosing an engine for each request, and the one path on which requests end. Runs on submitting
// threads and helper threads alike, signals blocked, without the lock unless a function says so.
#include "engine/dispatch.h"

#include <errno.h>

#include "engine/inline_read.h"
#include "engine/observe.h"

namespace inflight::engine {

std::atomic<Process*> process_pointer{nullptr};

namespace {

using core::Effects;
using core::FileKind;
using core::Operation;
using core::Request;
using core::State;

void end_now(Process& process, Request& request, long result, Effects& effects) {
  sys::Guard guard(process.core.lock);
  end_request(process, request, result, effects);
}

void give_to_pool(Process& process, Request& request, Effects& effects) {
  sys::Guard guard(process.core.lock);
  push(process, request, effects);
}

void give_to_ring(Process& process, Request& request, Effects& effects) {
  sys::Guard guard(process.core.lock);
  push_to_ring(process, request, effects);
}

bool opened_for(const Request& request) {
  const int mode = request.status_flags & O_ACCMODE;
  if ((request.status_flags & O_PATH) != 0) return false;
  return mode == O_RDWR || mode == (request.is_write() ? O_WRONLY : O_RDONLY);
}

void launch_stream(Process& process, Request& request, bool own, Effects& effects) {
  // fsync of a stream is an error at once, which a worker learns from the kernel.
  if (!request.is_transfer()) return give_to_pool(process, request, effects);
  if (!opened_for(request)) return end_now(process, request, -EBADF, effects);
  // No bytes: the plain call waits for nothing, except that an empty message is one to send.
  if (request.length == 0 && !(request.is_socket && request.is_write())) {
    return give_to_pool(process, request, effects);
  }
  // Nothing to wait for, and a plain call cannot block: the flag says so.
  const bool nonblocking = (request.status_flags & O_NONBLOCK) != 0;
  // A pipe write in the caller's thread could raise SIGPIPE there; only sockets can be told not
  // to.
  const bool try_here = own && (process.choice == Choice::automatic || nonblocking) &&
                        (!request.is_write() || request.is_socket);
  if (try_here) {
    long result = 0;
    switch (transfer_without_waiting(request, result)) {
      case Step::ended:
        return end_now(process, request, result, effects);
      case Step::waits:
        break;
      case Step::impossible:
        request.may_block = true;
        break;
    }
  }
  if (nonblocking && !try_here) return give_to_pool(process, request, effects);
  if (nonblocking && request.may_block) {
    return give_to_pool(process, request, effects);
  }
  sys::Guard guard(process.core.lock);
  arm(process, request, try_here, effects);
}

bool reads_through_cache(const Process& process, const Request& request) {
  return process.choice == Choice::automatic && request.operation == Operation::read &&
         (request.status_flags & O_DIRECT) == 0;
}

void launch_disk(Process& process, Request& request, Effects& effects) {
  if (request.may_block) return give_to_pool(process, request, effects);
  if (process.choice == Choice::ring && ring_is_possible(process)) {
    return give_to_ring(process, request, effects);
  }
  if (suits_kaio(process, request) && push_to_kaio(process, request, effects)) return;
  if (reads_through_cache(process, request) && request.length <= process.inline_limit) {
    // With a callback, or taken for a stream, it has not been tried yet.
    const bool calls_back = request.notice.what.kind == core::Notification::Kind::callback;
    if (!request.is_cold && (calls_back || request.length <= kSmallRead)) {
      long result = 0;
      if (read_inline(request.fd, request.buffer, request.length, request.offset, result)) {
        return end_now(process, request, result, effects);
      }
      request.is_cold = true;
    }
    // Not in memory: the ring waits for the disk without a thread.
    if (request.is_cold && ring_is_possible(process))
      return give_to_ring(process, request, effects);
  }
  give_to_pool(process, request, effects);
}

}  // namespace

void begin_helper(const char* name) {
  sys::set_signal_mask(sys::kAllSignals);
  sys::name_this_thread(name);
}

void helper_ends(Process& process) {
  Spawner& spawner = process.spawner;
  if (--spawner.helpers > 0 || !spawner.awaits_end) return;
  spawner.program_thread_ended.store(true);
  spawner.doorbell.fetch_add(1);
  sys::futex_wake(&spawner.doorbell, 1);
}

void launch(Process& process, Request& request, bool own, Effects& effects) {
  switch (request.kind) {
    case FileKind::closed:
      return end_now(process, request, -EBADF, effects);
    case FileKind::stream:
      return launch_stream(process, request, own, effects);
    case FileKind::disk:
      return launch_disk(process, request, effects);
    case FileKind::other:
      request.may_block = true;
      return give_to_pool(process, request, effects);
  }
}

void end_request(Process& process, Request& request, long result, Effects& effects) {
  const int error = result < 0 ? static_cast<int>(-result) : 0;
  const ssize_t returned = error == 0 ? result : -1;
  observe_end(process, request, error, returned);
  core::finish(process.core, request, error, returned, effects);
}

void end_or_continue(Process& process, Request& request, long result, Effects& effects) {
  if (result > 0) request.done += static_cast<size_t>(result);
  const bool cut_short = request.is_transfer() && result > 0 && request.left() > 0;
  if (cut_short) {
    push(process, request, effects);
  } else if (result < 0 && request.done == 0) {
    end_request(process, request, result, effects);
  } else {
    end_request(process, request, static_cast<long>(request.done), effects);
  }
}

void carry_out(Process& process, Effects& effects) {
  for (;;) {
    // First those who wait: what follows may take a while.
    for (int i = 0; i < effects.wake_count; ++i) sys::futex_wake(effects.wakes[i], 1);
    effects.wake_count = 0;
    if (core::Request* request = effects.ready.pop_front()) {
      launch(process, *request, false, effects);
    } else if (effects.submit) {
      effects.submit = false;
      submit_held(process, effects);
    } else if (core::Notice* notice = effects.notices.pop_front()) {
      deliver(process, *notice, effects);
    } else {
      break;
    }
  }
  if (effects.workers > 0) sys::futex_wake(&process.pool.doorbell, effects.workers);
  if (effects.notifiers > 0) sys::futex_wake(&process.notifier.doorbell, effects.notifiers);
  if (effects.nudge) nudge_streams(process);
  if (effects.spawn) ring_spawner(process);
  effects = {};
}

Stopped stop(Process& process, Request& request, bool closing, Effects& effects) {
  if (request.state == State::moving) return Stopped::not_yet;  // its owner alone may look at it
  if (request.state == State::running) return Stopped::no;
  if (request.done > 0 && !closing) return Stopped::no;  // begun
  switch (request.state) {
    case State::waiting:
      break;
    case State::queued:
      if (request.carrier == core::Carrier::ring) {
        remove_from_streams(process, request, effects);
      } else if (request.carrier == core::Carrier::kaio) {
        remove_from_kaio(process, request);
      } else {
        remove_from_pool(process, request);
      }
      break;
    case State::armed:
      if (request.is_write() && !closing) return Stopped::no;
      remove_from_streams(process, request, effects);
      break;
    default:
      return Stopped::no;
  }
  const bool partly = request.done > 0;
  end_request(process, request, partly ? static_cast<long>(request.done) : -ECANCELED, effects);
  return Stopped::yes;
}

}  // namespace inflight::engine
