// C13: aio_suspend. When it returns, and with what. Long lists and several threads have a file of
// their own.
//
// That the timeout is measured by the monotonic clock is not tested by turning the machine's
// clock back; what can be seen is that it never ends early and that no length of it overflows.
#include <sys/wait.h>

#include <climits>

#include "support/support.h"
#include "support/threads.h"

namespace {

using support::Clock;
using support::Descriptor;
using support::Handler;
using support::milliseconds;
using support::Pipe;
using support::suspend_for;
using support::temporary_file;
using support::test_signal;
using support::Thread;
using support::wait_for;

std::atomic<int> handled{0};
void count_handled(int, siginfo_t*, void*) { ++handled; }

class C13_Suspend : public support::Limited {
 protected:
  // A block whose request goes on until finish() gives it a byte.
  static aiocb to_wait_in(Pipe& pipe, char* byte) {
    return support::block(pipe.reader.get(), byte, 1);
  }
  static void finish(Pipe& pipe) { EXPECT_EQ(1, write(pipe.writer.get(), "x", 1)); }

  Pipe pipe_;
  char byte_ = 0;
};

int suspend(const std::vector<const aiocb*>& list, const timespec* timeout = nullptr) {
  return aio_suspend(list.data(), static_cast<int>(list.size()), timeout);
}

// ---------------------------------------------------------------- when it returns

TEST_F(C13_Suspend, ReturnsAtOnceWhenARequestHasFinishedAlready) {
  Descriptor file = temporary_file("0123456789");
  char buffer[4];
  aiocb waiting = to_wait_in(pipe_, &byte_);
  aiocb finished = support::block(file.get(), buffer, 4);
  ASSERT_EQ(0, aio_read(&waiting));
  ASSERT_EQ(0, aio_read(&finished));
  ASSERT_EQ(0, wait_for(finished));
  EXPECT_EQ(0, suspend({&waiting, &finished}));
  EXPECT_EQ(0, suspend({&finished, &waiting}));
  EXPECT_EQ(0, suspend({&finished}));
  const timespec none{};
  EXPECT_EQ(0, suspend({&waiting, &finished}, &none));
  EXPECT_EQ(4, aio_return(&finished));
  EXPECT_EQ(0, suspend({&waiting, &finished})) << "after aio_return";
  finish(pipe_);
  EXPECT_EQ(0, wait_for(waiting));
}

TEST_F(C13_Suspend, ReturnsWhenARequestFailsOrIsCancelled) {
  aiocb failing = support::block(pipe_.writer.get(), &byte_, 1);
  ASSERT_EQ(0, aio_read(&failing));
  EXPECT_EQ(0, suspend({&failing}));
  EXPECT_EQ(EBADF, aio_error(&failing));

  aiocb cancelled = to_wait_in(pipe_, &byte_);
  ASSERT_EQ(0, aio_read(&cancelled));
  std::atomic<bool> entered{false};
  int answer = -2;
  Thread waiter([&] {
    entered = true;
    answer = suspend({&cancelled});
  });
  EXPECT_TRUE(support::asleep_after(waiter, entered));
  EXPECT_EQ(AIO_CANCELED, aio_cancel(pipe_.reader.get(), &cancelled));
  if (HasFailure()) finish(pipe_);
  waiter.join();
  EXPECT_EQ(0, answer);
  EXPECT_EQ(ECANCELED, aio_error(&cancelled));
}

TEST_F(C13_Suspend, ReturnsWhenAnyOfTheListedFinishes) {
  std::vector<Pipe> pipes(8);
  char bytes[8];
  std::vector<aiocb> blocks;
  for (size_t i = 0; i < 8; ++i) blocks.push_back(to_wait_in(pipes[i], &bytes[i]));
  std::vector<const aiocb*> list;
  for (aiocb& block : blocks) {
    ASSERT_EQ(0, aio_read(&block));
    list.push_back(&block);
  }
  for (size_t i = 0; i < 8; ++i) {
    std::atomic<bool> entered{false};
    std::atomic<bool> returned{false};
    int answer = -2;
    Thread waiter([&] {
      entered = true;
      answer = suspend(list);
      returned = true;
    });
    EXPECT_TRUE(support::asleep_after(waiter, entered));
    EXPECT_FALSE(returned);
    const size_t chosen = (i * 5 + 3) % 8;
    finish(pipes[chosen]);
    waiter.join();
    EXPECT_EQ(0, answer);
    EXPECT_EQ(0, aio_error(&blocks[chosen]));
    list[chosen] = nullptr;
  }
}

TEST_F(C13_Suspend, IgnoresNullEntries) {
  aiocb waiting = to_wait_in(pipe_, &byte_);
  ASSERT_EQ(0, aio_read(&waiting));
  const timespec none{};
  EXPECT_EQ(-1, suspend({nullptr, &waiting, nullptr}, &none));
  EXPECT_EQ(EAGAIN, errno);
  std::atomic<bool> entered{false};
  int answer = -2;
  Thread waiter([&] {
    entered = true;
    answer = suspend({nullptr, &waiting, nullptr});
  });
  EXPECT_TRUE(support::asleep_after(waiter, entered));
  finish(pipe_);
  waiter.join();
  EXPECT_EQ(0, answer);
}

TEST_F(C13_Suspend, TheSameRequestMayBeListedTwice) {
  aiocb waiting = to_wait_in(pipe_, &byte_);
  for (int round = 0; round < 20; ++round) {
    ASSERT_EQ(0, aio_read(&waiting));
    std::atomic<bool> entered{false};
    int answer = -2;
    Thread waiter([&] {
      entered = true;
      answer = suspend({&waiting, &waiting, nullptr, &waiting});
    });
    EXPECT_TRUE(support::asleep_after(waiter, entered));
    finish(pipe_);
    waiter.join();
    EXPECT_EQ(0, answer);
    EXPECT_EQ(0, aio_error(&waiting));
  }
}

TEST_F(C13_Suspend, AnotherThreadsRequestCanBeWaitedFor) {
  aiocb waiting = to_wait_in(pipe_, &byte_);
  Thread submitter([&] { EXPECT_EQ(0, aio_read(&waiting)); });
  submitter.join();
  std::atomic<bool> entered{false};
  int answer = -2;
  Thread waiter([&] {
    entered = true;
    answer = suspend({&waiting});
  });
  EXPECT_TRUE(support::asleep_after(waiter, entered));
  finish(pipe_);
  waiter.join();
  EXPECT_EQ(0, answer);
}

// ---------------------------------------------------------------- the timeout

TEST_F(C13_Suspend, AZeroTimeoutPolls) {
  aiocb waiting = to_wait_in(pipe_, &byte_);
  ASSERT_EQ(0, aio_read(&waiting));
  const timespec none{};
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(-1, suspend({&waiting}, &none));
    ASSERT_EQ(EAGAIN, errno);
  }
  finish(pipe_);
  EXPECT_TRUE(support::eventually([&] { return suspend({&waiting}, &none) == 0; }));
  EXPECT_EQ(0, aio_error(&waiting));
}

