// C17: aio_suspend and lio_listio(LIO_WAIT) are cancellation points, and a thread cancelled in
// them leaves nothing locked or linked: AIO goes on for everybody else.
#include "support/support.h"
#include "support/threads.h"

namespace {

using support::Descriptor;
using support::Pipe;
using support::temporary_file;
using support::Thread;
using support::wait_for;

class C17_Cancellation : public support::Limited {};

void expect_aio_works() {
  Descriptor file = temporary_file("0123456789");
  Pipe pipe;
  char buffer[4] = {};
  aiocb reading = support::block(file.get(), buffer, 4);
  ASSERT_EQ(0, aio_read(&reading));
  EXPECT_EQ(4, support::result_of(reading));
  aiocb waiting = support::block(pipe.reader.get(), buffer, 1);
  ASSERT_EQ(0, aio_read(&waiting));
  const timespec none{};
  EXPECT_EQ(-1, support::suspend_for(waiting, &none));
  EXPECT_EQ(1, write(pipe.writer.get(), "x", 1));
  EXPECT_EQ(1, support::result_of(waiting));
}

// Many reads that wait in one pipe.
struct Waiting {
  explicit Waiting(size_t count) : bytes(count) {
    for (char& byte : bytes) {
      blocks.push_back(support::block(pipe.reader.get(), &byte, 1));
      blocks.back().aio_lio_opcode = LIO_READ;
    }
  }
  void submit() {
    for (aiocb& block : blocks) ASSERT_EQ(0, aio_read(&block));
  }
  // All go on, and all finish.
  void finish() {
    for (const aiocb& block : blocks) EXPECT_EQ(EINPROGRESS, aio_error(&block));
    const std::string all(blocks.size(), 'x');
    EXPECT_EQ(static_cast<ssize_t>(all.size()), write(pipe.writer.get(), all.data(), all.size()));
    for (const aiocb& block : blocks) EXPECT_EQ(0, wait_for(block));
  }
  Pipe pipe;
  std::vector<char> bytes;
  std::vector<aiocb> blocks;
};

// Lists many requests from the thread's stack, which is gone after the join.
void suspend_on_all(const Waiting& waiting, const timespec* timeout) {
  constexpr size_t kMost = 1000;
  const aiocb* list[kMost];
  for (size_t i = 0; i < waiting.blocks.size(); ++i) list[i] = &waiting.blocks[i];
  aio_suspend(list, static_cast<int>(waiting.blocks.size()), timeout);
}

void cancelled_in_suspend(const timespec* timeout) {
  for (int round = 0; round < 5; ++round) {
    Waiting waiting(1000);
    waiting.submit();
    std::atomic<bool> entered{false};
    std::atomic<bool> returned{false};
    Thread waiter([&] {
      entered = true;
      suspend_on_all(waiting, timeout);
      returned = true;
    });
    EXPECT_TRUE(support::asleep_after(waiter, entered));
    EXPECT_EQ(0, pthread_cancel(waiter.handle()));
    EXPECT_EQ(PTHREAD_CANCELED, waiter.join());
    EXPECT_FALSE(returned);
    expect_aio_works();
    waiting.finish();
  }
}

TEST_F(C17_Cancellation, AThreadInAioSuspendIsCancelledAndTheRequestsGoOn) {
  cancelled_in_suspend(nullptr);
}

TEST_F(C17_Cancellation, AThreadInAioSuspendWithATimeoutIsCancelledToo) {
  const timespec hour{3600, 0};
  cancelled_in_suspend(&hour);
}

TEST_F(C17_Cancellation, AThreadInLioListioIsCancelledAndTheRequestsGoOn) {
  for (int round = 0; round < 5; ++round) {
    Waiting waiting(1000);
    std::atomic<bool> entered{false};
    std::atomic<bool> returned{false};
    Thread waiter([&] {
      aiocb* list[1000];
      for (size_t i = 0; i < 1000; ++i) list[i] = &waiting.blocks[i];
      entered = true;
      lio_listio(LIO_WAIT, list, 1000, nullptr);
      returned = true;
    });
    EXPECT_TRUE(support::asleep_after(waiter, entered));
    EXPECT_EQ(0, pthread_cancel(waiter.handle()));
    EXPECT_EQ(PTHREAD_CANCELED, waiter.join());
    EXPECT_FALSE(returned);
    expect_aio_works();
    waiting.finish();
  }
}

TEST_F(C17_Cancellation, ACancellationThatCameBeforeTheCallEndsItToo) {
  Waiting waiting(2);
  waiting.submit();
  for (const bool list : {false, true}) {
    Pipe other;
    char byte;
    aiocb entry = support::block(other.reader.get(), &byte, 1);
    entry.aio_lio_opcode = LIO_READ;
    std::atomic<bool> go{false};
    std::atomic<bool> returned{false};
    Thread waiter([&] {
      while (!go) {
      }
      aiocb* entries[1] = {&entry};
      if (list)
        lio_listio(LIO_WAIT, entries, 1, nullptr);
      else
        suspend_on_all(waiting, nullptr);
      returned = true;
    });
    EXPECT_EQ(0, pthread_cancel(waiter.handle()));
    go = true;
    EXPECT_EQ(PTHREAD_CANCELED, waiter.join());
    EXPECT_FALSE(returned);
    // Whether the entry was submitted before the thread ended is open.
    EXPECT_EQ(1, write(other.writer.get(), "x", 1));
    if (list && aio_error(&entry) == EINPROGRESS) {
      EXPECT_EQ(0, wait_for(entry));
    }
  }
  waiting.finish();
}

TEST_F(C17_Cancellation, ADisabledCancellationDoesNotEndTheCall) {
  Waiting waiting(1);
  waiting.submit();
  std::atomic<bool> entered{false};
  int answer = -2;
  Thread waiter([&] {
    int state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    entered = true;
    answer = support::suspend_for(waiting.blocks[0]);
  });
  EXPECT_TRUE(support::asleep_after(waiter, entered));
  EXPECT_EQ(0, pthread_cancel(waiter.handle()));
  EXPECT_TRUE(support::asleep_after(waiter, entered));
  waiting.finish();
  EXPECT_EQ(nullptr, waiter.join());
  EXPECT_EQ(0, answer);
}

// What a cancelled thread sees while it unwinds.
struct Unwinding {
  const aiocb& waited_for;
  std::atomic<int>& status;
  std::atomic<ssize_t>& length;
  ~Unwinding() {
    status = aio_error(&waited_for);
    Descriptor file = temporary_file("0123456789");
    char buffer[4];
    aiocb reading = support::block(file.get(), buffer, 4);
    if (aio_read(&reading) == 0) length = support::result_of(reading);
  }
};

TEST_F(C17_Cancellation, CleanupHandlersMayUseAio) {
  Waiting waiting(3);
  waiting.submit();
  std::atomic<bool> entered{false};
  std::atomic<int> status{-1};
  std::atomic<ssize_t> length{-1};
  Thread waiter([&] {
    Unwinding unwinding{waiting.blocks[0], status, length};
    entered = true;
    suspend_on_all(waiting, nullptr);
  });
  EXPECT_TRUE(support::asleep_after(waiter, entered));
  EXPECT_EQ(0, pthread_cancel(waiter.handle()));
  EXPECT_EQ(PTHREAD_CANCELED, waiter.join());
  EXPECT_EQ(EINPROGRESS, status);
  EXPECT_EQ(4, length);
  waiting.finish();
}

// The cancellation and the completion meet.
TEST_F(C17_Cancellation, CancellationsRaceWithCompletions) {
  int cancelled = 0;
  for (int round = 0; round < 300; ++round) {
    Pipe pipe;
    char bytes[2];
    aiocb first = support::block(pipe.reader.get(), &bytes[0], 1);
    aiocb second = support::block(pipe.reader.get(), &bytes[1], 1);
    first.aio_lio_opcode = LIO_READ;
    second.aio_lio_opcode = LIO_READ;
    const bool list = round % 2 == 1;
    if (!list) {
      ASSERT_EQ(0, aio_read(&first));
      ASSERT_EQ(0, aio_read(&second));
    }
    std::atomic<bool> entered{false};
    Thread waiter([&] {
      entered = true;
      if (list) {
        aiocb* entries[2] = {&first, &second};
        lio_listio(LIO_WAIT, entries, 2, nullptr);
      } else {
        const aiocb* entries[2] = {&first, &second};
        aio_suspend(entries, 2, nullptr);
      }
    });
    EXPECT_TRUE(support::asleep_after(waiter, entered));
    for (int spin = round % 10; spin > 0; --spin) sched_yield();
    EXPECT_EQ(2, write(pipe.writer.get(), "xy", 2));
    for (int spin = round / 10; spin > 0; --spin) sched_yield();
    pthread_cancel(waiter.handle());
    if (waiter.join() == PTHREAD_CANCELED) ++cancelled;
    EXPECT_EQ(0, wait_for(first));
    EXPECT_EQ(0, wait_for(second));
  }
  RecordProperty("cancelled", cancelled);
  expect_aio_works();
}

}  // namespace
