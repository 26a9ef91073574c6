// Each Executor belongs to one thread. A request that would overlap one in flight on the same file
// waits for that first, so what every read must find is known exactly; streams are checked as
// wholes.
#include "model/executor.h"

#include <stdlib.h>
#include <sys/wait.h>

#include <algorithm>
#include <vector>

#include "model/notices.h"
#include "support/loaded.h"

namespace model {
namespace {

constexpr size_t kRecord = 700;  // bytes of a stream's transfer at most
constexpr std::chrono::seconds kLongest{20};

int lio_opcode(bool write) { return write ? LIO_WRITE : LIO_READ; }

support::Descriptor fresh_file(int flags, size_t bytes) {
  return support::temporary_file(std::string(bytes, '\0'), flags);
}

}  // namespace

Executor::Executor() {
  for (Slot& slot : slots_) {
    void* memory = nullptr;
    if (posix_memalign(&memory, kBlock, 2 * kBlock) != 0) wrong("no memory");
    slot.buffer = static_cast<char*>(memory);
  }
  for (int file = 0; file < static_cast<int>(FileRole::kCount); ++file) {
    open_file(static_cast<FileRole>(file));
  }
}

int Executor::descriptor(FileRole file) const {
  if (file == FileRole::source) return source_reader_.get();
  if (file == FileRole::sink) return sink_writer_.get();
  return files_[static_cast<size_t>(file)].get();
}

void Executor::open_file(FileRole file) {
  const auto index = static_cast<size_t>(file);
  if (file == FileRole::source || file == FileRole::sink) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) wrong("pipe2");
    const bool source = file == FileRole::source;
    (source ? source_reader_ : sink_reader_).reset(ends[0]);
    (source ? source_writer_ : sink_writer_).reset(ends[1]);
    fcntl(source ? ends[1] : ends[0], F_SETFL, O_NONBLOCK);
    (source ? source_ : sink_) = {};
    (source ? fed_ : sink_place_) = 0;
    if (!source) drained_.clear();
    return;
  }
  constexpr int kFlags[] = {0, O_DIRECT, O_APPEND};
  const bool append = file == FileRole::append;
  files_[index] = fresh_file(kFlags[index], append ? 0 : kBlocks * kBlock);
  if (append) {
    appended_ = {};
  } else {
    content_[index].assign(kBlocks * kBlock, '\0');
  }
}

void Executor::run(const Command& command) {
  switch (command.kind) {
    case Kind::submit:
      return submit(command);
    case Kind::list:
      return submit_list(command);
    case Kind::synchronize:
      return synchronize(command);
    case Kind::cancel:
      return cancel(command);
    case Kind::cancel_all:
      return cancel_all(command);
    case Kind::suspend:
      return suspend(command);
    case Kind::take:
      return take(slots_[command.slot % kSlots]);
    case Kind::feed:
      return feed(command.amount);
    case Kind::drain:
      return drain(size_t{command.amount} * 4);
    case Kind::reopen:
      return reopen(command.file);
    case Kind::fork_child:
    case Kind::kCount:
      return fork_child();
  }
}

// ---------------------------------------------------------------- submitting

Executor::Slot& Executor::idle_slot(unsigned number) {
  Slot& slot = slots_[number % kSlots];
  take(slot);
  return slot;
}

void Executor::await_overlapping(const Slot& wanted, bool write) {
  for (Slot& slot : slots_) {
    if (slot.use == Use::idle || slot.file != wanted.file || slot.use == Use::synchronize) continue;
    const bool apart =
        slot.first + slot.count <= wanted.first || wanted.first + wanted.count <= slot.first;
    if (!apart && (write || slot.use == Use::write)) take(slot);
  }
}

void Executor::prepare_positional(const Command& command, Slot& slot) {
  slot.first = command.block % kBlocks;
  slot.count = std::min<size_t>(1 + command.amount % 2, kBlocks - slot.first);
  const bool write = command.write;
  await_overlapping(slot, write);
  if (write) memset(slot.buffer, 'A' + static_cast<int>(++writes_ % 26), slot.count * kBlock);
  slot.block = support::block(descriptor(slot.file), slot.buffer, slot.count * kBlock,
                              static_cast<off_t>(slot.first * kBlock));
  slot.use = write ? Use::write : Use::read;
}

void Executor::prepare_stream(const Command& command, Slot& slot) {
  const size_t length = 1 + size_t{command.amount} * 5 % kRecord;
  slot.use = slot.file == FileRole::source ? Use::read : Use::write;
  Lane& lane = slot.file == FileRole::source ? source_
               : slot.file == FileRole::sink ? sink_
                                             : appended_;
  slot.piece = lane.open();
  if (slot.use == Use::write) {
    sequence(sink_place_, length).copy(slot.buffer, length);
    sink_place_ += length;
  }
  slot.block = support::block(descriptor(slot.file), slot.buffer, length);
}

