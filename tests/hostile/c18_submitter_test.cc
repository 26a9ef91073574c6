// C18: a request belongs to the process, and goes on when the thread that made it exits.
//
// A ring that the submitting thread enters itself fails here: the kernel cancels what an exiting
// thread has submitted.
#include <sys/eventfd.h>

#include "support/support.h"
#include "support/threads.h"

namespace {

using support::Descriptor;
using support::eventually;
using support::Pipe;
using support::temporary_file;
using support::Thread;
using support::wait_for;

class C18_Submitter : public support::Limited {};

// Until the kernel has forgotten the thread, not only until join: its end is what cancels.
void end(Thread& thread) {
  thread.join();
  EXPECT_TRUE(eventually([&] { return support::thread_state(thread.id()) == '?'; }));
}

TEST_F(C18_Submitter, AWaitingPipeReadGoesOnWhenItsSubmitterExits) {
  for (int round = 0; round < 20; ++round) {
    Pipe pipe;
    char byte = 0;
    aiocb reading = support::block(pipe.reader.get(), &byte, 1);
    Thread submitter([&] { EXPECT_EQ(0, aio_read(&reading)); });
    end(submitter);
    EXPECT_EQ(EINPROGRESS, aio_error(&reading));
    EXPECT_EQ(1, write(pipe.writer.get(), "x", 1));
    EXPECT_EQ(0, wait_for(reading));
    EXPECT_EQ(1, aio_return(&reading));
    EXPECT_EQ('x', byte);
  }
}

TEST_F(C18_Submitter, WaitingReadsOfManyThreadsGoOn) {
  constexpr size_t kThreads = 64;
  support::SocketPair sockets;
  Descriptor counter(eventfd(0, EFD_CLOEXEC));
  std::vector<Pipe> pipes(kThreads);
  std::vector<uint64_t> values(kThreads);
  std::vector<aiocb> blocks(kThreads);
  {
    std::vector<std::unique_ptr<Thread>> threads;
    for (size_t i = 0; i < kThreads; ++i) {
      const int place = i % 3 == 0   ? pipes[i].reader.get()
                        : i % 3 == 1 ? sockets.one.get()
                                     : counter.get();
      blocks[i] = support::block(place, &values[i], 8);
      threads.push_back(std::make_unique<Thread>([&, i] { EXPECT_EQ(0, aio_read(&blocks[i])); }));
    }
    for (auto& thread : threads) end(*thread);
  }
  for (size_t i = 0; i < kThreads; ++i) {
    const uint64_t value = i + 1;
    const int to = i % 3 == 0   ? pipes[i].writer.get()
                   : i % 3 == 1 ? sockets.two.get()
                                : counter.get();
    // One count at a time: an eventfd adds up what nobody has taken yet.
    EXPECT_EQ(8, write(to, &value, 8));
    if (i % 3 == 2) {
      EXPECT_TRUE(eventually([&] {
        uint64_t taken = 0;
        for (size_t k = 2; k < kThreads; k += 3) taken += aio_error(&blocks[k]) == 0 ? 1 : 0;
        return taken == i / 3 + 1;
      }));
    }
  }
  uint64_t sum = 0;
  for (size_t i = 0; i < kThreads; ++i) {
    EXPECT_EQ(0, wait_for(blocks[i]));
    sum += values[i];
  }
  EXPECT_EQ(kThreads * (kThreads + 1) / 2, sum);
}

TEST_F(C18_Submitter, AStartedWriteGoesOnWhenItsSubmitterExits) {
  Pipe pipe;
  std::string bytes(size_t{1} << 20, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7 / 64);
  aiocb writing = support::block(pipe.writer.get(), bytes.data(), bytes.size());
  Thread submitter([&] { EXPECT_EQ(0, aio_write(&writing)); });
  end(submitter);
  EXPECT_TRUE(bytes == support::drain(pipe.reader.get(), bytes.size()));
  EXPECT_EQ(0, wait_for(writing));
  EXPECT_EQ(static_cast<ssize_t>(bytes.size()), aio_return(&writing));
}

TEST_F(C18_Submitter, FileRequestsInFlightGoOn) {
  constexpr size_t kPiece = 65536;
  for (const int flags : {0, O_DIRECT}) {
    Descriptor file = temporary_file("", flags);
    if (file.get() < 0) continue;  // a file system without O_DIRECT: the first half was tested
    for (int round = 0; round < 10; ++round) {
      void* memory = aligned_alloc(4096, 16 * kPiece);
      memset(memory, 'a' + round, 16 * kPiece);
      std::vector<aiocb> blocks;
      for (size_t i = 0; i < 16; ++i) {
        blocks.push_back(support::block(file.get(), static_cast<char*>(memory) + i * kPiece, kPiece,
                                        static_cast<off_t>(i * kPiece)));
      }
      Thread submitter([&] {
        for (aiocb& block : blocks) EXPECT_EQ(0, aio_write(&block));
      });
      end(submitter);
      for (aiocb& block : blocks) EXPECT_EQ(ssize_t{kPiece}, support::result_of(block));
      free(memory);
    }
  }
}

TEST_F(C18_Submitter, AListsEntriesAndNotificationOutliveItsSubmitter) {
  support::BlockedSignal signal(support::test_signal());
  Pipe pipe;
  char bytes[2] = {};
  aiocb first = support::block(pipe.reader.get(), &bytes[0], 1);
  aiocb second = support::block(pipe.reader.get(), &bytes[1], 1);
  first.aio_lio_opcode = LIO_READ;
  second.aio_lio_opcode = LIO_READ;
  Thread submitter([&] {
    aiocb* list[2] = {&first, &second};
    sigevent event = support::signal_event(support::test_signal());
    EXPECT_EQ(0, lio_listio(LIO_NOWAIT, list, 2, &event));
  });
  end(submitter);
  EXPECT_EQ(2, write(pipe.writer.get(), "xy", 2));
  EXPECT_TRUE(signal.take());
  EXPECT_EQ(0, wait_for(first));
  EXPECT_EQ(0, wait_for(second));
}

TEST_F(C18_Submitter, ACancelledSubmittersRequestGoesOn) {
  Pipe pipe;
  char byte = 0;
  aiocb reading = support::block(pipe.reader.get(), &byte, 1);
  std::atomic<bool> entered{false};
  Thread submitter([&] {
    EXPECT_EQ(0, aio_read(&reading));
    entered = true;
    for (;;) pause();
  });
  EXPECT_TRUE(support::asleep_after(submitter, entered));
  pthread_cancel(submitter.handle());
  EXPECT_EQ(PTHREAD_CANCELED, submitter.join());
  EXPECT_TRUE(eventually([&] { return support::thread_state(submitter.id()) == '?'; }));
  EXPECT_EQ(EINPROGRESS, aio_error(&reading));
  EXPECT_EQ(1, write(pipe.writer.get(), "x", 1));
  EXPECT_EQ(0, wait_for(reading));
}

// The first thread ends by pthread_exit, as some programs' main does; another one carries on.
TEST_F(C18_Submitter, TheMainThreadsRequestGoesOnWhenItExits) {
  if (!support::in_role()) {
    EXPECT_EQ(0, support::in_new_program());
    return;
  }
  static Pipe* pipe = new Pipe;
  static char byte;
  static aiocb reading = support::block(pipe->reader.get(), &byte, 1);
  if (aio_read(&reading) != 0) _exit(1);
  pthread_t other;
  pthread_create(
      &other, nullptr,
      [](void*) -> void* {
        while (support::thread_state(getpid()) != 'Z') sched_yield();
        if (aio_error(&reading) != EINPROGRESS) _exit(2);
        if (write(pipe->writer.get(), "x", 1) != 1) _exit(3);
        _exit(wait_for(reading) == 0 && byte == 'x' ? 0 : 4);
      },
      nullptr);
  pthread_exit(nullptr);
}

}  // namespace
