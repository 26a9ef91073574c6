// C12: lio_listio. What an entry is, what LIO_WAIT returns, bad arguments and long lists.
// LIO_NOWAIT and its notification have a file of their own.
//
// "glibc:" comments say how glibc 2.36 answers a test that it fails.
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <numeric>

#include "conformance/c12_lists.h"
#include "support/support.h"
#include "support/threads.h"

namespace {

using lists::entry;
using lists::list_io;
using lists::pointers_to;
using support::BlockedSignal;
using support::Descriptor;
using support::Handler;
using support::Pipe;
using support::signal_event;
using support::temporary_file;
using support::test_signal;
using support::Thread;
using support::wait_for;

class C12_ListIo : public support::Limited {};

void count_nothing(int, siginfo_t*, void*) {}

// ---------------------------------------------------------------- entries

TEST_F(C12_ListIo, NullEntriesAndNopsAreSkipped) {
  Descriptor file = temporary_file("0123456789");
  char read_here[4] = {};
  aiocb nop = entry(LIO_NOP, -5, nullptr, 99, -7);
  const aiocb nop_before = nop;
  aiocb reading = entry(LIO_READ, file.get(), read_here, 4, 2);
  EXPECT_EQ(0, list_io(LIO_WAIT, {nullptr, &nop, &reading, nullptr, &nop}));
  EXPECT_EQ(4, support::result_of(reading));
  EXPECT_EQ("2345", std::string(read_here, 4));
  EXPECT_EQ(0, memcmp(&nop, &nop_before, sizeof nop)) << "a LIO_NOP entry was written to";
}

TEST_F(C12_ListIo, EachEntryHasItsOwnStatus) {
  Descriptor file = temporary_file("0123456789");
  Pipe pipe;
  char buffers[4][16] = {};
  std::vector<aiocb> blocks = {
      entry(LIO_READ, file.get(), buffers[0], 4, 0),                  // all of it
      entry(LIO_READ, file.get(), buffers[1], 16, 7),                 // up to the end: 3 bytes
      entry(LIO_READ, pipe.writer.get(), buffers[2], 4),              // not open for reading
      entry(LIO_WRITE, pipe.writer.get(), buffers[3], 5),             // all of it
      entry(LIO_READ, support::closed_descriptor(), buffers[2], 4)};  // no file
  EXPECT_EQ(0, list_io(LIO_NOWAIT, pointers_to(blocks)));
  EXPECT_EQ(0, wait_for(blocks[0]));
  EXPECT_EQ(0, wait_for(blocks[1]));
  EXPECT_EQ(EBADF, wait_for(blocks[2]));
  EXPECT_EQ(0, wait_for(blocks[3]));
  EXPECT_EQ(EBADF, wait_for(blocks[4]));
  EXPECT_EQ(4, aio_return(&blocks[0]));
  EXPECT_EQ(3, aio_return(&blocks[1]));
  EXPECT_EQ(-1, aio_return(&blocks[2]));
  EXPECT_EQ(5, aio_return(&blocks[3]));
  EXPECT_EQ(-1, aio_return(&blocks[4]));
}

TEST_F(C12_ListIo, EntriesNotifyInWaitModeToo) {
  BlockedSignal signal(test_signal());
  Descriptor file = temporary_file("0123456789");
  char buffer[4];
  std::vector<aiocb> blocks(4, entry(LIO_READ, file.get(), buffer, 1));
  for (int i = 0; i < 4; ++i)
    blocks[static_cast<size_t>(i)].aio_sigevent = signal_event(test_signal(), 1 << i);
  EXPECT_EQ(0, list_io(LIO_WAIT, pointers_to(blocks)));
  int values = 0;
  for (int i = 0; i < 4; ++i) {
    siginfo_t info;
    ASSERT_TRUE(signal.take(&info));
    values += info.si_value.sival_int;
  }
  EXPECT_EQ(15, values);
}

TEST_F(C12_ListIo, ABadOpcodeFailsAlone) {
  Descriptor file = temporary_file("0123456789");
  for (const int mode : {LIO_WAIT, LIO_NOWAIT}) {
    char buffers[2][4] = {};
    std::vector<aiocb> blocks = {entry(LIO_READ, file.get(), buffers[0], 4, 0),
                                 entry(4711, file.get(), buffers[1], 4, 0),
                                 entry(LIO_READ, file.get(), buffers[1], 4, 4)};
    const int answer = list_io(mode, pointers_to(blocks));
    if (mode == LIO_WAIT) {
      EXPECT_EQ(-1, answer);
      EXPECT_EQ(EIO, errno);
    }
    EXPECT_EQ(0, wait_for(blocks[0]));
    EXPECT_EQ(EINVAL, wait_for(blocks[1]));
    EXPECT_EQ(0, wait_for(blocks[2]));
    EXPECT_EQ(-1, aio_return(&blocks[1]));
    EXPECT_EQ("4567", std::string(buffers[1], 4));
  }
}

TEST_F(C12_ListIo, ABadOpcodeDoesNotLoseTheListsNotification) {
  BlockedSignal signal(test_signal());
  Pipe pipe;
  char buffer[4];
  for (size_t place = 0; place < 3; ++place) {
    std::vector<aiocb> blocks(3, entry(LIO_READ, pipe.reader.get(), buffer, 1));
    blocks[place].aio_lio_opcode = -3;
    sigevent event = signal_event(test_signal(), 5);
    list_io(LIO_NOWAIT, pointers_to(blocks), &event);
    EXPECT_FALSE(signal.take_now()) << "sent while entries wait";
    EXPECT_EQ(2, write(pipe.writer.get(), "ab", 2));
    EXPECT_TRUE(signal.take());
    for (size_t i = 0; i < 3; ++i) EXPECT_EQ(i == place ? EINVAL : 0, aio_error(&blocks[i]));
    EXPECT_FALSE(signal.take_now());
  }
}

TEST_F(C12_ListIo, ABadDescriptorFailsAlone) {
  Descriptor file = temporary_file("0123456789");
  char buffers[2][4] = {};
  std::vector<aiocb> blocks = {entry(LIO_READ, -1, buffers[0], 4),
                               entry(LIO_READ, file.get(), buffers[1], 4, 4),
                               entry(LIO_WRITE, support::closed_descriptor(), buffers[0], 4)};
  EXPECT_EQ(0, list_io(LIO_NOWAIT, pointers_to(blocks)));
  EXPECT_EQ(EBADF, wait_for(blocks[0]));
  EXPECT_EQ(0, wait_for(blocks[1]));
  EXPECT_EQ(EBADF, wait_for(blocks[2]));
  EXPECT_EQ("4567", std::string(buffers[1], 4));
}

// ---------------------------------------------------------------- LIO_WAIT

TEST_F(C12_ListIo, WaitReturnsZeroOnceAllHaveFinished) {
  Descriptor file = temporary_file();
  Pipe pipe;
  std::string written(64 * 512, '\0');
  std::iota(written.begin(), written.end(), '\0');
  std::vector<aiocb> blocks;
  for (size_t i = 0; i < 64; ++i) {
    blocks.push_back(
        entry(LIO_WRITE, file.get(), &written[i * 512], 512, static_cast<off_t>(i * 512)));
  }
  char late;
  blocks.push_back(entry(LIO_READ, pipe.reader.get(), &late, 1));
  std::atomic<bool> entered{false};
  std::atomic<bool> returned{false};
  int answer = -2;
  Thread waiter([&] {
    entered = true;
    answer = list_io(LIO_WAIT, pointers_to(blocks));
    returned = true;
  });
  EXPECT_TRUE(support::asleep_after(waiter, entered));
  EXPECT_FALSE(returned) << "returned although the pipe is empty";
  EXPECT_EQ(1, write(pipe.writer.get(), "x", 1));
  waiter.join();
  EXPECT_EQ(0, answer);
  for (const aiocb& block : blocks) EXPECT_EQ(0, aio_error(&block));
  EXPECT_EQ('x', late);
  std::string read_back(written.size(), '\0');
  EXPECT_EQ(static_cast<ssize_t>(written.size()),
            pread(file.get(), read_back.data(), read_back.size(), 0));
  EXPECT_TRUE(written == read_back);
}

TEST_F(C12_ListIo, WaitIsEioIfOneFailedAndAllHaveFinishedThen) {
  Descriptor file = temporary_file("0123456789");
  Pipe pipe;
  char buffer[8];
  std::vector<aiocb> blocks = {entry(LIO_READ, support::closed_descriptor(), buffer, 1),
                               entry(LIO_READ, file.get(), buffer, 8),
                               entry(LIO_READ, pipe.reader.get(), buffer, 1)};
  std::atomic<bool> entered{false};
  int answer = -2;
  int error = 0;
  Thread waiter([&] {
    entered = true;
    answer = list_io(LIO_WAIT, pointers_to(blocks));
    error = errno;
  });
  EXPECT_TRUE(support::asleep_after(waiter, entered));
  EXPECT_EQ(1, write(pipe.writer.get(), "x", 1));
  waiter.join();
  EXPECT_EQ(-1, answer);
  EXPECT_EQ(EIO, error);
  EXPECT_EQ(EBADF, aio_error(&blocks[0]));
  EXPECT_EQ(0, aio_error(&blocks[1]));
  EXPECT_EQ(0, aio_error(&blocks[2]));
}

// glibc: a read that waits in a pipe cannot be cancelled.
TEST_F(C12_ListIo, WaitIsEioIfOneWasCancelled) {
  Pipe pipe;
  char buffer[2];
  std::vector<aiocb> blocks(2, entry(LIO_READ, pipe.reader.get(), buffer, 1));
  std::atomic<bool> entered{false};
  int answer = -2;
  int error = 0;
  Thread waiter([&] {
    entered = true;
    answer = list_io(LIO_WAIT, pointers_to(blocks));
    error = errno;
  });
  // A thread may sleep on its way, too: both entries must have been accepted.
  EXPECT_TRUE(support::eventually([&] {
    return aio_error(&blocks[0]) == EINPROGRESS && aio_error(&blocks[1]) == EINPROGRESS;
  }));
  EXPECT_TRUE(support::asleep_after(waiter, entered));
  EXPECT_EQ(AIO_CANCELED, aio_cancel(pipe.reader.get(), nullptr));
  if (testing::Test::HasFailure()) {
    EXPECT_EQ(2, write(pipe.writer.get(), "xy", 2));
  }
  waiter.join();
  EXPECT_EQ(-1, answer);
  EXPECT_EQ(EIO, error);
  EXPECT_EQ(ECANCELED, aio_error(&blocks[0]));
  EXPECT_EQ(ECANCELED, aio_error(&blocks[1]));
}

__attribute__((noinline)) void overwrite_stack() {
  volatile char dead_frames[65536];
  for (volatile char& byte : dead_frames) byte = '\xA5';
}

__attribute__((noinline)) int wait_for_two(aiocb& first, aiocb& second) {
  aiocb* list[2] = {&first, &second};
  return lio_listio(LIO_WAIT, list, 2, nullptr);
}

TEST_F(C12_ListIo, WaitIsEintrWhenAHandlerRanAndTheRequestsGoOn) {
  Handler handler(test_signal(), count_nothing);
  for (int round = 0; round < 50; ++round) {
    Pipe one;
    Pipe two;
    char bytes[2] = {};
    aiocb first = entry(LIO_READ, one.reader.get(), &bytes[0], 1);
    aiocb second = entry(LIO_READ, two.reader.get(), &bytes[1], 1);
    std::atomic<bool> returned{false};
    std::atomic<bool> complete{false};
    int answer = 0;
    int error = 0;
    Thread waiter([&] {
      answer = wait_for_two(first, second);
      error = errno;
      overwrite_stack();
      returned = true;
      while (!complete) overwrite_stack();
      overwrite_stack();
    });
    ASSERT_TRUE(support::interrupt_until(waiter, test_signal(), returned));
    EXPECT_EQ(-1, answer);
    EXPECT_EQ(EINTR, error);
    EXPECT_EQ(EINPROGRESS, aio_error(&first));
    EXPECT_EQ(EINPROGRESS, aio_error(&second));
    EXPECT_EQ(1, write(one.writer.get(), "1", 1));
    EXPECT_EQ(1, write(two.writer.get(), "2", 1));
    EXPECT_EQ(0, wait_for(first));
    EXPECT_EQ(0, wait_for(second));
    EXPECT_EQ("12", std::string(bytes, 2));
    complete = true;
  }
}

TEST_F(C12_ListIo, WaitIgnoresItsSigevent) {
  BlockedSignal signal(test_signal());
  Descriptor file = temporary_file("0123456789");
  char buffer[4];
  aiocb reading = entry(LIO_READ, file.get(), buffer, 4);
  sigevent event = signal_event(test_signal());
  EXPECT_EQ(0, list_io(LIO_WAIT, {&reading}, &event));
  EXPECT_FALSE(signal.take_now());
  event.sigev_notify = 4711;
  EXPECT_EQ(0, list_io(LIO_WAIT, {&reading}, &event)) << "a sigevent that means nothing";
  EXPECT_EQ(0, list_io(LIO_WAIT, {nullptr}, &event));
}

TEST_F(C12_ListIo, WaitWithNothingToDoReturnsZero) {
  aiocb nop = entry(LIO_NOP, 0, nullptr, 0);
  EXPECT_EQ(0, list_io(LIO_WAIT, {}));
  EXPECT_EQ(0, list_io(LIO_WAIT, {nullptr, nullptr}));
  EXPECT_EQ(0, list_io(LIO_WAIT, {&nop, nullptr, &nop}));
}

// ---------------------------------------------------------------- bad arguments

TEST_F(C12_ListIo, ABadModeIsEinvalAndStartsNothing) {
  Pipe pipe;
  char buffer = '-';
  aiocb reading = entry(LIO_READ, pipe.reader.get(), &buffer, 1);
  EXPECT_EQ(1, write(pipe.writer.get(), "x", 1));
  for (const int mode : {-1, 2, 4711}) {
    errno = 0;
    EXPECT_EQ(-1, list_io(mode, {&reading}));
    EXPECT_EQ(EINVAL, errno) << mode;
  }
  EXPECT_EQ("x", support::drain(pipe.reader.get(), 1)) << "an entry was carried out";
}

// glibc: takes it for an empty list.
TEST_F(C12_ListIo, ANegativeNentIsEinval) {
  BlockedSignal signal(test_signal());
  aiocb* list[1] = {nullptr};
  sigevent event = signal_event(test_signal());
  for (const int mode : {LIO_WAIT, LIO_NOWAIT}) {
    errno = 0;
    EXPECT_EQ(-1, lio_listio(mode, list, -1, &event));
    EXPECT_EQ(EINVAL, errno);
  }
  EXPECT_FALSE(signal.take_now());
}

// ---------------------------------------------------------------- long lists

TEST_F(C12_ListIo, TenThousandEntriesFinish) {
  BlockedSignal signal(test_signal());
  constexpr size_t kEntries = 10000;
  Descriptor file = temporary_file();
  std::vector<uint32_t> values(kEntries);
  std::iota(values.begin(), values.end(), 1U);
  std::vector<aiocb> blocks;
  for (size_t i = 0; i < kEntries; ++i) {
    blocks.push_back(entry(LIO_WRITE, file.get(), &values[i], 4, static_cast<off_t>(i * 4)));
  }
  ASSERT_EQ(0, list_io(LIO_WAIT, pointers_to(blocks)));
  std::vector<uint32_t> read_back(kEntries);
  for (size_t i = 0; i < kEntries; ++i) {
    EXPECT_EQ(4, aio_return(&blocks[i]));
    blocks[i] = entry(LIO_READ, file.get(), &read_back[i], 4, static_cast<off_t>(i * 4));
  }
  sigevent event = signal_event(test_signal());
  ASSERT_EQ(0, list_io(LIO_NOWAIT, pointers_to(blocks), &event));
  ASSERT_TRUE(signal.take());
  EXPECT_TRUE(values == read_back);
}

// Two getppid calls around the calls that count. Only the calling thread is looked at.
void mark() { syscall(SYS_getppid); }

// How many system calls the thread makes between the two marks; -1 when it cannot be told.
long system_calls_of(const std::function<void()>& prepare, const std::function<void()>& counted) {
  const pid_t child = fork();
  if (child == 0) {
    prepare();
    ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    raise(SIGSTOP);
    mark();
    counted();
    mark();
    _exit(0);
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) return -1;
  ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
  long calls = 0;
  int marks = 0;
  bool entering = true;
  int pass_on = 0;
  while (marks < 2 && ptrace(PTRACE_SYSCALL, child, nullptr, pass_on) == 0) {
    if (waitpid(child, &status, __WALL) != child || !WIFSTOPPED(status)) return -1;
    pass_on = 0;
    if (WSTOPSIG(status) != (SIGTRAP | 0x80)) {
      pass_on = WSTOPSIG(status);
      continue;
    }
    if (entering) {
      __ptrace_syscall_info info{};
      ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof info, &info);
      if (info.entry.nr == SYS_getppid)
        ++marks;
      else
        ++calls;
    }
    entering = !entering;
  }
  kill(child, SIGKILL);
  while (waitpid(child, &status, 0) == child && !WIFSIGNALED(status)) {
  }
  return marks == 2 ? calls : -1;
}