TEST_F(C13_Suspend, TheTimeoutEndsWithEagainAndNotEarly) {
  aiocb waiting = to_wait_in(pipe_, &byte_);
  ASSERT_EQ(0, aio_read(&waiting));
  for (const long length : {1L, 20L, 150L}) {
    const timespec timeout = milliseconds(length);
    const auto before = Clock::now();
    EXPECT_EQ(-1, suspend({&waiting}, &timeout));
    EXPECT_EQ(EAGAIN, errno);
    EXPECT_GE(Clock::now() - before, std::chrono::milliseconds(length));
  }
  EXPECT_EQ(EINPROGRESS, aio_error(&waiting));
  finish(pipe_);
  EXPECT_EQ(0, wait_for(waiting));
}

TEST_F(C13_Suspend, ALongTimeoutDoesNotOverflow) {
  for (const time_t seconds :
       {time_t{1} << 31, time_t{1} << 40, std::numeric_limits<time_t>::max()}) {
    aiocb waiting = to_wait_in(pipe_, &byte_);
    ASSERT_EQ(0, aio_read(&waiting));
    std::atomic<bool> entered{false};
    int answer = -2;
    Thread waiter([&] {
      const timespec timeout{seconds, 999999999};
      entered = true;
      answer = suspend({&waiting}, &timeout);
    });
    EXPECT_TRUE(support::asleep_after(waiter, entered));
    finish(pipe_);
    waiter.join();
    EXPECT_EQ(0, answer) << seconds << " seconds";
    EXPECT_EQ(0, wait_for(waiting));
  }
}

