// C22: close, dup2, dup3, close_range and closefrom while requests are queued or wait. A request
// acts on the file that was open when it was made, or is cancelled; it never touches the file that
// gets the number afterwards. The program's record locks stay, and what it closes is closed.
//
// glibc: looks the number up when a thread takes the request (BZ 14942).
#include <poll.h>
#include <sys/wait.h>

#include "support/support.h"
#include "support/threads.h"

namespace {

using support::Descriptor;
using support::eventually;
using support::NamedFile;
using support::Pipe;
using support::SocketPair;
using support::temporary_file;
using support::Thread;
using support::wait_for;

class C22_Close : public support::Limited {};

// The ways by which a number comes to mean another file. Afterwards `number` is a duplicate of
// `replacement`.
using Replace = void (*)(int number, int replacement);

void by_close(int number, int replacement) {
  EXPECT_EQ(0, close(number));
  EXPECT_EQ(number, fcntl(replacement, F_DUPFD_CLOEXEC, number));
}
void by_dup2(int number, int replacement) { EXPECT_EQ(number, dup2(replacement, number)); }
void by_dup3(int number, int replacement) {
  EXPECT_EQ(number, dup3(replacement, number, O_CLOEXEC));
}
void by_close_range(int number, int replacement) {
  EXPECT_EQ(0, close_range(static_cast<unsigned>(number), static_cast<unsigned>(number), 0));
  EXPECT_EQ(number, fcntl(replacement, F_DUPFD_CLOEXEC, number));
}
// Everything above as well, so the number is made the highest one first.
constexpr int kHighest = 900;
void by_closefrom(int number, int replacement) {
  closefrom(number);
  EXPECT_EQ(number, fcntl(replacement, F_DUPFD_CLOEXEC, number));
}

Descriptor moved_to_highest(Descriptor from) {
  EXPECT_EQ(kHighest, dup3(from.get(), kHighest, O_CLOEXEC));
  return Descriptor(kHighest);
}

// ---------------------------------------------------------------- reads that wait

void waiting_reads_never_touch_the_later_file(Replace replace) {
  for (int round = 0; round < 10; ++round) {
    Pipe old;
    Pipe later;
    Descriptor number = moved_to_highest(std::move(old.reader));
    char bytes[4] = {};
    std::vector<aiocb> blocks;
    for (char& byte : bytes) blocks.push_back(support::block(number.get(), &byte, 1));
    for (aiocb& block : blocks) ASSERT_EQ(0, aio_read(&block));
    if (round % 2 == 1) {
      EXPECT_TRUE(support::others_are_asleep());  // they are where they wait
    }
    replace(number.get(), later.reader.get());
    ASSERT_EQ(6, write(later.writer.get(), "LATER!", 6));
    signal(SIGPIPE, SIG_IGN);
    const ssize_t given = write(old.writer.get(), "abcd", 4);
    if (given < 0) {
      EXPECT_EQ(EPIPE, errno);
    }
    for (size_t i = 0; i < blocks.size(); ++i) {
      const int status = wait_for(blocks[i]);
      EXPECT_TRUE(status == 0 || status == ECANCELED) << strerror(status);
      if (status == 0) {
        EXPECT_EQ("abcd"[i], bytes[i]);
      } else {
        EXPECT_EQ(0, bytes[i]);
      }
    }
    EXPECT_EQ("LATER!", support::drain(number.get(), 6)) << "a read took from the later file";
    // The number serves its new file.
    aiocb next = support::block(number.get(), bytes, 1);
    ASSERT_EQ(0, aio_read(&next));
    EXPECT_EQ(1, write(later.writer.get(), "n", 1));
    EXPECT_EQ(0, wait_for(next));
    EXPECT_EQ('n', bytes[0]);
  }
}

TEST_F(C22_Close, WaitingReadsNeverTouchTheFileAfterClose) {
  waiting_reads_never_touch_the_later_file(by_close);
}
TEST_F(C22_Close, WaitingReadsNeverTouchTheFileAfterDup2) {
  waiting_reads_never_touch_the_later_file(by_dup2);
}
TEST_F(C22_Close, WaitingReadsNeverTouchTheFileAfterDup3) {
  waiting_reads_never_touch_the_later_file(by_dup3);
}
TEST_F(C22_Close, WaitingReadsNeverTouchTheFileAfterCloseRange) {
  waiting_reads_never_touch_the_later_file(by_close_range);
}
TEST_F(C22_Close, WaitingReadsNeverTouchTheFileAfterClosefrom) {
  waiting_reads_never_touch_the_later_file(by_closefrom);
}

// ---------------------------------------------------------------- files

// Writes to a file are in flight while its number gets another file, which must stay empty; what
// succeeded is in the first one.
void writes_never_touch_the_later_file(Replace replace) {
  constexpr size_t kWrites = 24;
  constexpr size_t kPiece = 8192;
  for (int round = 0; round < 40; ++round) {
    NamedFile old;
    Descriptor later = temporary_file();
    Descriptor number = moved_to_highest(old.open(O_RDWR));
    const std::string bytes(kPiece, static_cast<char>('a' + round % 26));
    std::vector<aiocb> blocks;
    for (size_t i = 0; i < kWrites; ++i) {
      blocks.push_back(support::block(number.get(), const_cast<char*>(bytes.data()), kPiece,
                                      static_cast<off_t>(i * kPiece)));
    }
    for (aiocb& block : blocks) ASSERT_EQ(0, aio_write(&block));
    replace(number.get(), later.get());
    std::vector<bool> succeeded;
    for (aiocb& block : blocks) {
      const int status = wait_for(block);
      EXPECT_TRUE(status == 0 || status == ECANCELED) << strerror(status);
      succeeded.push_back(status == 0);
    }
    EXPECT_EQ(0, lseek(later.get(), 0, SEEK_END)) << "a write went to the later file";
    const std::string content = old.content();
    for (size_t i = 0; i < kWrites; ++i) {
      if (succeeded[i]) {
        EXPECT_EQ(0, content.compare(i * kPiece, kPiece, bytes)) << "write " << i << " is lost";
      }
    }
    if (testing::Test::HasFailure()) return;
  }
}

TEST_F(C22_Close, WritesNeverTouchTheFileAfterClose) {
  writes_never_touch_the_later_file(by_close);
}
TEST_F(C22_Close, WritesNeverTouchTheFileAfterDup2) { writes_never_touch_the_later_file(by_dup2); }
TEST_F(C22_Close, WritesNeverTouchTheFileAfterDup3) { writes_never_touch_the_later_file(by_dup3); }
TEST_F(C22_Close, WritesNeverTouchTheFileAfterCloseRange) {
  writes_never_touch_the_later_file(by_close_range);
}
TEST_F(C22_Close, WritesNeverTouchTheFileAfterClosefrom) {
  writes_never_touch_the_later_file(by_closefrom);
}

TEST_F(C22_Close, QueuedSyncsAndAppendsNeverTouchTheLaterFile) {
  for (int round = 0; round < 20; ++round) {
    NamedFile old;
    Descriptor later = temporary_file();
    Descriptor number = old.open(O_RDWR | O_APPEND);
    const int raw = number.release();
    std::vector<std::string> lines;
    std::vector<aiocb> blocks;
    for (int i = 0; i < 30; ++i) lines.push_back(std::to_string(i) + std::string(500, '.') + "\n");
    for (std::string& line : lines) blocks.push_back(support::block(raw, line.data(), line.size()));
    for (size_t i = 0; i < blocks.size(); ++i) {
      ASSERT_EQ(0, i % 10 == 9 ? aio_fsync(O_DSYNC, &blocks[i]) : aio_write(&blocks[i]));
    }
    by_close(raw, later.get());
    std::string expected;
    for (size_t i = 0; i < blocks.size(); ++i) {
      const int status = wait_for(blocks[i]);
      EXPECT_TRUE(status == 0 || status == ECANCELED) << strerror(status);
      if (status == 0 && i % 10 != 9) expected += lines[i];
    }
    EXPECT_EQ(0, lseek(later.get(), 0, SEEK_END));
    EXPECT_TRUE(expected == old.content());
    close(raw);
  }
}

// Another thread closes and reopens all the time; each request names what its thread saw.
TEST_F(C22_Close, RequestsOfOneThreadSurviveTheClosesOfAnother) {
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  Thread closer([&] {
    while (!stop) {
      Descriptor file(open("/dev/zero", O_RDONLY | O_CLOEXEC));
      char buffer[64];
      memset(buffer, 1, sizeof buffer);
      aiocb reading = support::block(file.get(), buffer, sizeof buffer);
      if (aio_read(&reading) != 0) ++wrong;
      file.reset();
      const int status = wait_for(reading);
      if (status != 0 && status != ECANCELED) ++wrong;
    }
  });
  Pipe pipe;
  for (int i = 0; i < 1000; ++i) {
    char byte = 0;
    const char sent = static_cast<char>(i);
    aiocb reading = support::block(pipe.reader.get(), &byte, 1);
    ASSERT_EQ(0, aio_read(&reading));
    EXPECT_EQ(1, write(pipe.writer.get(), &sent, 1));
    EXPECT_EQ(0, wait_for(reading));
    EXPECT_EQ(sent, byte);
  }
  stop = true;
  closer.join();
  EXPECT_EQ(0, wrong);
}

// ---------------------------------------------------------------- started writes of a pipe

// A write that had begun may end early, with the count of what went into the pipe.
TEST_F(C22_Close, WritesToAClosedPipeSayWhatArrivedAndNothingGoesElsewhere) {
  Pipe pipe;
  Descriptor later = temporary_file();
  std::vector<std::string> pieces;
  std::vector<aiocb> blocks;
  for (int i = 0; i < 8; ++i) {
    pieces.push_back(std::string(i == 0 ? size_t{1} << 20 : 5000, static_cast<char>('a' + i)));
  }
  const int number = pipe.writer.release();
  for (std::string& piece : pieces) {
    blocks.push_back(support::block(number, piece.data(), piece.size()));
  }
  for (aiocb& block : blocks) ASSERT_EQ(0, aio_write(&block));
  std::string received;
  Thread reader([&] { received = support::drain(pipe.reader.get(), size_t{2} << 20); });
  by_close(number, later.get());
  std::string expected;
  for (size_t i = 0; i < blocks.size(); ++i) {
    const int status = wait_for(blocks[i]);
    EXPECT_TRUE(status == 0 || status == ECANCELED) << strerror(status);
    const ssize_t count = aio_return(&blocks[i]);
    if (status == 0) {
      expected += pieces[i].substr(0, static_cast<size_t>(count));
    } else {
      EXPECT_EQ(-1, count);
    }
  }
  reader.join();  // at the end of the file: nobody holds the pipe open for writing
  EXPECT_TRUE(expected == received)
      << expected.size() << " written, " << received.size() << " received";
  EXPECT_EQ(0, lseek(later.get(), 0, SEEK_END)) << "a write went to the later file";
  close(number);
}

// ---------------------------------------------------------------- closed means closed

bool hung_up(int writer) {
  pollfd entry{writer, POLLOUT, 0};
  return poll(&entry, 1, 0) == 1 && (entry.revents & (POLLERR | POLLHUP)) != 0;
}

TEST_F(C22_Close, APipesWriterSeesTheReaderGoAlthoughAReadWaits) {
  for (int round = 0; round < 10; ++round) {
    Pipe pipe;
    char byte;
    aiocb reading = support::block(pipe.reader.get(), &byte, 1);
    ASSERT_EQ(0, aio_read(&reading));
    if (round % 2 == 1) {
      EXPECT_TRUE(support::others_are_asleep());
    }
    pipe.reader.reset();
    EXPECT_TRUE(eventually([&] { return hung_up(pipe.writer.get()); }));
    EXPECT_EQ(ECANCELED, wait_for(reading));
  }
}

TEST_F(C22_Close, ASocketsPeerSeesTheEndAlthoughAReadWaits) {
  for (int round = 0; round < 10; ++round) {
    SocketPair sockets;
    char byte;
    aiocb reading = support::block(sockets.one.get(), &byte, 1);
    ASSERT_EQ(0, aio_read(&reading));
    if (round % 2 == 1) {
      EXPECT_TRUE(support::others_are_asleep());
    }
    sockets.one.reset();
    const timeval limit{20, 0};
    setsockopt(sockets.two.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    EXPECT_EQ(0, recv(sockets.two.get(), &byte, 1, 0)) << strerror(errno);
    EXPECT_EQ(ECANCELED, wait_for(reading));
  }
}

TEST_F(C22_Close, AFileClosedAfterItsRequestsIsReallyClosed) {
  // Room on the file system comes back only when the last reference to a removed file is gone;
  // a lease can be had only when nobody else has the file open.
  NamedFile named(std::string(100000, 'f'));
  std::vector<char> buffer(100000);
  for (const int flags : {O_RDWR, O_RDWR | O_DIRECT}) {
    Descriptor file = named.open(flags);
    if (file.get() < 0) continue;  // a file system without O_DIRECT: the first half was tested
    void* aligned = aligned_alloc(4096, 4096);
    aiocb reading = support::block(file.get(), aligned, 4096);
    ASSERT_EQ(0, aio_read(&reading));
    EXPECT_EQ(0, wait_for(reading));
    file.reset();
    free(aligned);
    Descriptor other = named.open(O_RDWR);
    EXPECT_TRUE(eventually([&] { return fcntl(other.get(), F_SETLEASE, F_WRLCK) == 0; }))
        << "somebody still has the file open: " << strerror(errno);
    fcntl(other.get(), F_SETLEASE, F_UNLCK);
  }
}

// ---------------------------------------------------------------- what does not close

// A read waits on `number`; after `act` it must still be waiting, and then be served.
void leaves_the_read_alone(const std::function<void(int number)>& act) {
  Pipe pipe;
  char byte = 0;
  aiocb reading = support::block(pipe.reader.get(), &byte, 1);
  ASSERT_EQ(0, aio_read(&reading));
  act(pipe.reader.get());
  EXPECT_EQ(EINPROGRESS, aio_error(&reading));
  EXPECT_EQ(1, write(pipe.writer.get(), "x", 1));
  EXPECT_EQ(0, wait_for(reading));
  EXPECT_EQ('x', byte);
}

TEST_F(C22_Close, Dup2OntoItselfLeavesRequestsAlone) {
  leaves_the_read_alone([](int number) { EXPECT_EQ(number, dup2(number, number)); });
}

TEST_F(C22_Close, Dup3OntoItselfIsEinvalAndLeavesRequestsAlone) {
  leaves_the_read_alone([](int number) {
    EXPECT_EQ(-1, dup3(number, number, O_CLOEXEC));
    EXPECT_EQ(EINVAL, errno);
  });
}

TEST_F(C22_Close, AFailingDup2LeavesRequestsAlone) {
  leaves_the_read_alone([](int number) {
    EXPECT_EQ(-1, dup2(support::closed_descriptor(), number));
    EXPECT_EQ(EBADF, errno);
    EXPECT_EQ(-1, dup3(support::closed_descriptor(), number, 0));
    EXPECT_EQ(EBADF, errno);
    EXPECT_EQ(-1, dup3(1, number, ~0));
    EXPECT_EQ(EINVAL, errno);
  });
}

TEST_F(C22_Close, CloseRangeThatOnlySetsCloexecLeavesRequestsAlone) {
  leaves_the_read_alone([](int number) {
    const auto first = static_cast<unsigned>(number);
    EXPECT_EQ(0, close_range(first, first, CLOSE_RANGE_CLOEXEC));
    EXPECT_EQ(FD_CLOEXEC, fcntl(number, F_GETFD));
  });
}

TEST_F(C22_Close, AFailingCloseRangeLeavesRequestsAlone) {
  leaves_the_read_alone([](int number) {
    const auto first = static_cast<unsigned>(number);
    EXPECT_EQ(-1, close_range(first + 1, first, 0));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, close_range(first, first, 1 << 20));
    EXPECT_EQ(EINVAL, errno);
  });
}

TEST_F(C22_Close, ClosingAnotherDescriptorLeavesRequestsAlone) {
  leaves_the_read_alone([](int) {
    for (int i = 0; i < 100; ++i) close(open("/dev/null", O_RDONLY));
    EXPECT_EQ(-1, close(-1));
    EXPECT_EQ(EBADF, errno);
    EXPECT_EQ(-1, close(support::closed_descriptor()));
    EXPECT_EQ(EBADF, errno);
  });
}

// ---------------------------------------------------------------- record locks

// Says from another process whether the first byte of the file is locked.
bool locked_for_others(const std::string& path) {
  const pid_t child = fork();
  if (child == 0) {
    const int file = open(path.c_str(), O_RDWR | O_CLOEXEC);
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_len = 1;
    _exit(fcntl(file, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK ? 1 : 0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

TEST_F(C22_Close, RecordLocksAreKept) {
  NamedFile named(std::string(size_t{1} << 20, 'r'));
  for (const int flags : {O_RDWR, O_RDWR | O_APPEND, O_RDWR | O_DIRECT}) {
    Descriptor file = named.open(flags);
    if (file.get() < 0) continue;  // a file system without O_DIRECT: the others are tested
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_len = 1;
    ASSERT_EQ(0, fcntl(file.get(), F_SETLK, &lock));
    constexpr size_t kPiece = 65536;
    auto* memory = static_cast<char*>(aligned_alloc(4096, 8 * kPiece));
    memset(memory, 'w', 8 * kPiece);
    std::vector<aiocb> blocks;
    for (size_t i = 0; i < 8; ++i) {
      blocks.push_back(
          support::block(file.get(), memory + i * kPiece, kPiece, static_cast<off_t>(i * kPiece)));
    }
    for (size_t i = 0; i < 8; ++i) {
      ASSERT_EQ(0, i % 2 == 0 ? aio_read(&blocks[i]) : aio_write(&blocks[i]));
    }
    aiocb syncing = support::block(file.get(), nullptr, 0);
    ASSERT_EQ(0, aio_fsync(O_SYNC, &syncing));
    aio_cancel(file.get(), &blocks[7]);
    for (const aiocb& block : blocks) wait_for(block);
    EXPECT_EQ(0, wait_for(syncing));
    // Other descriptors are closed and replaced while there is something to do.
    Pipe pipe;
    char byte;
    aiocb reading = support::block(pipe.reader.get(), &byte, 1);
    ASSERT_EQ(0, aio_read(&reading));
    ASSERT_EQ(0, aio_read(&blocks[0]));
    pipe.reader.reset();
    wait_for(blocks[0]);
    wait_for(reading);
    EXPECT_TRUE(locked_for_others(named.path())) << "flags " << flags;
    free(memory);
  }
}

}  // namespace
