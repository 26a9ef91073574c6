// C4: what a read or write does. On files that seek it is pread and pwrite, on others read and
// write; so most tests make the same call themselves and compare.
//
// "glibc:" comments say how glibc 2.36 answers a test that it fails.
#include <sys/timerfd.h>

#include <random>

#include "support/kinds.h"
#include "support/outcome.h"
#include "support/support.h"
#include "support/threads.h"

namespace {

using support::count;
using support::Descriptor;
using support::drain;
using support::Memory;
using support::NamedFile;
using support::of_call;
using support::Outcome;
using support::Pipe;
using support::run;
using support::SocketPair;
using support::temporary_file;
using support::Terminal;

constexpr size_t kMegabyte = size_t{1} << 20;
constexpr size_t kLongestTransfer = 0x7ffff000;

class C04_Transfer : public support::Limited {};

std::string noise(size_t size) {
  std::mt19937_64 random(size);
  std::string made(size, '\0');
  for (char& byte : made) byte = static_cast<char>(random());
  return made;
}

Outcome read_at(int descriptor, std::string& into, off_t offset) {
  return run(aio_read, support::block(descriptor, into.data(), into.size(), offset));
}

Outcome write_at(int descriptor, std::string from, off_t offset) {
  return run(aio_write, support::block(descriptor, from.data(), from.size(), offset));
}

std::string content_of(int descriptor) {
  std::string content(static_cast<size_t>(lseek(descriptor, 0, SEEK_END)), '\0');
  lseek(descriptor, 0, SEEK_SET);
  return drain(descriptor, content.size());
}

// Takes the file out of the page cache.
void evict(int descriptor) {
  EXPECT_EQ(0, fsync(descriptor));
  EXPECT_EQ(0, posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED));
}

// ---------------------------------------------------------------- files that seek

