// The stream thread when its ring is taken from it, and when it never had one (C22, C25): what it
// watched is let go of, and it ends when there is nothing to do.
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "support/support.h"
#include "unit/faults.h"

namespace {

using faults::Rule;
using faults::Scope;
using support::block;
using support::eventually;

struct WaitingRead {
  explicit WaitingRead(int fd) : request(block(fd, &byte, 1)) { EXPECT_EQ(0, aio_read(&request)); }
  char byte = 0;
  struct aiocb request;
};

bool has_stream_thread() {
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::ifstream(task.path() / "comm") >> name;
    if (name == "inflight-stream") return true;
  }
  return false;
}

short events_of(int fd) {
  pollfd one{fd, POLLOUT, 0};
  poll(&one, 1, 0);
  return one.revents;
}

// Its bytes come by the stream thread, so that one is there and has dealt with what was submitted.
void let_one_byte_through() {
  const support::Pipe pipe;
  WaitingRead read(pipe.reader.get());
  ASSERT_EQ(1, write(pipe.writer.get(), "x", 1));
  EXPECT_EQ(1, support::result_of(read.request));
}

TEST(WithoutRing, FilesThatAGivenUpRingPollsAreLetGoOf) {
  setenv("INFLIGHT_SPIN", "0", 1);
  const Scope before_any_thread({});
  support::Pipe pipe;
  support::SocketPair sockets;
  support::Pipe other;
  const WaitingRead from_pipe(pipe.reader.get());
  const WaitingRead from_socket(sockets.one.get());
  WaitingRead kept(other.reader.get());
  let_one_byte_through();
  const Scope scope({Rule{.number = SYS_io_uring_enter, .answer = -EPERM}});
  let_one_byte_through();
  pipe.reader.reset();
  sockets.one.reset();
  // The kernel takes the ring down behind everybody's back.
  EXPECT_TRUE(eventually([&] { return (events_of(pipe.writer.get()) & POLLERR) != 0; }));
  EXPECT_TRUE(eventually([&] { return (events_of(sockets.two.get()) & POLLHUP) != 0; }));
  EXPECT_EQ(ECANCELED, aio_error(&from_pipe.request));
  EXPECT_EQ(ECANCELED, aio_error(&from_socket.request));
  ASSERT_EQ(1, write(other.writer.get(), "k", 1));
  EXPECT_EQ(1, support::result_of(kept.request));
  EXPECT_EQ('k', kept.byte);
}

// A filter may say so, and says it for ever.
TEST(WithoutRing, ARefusalForNowThatNeverEndsIsOne) {
  const Scope before_any_thread({});
  let_one_byte_through();
  for (const int error : {EAGAIN, EBUSY}) {
    const Scope scope({Rule{.number = SYS_io_uring_enter, .answer = -error}});
    let_one_byte_through();
    support::Pipe pipe;
    const WaitingRead read(pipe.reader.get());
    pipe.reader.reset();
    EXPECT_EQ(ECANCELED, aio_error(&read.request));
  }
}

TEST(WithoutRing, TheThreadEndsAlsoAfterAClose) {
  const Scope scope({Rule{.number = SYS_io_uring_setup, .answer = -EPERM}});
  support::Pipe pipe;
  const WaitingRead read(pipe.reader.get());
  let_one_byte_through();
  ASSERT_TRUE(has_stream_thread());
  pipe.reader.reset();
  EXPECT_EQ(ECANCELED, aio_error(&read.request));
  EXPECT_TRUE(eventually([] { return !has_stream_thread(); }));
}

}  // namespace
