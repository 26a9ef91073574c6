// Programs that once broke a rule. Each was written by somebody who read the library for a way to
// break it; the tests here are what is left of them, so that the ways stay closed.
#include <setjmp.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <termios.h>

#include "support/support.h"
#include "support/threads.h"

namespace {

using support::Descriptor;
using support::eventually;
using support::Handler;
using support::in_child;
using support::Pipe;
using support::temporary_file;
using support::Thread;
using support::wait_for;

class C12_Attacks : public support::Limited {};
class C14_Attacks : public support::Limited {};
class C15_Attacks : public support::Limited {};
class C17_Attacks : public support::Limited {};
class C22_Attacks : public support::Limited {};
class C24_Attacks : public support::Limited {};

// ---------------------------------------------------------------- lists

std::atomic<int> calls{0};
void count_call(sigval) { ++calls; }

// An entry that is refused has no notification of its own; it once sent its predecessor's again.
TEST_F(C12_Attacks, ARefusedEntryTellsNothingOfAnothers) {
  const Descriptor file = temporary_file("0123456789");
  char bytes[3][4];
  aiocb blocks[3];
  for (int i = 0; i < 3; ++i) {
    blocks[i] = support::block(file.get(), bytes[i], 4);
    blocks[i].aio_lio_opcode = LIO_READ;
  }
  blocks[0].aio_sigevent = support::callback_event(count_call, nullptr);
  blocks[1].aio_reqprio = 99;
  blocks[2].aio_sigevent = support::callback_event(nullptr, nullptr);
  for (int round = 1; round <= 20; ++round) {
    aiocb* list[] = {&blocks[0], &blocks[1], &blocks[2]};
    EXPECT_EQ(-1, lio_listio(LIO_WAIT, list, 3, nullptr));
    EXPECT_EQ(EIO, errno);
    EXPECT_EQ(0, aio_error(&blocks[0]));
    EXPECT_EQ(EINVAL, aio_error(&blocks[1]));
    EXPECT_EQ(EINVAL, aio_error(&blocks[2]));
    EXPECT_TRUE(eventually([&] { return calls >= round; }));
  }
  // A callback too many would have been queued before the last one that was expected.
  EXPECT_EQ(20, calls);
}

// ---------------------------------------------------------------- a full signal queue

// The library wakes a thread of its own by a signal, and the program's queue may have no room.
TEST_F(C14_Attacks, AFullSignalQueueKeepsNoStreamWaiting) {
  EXPECT_EQ(0, in_child([] {
              support::limit_runtime(std::chrono::seconds(20));
              const auto id = static_cast<uid_t>(300000 + getpid());
              if (getuid() == 0) {
                ASSERT_EQ(0, setresuid(id, id, id));
              }
              Pipe idle, busy;
              char bytes[2];
              aiocb first = support::block(idle.reader.get(), &bytes[0], 1);
              ASSERT_EQ(0, aio_read(&first));
              const rlimit small = {50, 50};
              ASSERT_EQ(0, setrlimit(RLIMIT_SIGPENDING, &small));
              const support::BlockedSignal blocked(support::test_signal());
              while (sigqueue(getpid(), support::test_signal(), sigval{}) == 0) {
              }
              ASSERT_EQ(EAGAIN, errno);
              for (int round = 0; round < 20; ++round) {
                aiocb second = support::block(busy.reader.get(), &bytes[1], 1);
                ASSERT_EQ(0, aio_read(&second));
                ASSERT_EQ(1, write(busy.writer.get(), "x", 1));
                ASSERT_EQ(0, wait_for(second));
              }
              idle.reader.reset();  // waits until the library has let go of the pipe
              EXPECT_EQ(ECANCELED, aio_error(&first));
            }));
}

// ---------------------------------------------------------------- callbacks

std::atomic<int> later_calls{0};
void cancel_own_thread(sigval) { pthread_cancel(pthread_self()); }
void cancel_own_thread_later(sigval) {
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, nullptr);
  pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, nullptr);
  pthread_cancel(pthread_self());
}
void after_cancellation_point(sigval) {
  pthread_testcancel();
  ++later_calls;
}

// A cancellation that the callback left pending is that callback's, and its list goes on.
TEST_F(C15_Attacks, ACancellationLeftPendingHitsNoOtherCallback) {
  const Descriptor file = temporary_file("0123456789");
  int expected = 0;
  for (const auto function : {cancel_own_thread, cancel_own_thread_later}) {
    char bytes[4];
    aiocb block = support::block(file.get(), bytes, 4);
    block.aio_lio_opcode = LIO_READ;
    block.aio_sigevent = support::callback_event(function, nullptr);
    aiocb* list[] = {&block};
    sigevent group = support::callback_event(after_cancellation_point, nullptr);
    ASSERT_EQ(0, lio_listio(LIO_NOWAIT, list, 1, &group));
    ++expected;
    EXPECT_TRUE(eventually([&] { return later_calls == expected; })) << "the list's notification";
    block.aio_sigevent = support::callback_event(after_cancellation_point, nullptr);
    ASSERT_EQ(0, aio_read(&block));
    ++expected;
    EXPECT_TRUE(eventually([&] { return later_calls == expected; })) << "the next callback";
  }
}