// "aio_read/aio_write behave as pread/pwrite at aio_offset": reads, wherever and however long.
TEST_F(C04_Transfer, ReadsAreWhatPreadReads) {
  const std::string content = noise(100'000);
  Descriptor file = temporary_file(content);
  std::mt19937 random(4);
  for (int round = 0; round < 300; ++round) {
    const off_t offset = random() % 110'000;
    const size_t length = random() % (round % 2 == 0 ? 100 : 40'000);
    std::string ours(length, '-'), theirs(length, '-');
    const Outcome outcome = read_at(file.get(), ours, offset);
    EXPECT_EQ(of_call(pread(file.get(), theirs.data(), length, offset)), outcome);
    EXPECT_TRUE(ours == theirs) << length << " bytes at " << offset;
  }
}

// Writes, over what is there, behind the end, and far behind it.
TEST_F(C04_Transfer, WritesAreWhatPwriteWrites) {
  Descriptor ours = temporary_file(noise(10'000)), theirs = temporary_file(noise(10'000));
  std::mt19937 random(4);
  for (int round = 0; round < 200; ++round) {
    const off_t offset = random() % 50'000;
    const std::string bytes = noise(random() % 9'000);
    EXPECT_EQ(of_call(pwrite(theirs.get(), bytes.data(), bytes.size(), offset)),
              write_at(ours.get(), bytes, offset));
  }
  EXPECT_TRUE(content_of(ours.get()) == content_of(theirs.get()));
}

// The same with O_DIRECT, aligned and not: what pread refuses is refused.
TEST_F(C04_Transfer, DirectReadsAndWritesAreAsPreadAndPwrite) {
  Descriptor file = temporary_file(noise(64 * 1024), O_DIRECT);
  Memory ours(65536), theirs(65536);
  const struct {
    size_t shift, length;
    off_t offset;
  } cases[] = {{0, 4096, 0},     {0, 4096, 8192},   {0, 65536, 0},    {0, 8192, 61440},
               {0, 4096, 65536}, {0, 4096, 131072}, {1, 4096, 0},     {0, 100, 0},
               {0, 4096, 100},   {512, 4096, 0},    {0, 512, 512},    {0, 0, 0}};
  for (const auto& c : cases) {
    SCOPED_TRACE(testing::Message() << c.length << " at " << c.offset << ", +" << c.shift);
    const size_t length = std::min(c.length, 65536 - c.shift);
    const Outcome reading =
        run(aio_read, support::block(file.get(), ours.get() + c.shift, length, c.offset));
    EXPECT_EQ(of_call(pread(file.get(), theirs.get() + c.shift, length, c.offset)), reading);
    EXPECT_EQ(0, memcmp(ours.get(), theirs.get(), 65536));
    EXPECT_EQ(of_call(pwrite(file.get(), theirs.get() + c.shift, length, c.offset)),
              run(aio_write, support::block(file.get(), ours.get() + c.shift, length, c.offset)));
  }
}

// "The file position of a seekable file is not moved."
TEST_F(C04_Transfer, TheFilePositionIsNotMoved) {
  for (const int flags : {0, O_APPEND, O_DIRECT}) {
    Descriptor file = temporary_file(noise(8192), flags);
    Memory page(4096);
    lseek(file.get(), 17, SEEK_SET);
    EXPECT_EQ(count(4096), run(aio_read, support::block(file.get(), page.get(), 4096, 4096)));
    EXPECT_EQ(17, lseek(file.get(), 0, SEEK_CUR)) << flags;
    EXPECT_EQ(count(4096), run(aio_write, support::block(file.get(), page.get(), 4096, 4096)));
    EXPECT_EQ(17, lseek(file.get(), 0, SEEK_CUR)) << flags;
  }
}

// A write behind the end leaves a hole that reads as zeros.
TEST_F(C04_Transfer, AWriteBehindTheEndLeavesAHole) {
  Descriptor file = temporary_file("ab");
  EXPECT_EQ(count(2), write_at(file.get(), "yz", 5));
  EXPECT_EQ(std::string("ab\0\0\0yz", 7), content_of(file.get()));
}

// Offsets have 64 bits.
TEST_F(C04_Transfer, OffsetsBeyondFourGigabytesAreMeant) {
  const off_t far = (off_t{5} << 30) + 12345;
  const Descriptor file = temporary_file("near"), direct = temporary_file("", O_DIRECT);
  EXPECT_EQ(count(3), write_at(file.get(), "far", far));
  std::string got(10, '-');
  EXPECT_EQ(count(3), read_at(file.get(), got, far));
  EXPECT_EQ("far-------", got);
  EXPECT_EQ(count(10), read_at(file.get(), got, 0));
  EXPECT_EQ(std::string("near\0\0\0\0\0\0", 10), got);
  Memory page(4096);
  EXPECT_EQ(count(4096), run(aio_write, support::block(direct.get(), page.get(), 4096, 5LL << 30)));
  EXPECT_EQ((5LL << 30) + 4096, lseek(direct.get(), 0, SEEK_END));
}

// "A regular file's read is short only at its end": in it, at it, behind it.
TEST_F(C04_Transfer, ReadsAreShortOnlyAtTheEnd) {
  const std::string content = noise(3 * kMegabyte + 123);
  Descriptor file = temporary_file(content);
  std::string all(content.size(), '\0');
  EXPECT_EQ(count(static_cast<ssize_t>(all.size())), read_at(file.get(), all, 0));
  EXPECT_TRUE(all == content);
  std::string tail(1000, '\0');
  EXPECT_EQ(count(123), read_at(file.get(), tail, 3 * kMegabyte));
  EXPECT_EQ(count(1), read_at(file.get(), tail, 3 * kMegabyte + 122));
  EXPECT_EQ(count(0), read_at(file.get(), tail, 3 * kMegabyte + 123));
  EXPECT_EQ(count(0), read_at(file.get(), tail, off_t{1} << 40));
  Descriptor empty = temporary_file();
  EXPECT_EQ(count(0), read_at(empty.get(), tail, 0));
}

// Not at the end of what happens to be in memory either: a file half of which is cached is read
// whole. (preadv2 with RWF_NOWAIT stops at the first page that is not.)
TEST_F(C04_Transfer, APartlyCachedFileIsReadWhole) {
  const std::string content = noise(256 * 1024);
  Descriptor file = temporary_file(content);
  EXPECT_EQ(0, posix_fadvise(file.get(), 0, 0, POSIX_FADV_RANDOM));  // no reading ahead
  for (const size_t length : {size_t{8192}, size_t{20'000}, size_t{65'536}, content.size()}) {
    for (int round = 0; round < 5; ++round) {
      SCOPED_TRACE(length);
      evict(file.get());
      char byte;
      EXPECT_EQ(1, pread(file.get(), &byte, 1, 0));
      std::string got(length, '\0');
      EXPECT_EQ(count(static_cast<ssize_t>(length)), read_at(file.get(), got, 0));
      EXPECT_TRUE(content.compare(0, length, got) == 0);
    }
  }
}

TEST_F(C04_Transfer, AColdFileIsReadWhole) {
  const std::string content = noise(kMegabyte);
  Descriptor file = temporary_file(content);
  for (const size_t length : {size_t{1}, size_t{4096}, size_t{100'000}, content.size()}) {
    evict(file.get());
    std::string got(length, '\0');
    EXPECT_EQ(count(static_cast<ssize_t>(length)), read_at(file.get(), got, 0));
    EXPECT_TRUE(content.compare(0, length, got) == 0);
  }
}

TEST_F(C04_Transfer, LargeWritesAreWrittenWhole) {
  const std::string content = noise(16 * kMegabyte + 1);
  Descriptor file = temporary_file();
  EXPECT_EQ(count(static_cast<ssize_t>(content.size())), write_at(file.get(), content, 0));
  EXPECT_TRUE(content == content_of(file.get()));
}

TEST_F(C04_Transfer, NothingIsTransferredForNoBytes) {
  Descriptor file = temporary_file("0123456789");
  EXPECT_EQ(count(0), run(aio_read, support::block(file.get(), nullptr, 0, 3)));
  EXPECT_EQ(count(0), run(aio_write, support::block(file.get(), nullptr, 0, 100)));
  EXPECT_EQ("0123456789", content_of(file.get()));
}

// "a larger-than-kernel-maximum length transfers what one read(2)/write(2) would (0x7ffff000
// bytes)": a file of holes in memory, and one on disk.
TEST_F(C04_Transfer, TheLongestTransferIsTheKernels) {
  const support::FoldedMemory memory(kLongestTransfer + 2 * kMegabyte);
  const Descriptor holes = support::memory_file(off_t{3} << 30);
  const Descriptor on_disk = temporary_file("", O_DIRECT);
  ASSERT_EQ(0, ftruncate(on_disk.get(), off_t{3} << 30));
  for (const size_t length : {kLongestTransfer, kLongestTransfer + kMegabyte}) {
    const auto most = count(static_cast<ssize_t>(kLongestTransfer));
    EXPECT_EQ(most, run(aio_read, support::block(holes.get(), memory.get(), length)));
    EXPECT_EQ(most, run(aio_read, support::block(on_disk.get(), memory.get(), length)));
  }
  const Descriptor null(open("/dev/null", O_WRONLY | O_CLOEXEC));
  EXPECT_EQ(count(static_cast<ssize_t>(kLongestTransfer)),
            run(aio_write, support::block(null.get(), memory.get(), kLongestTransfer + 1)));
}

// What is longer than the maximum, and ends earlier, ends there.
TEST_F(C04_Transfer, ALongReadOfAShortFileIsShort) {
  const Memory memory(size_t{3} << 30);
  const Descriptor file = temporary_file(noise(5000));
  EXPECT_EQ(count(5000), run(aio_read, support::block(file.get(), memory.get(), memory.size())));
  Pipe pipe;
  EXPECT_EQ(3, write(pipe.writer.get(), "abc", 3));
  EXPECT_EQ(count(3),
            run(aio_read, support::block(pipe.reader.get(), memory.get(), memory.size())));
}

// ---------------------------------------------------------------- files that do not

// Offsets that a file that seeks would refuse, or that would find its end.
const off_t kAnyOffsets[] = {0, 12345, -1, -99, INT64_MAX, INT64_MIN};

// "on descriptors that cannot seek they behave as read/write and ignore the offset"
// glibc: EINVAL when the offset is negative, here and below.
TEST_F(C04_Transfer, PipesAndSocketsIgnoreTheOffset) {
  Pipe pipe;
  SocketPair stream, datagram(SOCK_DGRAM), packet(SOCK_SEQPACKET);
  Terminal terminal;
  const std::pair<int, int> ways[] = {{pipe.writer.get(), pipe.reader.get()},
                                      {stream.one.get(), stream.two.get()},
                                      {datagram.one.get(), datagram.two.get()},
                                      {packet.one.get(), packet.two.get()},
                                      {terminal.master.get(), terminal.slave.get()},
                                      {terminal.slave.get(), terminal.master.get()}};
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

TEST_F(C04_Transfer, EventCountersIgnoreTheOffset) {
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

TEST_F(C04_Transfer, TimersAreRead) {
  Descriptor timer(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
  const itimerspec soon = {{0, 0}, {0, 20'000'000}};
  ASSERT_EQ(0, timerfd_settime(timer.get(), 0, &soon, nullptr));
  uint64_t expirations = 0;
  EXPECT_EQ(count(8), run(aio_read, support::block(timer.get(), &expirations, 8, -7)));
  EXPECT_EQ(1U, expirations);
}

TEST_F(C04_Transfer, CharacterDevicesAreReadAndWritten) {
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
TEST_F(C04_Transfer, ProcFilesAreReadAtTheOffset) {
  const Descriptor file(open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC));
  std::string ours(10, '\0'), theirs(10, '\0');
  const Outcome outcome = read_at(file.get(), ours, 3);
  EXPECT_EQ(of_call(pread(file.get(), theirs.data(), 10, 3)), outcome);
  EXPECT_EQ(theirs, ours);
}

// As read does, a read of a stream gives what is there instead of waiting for all, and waits when
// nothing is.
TEST_F(C04_Transfer, StreamReadsGiveWhatIsThere) {
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

TEST_F(C04_Transfer, AWaitingStreamReadEndsWithTheStream) {
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
TEST_F(C04_Transfer, MessagesStayMessages) {
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
TEST_F(C04_Transfer, NoBytesOfAStreamAreThereAtOnce) {
  Pipe pipe, full;
  SocketPair socket;
  Terminal terminal;
  support::fill(full.writer.get());
  for (const int descriptor : {pipe.reader.get(), socket.one.get()}) {
    EXPECT_EQ(count(0), run(aio_read, support::block(descriptor, nullptr, 0)));
  }
  for (const int descriptor : {pipe.writer.get(), full.writer.get(), socket.one.get(),
                               terminal.master.get()}) {
    EXPECT_EQ(count(0), run(aio_write, support::block(descriptor, nullptr, 0)));
  }
}

// A terminal gives a line at a time in canonical mode.
TEST_F(C04_Transfer, ATerminalGivesALine) {
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
TEST_F(C04_Transfer, AFifoIsAPipe) {
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
