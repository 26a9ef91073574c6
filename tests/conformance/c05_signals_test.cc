// C5, the errors that come with a signal: EPIPE with SIGPIPE, EFBIG with SIGXFSZ. The signal goes
// to whoever makes the system call, and under asynchronous I/O that is not the program. And EINTR,
// which never surfaces.
#include <sys/resource.h>
#include <sys/wait.h>

#include "support/kinds.h"
#include "support/outcome.h"
#include "support/support.h"
#include "support/threads.h"

namespace {

using support::BlockedSignal;
using support::count;
using support::Descriptor;
using support::drain;
using support::failed;
using support::Handler;
using support::in_child;
using support::Outcome;
using support::Pipe;
using support::run;
using support::SocketPair;
using support::temporary_file;
using support::test_signal;

class C05_Signals : public support::Limited {};

std::atomic<int> handled{0};
void count_handled(int, siginfo_t*, void*) { ++handled; }

bool pending(int signal) {
  sigset_t set;
  sigpending(&set);
  return sigismember(&set, signal) == 1;
}

// The descriptors of writers whose readers are gone.
struct Broken {
  Broken() {
    pipe.reader.reset();
    socket.two.reset();
    packet.two.reset();
    connection.reset_by_two();
    // A reset shows as ECONNRESET once; it is EPIPE that is wanted.
    char byte;
    EXPECT_EQ(-1, recv(connection.one.get(), &byte, 1, 0));
  }
  std::vector<int> all() const {
    return {pipe.writer.get(), socket.one.get(), packet.one.get(), connection.one.get()};
  }
  Pipe pipe;
  SocketPair socket, packet{SOCK_SEQPACKET};
  support::Connection connection;
};

// "EPIPE": with SIGPIPE left at its default, which kills.
TEST_F(C05_Signals, AWriteWithoutReaderDoesNotKill) {
  const auto body = [] {
    signal(SIGPIPE, SIG_DFL);
    Broken broken;
    char byte = 'x';
    for (const int descriptor : broken.all()) {
      EXPECT_EQ(failed(EPIPE), run(aio_write, support::block(descriptor, &byte, 1)));
    }
  };
  const int status = in_child(body);
  EXPECT_EQ(0, status) << "ended by signal " << WTERMSIG(status);
}

// The same for descriptors that do not block.
TEST_F(C05_Signals, ANonblockingWriteWithoutReaderDoesNotKill) {
  const auto body = [] {
    signal(SIGPIPE, SIG_DFL);
    Broken broken;
    char byte = 'x';
    for (const int descriptor : broken.all()) {
      EXPECT_EQ(0, fcntl(descriptor, F_SETFL, O_NONBLOCK));
      EXPECT_EQ(failed(EPIPE), run(aio_write, support::block(descriptor, &byte, 1)));
    }
  };
  const int status = in_child(body);
  EXPECT_EQ(0, status) << "ended by signal " << WTERMSIG(status);
}

// Nor may a handler see it, nor a thread that has it blocked find it pending.
TEST_F(C05_Signals, SigpipeReachesNobody) {
  handled = 0;
  Handler handler(SIGPIPE, count_handled);
  Broken broken;
  char byte = 'x';
  for (const int descriptor : broken.all()) {
    EXPECT_EQ(failed(EPIPE), run(aio_write, support::block(descriptor, &byte, 1)));
    const BlockedSignal blocked(SIGPIPE);
    EXPECT_EQ(failed(EPIPE), run(aio_write, support::block(descriptor, &byte, 1)));
    EXPECT_FALSE(pending(SIGPIPE));
  }
  EXPECT_EQ(0, handled);
}

// The program's own SIGPIPE stays where it is.
TEST_F(C05_Signals, ASigpipeOfTheProgramsIsNotTakenAway) {
  const BlockedSignal blocked(SIGPIPE);
  Broken broken;
  char byte = 'x';
  raise(SIGPIPE);
  for (const int descriptor : broken.all()) {
    EXPECT_EQ(failed(EPIPE), run(aio_write, support::block(descriptor, &byte, 1)));
    EXPECT_TRUE(pending(SIGPIPE));
  }
  EXPECT_TRUE(blocked.take_now());
  EXPECT_FALSE(blocked.take_now());
}

// A write that waits when the last reader goes.
TEST_F(C05_Signals, AWaitingWriteFailsWhenTheReaderGoes) {
  handled = 0;
  Handler handler(SIGPIPE, count_handled);
  Pipe pipe;
  SocketPair socket;
  support::fill(pipe.writer.get());
  support::fill(socket.one.get());
  char bytes[100] = {};
  aiocb to_pipe = support::block(pipe.writer.get(), bytes, 100);
  aiocb to_socket = support::block(socket.one.get(), bytes, 100);
  ASSERT_EQ(0, aio_write(&to_pipe));
  ASSERT_EQ(0, aio_write(&to_socket));
  EXPECT_EQ(EINPROGRESS, aio_error(&to_pipe));
  EXPECT_EQ(EINPROGRESS, aio_error(&to_socket));
  pipe.reader.reset();
  socket.two.reset();
  EXPECT_EQ(failed(EPIPE), support::outcome_of(to_pipe));
  const Outcome outcome = support::outcome_of(to_socket);
  // A local socket whose peer had not read all reports a reset first.
  EXPECT_TRUE(outcome == failed(EPIPE) || outcome == failed(ECONNRESET)) << outcome;
  EXPECT_EQ(0, handled);
}

// One that had moved a part by then says how much, as write does.
TEST_F(C05_Signals, APartlyWrittenWriteSaysHowMuch) {
  Handler handler(SIGPIPE, count_handled);
  handled = 0;
  Pipe pipe;
  std::string bytes(size_t{1} << 20, 'x');
  aiocb request = support::block(pipe.writer.get(), bytes.data(), bytes.size());
  ASSERT_EQ(0, aio_write(&request));
  EXPECT_EQ(100'000U, drain(pipe.reader.get(), 100'000).size());
  EXPECT_EQ(EINPROGRESS, aio_error(&request));
  pipe.reader.reset();
  const Outcome outcome = support::outcome_of(request);
  EXPECT_EQ(0, outcome.status);
  EXPECT_GE(outcome.result, 100'000);
  EXPECT_LT(outcome.result, static_cast<ssize_t>(bytes.size()));
  EXPECT_EQ(0, handled);
}

// "EFBIG": the limit of RLIMIT_FSIZE, whose signal kills too.
TEST_F(C05_Signals, AFileTooLargeDoesNotKill) {
  const auto body = [] {
    signal(SIGXFSZ, SIG_DFL);
    const rlimit limit = {8192, RLIM_INFINITY};
    ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &limit));
    support::Memory pages(8192);
    for (const int flags : {0, O_DIRECT, O_APPEND}) {
      SCOPED_TRACE(flags);
      const Descriptor file = temporary_file("", flags);
      const auto write_at = [&](off_t offset) {
        return run(aio_write, support::block(file.get(), pages.get(), 8192, offset));
      };
      if (flags != O_APPEND) {
        EXPECT_EQ(failed(EFBIG), write_at(8192));
        EXPECT_EQ(failed(EFBIG), write_at(1 << 20));
        EXPECT_EQ(count(4096), write_at(4096)) << "up to the limit";
      }
      EXPECT_EQ(count(8192), write_at(0));
      if (flags == O_APPEND) {
        EXPECT_EQ(failed(EFBIG), write_at(0));
      }
    }
    EXPECT_FALSE(pending(SIGXFSZ));
  };
  const int status = in_child(body);
  EXPECT_EQ(0, status) << "ended by signal " << WTERMSIG(status);
}