TEST_F(C13_Suspend, TheTimeoutIsNotWrittenTo) {
  aiocb waiting = to_wait_in(pipe_, &byte_);
  ASSERT_EQ(0, aio_read(&waiting));
  const timespec timeout = milliseconds(5);
  timespec copy = timeout;
  EXPECT_EQ(-1, suspend({&waiting}, &copy));
  EXPECT_EQ(timeout.tv_sec, copy.tv_sec);
  EXPECT_EQ(timeout.tv_nsec, copy.tv_nsec);
  finish(pipe_);
  EXPECT_EQ(0, wait_for(waiting));
}

// ---------------------------------------------------------------- handlers

TEST_F(C13_Suspend, AHandlerWithoutSaRestartMakesItEintr) {
  Handler handler(test_signal(), count_handled);
  aiocb waiting = to_wait_in(pipe_, &byte_);
  ASSERT_EQ(0, aio_read(&waiting));
  const timespec hour{3600, 0};
  for (const timespec* timeout : {static_cast<const timespec*>(nullptr), &hour}) {
    handled = 0;
    std::atomic<bool> returned{false};
    int answer = -2;
    int error = 0;
    Thread waiter([&] {
      answer = suspend({&waiting}, timeout);
      error = errno;
      returned = true;
    });
    ASSERT_TRUE(support::interrupt_until(waiter, test_signal(), returned));
    waiter.join();
    EXPECT_EQ(-1, answer);
    EXPECT_EQ(EINTR, error);
    EXPECT_GE(handled, 1);
    EXPECT_EQ(EINPROGRESS, aio_error(&waiting)) << "the request goes on";
  }
  finish(pipe_);
  EXPECT_EQ(0, wait_for(waiting));
}

// A thread waits; handlers with SA_RESTART run on it; the request finishes.
void handlers_with_restart(Pipe& pipe, const timespec* timeout) {
  Handler handler(test_signal(), count_handled, SA_RESTART);
  char byte = 0;
  aiocb waiting = support::block(pipe.reader.get(), &byte, 1);
  ASSERT_EQ(0, aio_read(&waiting));
  handled = 0;
  std::atomic<bool> entered{false};
  std::atomic<bool> returned{false};
  int answer = -2;
  int error = 0;
  Thread waiter([&] {
    entered = true;
    answer = suspend({&waiting}, timeout);
    error = errno;
    returned = true;
  });
  for (int i = 1; i <= 5; ++i) {
    EXPECT_TRUE(support::eventually([&] { return returned || (entered && waiter.asleep()); }));
    if (returned) break;
    pthread_kill(waiter.handle(), test_signal());
    EXPECT_TRUE(support::eventually([&] { return handled == i; }));
  }
  EXPECT_TRUE(support::eventually([&] { return returned || waiter.asleep(); }));
  EXPECT_FALSE(returned) << strerror(error);
  EXPECT_EQ(1, write(pipe.writer.get(), "x", 1));
  waiter.join();
  EXPECT_EQ(0, answer);
  EXPECT_EQ(0, wait_for(waiting));
}

