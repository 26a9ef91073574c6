// C6: aio_error and aio_return. What they say and when, what they cost, and that a program which
// never asks for a result loses nothing by it.
//
// "glibc:" comments say how glibc 2.36 answers a test that it fails.
#include <seccomp.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "support/kinds.h"
#include "support/loaded.h"
#include "support/outcome.h"
#include "support/support.h"
#include "support/threads.h"

namespace {

using support::Clock;
using support::count;
using support::Descriptor;
using support::failed;
using support::Memory;
using support::Pipe;
using support::run;
using support::SocketPair;
using support::temporary_file;

class C06_Status : public support::Limited {
 protected:
  Pipe pipe_;
  char byte_ = 0;
};

// ---------------------------------------------------------------- what they say

// "aio_error: EINPROGRESS, then 0"
TEST_F(C06_Status, IsInProgressThenNothing) {
  aiocb request = support::block(pipe_.reader.get(), &byte_, 1);
  ASSERT_EQ(0, aio_read(&request));
  for (int look = 0; look < 1000; ++look) EXPECT_EQ(EINPROGRESS, aio_error(&request));
  EXPECT_EQ(1, write(pipe_.writer.get(), "x", 1));
  EXPECT_EQ(0, support::wait_for(request));
  EXPECT_EQ(1, aio_return(&request));
}

// "ECANCELED"
TEST_F(C06_Status, IsCanceledWhenCanceled) {
  aiocb request = support::block(pipe_.reader.get(), &byte_, 1);
  ASSERT_EQ(0, aio_read(&request));
  // glibc: AIO_NOTCANCELED, and the read goes on.
  ASSERT_EQ(AIO_CANCELED, aio_cancel(pipe_.reader.get(), &request));
  EXPECT_EQ(ECANCELED, aio_error(&request));
  EXPECT_EQ(-1, aio_return(&request));
}

// "or the errno"
TEST_F(C06_Status, IsTheErrnoWhenFailed) {
  EXPECT_EQ(failed(EBADF), run(aio_write, support::block(pipe_.reader.get(), &byte_, 1)));
  EXPECT_EQ(failed(EFAULT), run(aio_write, support::block(pipe_.writer.get(), nullptr, 1)));
}

// "leaves errno alone on success": whatever it says is success.
TEST_F(C06_Status, LeavesErrnoAlone) {
  aiocb request = support::block(pipe_.reader.get(), &byte_, 1);
  aiocb wrong = support::block(pipe_.reader.get(), &byte_, 1);
  ASSERT_EQ(0, aio_read(&request));
  ASSERT_EQ(0, aio_write(&wrong));
  EXPECT_EQ(EBADF, support::wait_for(wrong));
  errno = 4321;
  EXPECT_EQ(EINPROGRESS, aio_error(&request));
  EXPECT_EQ(4321, errno);
  EXPECT_EQ(EBADF, aio_error(&wrong));
  EXPECT_EQ(4321, errno);
  EXPECT_EQ(1, write(pipe_.writer.get(), "x", 1));
  EXPECT_EQ(0, support::wait_for(request));
  errno = 4321;
  EXPECT_EQ(0, aio_error(&request));
  EXPECT_EQ(4321, errno);
  EXPECT_EQ(1, aio_return(&request));
  EXPECT_EQ(4321, errno);
}

// "calling it, or aio_error, again later gives the same answer until the block is reused"
TEST_F(C06_Status, AnswersAreTheSameEveryTime) {
  Descriptor file = temporary_file("0123456789");
  char buffer[4];
  aiocb good = support::block(file.get(), buffer, 4);
  aiocb bad = support::block(-1, buffer, 4);
  ASSERT_EQ(0, aio_read(&good));
  ASSERT_EQ(0, aio_read(&bad));
  support::wait_for(good);
  support::wait_for(bad);
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(4, aio_return(&good));
    EXPECT_EQ(0, aio_error(&good));
    EXPECT_EQ(-1, aio_return(&bad));
    EXPECT_EQ(EBADF, aio_error(&bad));
  }
  // Other requests in between change nothing, also many of them.
  for (int other = 0; other < 1000; ++other) {
    EXPECT_EQ(count(1), run(aio_read, support::block(file.get(), buffer, 1)));
    EXPECT_EQ(count(1), run(aio_write, support::block(file.get(), buffer, 1)));
  }
  EXPECT_EQ(4, aio_return(&good));
  EXPECT_EQ(0, aio_error(&good));
  EXPECT_EQ(-1, aio_return(&bad));
  EXPECT_EQ(EBADF, aio_error(&bad));
  // A reused block has the new request's answers.
  good.aio_nbytes = 2;
  ASSERT_EQ(0, aio_read(&good));
  EXPECT_EQ(count(2), support::outcome_of(good));
}

