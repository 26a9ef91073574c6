// A workload in which requests may fail, if they fail as they may: each ends once, with success and
// the right data or with an errno that is permitted; each notification comes once.
#pragma once

#include <aio.h>
#include <stdlib.h>

#include <algorithm>
#include <memory>
#include <set>

#include "model/notices.h"
#include "support/support.h"

namespace faults {

struct Permitted {
  std::set<int> errors;      // as the status of a request
  int refusal = 0;           // what the call itself may say
  bool close_fails = false;  // close says so, and is to be believed
};

class Workload {
 public:
  explicit Workload(Permitted permitted) : permitted_(std::move(permitted)) {
    model::Notices::install();
  }

  void run() {
    file(0);
    file(O_DIRECT);
    file(O_APPEND);
    support::Pipe pipe;
    stream(pipe.reader.get(), pipe.writer.get());
    support::SocketPair sockets;
    stream(sockets.one.get(), sockets.two.get());
    lists();
    close_in_flight();
    const bool told = support::eventually([] {
      for (int i = 0; i < model::Notices::asked(); ++i) {
        if (wanted_[i] && model::Notices::count(i) == 0) return false;
      }
      return true;
    });
    EXPECT_TRUE(told) << "a notification is missing";
    for (int i = 0; i < model::Notices::asked(); ++i) {
      EXPECT_EQ(wanted_[i] ? 1 : 0, model::Notices::count(i)) << "notifications of request " << i;
    }
  }

 private:
  static constexpr size_t kSize = 4096;
  static constexpr int kRequests = 6;

  struct Item {
    struct aiocb block {};
    char* data = nullptr;
    bool accepted = false;
    int status = 0;
    ssize_t result = 0;
    bool good() const { return accepted && status == 0; }
  };

  using Submit = int (*)(struct aiocb*);

  // Submits, with one kind of notification after the other.
  void submit(Item& item, Submit call) {
    const int number = model::Notices::ask(item.block.aio_sigevent, turn_++ % 3);
    item.accepted = call(&item.block) == 0;
    if (number >= 0) wanted_[number] = item.accepted;
    if (item.accepted) return;
    EXPECT_EQ(permitted_.refusal, errno) << "a submission was refused";
  }

  void end(Item& item) {
    if (!item.accepted) return;
    item.status = support::wait_for(item.block);
    item.result = aio_return(&item.block);
    if (item.status == 0) return;
    EXPECT_EQ(-1, item.result);
    EXPECT_EQ(1U, permitted_.errors.count(item.status)) << strerror(item.status);
  }

  static int sync_data(struct aiocb* block) { return aio_fsync(O_DSYNC, block); }

  void file(int flags) {
    const bool append = (flags & O_APPEND) != 0;
    const support::Descriptor file =
        support::temporary_file(append ? "" : std::string(kRequests * kSize, '\0'), flags);
    void* memory = nullptr;
    ASSERT_EQ(0, posix_memalign(&memory, kSize, 2 * kRequests * kSize));
    const std::unique_ptr<void, decltype(&free)> owner(memory, free);
    Item writes[kRequests], reads[kRequests], sync;
    for (int i = 0; i < kRequests; ++i) {
      writes[i].data = static_cast<char*>(memory) + i * static_cast<long>(kSize);
      memset(writes[i].data, 'a' + i, kSize);
      writes[i].block = support::block(file.get(), writes[i].data, kSize, i * long{kSize});
      submit(writes[i], aio_write);
    }
    sync.block = support::block(file.get(), nullptr, 0);
    submit(sync, sync_data);
    end(sync);
    for (Item& write : writes) {
      if (sync.good() && write.accepted) {
        EXPECT_NE(EINPROGRESS, aio_error(&write.block)) << "C10";
      }
      end(write);
      if (write.good()) {
        EXPECT_EQ(ssize_t{kSize}, write.result);
      }
    }
    if (append) return check_records(file.get(), writes);
    for (int i = 0; i < kRequests; ++i) {
      reads[i].data = static_cast<char*>(memory) + (kRequests + i) * static_cast<long>(kSize);
      reads[i].block = support::block(file.get(), reads[i].data, kSize, i * long{kSize});
      submit(reads[i], aio_read);
    }
    for (int i = 0; i < kRequests; ++i) {
      end(reads[i]);
      if (!reads[i].good()) continue;
      EXPECT_EQ(ssize_t{kSize}, reads[i].result) << "a file read is short only at the end";
      if (writes[i].good()) {
        EXPECT_EQ(0, memcmp(writes[i].data, reads[i].data, kSize));
      }
    }
  }

