// C23: a thread waits in one of the library's calls, and a handler with SA_RESTART forks on it. The
// kernel goes on with the wait in the child, where what it waits for does not exist: there the call
// must end by itself, with AIO that works, and in the parent it must go on.
#include <signal.h>

#include "support/support.h"
#include "support/threads.h"

namespace {

using support::block;
using support::Descriptor;
using support::Handler;
using support::Pipe;
using support::test_signal;
using support::Thread;

volatile sig_atomic_t is_child = 0;
std::atomic<pid_t> forked{0};
std::atomic<bool> entered{false};

void fork_in_handler(int, siginfo_t*, void*) {
  const int error = errno;
  const pid_t child = fork();
  if (child == 0) {
    support::limit_runtime(std::chrono::seconds(20));
    is_child = 1;
  } else {
    forked = child;
  }
  errno = error;
}

// The child's end: the call must have told of the handler, and AIO must work.
[[noreturn]] void end_child(int result, int error) {
  if (result != -1 || error != EINTR) _exit(1);
  const Descriptor file = support::temporary_file("0123");
  char bytes[4] = {};
  aiocb request = block(file.get(), bytes, 4, 0);
  if (aio_read(&request) != 0 || support::wait_for(request) != 0) _exit(2);
  _exit(memcmp(bytes, "0123", 4) == 0 ? 0 : 3);
}

class C23_Waits : public support::Limited {
 protected:
  // `call` waits until something can be read from the pipe; what it returns in the parent is 0.
  void fork_in(const std::function<int(const Pipe&)>& call) {
    const Handler handler(test_signal(), fork_in_handler, SA_RESTART);
    const Pipe pipe;
    int result = -1;
    Thread thread([&] {
      entered = true;
      const int returned = call(pipe);
      if (is_child != 0) end_child(returned, errno);
      result = returned;
    });
    EXPECT_TRUE(support::asleep_after(thread, entered));
    for (int round = 1; round <= 3; ++round) {
      forked = 0;
      pthread_kill(thread.handle(), test_signal());
      ASSERT_TRUE(support::eventually([] { return forked != 0; }));
      EXPECT_EQ(0, support::end_of(forked)) << "the child's wait status, round " << round;
    }
    EXPECT_EQ(4, write(pipe.writer.get(), "abcd", 4));
    thread.join();
    EXPECT_EQ(0, result) << "in the parent";
  }
};

int read_and_suspend(const Pipe& pipe, const timespec* timeout) {
  char byte;
  aiocb request = block(pipe.reader.get(), &byte, 1);
  if (aio_read(&request) != 0) return -2;
  return support::suspend_for(request, timeout);
}

TEST_F(C23_Waits, ASuspendEndsInTheChild) {
  fork_in([](const Pipe& pipe) { return read_and_suspend(pipe, nullptr); });
}

TEST_F(C23_Waits, ASuspendWithATimeoutEndsInTheChild) {
  const timespec hour{3600, 0};
  fork_in([&](const Pipe& pipe) { return read_and_suspend(pipe, &hour); });
}

TEST_F(C23_Waits, ASuspendOnAThousandEntriesEndsInTheChild) {
  fork_in([](const Pipe& pipe) {
    char byte;
    aiocb request = block(pipe.reader.get(), &byte, 1);
    if (aio_read(&request) != 0) return -2;
    const std::vector<const aiocb*> list(1000, &request);
    return aio_suspend(list.data(), static_cast<int>(list.size()), nullptr);
  });
}

TEST_F(C23_Waits, AListThatIsAwaitedEndsInTheChild) {
  fork_in([](const Pipe& pipe) {
    char bytes[4];
    aiocb requests[4];
    aiocb* list[4];
    for (int i = 0; i < 4; ++i) {
      requests[i] = block(pipe.reader.get(), &bytes[i], 1);
      requests[i].aio_lio_opcode = LIO_READ;
      list[i] = &requests[i];
    }
    return lio_listio(LIO_WAIT, list, 4, nullptr);
  });
}

}  // namespace
