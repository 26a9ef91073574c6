// C4: what a read or write does on files that cannot seek: what read and write do, whatever the
// offset.
//
// "glibc:" comments say how glibc 2.36 answers a test that it fails.
#include <sys/stat.h>
#include <sys/timerfd.h>

#include "support/kinds.h"
#include "support/outcome.h"
#include "support/support.h"
#include "support/threads.h"

namespace {

using support::count;
using support::Descriptor;
using support::NamedFile;
using support::of_call;
using support::Outcome;
using support::Pipe;
using support::run;
using support::SocketPair;
using support::Terminal;

class C04_Streams : public support::Limited {};

Outcome read_at(int descriptor, std::string& into, off_t offset) {
  return run(aio_read, support::block(descriptor, into.data(), into.size(), offset));
}

Outcome write_at(int descriptor, std::string from, off_t offset) {
  return run(aio_write, support::block(descriptor, from.data(), from.size(), offset));
}

// Offsets that a file that seeks would refuse, or that would find its end.
const off_t kAnyOffsets[] = {0, 12345, -1, -99, INT64_MAX, INT64_MIN};

// "on descriptors that cannot seek they behave as read/write and ignore the offset"
// glibc: EINVAL when the offset is negative, here and below.
TEST_F(C04_Streams, PipesAndSocketsIgnoreTheOffset) {
  Pipe pipe;
  SocketPair stream, datagram(SOCK_DGRAM), packet(SOCK_SEQPACKET);
  Terminal terminal;
  const std::pair<int, int> ways[] = {
      {pipe.writer.get(), pipe.reader.get()},        {stream.one.get(), stream.two.get()},
      {datagram.one.get(), datagram.two.get()},      {packet.one.get(), packet.two.get()},
      {terminal.master.get(), terminal.slave.get()}, {terminal.slave.get(), terminal.master.get()}};
  for (const auto& [in, out] : ways) {
    for (const off_t offset : kAnyOffsets) {
      SCOPED_TRACE(testing::Message() << "from " << in << " to " << out << " at " << offset);
      EXPECT_EQ(count(6), write_at(in, "hello\n", offset));
      std::string got(6, '\0');
      EXPECT_EQ(count(6), read_at(out, got, offset));
      EXPECT_EQ("hello\n", got);
    }
  }
}

TEST_F(C04_Streams, EventCountersIgnoreTheOffset) {
  Descriptor counter = support::event_counter();
  for (const off_t offset : kAnyOffsets) {
    SCOPED_TRACE(offset);
    uint64_t value = 3;
    EXPECT_EQ(count(8), run(aio_write, support::block(counter.get(), &value, 8, offset)));
    value = 4;
    EXPECT_EQ(count(8), run(aio_write, support::block(counter.get(), &value, 8, offset)));
    EXPECT_EQ(count(8), run(aio_read, support::block(counter.get(), &value, 8, offset)));
    EXPECT_EQ(7U, value);
  }
  char little[4];
  EXPECT_EQ(support::failed(EINVAL), run(aio_read, support::block(counter.get(), little, 4)));
}

TEST_F(C04_Streams, TimersAreRead) {
  Descriptor timer(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
  const itimerspec soon = {{0, 0}, {0, 20'000'000}};
  ASSERT_EQ(0, timerfd_settime(timer.get(), 0, &soon, nullptr));
  uint64_t expirations = 0;
  EXPECT_EQ(count(8), run(aio_read, support::block(timer.get(), &expirations, 8, -7)));
  EXPECT_EQ(1U, expirations);
}

TEST_F(C04_Streams, CharacterDevicesAreReadAndWritten) {
  const Descriptor zero(open("/dev/zero", O_RDWR | O_CLOEXEC));
  const Descriptor null(open("/dev/null", O_RDWR | O_CLOEXEC));
  const Descriptor random(open("/dev/urandom", O_RDONLY | O_CLOEXEC));
  std::string buffer(100'000, 'x');
  EXPECT_EQ(count(100'000), read_at(zero.get(), buffer, 5));
  EXPECT_EQ(std::string(100'000, '\0'), buffer);
  EXPECT_EQ(count(100'000), write_at(zero.get(), buffer, 5));
  EXPECT_EQ(count(0), read_at(null.get(), buffer, 5));
  EXPECT_EQ(count(100'000), write_at(null.get(), buffer, 5));
  EXPECT_EQ(count(100'000), read_at(random.get(), buffer, 5));
  EXPECT_NE(std::string(100'000, '\0'), buffer);
}

// A file of /proc is read at an offset, and has no size.
TEST_F(C04_Streams, ProcFilesAreReadAtTheOffset) {
  const Descriptor file(open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC));
  std::string ours(10, '\0'), theirs(10, '\0');
  const Outcome outcome = read_at(file.get(), ours, 3);
  EXPECT_EQ(of_call(pread(file.get(), theirs.data(), 10, 3)), outcome);
  EXPECT_EQ(theirs, ours);
}

// As read does, a read of a stream gives what is there instead of waiting for all, and waits when
// nothing is.
TEST_F(C04_Streams, StreamReadsGiveWhatIsThere) {
  Pipe pipe;
  SocketPair socket;
  support::Connection connection;
  const std::pair<int, int> ways[] = {{pipe.writer.get(), pipe.reader.get()},
                                      {socket.one.get(), socket.two.get()},
                                      {connection.one.get(), connection.two.get()}};
  for (const auto& [in, out] : ways) {
    EXPECT_EQ(3, write(in, "abc", 3));
    std::string got(10, '-');
    EXPECT_EQ(count(3), read_at(out, got, 0));
    EXPECT_EQ("abc-------", got);

    aiocb waiting = support::block(out, got.data(), got.size());
    ASSERT_EQ(0, aio_read(&waiting));
    EXPECT_EQ(EINPROGRESS, aio_error(&waiting));
    EXPECT_EQ(2, write(in, "de", 2));
    EXPECT_EQ(count(2), support::outcome_of(waiting));
    EXPECT_EQ("dec-------", got);
  }
}

TEST_F(C04_Streams, AWaitingStreamReadEndsWithTheStream) {
  Pipe pipe;
  SocketPair closed, shut;
  support::Connection connection;
  char byte[4] = {};
  aiocb requests[] = {support::block(pipe.reader.get(), &byte[0], 1),
                      support::block(closed.one.get(), &byte[1], 1),
                      support::block(shut.one.get(), &byte[2], 1),
                      support::block(connection.one.get(), &byte[3], 1)};
  for (aiocb& request : requests) {
    ASSERT_EQ(0, aio_read(&request));
    EXPECT_EQ(EINPROGRESS, aio_error(&request));
  }
  pipe.writer.reset();
  closed.two.reset();
  shutdown(shut.two.get(), SHUT_WR);
  connection.two.reset();
  for (aiocb& request : requests) EXPECT_EQ(count(0), support::outcome_of(request));
}

// Message boundaries are kept; what a short buffer does not take of a message is lost, as with
// read; an empty message is one.
TEST_F(C04_Streams, MessagesStayMessages) {
  for (const int type : {SOCK_DGRAM, SOCK_SEQPACKET}) {
    SocketPair socket(type);
    EXPECT_EQ(count(6), write_at(socket.one.get(), "first.", 0));
    EXPECT_EQ(count(7), write_at(socket.one.get(), "second.", 0));
    EXPECT_EQ(count(0), write_at(socket.one.get(), "", 0));
    EXPECT_EQ(count(5), write_at(socket.one.get(), "last.", 0));
    std::string got(100, '-');
    EXPECT_EQ(count(6), read_at(socket.two.get(), got, 0));
    got.resize(3);
    EXPECT_EQ(count(3), read_at(socket.two.get(), got, 0));
    EXPECT_EQ("sec", got);
    got.resize(100);
    EXPECT_EQ(count(0), read_at(socket.two.get(), got, 0));
    EXPECT_EQ(count(5), read_at(socket.two.get(), got, 0));
    EXPECT_EQ("last.", got.substr(0, 5));
  }
}

// read(2) of no bytes waits for nothing on a stream, nor does write(2).
TEST_F(C04_Streams, NoBytesOfAStreamAreThereAtOnce) {
  Pipe pipe, full;
  SocketPair socket;
  Terminal terminal;
  support::fill(full.writer.get());
  for (const int descriptor : {pipe.reader.get(), socket.one.get()}) {
    EXPECT_EQ(count(0), run(aio_read, support::block(descriptor, nullptr, 0)));
  }
  for (const int descriptor :
       {pipe.writer.get(), full.writer.get(), socket.one.get(), terminal.master.get()}) {
    EXPECT_EQ(count(0), run(aio_write, support::block(descriptor, nullptr, 0)));
  }
}

// A terminal gives a line at a time in canonical mode.
TEST_F(C04_Streams, ATerminalGivesALine) {
  Terminal terminal;
  std::string got(100, '-');
  aiocb waiting = support::block(terminal.slave.get(), got.data(), got.size());
  ASSERT_EQ(0, aio_read(&waiting));
  EXPECT_EQ(6, write(terminal.master.get(), "no end", 6));
  EXPECT_EQ(EINPROGRESS, aio_error(&waiting));
  EXPECT_EQ(9, write(terminal.master.get(), " yet\nmore", 9));
  EXPECT_EQ(count(11), support::outcome_of(waiting));
  EXPECT_EQ("no end yet\n", got.substr(0, 11));
  EXPECT_EQ(1, write(terminal.master.get(), "\n", 1));
  EXPECT_EQ(count(5), read_at(terminal.slave.get(), got, 0));
  EXPECT_EQ("more\n", got.substr(0, 5));
}

// A named pipe opened for both.
TEST_F(C04_Streams, AFifoIsAPipe) {
  const std::string path = NamedFile().path() + ".fifo";
  ASSERT_EQ(0, mkfifo(path.c_str(), 0600));
  Descriptor fifo(open(path.c_str(), O_RDWR | O_CLOEXEC));
  unlink(path.c_str());
  std::string got(10, '-');
  aiocb waiting = support::block(fifo.get(), got.data(), got.size(), -1);
  ASSERT_EQ(0, aio_read(&waiting));
  EXPECT_EQ(EINPROGRESS, aio_error(&waiting));
  // glibc: with an offset of 0, the write waits behind the read on the same descriptor, for ever.
  EXPECT_EQ(count(5), write_at(fifo.get(), "hello", -1));
  EXPECT_EQ(count(5), support::outcome_of(waiting));
}

}  // namespace
