// C13: aio_suspend with long lists, and with several threads: it holds on to nothing of its
// caller's while others change the list, free the blocks or use them again.
//
// "glibc:" comments say how glibc 2.36 answers a test that it fails.
#include "support/support.h"
#include "support/threads.h"

namespace {

using support::Pipe;
using support::suspend_for;
using support::Thread;
using support::wait_for;

class C13_Together : public support::Limited {
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

// ---------------------------------------------------------------- long lists

// glibc: keeps 32 bytes an entry on the stack and runs out of a small one.
TEST_F(C13_Together, ThousandsMayBeListedAlsoOnASmallStack) {
  constexpr size_t kRequests = 5000;
  std::vector<char> bytes(kRequests);
  std::vector<aiocb> blocks;
  std::vector<const aiocb*> list;
  blocks.reserve(kRequests);
  for (char& byte : bytes) {
    blocks.push_back(to_wait_in(pipe_, &byte));
    ASSERT_EQ(0, aio_read(&blocks.back()));
    list.push_back(&blocks.back());
  }
  std::atomic<bool> entered{false};
  int answer = -2;
  int poll_error = 0;
  Thread waiter(
      [&] {
        const timespec none{};
        if (suspend(list, &none) == -1) poll_error = errno;
        entered = true;
        answer = suspend(list);
      },
      size_t{80} * 1024);
  EXPECT_TRUE(support::asleep_after(waiter, entered));
  EXPECT_EQ(EAGAIN, poll_error);
  finish(pipe_);
  waiter.join();
  EXPECT_EQ(0, answer);
  EXPECT_EQ(0, aio_error(list[0])) << "reads of a pipe are served in call order";
  const std::string rest(kRequests - 1, 'y');
  EXPECT_EQ(static_cast<ssize_t>(rest.size()), write(pipe_.writer.get(), rest.data(), rest.size()));
  for (const aiocb* block : list) EXPECT_EQ(0, wait_for(*block));
}

// ---------------------------------------------------------------- several threads

TEST_F(C13_Together, AllThreadsThatWaitForARequestReturn) {
  for (int round = 0; round < 20; ++round) {
    aiocb waiting = to_wait_in(pipe_, &byte_);
    ASSERT_EQ(0, aio_read(&waiting));
    constexpr size_t kThreads = 4;
    std::atomic<bool> entered[kThreads] = {};
    std::atomic<int> good{0};
    std::vector<std::unique_ptr<Thread>> threads;
    for (auto& flag : entered) {
      threads.push_back(std::make_unique<Thread>([&] {
        const timespec minute{60, 0};
        flag = true;
        if (suspend({&waiting}, &flag == entered ? &minute : nullptr) == 0) ++good;
      }));
    }
    for (size_t i = 0; i < kThreads; ++i) {
      EXPECT_TRUE(support::asleep_after(*threads[i], entered[i]));
    }
    finish(pipe_);
    threads.clear();
    EXPECT_EQ(static_cast<int>(kThreads), good);
  }
}

TEST_F(C13_Together, EachThreadIsWokenByItsOwnRequest) {
  constexpr size_t kThreads = 6;
  std::vector<Pipe> pipes(kThreads);
  std::atomic<int> wrong{0};
  std::vector<std::unique_ptr<Thread>> threads;
  for (size_t i = 0; i < kThreads; ++i) {
    threads.push_back(std::make_unique<Thread>([&, i] {
      for (int round = 0; round < 200; ++round) {
        char got = 0;
        aiocb reading = support::block(pipes[i].reader.get(), &got, 1);
        if (aio_read(&reading) != 0) ++wrong;
        const char sent = static_cast<char>(round);
        if (write(pipes[(i + 1) % kThreads].writer.get(), &sent, 1) != 1) ++wrong;
        if (suspend_for(reading) != 0 || aio_error(&reading) != 0 || got != sent) ++wrong;
      }
    }));
  }
  threads.clear();
  EXPECT_EQ(0, wrong);
}

// glibc: reads the list again when it wakes up, asserts and aborts.
TEST_F(C13_Together, TheListMayBeChangedByAnotherThreadMeanwhile) {
  for (int round = 0; round < 50; ++round) {
    aiocb waiting = to_wait_in(pipe_, &byte_);
    ASSERT_EQ(0, aio_read(&waiting));
    aiocb other{};
    const aiocb* list[4] = {&waiting, &waiting, nullptr, &waiting};
    std::atomic<bool> entered{false};
    int answer = -2;
    const bool timed = round % 2 == 1;
    Thread waiter([&] {
      const timespec minute{60, 0};
      entered = true;
      answer = aio_suspend(list, 4, timed ? &minute : nullptr);
    });
    EXPECT_TRUE(support::asleep_after(waiter, entered));
    list[0] = nullptr;
    list[1] = &other;
    list[2] = reinterpret_cast<const aiocb*>(16);
    list[3] = reinterpret_cast<const aiocb*>(-16);
    finish(pipe_);
    waiter.join();
    EXPECT_EQ(0, answer);
    EXPECT_EQ(0, wait_for(waiting));
  }
}

// glibc: looks into the block after it woke up.
TEST_F(C13_Together, ABlockMayBeFreedOnceFinishedWhileAnotherThreadStillWaits) {
  for (int round = 0; round < 100; ++round) {
    support::OwnPage<aiocb> waiting;
    *waiting = to_wait_in(pipe_, &byte_);
    ASSERT_EQ(0, aio_read(waiting.get()));
    std::atomic<bool> entered{false};
    int answer = -2;
    const bool timed = round % 2 == 1;
    Thread waiter([&] {
      const timespec minute{60, 0};
      entered = true;
      answer = suspend_for(*waiting, timed ? &minute : nullptr);
    });
    EXPECT_TRUE(support::asleep_after(waiter, entered));
    finish(pipe_);
    while (aio_error(waiting.get()) == EINPROGRESS) {
    }
    EXPECT_EQ(1, aio_return(waiting.get()));
    waiting.give_back();
    waiter.join();
    EXPECT_EQ(0, answer);
  }
}

// The next user of the block's memory is not what the second thread waits for: it must return for
// the request that was listed.
TEST_F(C13_Together, ABlockMayBeUsedAgainWhileAnotherThreadStillWaits) {
  Pipe silent;
  char unused;
  for (int round = 0; round < 100; ++round) {
    aiocb waiting = to_wait_in(pipe_, &byte_);
    ASSERT_EQ(0, aio_read(&waiting));
    std::atomic<bool> entered{false};
    int answer = -2;
    Thread waiter([&] {
      entered = true;
      answer = suspend_for(waiting);
    });
    EXPECT_TRUE(support::asleep_after(waiter, entered));
    finish(pipe_);
    while (aio_error(&waiting) == EINPROGRESS) {
    }
    waiting = support::block(silent.reader.get(), &unused, 1);
    ASSERT_EQ(0, aio_read(&waiting));
    waiter.join();
    EXPECT_EQ(0, answer);
    EXPECT_EQ(1, write(silent.writer.get(), "x", 1));
    EXPECT_EQ(0, wait_for(waiting));
  }
}

}  // namespace
