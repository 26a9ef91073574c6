// C19: the library makes none of the program's own calls return EINTR, and cuts none short.
//
// Each test lets a thread submit a request, wait in a call of its own, and has the request finish
// meanwhile. With a ring that the thread entered itself, the kernel runs the completion on that
// thread and the call is interrupted. Afterwards the call's own event happens.
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ipc.h>
#include <sys/sem.h>

#include "support/support.h"
#include "support/threads.h"

namespace {

using support::Descriptor;
using support::eventually;
using support::Pipe;
using support::SocketPair;
using support::Thread;
using support::wait_for;

class C19_Eintr : public support::Limited {
 protected:
  // `call` waits on a thread that has submitted reads of a pipe; these finish; `release` then
  // makes the event happen that the call is for. The thread's checks are in `call`.
  void while_requests_finish(const std::function<void()>& call,
                             const std::function<void(const Thread&)>& release) {
    for (int round = 0; round < 5; ++round) {
      Pipe pipe;
      constexpr size_t kRequests = 8;
      char bytes[kRequests];
      aiocb blocks[kRequests];
      aiocb* list[kRequests];
      for (size_t i = 0; i < kRequests; ++i) {
        blocks[i] = support::block(pipe.reader.get(), &bytes[i], 1);
        if (i % 4 == 1) {
          blocks[i].aio_sigevent = support::callback_event([](sigval) {}, nullptr);
        }
        blocks[i].aio_lio_opcode = LIO_READ;
        list[i] = &blocks[i];
      }
      std::atomic<bool> entered{false};
      Thread caller([&] {
        for (size_t i = 0; i < kRequests / 2; ++i) EXPECT_EQ(0, aio_read(&blocks[i]));
        EXPECT_EQ(0, lio_listio(LIO_NOWAIT, list + kRequests / 2, kRequests / 2, nullptr));
        // Having waited once makes the thread known wherever waiting makes threads known.
        const timespec moment{0, 1000};
        EXPECT_EQ(-1, support::suspend_for(blocks[0], &moment));
        entered = true;
        call();
      });
      EXPECT_TRUE(support::asleep_after(caller, entered));
      for (aiocb& block : blocks) {
        EXPECT_EQ(1, write(pipe.writer.get(), "x", 1));
        EXPECT_EQ(0, wait_for(block));
      }
      EXPECT_TRUE(support::asleep_after(caller, entered));
      release(caller);
    }
  }
};

TEST_F(C19_Eintr, EpollWaitIsNotInterrupted) {
  Descriptor event(eventfd(0, EFD_CLOEXEC));
  Descriptor epoll(epoll_create1(EPOLL_CLOEXEC));
  epoll_event interest{};
  interest.events = EPOLLIN;
  epoll_ctl(epoll.get(), EPOLL_CTL_ADD, event.get(), &interest);
  while_requests_finish(
      [&] {
        epoll_event got{};
        EXPECT_EQ(1, epoll_wait(epoll.get(), &got, 1, 60000)) << strerror(errno);
        eventfd_t value;
        eventfd_read(event.get(), &value);
      },
      [&](const Thread&) { eventfd_write(event.get(), 1); });
}

TEST_F(C19_Eintr, PollIsNotInterrupted) {
  Descriptor event(eventfd(0, EFD_CLOEXEC));
  while_requests_finish(
      [&] {
        pollfd entry{event.get(), POLLIN, 0};
        EXPECT_EQ(1, poll(&entry, 1, 60000)) << strerror(errno);
        eventfd_t value;
        eventfd_read(event.get(), &value);
      },
      [&](const Thread&) { eventfd_write(event.get(), 1); });
}

TEST_F(C19_Eintr, NanosleepIsNotInterrupted) {
  while_requests_finish(
      [] {
        const timespec length = support::milliseconds(150);
        timespec rest{};
        EXPECT_EQ(0, nanosleep(&length, &rest)) << strerror(errno);
      },
      [](const Thread&) {});
}

TEST_F(C19_Eintr, SigtimedwaitIsNotInterrupted) {
  support::BlockedSignal signal(support::test_signal());
  while_requests_finish(
      [] {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, support::test_signal());
        const timespec minute{60, 0};
        EXPECT_EQ(support::test_signal(), sigtimedwait(&set, nullptr, &minute)) << strerror(errno);
      },
      [](const Thread& caller) { pthread_kill(caller.handle(), support::test_signal()); });
}

