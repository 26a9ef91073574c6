// What the model says of finished requests, and of files and streams as wholes.
#include <algorithm>

#include "model/executor.h"
#include "model/notices.h"

namespace model {

void Executor::check(Slot& slot, int status, ssize_t result) {
  if (status == ECANCELED) {
    if (slot.may == May::not_cancelled) wrong("ECANCELED, although nobody cancelled it");
    if (result != -1) wrong("a cancelled request has a result");
    return;
  }
  if (slot.may == May::must_be_cancelled) wrong("it was cancelled, and yet it ended otherwise");
  if (status != 0) wrong(std::string("a request failed: ") + strerror(status));
  if (slot.use == Use::read) check_read(slot, result);
  if (slot.use == Use::write) check_write(slot, result);
}

void Executor::check_read(Slot& slot, ssize_t result) {
  const auto length = static_cast<size_t>(result);
  if (slot.file == FileRole::source) {
    if (result <= 0 || length > slot.block.aio_nbytes) wrong("a stream read gave a wrong count");
    source_.fill(slot.piece, std::string(slot.buffer, length));
    return;
  }
  if (length != slot.count * kBlock) wrong("a file read was short");
  const std::string& content = content_[static_cast<size_t>(slot.file)];
  if (content.compare(slot.first * kBlock, length, slot.buffer, length) != 0) {
    wrong("a read found other bytes than were written");
  }
}

void Executor::check_write(Slot& slot, ssize_t result) {
  const auto length = static_cast<size_t>(result);
  const bool may_be_cut = slot.file == FileRole::sink && slot.may == May::cancelled;  // by a close
  if (length != slot.block.aio_nbytes && !(may_be_cut && length < slot.block.aio_nbytes)) {
    wrong("a write was short");
  }
  if (slot.file == FileRole::sink) return sink_.fill(slot.piece, {slot.buffer, length});
  if (slot.file == FileRole::append) return appended_.fill(slot.piece, {slot.buffer, length});
  content_[static_cast<size_t>(slot.file)].replace(slot.first * kBlock, length, slot.buffer,
                                                   length);
}

void Executor::check_file(FileRole file) const {
  const auto index = static_cast<size_t>(file);
  check_content(files_[index].get(), content_[index]);
}

void Executor::check_content(int descriptor, const std::string& content) {
  void* memory = nullptr;
  if (posix_memalign(&memory, kBlock, content.size() + kBlock) != 0) wrong("no memory");
  const ssize_t size = pread(descriptor, memory, content.size() + kBlock, 0);
  const bool same = size == static_cast<ssize_t>(content.size()) &&
                    memcmp(memory, content.data(), content.size()) == 0;
  free(memory);
  if (!same) wrong("a file does not hold what was written");
}

void Executor::check_append() {
  const std::string all = appended_.all();
  std::string bytes(all.size() + 1, '\0');
  const ssize_t size =
      pread(files_[static_cast<size_t>(FileRole::append)].get(), bytes.data(), bytes.size(), 0);
  if (size != static_cast<ssize_t>(all.size()) || bytes.compare(0, all.size(), all) != 0) {
    wrong("appended records are not in call order");
  }
}

void Executor::check_source() {
  std::string all = source_.all();
  // What nobody has read is still there, and is what follows.
  std::string rest(size_t{1} << 16, '\0');
  if (source_reader_.get() >= 0) {
    fcntl(source_reader_.get(), F_SETFL, O_NONBLOCK);
    const ssize_t size = read(source_reader_.get(), rest.data(), rest.size());
    if (size > 0) all.append(rest, 0, static_cast<size_t>(size));
    if (all.size() != fed_) wrong("bytes of a stream were lost or came twice");
  }
  if (all != sequence(0, all.size())) wrong("reads of a stream are not in call order");
}

void Executor::check_sink() {
  const std::string all = sink_.all();
  while (drained_.size() < all.size()) {
    const size_t before = drained_.size();
    drain(size_t{1} << 16);
    if (drained_.size() == before) break;
  }
  drain(1);
  if (drained_ != all) wrong("writes to a stream are not in call order");
}

void Executor::finish() {
  for (Slot& slot : slots_) take(slot);
  check_file(FileRole::cached);
  check_file(FileRole::direct);
  check_append();
  check_source();
  check_sink();
  for (Slot& slot : slots_) free(slot.buffer);
}

}  // namespace model