// ---------------------------------------------------------------- polling

// Looks at aio_error, and at nothing else, until the request is over.
bool seen_by_polling(const aiocb& request) {
  const auto end = Clock::now() + support::kPatience;
  while (aio_error(&request) == EINPROGRESS) {
    if (Clock::now() > end) return false;
  }
  return true;
}

// "A poll loop on aio_error alone must see the request finish": of every kind.
TEST_F(C06_Status, PollingAloneSeesTheEnd) {
  Descriptor file = temporary_file(std::string(1 << 20, 'x'));
  Descriptor direct = temporary_file(std::string(65536, 'x'), O_DIRECT);
  Descriptor append = temporary_file("", O_APPEND);
  Memory memory(1 << 20);
  const auto poll = [&](support::Submit submit, int descriptor, size_t length) {
    aiocb request = support::block(descriptor, memory.get(), length);
    ASSERT_EQ(0, submit(&request));
    ASSERT_TRUE(seen_by_polling(request));
    EXPECT_EQ(0, aio_error(&request));
  };
  for (int round = 0; round < 20; ++round) {
    poll(aio_read, file.get(), 100);
    poll(aio_read, file.get(), 1 << 20);
    posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
    poll(aio_read, file.get(), 4096);
    poll(aio_write, file.get(), 4096);
    poll(aio_read, direct.get(), 4096);
    poll(aio_write, direct.get(), 65536);
    poll(aio_write, append.get(), 100);
    poll(support::sync_data, file.get(), 0);
    poll(aio_write, pipe_.writer.get(), 100);
    poll(aio_read, pipe_.reader.get(), 100);
  }
}

// Streams that become ready only after the poll has begun to be needed.
TEST_F(C06_Status, PollingAloneSeesTheEndOfWhatWaited) {
  SocketPair socket;
  const Descriptor counter = support::event_counter();
  uint64_t value = 1;
  for (int round = 0; round < 50; ++round) {
    aiocb requests[] = {support::block(pipe_.reader.get(), &byte_, 1),
                        support::block(socket.one.get(), &byte_, 1),
                        support::block(counter.get(), &value, 8)};
    for (aiocb& request : requests) ASSERT_EQ(0, aio_read(&request));
    EXPECT_EQ(1, write(pipe_.writer.get(), "x", 1));
    EXPECT_EQ(1, write(socket.two.get(), "x", 1));
    EXPECT_EQ(0, eventfd_write(counter.get(), 1));
    for (const aiocb& request : requests) ASSERT_TRUE(seen_by_polling(request));
  }
}

// The data is there when the status says so, and the result with it.
TEST_F(C06_Status, TheDataIsThereWhenTheStatusIs) {
  SocketPair socket;
  for (int round = 0; round < 200; ++round) {
    char got[64];
    memset(got, 0, sizeof got);
    const std::string sent(sizeof got, static_cast<char>('a' + round % 26));
    aiocb request = support::block(socket.one.get(), got, sizeof got);
    ASSERT_EQ(0, aio_read(&request));
    EXPECT_EQ(static_cast<ssize_t>(sent.size()), write(socket.two.get(), sent.data(), sent.size()));
    ASSERT_TRUE(seen_by_polling(request));
    ASSERT_EQ(sent, std::string(got, sizeof got));
    ASSERT_EQ(static_cast<ssize_t>(sizeof got), aio_return(&request));
  }
}

// ---------------------------------------------------------------- what they cost