void Executor::prepare(const Command& command, Slot& slot) {
  slot.file = static_cast<FileRole>(static_cast<int>(command.file) % 5);
  slot.may = May::not_cancelled;
  if (slot.file == FileRole::cached || slot.file == FileRole::direct) {
    prepare_positional(command, slot);
  } else {
    prepare_stream(command, slot);
  }
  slot.block.aio_reqprio = command.priority % 21;
  slot.notice = Notices::ask(slot.block.aio_sigevent, command.notify % 3);
}

void Executor::submit(const Command& command) {
  Slot& slot = idle_slot(command.slot);
  prepare(command, slot);
  const int result = slot.use == Use::write ? aio_write(&slot.block) : aio_read(&slot.block);
  if (result != 0) wrong(std::string("a submission failed: ") + strerror(errno));
}

void Executor::submit_list(const Command& command) {
  std::vector<struct aiocb*> list{nullptr};
  bool waits = false;
  const unsigned count = 1 + command.amount % 3U;
  for (unsigned i = 0; i < count; ++i) {
    Command entry = command;
    entry.file = static_cast<FileRole>((static_cast<unsigned>(command.file) + i) % 5);
    entry.block = static_cast<uint8_t>(command.block + 2 * i);
    entry.write = command.write != (i == 1);
    Slot& slot = idle_slot(command.slot + i);
    // Taking that one may not disturb those prepared before: their requests do not exist yet.
    prepare(entry, slot);
    slot.block.aio_lio_opcode = lio_opcode(slot.use == Use::write);
    waits = waits || slot.file == FileRole::source || slot.file == FileRole::sink;
    list.push_back(&slot.block);
  }
  struct aiocb nothing {};
  nothing.aio_lio_opcode = LIO_NOP;
  list.push_back(&nothing);
  const int mode = command.amount % 2 == 0 && !waits ? LIO_WAIT : LIO_NOWAIT;
  struct sigevent event {};
  Notices::ask(event, mode == LIO_WAIT ? 0 : command.notify % 3);
  if (lio_listio(mode, list.data(), static_cast<int>(list.size()), &event) != 0) {
    wrong(std::string("lio_listio failed: ") + strerror(errno));
  }
  for (unsigned i = 0; mode == LIO_WAIT && i < count; ++i) {
    if (aio_error(list[i + 1]) == EINPROGRESS) wrong("LIO_WAIT came back too early");
  }
}

void Executor::synchronize(const Command& command) {
  Slot& slot = idle_slot(command.slot);
  slot.file = static_cast<FileRole>(static_cast<int>(command.file) % 3);  // those that can be
  slot.may = May::not_cancelled;
  slot.use = Use::synchronize;
  slot.block = support::block(descriptor(slot.file), nullptr, 0);
  slot.notice = Notices::ask(slot.block.aio_sigevent, command.notify % 3);
  if (aio_fsync(command.write ? O_SYNC : O_DSYNC, &slot.block) != 0) wrong("aio_fsync failed");
  if (command.amount % 2 == 0) return;
  take(slot);
  // The barrier (C10): whatever was queued before it has finished.
  for (const Slot& other : slots_) {
    if (other.use == Use::idle || other.use == Use::synchronize || other.file != slot.file)
      continue;
    if (aio_error(&other.block) == EINPROGRESS) wrong("an fsync overtook a request");
  }
}

// ---------------------------------------------------------------- cancelling, waiting

void Executor::cancel(const Command& command) {
  Slot& slot = slots_[command.slot % kSlots];
  if (slot.use == Use::idle) return;
  switch (aio_cancel(descriptor(slot.file), &slot.block)) {
    case AIO_CANCELED:
      if (aio_error(&slot.block) != ECANCELED) wrong("AIO_CANCELED, but its status is another");
      slot.may = May::must_be_cancelled;
      break;
    case AIO_NOTCANCELED:
      break;
    case AIO_ALLDONE:
      if (aio_error(&slot.block) == EINPROGRESS) wrong("AIO_ALLDONE, but it is in progress");
      break;
    default:
      wrong("aio_cancel failed");
  }
}

void Executor::cancel_all(const Command& command) {
  const auto file = static_cast<FileRole>(static_cast<int>(command.file) % 5);
  const int answer = aio_cancel(descriptor(file), nullptr);
  if (answer == -1) wrong("aio_cancel of a file failed");
  for (Slot& slot : slots_) {
    if (slot.use == Use::idle || slot.file != file) continue;
    const int status = aio_error(&slot.block);
    if (status == EINPROGRESS && answer != AIO_NOTCANCELED) wrong("one of all is in progress");
    if (status == ECANCELED && answer != AIO_ALLDONE && slot.may == May::not_cancelled) {
      slot.may = May::cancelled;
    }
  }
}