// One transfer may be a call of its own, because nothing is faster for a cached page; what must
// not be is several calls around each.
TEST_F(C12_ListIo, TenThousandEntriesCostFewSystemCalls) {
  constexpr int kEntries = 10000;
  Pipe pipe;
  Descriptor file = temporary_file(std::string(4096, 'f'));
  std::vector<char> buffer(kEntries);
  const auto cost = [&](int descriptor) {
    std::vector<aiocb> blocks;
    for (char& byte : buffer) blocks.push_back(entry(LIO_READ, descriptor, &byte, 1, 0));
    const std::vector<aiocb*> list = pointers_to(blocks);
    aiocb first = entry(LIO_READ, file.get(), buffer.data(), 1);
    return system_calls_of([&] { list_io(LIO_WAIT, {&first}); },
                           [&] { list_io(LIO_NOWAIT, list); });
  };
  const long of_file = cost(file.get());
  const long of_pipe = cost(pipe.reader.get());
  RecordProperty("file_calls", static_cast<int>(of_file));
  RecordProperty("pipe_calls", static_cast<int>(of_pipe));
  EXPECT_GE(of_file, 0);
  EXPECT_LE(of_file, kEntries + kEntries / 10) << "reads of a cached file";
  EXPECT_GE(of_pipe, 0);
  EXPECT_LE(of_pipe, kEntries / 10) << "reads that wait in a pipe";
}

}  // namespace