// "It is one acquire load or little more": so it makes no system call, whatever the state is. In a
// child whose one thread is killed at any.
TEST_F(C06_Status, AskingMakesNoSystemCall) {
  if (support::kSanitized) GTEST_SKIP() << "the sanitizer makes system calls of its own";
  const auto body = [this] {
    Descriptor file = temporary_file("0123456789");
    char buffer[4];
    aiocb pending = support::block(pipe_.reader.get(), &byte_, 1);
    aiocb good = support::block(file.get(), buffer, 4);
    aiocb bad = support::block(-1, buffer, 4);
    ASSERT_EQ(0, aio_read(&pending));
    EXPECT_EQ(count(4), run(aio_write, good));
    ASSERT_EQ(0, aio_read(&good));
    ASSERT_EQ(0, aio_read(&bad));
    EXPECT_EQ(0, support::wait_for(good));
    EXPECT_EQ(EBADF, support::wait_for(bad));
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, geteuid() == 0 ? 0 : 1);
    ASSERT_EQ(0, seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(exit_group), 0));
    ASSERT_EQ(0, seccomp_load(filter));
    bool right = true;
    for (int round = 0; round < 100; ++round) {
      right = right && aio_error(&pending) == EINPROGRESS;
      right = right && aio_error(&good) == 0 && aio_return(&good) == 4;
      right = right && aio_error(&bad) == EBADF && aio_return(&bad) == -1;
    }
    _exit(right ? 0 : 3);
  };
  const int status = support::in_child(body);
  EXPECT_EQ(0, status) << (WIFSIGNALED(status) ? "killed: it made a system call" : "wrong answer");
}

// "takes no lock": nobody waits for anybody. Threads that do nothing but ask do not slow down a
// thread that submits beyond what sharing the processors costs.
TEST_F(C06_Status, AskersHoldNobodyUp) {
  aiocb pending = support::block(pipe_.reader.get(), &byte_, 1);
  ASSERT_EQ(0, aio_read(&pending));
  std::atomic<bool> stop{false};
  std::atomic<long> asked{0};
  {
    const auto ask = [&] {
      while (!stop) {
        for (int look = 0; look < 1000; ++look) {
          if (aio_error(&pending) != EINPROGRESS) stop = true;
        }
        asked += 1000;
      }
    };
    support::Thread first(ask), second(ask);
    Descriptor file = temporary_file("0123456789");
    char buffer[4];
    for (int round = 0; round < 500; ++round) {
      EXPECT_EQ(count(4), run(aio_write, support::block(file.get(), buffer, 4)));
    }
    EXPECT_FALSE(stop);
    EXPECT_TRUE(support::eventually([&] { return asked > 100'000; }));
    stop = true;
  }
  EXPECT_EQ(1, write(pipe_.writer.get(), "x", 1));
  EXPECT_EQ(count(1), support::outcome_of(pending));
}

// ---------------------------------------------------------------- never asked

size_t resident_bytes() {
  size_t total = 0, resident = 0;
  FILE* file = fopen("/proc/self/statm", "re");
  EXPECT_EQ(2, fscanf(file, "%zu %zu", &total, &resident));
  fclose(file);
  return resident * 4096;
}

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// A few thousand requests of every way, whose end is seen with aio_error, and whose result is
// never fetched. Every block is one that was not used before.
void requests_without_return(const Descriptor& file, const Descriptor& direct, Pipe& pipe,
                             const Memory& memory, std::vector<aiocb>& blocks) {
  size_t next = 0;
  const auto ask = [&](support::Submit submit, int descriptor, size_t length) {
    aiocb& request = blocks[next++ % blocks.size()];
    request = support::block(descriptor, memory.get(), length);
    ASSERT_EQ(0, submit(&request));
    ASSERT_EQ(0, support::wait_for(request));
  };
  for (int round = 0; round < 500; ++round) {
    for (int read = 0; read < 4; ++read) ask(aio_read, file.get(), 64);
    ask(aio_write, file.get(), 64);
    ask(aio_read, direct.get(), 4096);
    ask(aio_write, pipe.writer.get(), 64);
    ask(aio_read, pipe.reader.get(), 64);
  }
}

// "programs that never call it (stress-ng) leak nothing and slow nothing down"
TEST_F(C06_Status, ResultsThatAreNeverFetchedCostNothing) {
  Descriptor file = temporary_file(std::string(65536, 'x'));
  Descriptor direct = temporary_file(std::string(65536, 'x'), O_DIRECT);
  Memory memory(65536);
  std::vector<aiocb> blocks(4000);
  const auto some = [&] { requests_without_return(file, direct, pipe_, memory, blocks); };
  some();  // threads, stacks, pages
  double start = cpu_seconds();
  some();
  const double first = cpu_seconds() - start;
  const size_t resident = resident_bytes();
  for (int time = 0; time < 8; ++time) some();
  start = cpu_seconds();
  some();
  const double last = cpu_seconds() - start;
  if (!support::kSanitized) {
    // 36,000 requests: 64 bytes kept of each would be seen.
    EXPECT_LT(resident_bytes(), resident + (size_t{2} << 20));
  }
  EXPECT_LT(last, 5 * first + 0.5);
}

}  // namespace
