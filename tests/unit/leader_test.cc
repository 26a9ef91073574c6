// The leader of the kernel's AIO (src/engine/kaio.h): who waits for one request at a time takes its
// completion itself, and nothing is lost when it suddenly does not (C6, C13, C15).
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include <atomic>

#include "support/support.h"
#include "sys/call.h"

namespace {

using support::block;

constexpr size_t kSize = 4096;
constexpr int kRounds = 200;  // many times what makes the engine's thread passive

std::atomic<long> taken_here{0};  // completions that the test's own thread asked for
std::atomic<bool> interrupts{false};
std::atomic<bool> late{true};
long own_thread = 0;

// While `late`, the engine's own thread sees a completion only after a while: the request is then
// surely awaited before it has finished. While `interrupts`, a leader's wait ends with nothing but
// a signal that has become pending.
long watch(long number, const long (&arguments)[6]) {
  const long no_arguments[6] = {};
  if (number != SYS_io_getevents) return inflight::sys::raw_call(number, arguments);
  if (inflight::sys::raw_call(SYS_gettid, no_arguments) != own_thread) {
    const long result = inflight::sys::raw_call(number, arguments);
    if (late && result > 0) usleep(2000);
    return result;
  }
  ++taken_here;
  if (interrupts) {
    kill(getpid(), SIGUSR1);
    return 0;
  }
  return inflight::sys::raw_call(number, arguments);
}

std::atomic<int> handled{0};
void on_signal(int) { ++handled; }

class Leader : public ::testing::Test {
 protected:
  void SetUp() override {
    own_thread = gettid();
    setenv("INFLIGHT_SPIN", "0", 1);  // a fast disk would answer while the caller looks
    inflight::sys::call_hook = watch;
    ASSERT_EQ(0, posix_memalign(&memory_, kSize, 2 * kSize));
    file_ = support::temporary_file(std::string(kSize, 'd'), O_DIRECT);
    aio_context_t context = 0;
    if (syscall(SYS_io_setup, 1, &context) != 0) GTEST_SKIP() << "io_setup: " << strerror(errno);
    syscall(SYS_io_destroy, context);
    for (int i = 0; i < kRounds && taken_here < 10; ++i) read_one();
    late = false;
    ASSERT_GE(taken_here.load(), 10) << "requests made and awaited one at a time";
  }
  void TearDown() override { free(memory_); }

  struct aiocb direct_read() const {
    return block(file_.get(), memory_, kSize);
  }

  void read_one() const {
    struct aiocb request = direct_read();
    ASSERT_EQ(0, aio_read(&request));
    ASSERT_EQ(ssize_t{kSize}, support::result_of(request));
  }

  support::Descriptor file_;
  void* memory_ = nullptr;
};

TEST_F(Leader, APollLoopOnAioErrorSeesTheEnd) {
  for (int i = 0; i < 20; ++i) {
    struct aiocb request = direct_read();
    ASSERT_EQ(0, aio_read(&request));
    ASSERT_TRUE(support::eventually([&] { return aio_error(&request) != EINPROGRESS; }));
    EXPECT_EQ(ssize_t{kSize}, aio_return(&request));
  }
}

TEST_F(Leader, ASignalIsSentThoughNobodyWaits) {
  signal(SIGUSR2, on_signal);
  struct aiocb request = direct_read();
  request.aio_sigevent.sigev_notify = SIGEV_SIGNAL;
  request.aio_sigevent.sigev_signo = SIGUSR2;
  ASSERT_EQ(0, aio_read(&request));
  EXPECT_TRUE(support::eventually([] { return handled == 1; })) << "status " << aio_error(&request);
}

TEST_F(Leader, ASecondRequestIsTakenToo) {
  struct aiocb one = direct_read();
  struct aiocb other = block(file_.get(), static_cast<char*>(memory_) + kSize, kSize);
  ASSERT_EQ(0, aio_read(&one));
  ASSERT_EQ(0, aio_read(&other));
  EXPECT_EQ(ssize_t{kSize}, support::result_of(other));
  EXPECT_EQ(ssize_t{kSize}, support::result_of(one));
}

// The engine's own thread may be quicker, if this one is held up between its two calls: then it was
// no leader, and tries again.
TEST_F(Leader, AWaitThatWasInterruptedSaysSoAndTheRequestGoesOn) {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigaction(SIGUSR1, &action, nullptr);
  for (int tries = 0; tries < kRounds && handled == 0; ++tries) {
    struct aiocb request = direct_read();
    const struct aiocb* list[] = {&request};
    interrupts = true;
    ASSERT_EQ(0, aio_read(&request));
    const int result = aio_suspend(list, 1, nullptr);
    const int error = errno;
    interrupts = false;
    EXPECT_EQ(handled == 0 ? 0 : -1, result);
    if (result != 0) {
      EXPECT_EQ(EINTR, error);
    }
    EXPECT_EQ(ssize_t{kSize}, support::result_of(request));
  }
  EXPECT_EQ(1, handled);
}

TEST_F(Leader, AHandlerWithRestartDoesNotEndTheWait) {
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGUSR1, &action, nullptr);
  for (int tries = 0; tries < kRounds && handled == 0; ++tries) {
    struct aiocb request = direct_read();
    const struct aiocb* list[] = {&request};
    interrupts = true;
    ASSERT_EQ(0, aio_read(&request));
    EXPECT_EQ(0, aio_suspend(list, 1, nullptr)) << strerror(errno);
    interrupts = false;
    EXPECT_EQ(ssize_t{kSize}, aio_return(&request));
  }
  EXPECT_LE(1, handled);
}

}  // namespace