  // C9: those that succeeded, in call order. (A write that failed may have left a part.)
  static void check_records(int file, const Item (&writes)[kRequests]) {
    std::string expected;
    for (const Item& write : writes) {
      if (!write.good()) return;
      expected.append(write.data, kSize);
    }
    std::string found(expected.size() + 1, '\0');
    found.resize(
        static_cast<size_t>(std::max(ssize_t{0}, pread(file, found.data(), found.size(), 0))));
    EXPECT_TRUE(found == expected) << "appended records";
  }

  void stream(int reader, int writer) {
    constexpr size_t kBytes = 8;
    Item reads[kRequests], writes[kRequests];
    char buffers[2 * kRequests][kBytes];
    for (int i = 0; i < kRequests; ++i) {
      reads[i].data = buffers[i];
      reads[i].block = support::block(reader, buffers[i], kBytes);
      submit(reads[i], aio_read);
    }
    std::string sent, received;
    for (int i = 0; i < kRequests - 2; ++i) {
      writes[i].data = buffers[kRequests + i];
      memset(writes[i].data, '0' + i, kBytes);
      writes[i].block = support::block(writer, writes[i].data, kBytes);
      submit(writes[i], aio_write);
      end(writes[i]);
      if (writes[i].good()) sent.append(writes[i].data, static_cast<size_t>(writes[i].result));
    }
    // As many bytes as were sent are awaited; the reads behind them wait for nothing.
    for (Item& read : reads) {
      if (received.size() >= sent.size()) break;
      end(read);
      if (read.good()) received.append(read.data, static_cast<size_t>(read.result));
    }
    EXPECT_TRUE(sent.starts_with(received)) << "sent " << sent << ", received " << received;
    while (aio_cancel(reader, nullptr) == -1 && permitted_.refusal == errno) {
      if (!pending(reads)) return;  // nothing that would be left behind
    }
    for (Item& read : reads) {
      if (read.accepted && support::wait_for(read.block) != ECANCELED) end(read);
    }
  }

  static bool pending(const Item (&items)[kRequests]) {
    return std::any_of(std::begin(items), std::end(items), [](const Item& item) {
      return item.accepted && aio_error(&item.block) == EINPROGRESS;
    });
  }

  void lists() {
    const std::string text = "0123456789";
    const support::Descriptor file = support::temporary_file(text);
    for (const int mode : {LIO_WAIT, LIO_NOWAIT}) {
      Item items[3];
      char bytes[3] = {};
      struct aiocb* list[4] = {};
      for (int i = 0; i < 3; ++i) {
        items[i].block = support::block(file.get(), &bytes[i], 1, i);
        items[i].block.aio_lio_opcode = LIO_READ;
        list[i] = &items[i].block;
        items[i].accepted = true;
      }
      const int result = lio_listio(mode, list, 4, nullptr);
      const int error = errno;
      if (result != 0 && error == EAGAIN) {
        EXPECT_EQ(EAGAIN, permitted_.refusal);
        continue;  // some entries may have been accepted; they have no notification
      }
      for (int i = 0; i < 3; ++i) {
        end(items[i]);
        if (items[i].good()) {
          EXPECT_EQ(text[static_cast<size_t>(i)], bytes[i]);
        }
      }
      if (result != 0) {
        EXPECT_TRUE(error == EIO || error == EINTR) << strerror(error);
      }
    }
  }

  void close_in_flight() {
    support::Pipe pipe;
    char byte;
    Item read;
    read.block = support::block(pipe.reader.get(), &byte, 1);
    submit(read, aio_read);
    const int result = close(pipe.reader.get());
    if (result == 0) pipe.reader.release();
    EXPECT_TRUE(result == 0 || permitted_.close_fails) << strerror(errno);
    if (!read.accepted) return;
    const int status = support::wait_for(read.block);
    EXPECT_TRUE(status == ECANCELED || permitted_.errors.count(status) == 1) << strerror(status);
  }

  Permitted permitted_;
  int turn_ = 0;
  static inline bool wanted_[model::Notices::kMost];
};

}  // namespace faults
