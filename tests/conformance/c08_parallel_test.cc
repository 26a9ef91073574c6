// C8: requests run in parallel, on one descriptor too. One that cannot go on holds up only those
// that C9 and C10 put behind it.
//
// glibc: serves one request per descriptor at a time, so that it fails all of these but those
// about different descriptors.
#include "support/kinds.h"
#include "support/outcome.h"
#include "support/support.h"
#include "support/threads.h"

namespace {

using support::count;
using support::Descriptor;
using support::drain;
using support::Pipe;
using support::run;
using support::SocketPair;
using support::temporary_file;

class C08_Parallel : public support::Limited {
 protected:
  char in_[8] = {};
  char out_[8] = {'1', '2', '3', '4', '5', '6', '7', '\n'};
};

// "a pending read blocks a write on the same socket" there, not here.
TEST_F(C08_Parallel, AWriteOvertakesAPendingReadOfTheSameSocket) {
  SocketPair stream, datagram(SOCK_DGRAM), packet(SOCK_SEQPACKET);
  support::Connection tcp;
  const std::pair<int, int> pairs[] = {{stream.one.get(), stream.two.get()},
                                       {datagram.one.get(), datagram.two.get()},
                                       {packet.one.get(), packet.two.get()},
                                       {tcp.one.get(), tcp.two.get()}};
  for (const auto& [here, there] : pairs) {
    aiocb reading = support::block(here, in_, sizeof in_);
    ASSERT_EQ(0, aio_read(&reading));
    EXPECT_EQ(count(8), run(aio_write, support::block(here, out_, sizeof out_)));
    EXPECT_EQ(EINPROGRESS, aio_error(&reading));
    EXPECT_EQ(8U, drain(there, 8).size());
    EXPECT_EQ(5, write(there, "reply", 5));
    EXPECT_EQ(count(5), support::outcome_of(reading));
  }
}

// The other way round: a read passes a write that waits for room.
TEST_F(C08_Parallel, AReadOvertakesAPendingWriteOfTheSameSocket) {
  SocketPair stream;
  const size_t filled = support::fill(stream.one.get());
  aiocb writing = support::block(stream.one.get(), out_, sizeof out_);
  ASSERT_EQ(0, aio_write(&writing));
  EXPECT_EQ(5, write(stream.two.get(), "hello", 5));
  EXPECT_EQ(count(5), run(aio_read, support::block(stream.one.get(), in_, sizeof in_)));
  EXPECT_EQ(EINPROGRESS, aio_error(&writing));
  EXPECT_EQ(filled, drain(stream.two.get(), filled).size());
  EXPECT_EQ(count(8), support::outcome_of(writing));
}

// Both on a terminal.
TEST_F(C08_Parallel, AWriteOvertakesAPendingReadOfTheSameTerminal) {
  support::Terminal terminal;
  const std::pair<int, int> pairs[] = {{terminal.slave.get(), terminal.master.get()},
                                       {terminal.master.get(), terminal.slave.get()}};
  for (const auto& [here, there] : pairs) {
    aiocb reading = support::block(here, in_, sizeof in_);
    ASSERT_EQ(0, aio_read(&reading));
    EXPECT_EQ(count(8), run(aio_write, support::block(here, out_, sizeof out_)));
    EXPECT_EQ(EINPROGRESS, aio_error(&reading));
    EXPECT_EQ(8U, drain(there, 8).size());
    EXPECT_EQ(3, write(there, "ok\n", 3));
    EXPECT_EQ(count(3), support::outcome_of(reading));
  }
}

// The write is what the read waits for.
TEST_F(C08_Parallel, AWriteWakesAPendingReadOfTheSameEventCounter) {
  const Descriptor counter = support::event_counter();
  uint64_t got = 0, added = 5;
  aiocb reading = support::block(counter.get(), &got, 8);
  ASSERT_EQ(0, aio_read(&reading));
  EXPECT_EQ(count(8), run(aio_write, support::block(counter.get(), &added, 8)));
  EXPECT_EQ(count(8), support::outcome_of(reading));
  EXPECT_EQ(5U, got);
}

TEST_F(C08_Parallel, AWriteWakesAPendingReadOfTheSameFifo) {
  const std::string path = support::NamedFile().path() + ".fifo";
  ASSERT_EQ(0, mkfifo(path.c_str(), 0600));
  const Descriptor fifo(open(path.c_str(), O_RDWR | O_CLOEXEC));
  unlink(path.c_str());
  aiocb reading = support::block(fifo.get(), in_, sizeof in_);
  ASSERT_EQ(0, aio_read(&reading));
  EXPECT_EQ(count(8), run(aio_write, support::block(fifo.get(), out_, sizeof out_)));
  EXPECT_EQ(count(8), support::outcome_of(reading));
}

// Of one file: a short read submitted behind very long ones is not served behind them, at least
// not every time (the system shares out the processors as it likes).
void expect_overtaking(int flags) {
  constexpr size_t kLong = size_t{32} << 20;
  const Descriptor file = temporary_file(std::string(kLong, 'x'), flags);
  support::Memory memory(2 * kLong), little(4096);
  memset(memory.get(), 1, memory.size());  // so that it is not the page faults that take long
  int overtaken = 0;
  for (int round = 0; round < 40 && overtaken == 0; ++round) {
    aiocb longs[] = {support::block(file.get(), memory.get(), kLong),
                     support::block(file.get(), memory.get() + kLong, kLong)};
    aiocb brief = support::block(file.get(), little.get(), 4096);
    for (aiocb& request : longs) ASSERT_EQ(0, aio_read(&request));
    ASSERT_EQ(0, aio_read(&brief));
    EXPECT_EQ(count(4096), support::outcome_of(brief));
    if (aio_error(&longs[0]) == EINPROGRESS || aio_error(&longs[1]) == EINPROGRESS) ++overtaken;
    for (aiocb& request : longs) {
      EXPECT_EQ(count(static_cast<ssize_t>(kLong)), support::outcome_of(request));
    }
  }
  EXPECT_GT(overtaken, 0) << "a read never finished before those of the same file ahead of it";
}

TEST_F(C08_Parallel, AShortReadOvertakesLongOnesOfTheSameFile) { expect_overtaking(0); }
TEST_F(C08_Parallel, AShortDirectReadOvertakesLongOnesOfTheSameFile) {
  expect_overtaking(O_DIRECT);
}

// Of different descriptors: a waiting request of each kind, and one on the next that goes on.
TEST_F(C08_Parallel, WaitingRequestsHoldUpNoOtherDescriptor) {
  Pipe pipe;
  SocketPair socket;
  support::Terminal terminal;
  const Descriptor counter = support::event_counter();
  aiocb waiting[] = {
      support::block(pipe.reader.get(), in_, 1), support::block(socket.one.get(), in_ + 1, 1),
      support::block(terminal.slave.get(), in_ + 2, 1), support::block(counter.get(), out_, 8)};
  for (aiocb& request : waiting) ASSERT_EQ(0, aio_read(&request));
  const Descriptor file = temporary_file("0123456789");
  char buffer[4];
  EXPECT_EQ(count(4), run(aio_read, support::block(file.get(), buffer, 4)));
  EXPECT_EQ(count(4), run(aio_write, support::block(file.get(), buffer, 4)));
  EXPECT_EQ(count(0), run(support::sync_all, support::block(file.get(), nullptr, 0)));
  for (const aiocb& request : waiting) EXPECT_EQ(EINPROGRESS, aio_error(&request));
  EXPECT_EQ(1, write(pipe.writer.get(), "x", 1));
  EXPECT_EQ(1, write(socket.two.get(), "x", 1));
  EXPECT_EQ(2, write(terminal.master.get(), "x\n", 2));
  EXPECT_EQ(0, eventfd_write(counter.get(), 1));
  for (aiocb& request : waiting) EXPECT_EQ(0, support::wait_for(request));
}

}  // namespace