// No thread can have these attributes; the notification is not dropped for that.
TEST_F(C15_Attacks, ACallbackWhoseAttributesAreImpossibleRuns) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  cpu_set_t nowhere;
  CPU_ZERO(&nowhere);
  CPU_SET(CPU_SETSIZE - 1, &nowhere);
  ASSERT_EQ(0, pthread_attr_setaffinity_np(&attributes, sizeof nowhere, &nowhere));
  const Descriptor file = temporary_file("0123456789");
  char bytes[4];
  aiocb block = support::block(file.get(), bytes, 4);
  calls = 0;
  block.aio_sigevent = support::callback_event(count_call, nullptr, &attributes);
  ASSERT_EQ(0, aio_read(&block));
  pthread_attr_destroy(&attributes);
  EXPECT_TRUE(eventually([] { return calls == 1; }));
}

// ---------------------------------------------------------------- jumps out of a handler

sigjmp_buf jump;
std::atomic<bool> jumping{false};
void jump_out(int, siginfo_t*, void*) {
  if (jumping.exchange(false)) siglongjmp(jump, 1);
}

void fire_in(long microseconds) {
  const itimerval once = {{0, 0}, {0, microseconds}};
  setitimer(ITIMER_REAL, &once, nullptr);
}

// At whatever instruction the wait is left, nothing of it stays linked, and the thread is as it
// was. One block of many is enough to make the way out long.
TEST_F(C17_Attacks, AHandlerMayJumpOutOfAioSuspend) {
  EXPECT_EQ(0, in_child([] {
              const Handler handler(SIGALRM, jump_out, SA_NODEFER);
              constexpr int kReads = 1000;
              Pipe pipe;
              std::vector<char> bytes(kReads);
              std::vector<aiocb> blocks;
              std::vector<const aiocb*> list;
              for (char& byte : bytes) {
                blocks.push_back(support::block(pipe.reader.get(), &byte, 1));
              }
              for (aiocb& block : blocks) {
                ASSERT_EQ(0, aio_read(&block));
                list.push_back(&block);
              }
              for (static int round = 0; round < 1000;
                   ++round) {  // not in the frame: it survives jumps
                if (sigsetjmp(jump, 1) == 0) {
                  jumping = true;
                  fire_in(20 + round * 7 % 400);
                  const timespec moment = {0, 1'000'000};
                  aio_suspend(list.data(), kReads, &moment);
                }
                jumping = false;
              }
              int type = -1;
              pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &type);
              EXPECT_EQ(PTHREAD_CANCEL_DEFERRED, type);
              const std::string all(kReads, 'x');
              ASSERT_EQ(kReads, write(pipe.writer.get(), all.data(), all.size()));
              for (const aiocb& block : blocks) ASSERT_EQ(0, wait_for(block));
            }));
}

// ---------------------------------------------------------------- descriptors

// A worker inside a terminal's write must not take its next step by the number, whatever cuts the
// present one short: here a change of user, which interrupts every thread.
TEST_F(C22_Attacks, AWriteThatAWorkerIsInsideOfStaysOutOfTheNextFile) {
  EXPECT_EQ(0, in_child([] {
              support::limit_runtime(std::chrono::seconds(20));
              const Descriptor master(posix_openpt(O_RDWR | O_NOCTTY));
              ASSERT_EQ(0, grantpt(master.get()));
              ASSERT_EQ(0, unlockpt(master.get()));
              Descriptor slave(open(ptsname(master.get()), O_RDWR | O_NOCTTY));
              termios settings{};
              tcgetattr(slave.get(), &settings);
              cfmakeraw(&settings);
              tcsetattr(slave.get(), TCSANOW, &settings);
              std::string much(200'000, 'W');
              aiocb block = support::block(slave.get(), much.data(), much.size());
              ASSERT_EQ(0, aio_write(&block));
              char one;
              ASSERT_EQ(1, read(master.get(), &one, 1));  // it has begun
              const int number = slave.get();
              slave.reset();
              const Descriptor file = temporary_file();
              const Descriptor later(dup2(file.get(), number) == number ? number : -1);
              for (int round = 0; round < 50; ++round) ASSERT_EQ(0, setuid(getuid()));
              // The terminal takes more now, so the worker goes on, if it does.
              while (aio_error(&block) == EINPROGRESS) {
                char some[4096];
                if (read(master.get(), some, sizeof some) < 0) break;
              }
              wait_for(block);
              EXPECT_EQ(0, lseek(file.get(), 0, SEEK_END));
            }));
}

// ---------------------------------------------------------------- credentials

// setuid() holds a lock of libc's that the first request's thread needs.
TEST_F(C24_Attacks, SetuidAndTheFirstRequestDoNotWaitForEachOther) {
  for (int round = 0; round < 20; ++round) {
    const int status = in_child([] {
      support::limit_runtime(std::chrono::seconds(20));
      // So many and no more: without an end they would leave the other thread no time.
      std::atomic<bool> begun{false};
      Thread changing([&] {
        for (int i = 0; i < 300; ++i) {
          if (setuid(getuid()) != 0) abort();
          begun = true;
        }
      });
      while (!begun) sched_yield();
      const Descriptor file = temporary_file();
      char byte = 'x';
      aiocb block = support::block(file.get(), &byte, 1);
      EXPECT_EQ(0, aio_write(&block));
      EXPECT_EQ(0, wait_for(block));
    });
    ASSERT_EQ(0, status) << "round " << round;
  }
}

}  // namespace