void Executor::suspend(const Command& command) {
  const struct aiocb* list[5] = {};
  bool finished = false;
  for (unsigned i = 0; i < 4; ++i) {
    const Slot& slot = slots_[(command.slot + i) % kSlots];
    if (slot.use == Use::idle || ((command.amount >> i) & 1) != 0) continue;
    list[i + 1] = &slot.block;
    finished = finished || aio_error(&slot.block) != EINPROGRESS;
  }
  const timespec timeout{0, command.amount % 2 == 0 ? 0 : 1'000'000};
  if (aio_suspend(list, 5, &timeout) == 0) {
    for (const struct aiocb* block : list) {
      if (block != nullptr && aio_error(block) != EINPROGRESS) return;
    }
    wrong("aio_suspend came back for nothing");
  }
  if (errno != EAGAIN) wrong(std::string("aio_suspend: ") + strerror(errno));
  if (finished) wrong("aio_suspend did not see a finished request");
}

void Executor::take(Slot& slot) {
  if (slot.use == Use::idle) return;
  const auto begin = support::Clock::now();
  const struct aiocb* list[1] = {&slot.block};
  const timespec moment{0, 1'000'000};
  while (aio_error(&slot.block) == EINPROGRESS) {
    if (slot.file == FileRole::source) feed(64);
    if (slot.file == FileRole::sink) drain(4096);
    aio_suspend(list, 1, &moment);
    if (support::Clock::now() - begin > kLongest) wrong("a request never ended");
  }
  const int status = aio_error(&slot.block);
  const ssize_t result = aio_return(&slot.block);
  if (status != aio_error(&slot.block)) wrong("the status changed after aio_return");
  check(slot, status, result);
  const int notice = slot.notice;
  slot.use = Use::idle;
  if (notice < 0) return;
  const bool told = support::eventually([&] { return Notices::count(notice) != 0; });
  if (!told) wrong("a notification never came");
}

void Executor::take_all(FileRole file) {
  for (Slot& slot : slots_) {
    if (slot.file == file) take(slot);
  }
}

// ---------------------------------------------------------------- around it

void Executor::feed(size_t count) {
  const std::string bytes = sequence(fed_, count);
  const ssize_t written = write(source_writer_.get(), bytes.data(), count);
  if (written > 0) fed_ += static_cast<uint64_t>(written);
}

void Executor::drain(size_t count) {
  std::string bytes(count, '\0');
  const ssize_t taken = read(sink_reader_.get(), bytes.data(), count);
  if (taken > 0) drained_.append(bytes, 0, static_cast<size_t>(taken));
}

void Executor::fork_child() {
  if (support::kSanitized) return;
  const pid_t child = fork();
  if (child == 0) {
    char bytes[2] = {};
    int ends[2];
    if (pipe(ends) != 0) _exit(2);
    struct aiocb request = support::block(ends[0], bytes, 2);
    if (aio_read(&request) != 0 || write(ends[1], "ok", 2) != 2) _exit(3);
    const struct aiocb* list[1] = {&request};
    while (aio_error(&request) == EINPROGRESS) aio_suspend(list, 1, nullptr);
    _exit(aio_return(&request) == 2 && memcmp(bytes, "ok", 2) == 0 ? 0 : 4);
  }
  int status = -1;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (status != 0) wrong("a forked child failed with wait status " + std::to_string(status));
}

// The descriptor is closed with whatever is in flight, and its successor opened before anybody
// looks what became of that (C22).
void Executor::reopen(FileRole wanted) {
  const auto file = static_cast<FileRole>(static_cast<int>(wanted) % 5);
  for (Slot& slot : slots_) {
    if (slot.use != Use::idle && slot.file == file && slot.may == May::not_cancelled) {
      slot.may = May::cancelled;
    }
  }
  const bool stream = file == FileRole::source || file == FileRole::sink;
  const support::Descriptor copy(stream ? -1 : fcntl(descriptor(file), F_DUPFD_CLOEXEC, 100));
  support::Descriptor successor;
  if (file == FileRole::source) source_reader_.reset();
  if (file == FileRole::sink) sink_writer_.reset();
  if (!stream) {
    support::Descriptor& own = files_[static_cast<size_t>(file)];
    own.reset();
    successor = fresh_file(file == FileRole::direct ? O_DIRECT : 0, kBlocks * kBlock);
    // Another thread may have taken the number meanwhile: then its file must stay untouched.
    own.reset(fcntl(copy.get(), F_DUPFD_CLOEXEC, 100));  // to look at
  }
  take_all(file);
  if (file == FileRole::source) check_source();
  if (file == FileRole::sink) check_sink();
  if (file == FileRole::append) check_append();
  if (file == FileRole::cached || file == FileRole::direct) check_file(file);
  if (!stream) check_content(successor.get(), std::string(kBlocks * kBlock, '\0'));
  open_file(file);
}

}  // namespace model