TEST_F(C05_Signals, SigxfszReachesNobody) {
  const auto body = [] {
    handled = 0;
    Handler handler(SIGXFSZ, count_handled);
    const rlimit limit = {4096, RLIM_INFINITY};
    ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &limit));
    const Descriptor file = temporary_file();
    char byte = 'x';
    EXPECT_EQ(failed(EFBIG), run(aio_write, support::block(file.get(), &byte, 1, 4096)));
    const BlockedSignal blocked(SIGXFSZ);
    EXPECT_EQ(failed(EFBIG), run(aio_write, support::block(file.get(), &byte, 1, 4096)));
    EXPECT_FALSE(pending(SIGXFSZ));
    EXPECT_EQ(0, handled);
  };
  const int status = in_child(body);
  EXPECT_EQ(0, status) << "ended by signal " << WTERMSIG(status);
}

// "EINTR never surfaces": signals rain on every thread while requests wait and run.
TEST_F(C05_Signals, InterruptionsAreNotSeen) {
  Handler handler(test_signal(), count_handled);  // without SA_RESTART
  handled = 0;
  sigevent each = support::signal_event(test_signal());
  timer_t timer;
  ASSERT_EQ(0, timer_create(CLOCK_MONOTONIC, &each, &timer));
  const itimerspec rate = {{0, 200'000}, {0, 200'000}};
  ASSERT_EQ(0, timer_settime(timer, 0, &rate, nullptr));

  const Descriptor file = temporary_file(std::string(65536, 'x'));
  std::string bytes(65536, 'y');
  Pipe pipe;
  for (int round = 0; round < 100; ++round) {
    std::string got(100, '-');
    aiocb waiting = support::block(pipe.reader.get(), got.data(), got.size());
    ASSERT_EQ(0, aio_read(&waiting));
    EXPECT_EQ(count(65536), run(aio_write, support::block(file.get(), bytes.data(), 65536)));
    EXPECT_EQ(count(65536), run(aio_read, support::block(file.get(), bytes.data(), 65536)));
    const int before = handled;
    EXPECT_TRUE(support::eventually([&] { return handled > before; }));
    EXPECT_EQ(EINPROGRESS, aio_error(&waiting));
    EXPECT_EQ(5, write(pipe.writer.get(), "hello", 5));
    EXPECT_EQ(count(5), support::outcome_of(waiting));
  }
  EXPECT_EQ(0, timer_delete(timer));
}

}  // namespace
