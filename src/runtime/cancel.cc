// aio_cancel. Runs on the program's thread; requests are stopped under the process lock, and what
// that causes is carried out afterwards.
#include "engine/dispatch.h"
#include "engine/probes.h"
#include "engine/submit.h"
#include "runtime/calls.h"
#include "runtime/start.h"

namespace inflight::runtime {
namespace {

using core::Effects;
using core::Request;
using engine::Process;
using engine::Stopped;

constexpr long kMomentMicroseconds = 20;  // a request in State::moving is soon somewhere

struct Tally {
  bool stopped = false;
  bool going_on = false;
  bool undecided = false;
  void add(Stopped answer) {
    stopped |= answer == Stopped::yes;
    going_on |= answer == Stopped::no;
    undecided |= answer == Stopped::not_yet;
  }
  int answer() const { return going_on ? AIO_NOTCANCELED : stopped ? AIO_CANCELED : AIO_ALLDONE; }
};

void stop_one(Process& process, const aiocb& block, Tally& tally, Effects& effects) {
  sys::Guard guard(process.core.lock);
  Request* request = core::find(process.core, block);
  if (request != nullptr) {
    tally.add(engine::stop(process, *request, false, effects));
  } else if (core::status_of(block) == EINPROGRESS) {
    tally.going_on = true;  // its submission, which this call interrupts, is reading
  }
}

// From the last to the first: stopping one then never starts one that is still to be stopped.
void stop_all(Process& process, int fd, Tally& tally, Effects& effects) {
  const core::FileKey key = engine::examine(process, fd, core::Operation::fsync).key;
  sys::Guard guard(process.core.lock);
  core::File* file = core::find_file(process.core, key);
  Request* next = file == nullptr ? nullptr : file->all.last();
  while (next != nullptr) {
    Request& request = *next;
    next = core::FileRequests::previous(request);
    if (request.fd == fd) tally.add(engine::stop(process, request, false, effects));
  }
}

int try_to_cancel(int fd, const aiocb* block) {
  if (sys::get_status_flags(fd) < 0) return -EBADF;
  if (block != nullptr && block->aio_fildes != fd) return -EINVAL;
  Process* process = started();
  if (process == nullptr) return AIO_ALLDONE;
  engine::count(*process, INFLIGHT_CANCELS);
  if (block != nullptr && core::status_of(*block) != EINPROGRESS) return AIO_ALLDONE;
  Tally tally;
  for (;;) {
    tally.undecided = false;
    {
      const sys::SignalBlock signals;
      Effects effects;
      if (block != nullptr) {
        stop_one(*process, *block, tally, effects);
      } else {
        stop_all(*process, fd, tally, effects);
      }
      engine::carry_out(*process, effects);
    }
    if (!tally.undecided) return tally.answer();
    sys::nap(kMomentMicroseconds);
  }
}

}  // namespace

int cancel(int fd, const aiocb* block) {
  const int answer = try_to_cancel(fd, block);
  INFLIGHT_PROBE3(cancel, fd, block, answer);
  return answer;
}

}  // namespace inflight::runtime