TEST_F(C19_Eintr, RecvWithSoRcvtimeoIsNotInterrupted) {
  SocketPair sockets;
  const timeval minute{60, 0};
  setsockopt(sockets.one.get(), SOL_SOCKET, SO_RCVTIMEO, &minute, sizeof minute);
  while_requests_finish(
      [&] {
        char byte;
        EXPECT_EQ(1, recv(sockets.one.get(), &byte, 1, 0)) << strerror(errno);
      },
      [&](const Thread&) { EXPECT_EQ(1, send(sockets.two.get(), "x", 1, 0)); });
}

TEST_F(C19_Eintr, SemtimedopIsNotInterrupted) {
  const int semaphores = semget(IPC_PRIVATE, 1, 0600);
  if (semaphores < 0) GTEST_SKIP() << "no System V semaphores here: " << strerror(errno);
  while_requests_finish(
      [&] {
        sembuf take{0, -1, 0};
        const timespec minute{60, 0};
        EXPECT_EQ(0, semtimedop(semaphores, &take, 1, &minute)) << strerror(errno);
      },
      [&](const Thread&) {
        sembuf give{0, 1, 0};
        semop(semaphores, &give, 1);
      });
  semctl(semaphores, 0, IPC_RMID);
}

TEST_F(C19_Eintr, ABigBlockingPipeWriteIsNotCutShort) {
  constexpr size_t kLength = size_t{1} << 20;
  Pipe target;
  const std::string bytes(kLength, 'w');
  while_requests_finish(
      [&] {
        EXPECT_EQ(static_cast<ssize_t>(kLength), write(target.writer.get(), bytes.data(), kLength));
      },
      [&](const Thread&) { EXPECT_TRUE(bytes == support::drain(target.reader.get(), kLength)); });
}

TEST_F(C19_Eintr, ABigBlockingSendIsNotCutShort) {
  constexpr size_t kLength = size_t{4} << 20;
  SocketPair target;
  const std::string bytes(kLength, 's');
  while_requests_finish(
      [&] {
        EXPECT_EQ(static_cast<ssize_t>(kLength), send(target.one.get(), bytes.data(), kLength, 0));
      },
      [&](const Thread&) { EXPECT_TRUE(bytes == support::drain(target.two.get(), kLength)); });
}

TEST_F(C19_Eintr, RecvWithMsgWaitallIsNotCutShort) {
  SocketPair sockets;
  while_requests_finish(
      [&] {
        EXPECT_EQ(2, send(sockets.two.get(), "ab", 2, 0));
        char bytes[4] = {};
        EXPECT_EQ(4, recv(sockets.one.get(), bytes, 4, MSG_WAITALL));
        EXPECT_EQ("abcd", std::string(bytes, 4));
      },
      [&](const Thread&) { EXPECT_EQ(2, send(sockets.two.get(), "cd", 2, 0)); });
}

// File requests finish by themselves, so here the calls begin while they run.
TEST_F(C19_Eintr, CallsBehindFileRequestsAreNotInterrupted) {
  constexpr size_t kPiece = size_t{256} * 1024;
  Descriptor event(eventfd(0, EFD_CLOEXEC));
  Descriptor epoll(epoll_create1(EPOLL_CLOEXEC));
  epoll_event interest{};
  interest.events = EPOLLIN;
  epoll_ctl(epoll.get(), EPOLL_CTL_ADD, event.get(), &interest);
  for (const int flags : {0, O_DIRECT}) {
    Descriptor file = support::temporary_file("", flags);
    if (file.get() < 0) continue;  // a file system without O_DIRECT: the first half was tested
    void* memory = aligned_alloc(4096, 8 * kPiece);
    memset(memory, 'f', 8 * kPiece);
    for (int round = 0; round < 20; ++round) {
      std::vector<aiocb> blocks;
      for (size_t i = 0; i < 8; ++i) {
        blocks.push_back(support::block(file.get(), static_cast<char*>(memory) + i * kPiece, kPiece,
                                        static_cast<off_t>(i * kPiece)));
      }
      for (aiocb& block : blocks) ASSERT_EQ(0, aio_write(&block));
      epoll_event got{};
      EXPECT_EQ(0, epoll_wait(epoll.get(), &got, 1, 10)) << strerror(errno);
      for (aiocb& block : blocks) EXPECT_EQ(ssize_t{kPiece}, support::result_of(block));
    }
    free(memory);
  }
}

}  // namespace