TEST_F(C13_Suspend, AHandlerWithSaRestartDoesNotEndIt) { handlers_with_restart(pipe_, nullptr); }

// glibc: EINTR, because a futex wait with a timeout is never restarted.
TEST_F(C13_Suspend, AHandlerWithSaRestartDoesNotEndItWithATimeoutEither) {
  const timespec hour{3600, 0};
  handlers_with_restart(pipe_, &hour);
}

// glibc: EINTR, as above.
TEST_F(C13_Suspend, HandlersWithSaRestartNeitherShortenNorExtendTheTimeout) {
  Handler handler(test_signal(), count_handled, SA_RESTART);
  aiocb waiting = to_wait_in(pipe_, &byte_);
  ASSERT_EQ(0, aio_read(&waiting));
  const timespec timeout = milliseconds(300);
  std::atomic<bool> returned{false};
  int answer = -2;
  int error = 0;
  const auto before = Clock::now();
  Thread waiter([&] {
    answer = suspend({&waiting}, &timeout);
    error = errno;
    returned = true;
  });
  EXPECT_TRUE(support::interrupt_until(waiter, test_signal(), returned));
  waiter.join();
  EXPECT_GE(Clock::now() - before, std::chrono::milliseconds(300));
  EXPECT_EQ(-1, answer);
  EXPECT_EQ(EAGAIN, error);
  finish(pipe_);
  EXPECT_EQ(0, wait_for(waiting));
}

TEST_F(C13_Suspend, ASignalWithoutHandlerDoesNotEndIt) {
  Handler handler(test_signal(), count_handled);
  signal(test_signal(1), SIG_IGN);
  aiocb waiting = to_wait_in(pipe_, &byte_);
  ASSERT_EQ(0, aio_read(&waiting));
  std::atomic<bool> entered{false};
  int answer = -2;
  Thread waiter([&] {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, test_signal());
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    entered = true;
    answer = suspend({&waiting});
  });
  EXPECT_TRUE(support::asleep_after(waiter, entered));
  for (int i = 0; i < 50; ++i) {
    pthread_kill(waiter.handle(), test_signal());
    pthread_kill(waiter.handle(), test_signal(1));
  }
  EXPECT_TRUE(support::asleep_after(waiter, entered));
  finish(pipe_);
  waiter.join();
  EXPECT_EQ(0, answer);
  signal(test_signal(1), SIG_DFL);
}

// ---------------------------------------------------------------- bad arguments

TEST_F(C13_Suspend, ANegativeNentIsEinval) {
  aiocb waiting = to_wait_in(pipe_, &byte_);
  ASSERT_EQ(0, aio_read(&waiting));
  const aiocb* list[1] = {&waiting};
  const timespec none{};
  for (const int count : {-1, INT_MIN}) {
    errno = 0;
    EXPECT_EQ(-1, aio_suspend(list, count, &none));
    EXPECT_EQ(EINVAL, errno);
  }
  finish(pipe_);
  EXPECT_EQ(0, wait_for(waiting));
}

// glibc: aborts the process.
TEST_F(C13_Suspend, ABadTvNsecIsEinval) {
  aiocb waiting = to_wait_in(pipe_, &byte_);
  ASSERT_EQ(0, aio_read(&waiting));
  for (const long nanoseconds : {-1L, 1000000000L, LONG_MAX, LONG_MIN}) {
    for (const time_t seconds : {0, 1}) {
      const timespec timeout{seconds, nanoseconds};
      errno = 0;
      EXPECT_EQ(-1, suspend({&waiting}, &timeout));
      EXPECT_EQ(EINVAL, errno) << seconds << " s " << nanoseconds << " ns";
    }
  }
  finish(pipe_);
  EXPECT_EQ(0, wait_for(waiting));
}

}  // namespace
