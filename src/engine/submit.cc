// Submission. Runs on the program's thread. A small cached read is answered without a request at
// all; everything else gets one, and the thread's signals are blocked from the moment it is linked
// until an engine has it (State::moving).
#include "engine/submit.h"

#include <errno.h>
#include <limits.h>

#include "engine/dispatch.h"
#include "engine/inline_hint.h"
#include "engine/inline_read.h"
#include "engine/observe.h"

namespace inflight::engine {
namespace {

using core::Effects;
using Cover = core::Closing::Cover;
using core::FileKey;
using core::FileKind;
using core::Group;
using core::Notification;
using core::Operation;
using core::Request;

constexpr int kLowestPriority = 20;              // AIO_PRIO_DELTA_MAX
constexpr size_t kLongestTransfer = 0x7ffff000;  // what one read(2) moves at most
constexpr int kCloseWaits = 1000;
constexpr long kCloseWaitMicroseconds = 50;   // and as much again until the thread wakes
constexpr uint64_t kByNumber = ~uint64_t{0};  // a FileKey's device, for files without identity

// Whether a file with no position says so: character devices and anonymous files come in both
// kinds, and lseek(2) is wrong about eventfds.
bool has_position(int fd, Operation operation) {
  char nothing;
  const long result = operation == Operation::write ? sys::write_at(fd, &nothing, 0, 0)
                                                    : sys::read_at(fd, &nothing, 0, 0);
  return result != -ESPIPE;
}

// The arguments that the call itself checks (C5).
int check(const aiocb& block, Notification& notification) {
  if (!core::read_sigevent(block.aio_sigevent, notification)) return EINVAL;
  return block.aio_reqprio < 0 || block.aio_reqprio > kLowestPriority ? EINVAL : 0;
}

// An error that the request itself reports although the kernel is never asked, or 0.
int foreseen_error(const aiocb& block, Operation operation, const Target& target) {
  const bool transfer = operation == Operation::read || operation == Operation::write;
  if (!transfer || target.kind == FileKind::closed) return 0;
  if (block.aio_nbytes > SSIZE_MAX) return EINVAL;
  if (block.aio_offset < 0 && target.kind != FileKind::stream) return EINVAL;
  return 0;
}

void fill(Request& request, aiocb& block, Operation operation, const Target& target) {
  if (request.generation == 0) request.generation = 1;
  request.block = &block;
  request.buffer = const_cast<void*>(block.aio_buf);
  request.length = block.aio_nbytes < kLongestTransfer ? block.aio_nbytes : kLongestTransfer;
  request.offset = block.aio_offset;
  request.fd = target.fd;
  request.status_flags = target.status_flags;
  request.operation = operation;
  request.kind = target.kind;
  request.is_socket = target.is_socket;
  request.may_block = target.may_wait;
  request.is_cold = target.is_cold;
  request.takes_turns =
      operation == Operation::write && target.is_regular && (target.status_flags & O_DIRECT) == 0;
  const bool sound = block.aio_reqprio >= 0 && block.aio_reqprio <= kLowestPriority;
  request.priority = sound ? static_cast<uint8_t>(block.aio_reqprio) : 0;  // ends with EINVAL
}

// A filled-in request with its copy of the notification; null when memory is exhausted. Lock held.
Request* make_request(Process& process, aiocb& block, Operation operation, const Target& target,
                      const Notification& notification) {
  core::Core& core = process.core;
  Request* request = core.requests.take();
  if (request == nullptr) return nullptr;
  fill(*request, block, operation, target);
  request->notice.what = notification;
  const auto* attributes =
      static_cast<const pthread_attr_t*>(block.aio_sigevent.sigev_notify_attributes);
  if (notification.kind == Notification::Kind::callback && attributes != nullptr) {
    request->notice.what.attributes = core.attributes.take();
    if (request->notice.what.attributes == nullptr) {
      core::release_request(core, *request);
      return nullptr;
    }
    sys::copy_attributes(*attributes, request->notice.what.attributes->value);
  }
  return request;
}

// What became of a try to submit.
enum class Submitted : uint8_t {
  yes,
  no_memory,
  closing,  // another thread is closing the descriptor: nothing was done
  closed,   // another thread has closed it since it was examined: nothing was done
};

// Links the request, and gives it to an engine unless something comes first, or unless it is known
// to end with `error`.
Submitted try_start(Process& process, aiocb& block, Operation operation, const Target& target,
                    const Notification& notification, int error, Group* group, bool patient,
                    Effects& effects) {
  Request* request;
  {
    sys::Guard guard(process.core.lock);
    request = make_request(process, block, operation, target, notification);
    if (request == nullptr) return Submitted::no_memory;
    if (!core::enroll(process.core, *request, target.key)) {
      core::release_request(process.core, *request);
      return Submitted::no_memory;
    }
    const auto cover = process.closing.cover(target.fd);
    const bool must_wait =
        cover == Cover::being_settled || (cover == Cover::being_closed && patient);
    // In this order: a mark that is gone has been counted.
    if (must_wait || process.closing.count(target.fd) != target.closes) {
      core::withdraw(process.core, *request);
      return must_wait ? Submitted::closing : Submitted::closed;
    }
    if (cover == Cover::by_this_thread) error = ECANCELED;
    if (group != nullptr) {
      request->group = group;
      ++group->unfinished;
      ++group->undelivered;
    }
    core::set_ticket(block, request->ticket());
    core::set_in_progress(block);
    observe_submission(process, *request);
    if (error != 0) {
      end_request(process, *request, -error, effects);
      return Submitted::yes;
    }
    if (!core::may_start(*request)) return Submitted::yes;
    request->state = core::State::moving;
  }
  launch(process, *request, true, effects);
  return Submitted::yes;
}

// Submits, after closes of the descriptor that are under way. `target` is what is known of it, and
// is asked for again after a close. What the effects hold is carried out before a wait, as the
// close may be waiting for just that. 0 or EAGAIN.
int start(Process& process, aiocb& block, Operation operation, Target& target,
          const Notification& notification, int error, Group* group, Effects& effects) {
  for (int waits = 0;;) {
    // The kernel frees the number first thing in close(2), but may linger there for long; then the
    // number has a new owner who must not wait for the old one. That is a guess: the other thread
    // may as well have lost its processor before the system call. So the wait is long, and begins
    // anew with every close that has ended meanwhile.
    const bool patient = waits < kCloseWaits;
    const int known = error != 0 ? error : foreseen_error(block, operation, target);
    const Submitted submitted =
        try_start(process, block, operation, target, notification, known, group, patient, effects);
    if (submitted == Submitted::yes) return 0;
    if (submitted == Submitted::no_memory) return EAGAIN;
    if (submitted == Submitted::closing) {
      carry_out(process, effects);
      sys::nap(kCloseWaitMicroseconds);
      ++waits;
    }
    const uint32_t closes = target.closes;
    target = examine(process, block.aio_fildes, operation);
    if (target.closes != closes) waits = 0;
  }
}

// A read answered without a request.
struct Answer {
  long result;    // what the kernel said, also when it did not answer
  uint32_t span;  // its number in the trace, or 0
};

// The shortest way: no request, no lock. True when the read is done; nobody has been told. Inlined
// wherever it is used, as its instructions are counted (tests/cost).
[[gnu::always_inline]] inline bool answered_inline(Process& process, aiocb& block, Answer& answer) {
  core::set_ticket(block, 0);
  core::set_in_progress(block);  // others may look while the copy goes on
  const uint64_t submitted = is_timed(process) ? detail::now() : 0;
  if (!read_inline(block.aio_fildes, const_cast<void*>(block.aio_buf), block.aio_nbytes,
                   block.aio_offset, answer.result)) {
    return false;
  }
  answer.span = observe_inline(process, block, submitted, answer.result);
  core::settle(block, 0, answer.result);
  return true;
}

bool may_be_inline(const Process& process, const aiocb& block) {
  if (process.choice != Choice::automatic || block.aio_nbytes > process.inline_limit) return false;
  return block.aio_nbytes <= kSmallRead || process.spin == 0 || inline_hints().first_since_wait();
}

// The caller will wait, so it may as well make what no thread would come to soon.
bool is_better_inline(const Process& process, const aiocb& block, const Group& group) {
  return group.is_awaited && process.choice == Choice::automatic &&
         block.aio_nbytes <= process.inline_limit && process.pool.copies.waiting() > 0;
}

// The same for a descriptor of which nothing is known yet. `tried`: it was asked, in vain.
[[gnu::always_inline]] inline bool try_inline(Process& process, aiocb& block, bool& tried,
                                              Answer& answer) {
  if (!may_be_inline(process, block)) return false;
  const uint32_t closes = process.closing.count(block.aio_fildes);
  if (!inline_hints().suits(block.aio_fildes, closes)) return false;
  if (answered_inline(process, block, answer)) return true;
  inline_hints().tried(block.aio_fildes, closes, answer.result);
  tried = true;
  return false;
}

// The read is done, and its signal sent.
[[gnu::always_inline]] inline bool read_and_signalled(Process& process, aiocb& block,
                                                      const Notification& notification,
                                                      bool& tried) {
  Answer answer{};
  if (notification.kind == Notification::Kind::callback) return false;
  if (!try_inline(process, block, tried, answer)) return false;
  if (notification.kind != Notification::Kind::none) {
    deliver_signal(process, notification, answer.span);
  }
  return true;
}

// The read is done, and its callback queued. The room for that is taken before anything is read,
// since a callback may not be dropped. Signals blocked.
bool read_and_called_back(Process& process, aiocb& block, const Notification& notification,
                          bool& tried, Effects& effects) {
  const bool is_callback = notification.kind == Notification::Kind::callback &&
                           block.aio_sigevent.sigev_notify_attributes == nullptr;
  if (!is_callback || !may_be_inline(process, block)) return false;
  Request* told;
  {
    sys::Guard guard(process.core.lock);
    told = core::take_notice(process.core, notification);
  }
  if (told == nullptr) return false;
  Answer answer{};
  const bool done = try_inline(process, block, tried, answer);
  sys::Guard guard(process.core.lock);
  if (done) {
    told->span = answer.span;
    queue_callback(process, told->notice, effects);
  } else {
    core::release_request(process.core, *told);
  }
  return done;
}

void name_operation(aiocb& block, Operation operation) {
  if (operation == Operation::read) block.aio_lio_opcode = LIO_READ;
  if (operation == Operation::write) block.aio_lio_opcode = LIO_WRITE;
}

}  // namespace

Target examine(const Process& process, int fd, Operation operation) {
  Target target{};
  target.fd = fd;
  target.closes = process.closing.count(fd);
  target.key = FileKey{kByNumber, static_cast<uint32_t>(fd)};
  const long flags = sys::get_status_flags(fd);
  sys::FileFacts file;
  if (flags < 0 || sys::look_at(fd, false, file) < 0) {
    target.kind = FileKind::closed;
    return target;
  }
  target.status_flags = static_cast<int>(flags);
  const FileKey identity{file.device, file.inode};
  switch (file.mode & S_IFMT) {
    case S_IFREG:
      // Files without a size may be the kernel's, and wait for news as /proc/kmsg does. (What is
      // known without asking may be out of date on a network.)
      target.is_regular = true;
      target.may_wait = file.size == 0 && operation == Operation::read &&
                        sys::look_at(fd, true, file) == 0 && file.size == 0;
      [[fallthrough]];
    case S_IFBLK:
      target.kind = FileKind::disk;
      target.key = identity;
      break;
    case S_IFSOCK:
      target.is_socket = (flags & O_PATH) == 0;
      [[fallthrough]];
    case S_IFIFO:
      target.kind = FileKind::stream;
      target.key = identity;
      break;
    case S_IFDIR:
    case S_IFLNK:
      target.kind = FileKind::other;
      break;
    default:
      target.kind = has_position(fd, operation) ? FileKind::other : FileKind::stream;
  }
  return target;
}

int submit(Process& process, aiocb& block, Operation operation) {
  Notification notification;
  if (const int error = check(block, notification)) return error;
  name_operation(block, operation);
  bool tried = false;
  const bool reads = operation == Operation::read;
  if (reads && read_and_signalled(process, block, notification, tried)) return 0;
  Effects effects;
  const sys::SignalBlock signals;
  if (process.epoch.load(std::memory_order_relaxed) == 0) return kForked;
  int error = ensure_spawner(process);
  if (error == 0 && reads && read_and_called_back(process, block, notification, tried, effects)) {
    carry_out(process, effects);
  } else if (error == 0) {
    Target target = examine(process, block.aio_fildes, operation);
    target.is_cold = tried;
    if (reads) inline_hints().examined(target.kind == FileKind::stream);
    error = start(process, block, operation, target, notification, 0, nullptr, effects);
    carry_out(process, effects);
  }
  if (error != 0) core::settle(block, error, -1);  // the inline way may have marked it
  return error;
}

bool submit_inline(Process& process, aiocb& block) {
  Notification notification;
  bool tried = false;
  return block.aio_lio_opcode == LIO_READ && check(block, notification) == 0 &&
         read_and_signalled(process, block, notification, tried);
}

int submit_entry(Process& process, aiocb& block, Group& group, Target& target, Effects& effects) {
  const bool named = block.aio_lio_opcode == LIO_READ || block.aio_lio_opcode == LIO_WRITE;
  const auto operation = block.aio_lio_opcode == LIO_WRITE ? Operation::write : Operation::read;
  Notification notification;
  int error = check(block, notification);
  if (!named) error = EINVAL;
  if (target.fd != block.aio_fildes) target = examine(process, block.aio_fildes, operation);
  const bool askable = operation == Operation::read && target.kind == FileKind::disk &&
                       (target.status_flags & O_DIRECT) == 0;
  const bool calls_back = notification.kind == Notification::Kind::callback;
  target.is_cold = error == 0 && askable && !calls_back &&
                   (may_be_inline(process, block) || is_better_inline(process, block, group));
  if (target.is_cold && block.aio_nbytes > kSmallRead) carry_out(process, effects);  // wakes others
  Answer answer{};
  if (target.is_cold && answered_inline(process, block, answer)) {
    deliver_signal(process, notification, answer.span);
    return 0;
  }
  const int refused =
      start(process, block, operation, target, notification, error, &group, effects);
  if (refused == 0) return 0;
  {
    sys::Guard guard(process.core.lock);
    group.failed = true;
  }
  core::set_ticket(block, 0);
  core::settle(block, refused, -1);
  return refused;
}

}  // namespace inflight::engine
