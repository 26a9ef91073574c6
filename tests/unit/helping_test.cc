// Who waits makes copies meanwhile (src/runtime/waiting.cc, Wait::copy_meanwhile): the calls that
// wait finish although no worker can come to their requests, and still end as they must (C12, C13).
#include <signal.h>
#include <sys/syscall.h>

#include <array>
#include <atomic>
#include <thread>

#include "support/support.h"
#include "sys/call.h"

namespace {

using support::block;

constexpr size_t kSize = 64 * 1024;  // more than a caller copies when it submits several
constexpr size_t kMost = 80;

long own_thread = 0;
std::atomic<bool> held{true};
std::atomic<int> workers_inside{0};
std::atomic<int> copied_here{0};
std::atomic<bool> interrupts{false};

// The workers stay in their reads while `held`. While `interrupts`, a signal comes to the test's
// thread as it copies.
long watch(long number, const long (&arguments)[6]) {
  if (number != SYS_preadv2) return inflight::sys::raw_call(number, arguments);
  const long no_arguments[6] = {};
  if (inflight::sys::raw_call(SYS_gettid, no_arguments) == own_thread) {
    ++copied_here;
    if (interrupts) kill(getpid(), SIGUSR1);
  } else {
    ++workers_inside;
    EXPECT_TRUE(support::eventually([] { return !held.load(); }));
  }
  return inflight::sys::raw_call(number, arguments);
}

std::atomic<int> handled{0};
void on_signal(int) { ++handled; }

class Helping : public ::testing::Test {
 protected:
  void SetUp() override {
    own_thread = gettid();
    inflight::sys::call_hook = watch;
    // One for the caller, one for each thread that may copy, and one for which there is nobody.
    const auto processors = static_cast<size_t>(inflight::sys::processor_count());
    if (processors == 1) GTEST_SKIP() << "the caller copies everything at once";
    if (processors + 1 > kMost) GTEST_SKIP() << "too many processors for this test";
    workers_ = processors - 1;
    count_ = 1 + workers_ + 1;
    file_ = support::temporary_file(std::string(count_ * kSize, 'h'));
    bytes_.resize(count_ * kSize);
    for (size_t i = 0; i < count_; ++i) {
      blocks_[i] = block(file_.get(), &bytes_[i * kSize], kSize, static_cast<off_t>(i * kSize));
      blocks_[i].aio_lio_opcode = LIO_READ;
      list_[i] = &blocks_[i];
    }
  }
  void TearDown() override { held = false; }

  // All are submitted, and the workers are inside the reads that had a turn.
  void submit() {
    for (size_t i = 0; i < count_; ++i) ASSERT_EQ(0, aio_read(&blocks_[i]));
    ASSERT_EQ(0, aio_error(&blocks_[0])) << "the caller's own";
    ASSERT_TRUE(support::eventually(
        [&] { return static_cast<size_t>(workers_inside.load()) == workers_; }));
    copied_here = 0;
  }
  void all_end_well() {
    held = false;
    for (size_t i = 0; i < count_; ++i) EXPECT_EQ(ssize_t{kSize}, support::result_of(blocks_[i]));
    EXPECT_EQ(std::string(count_ * kSize, 'h'), bytes_);
  }

  support::Descriptor file_;
  std::string bytes_;
  std::array<struct aiocb, kMost> blocks_;
  std::array<struct aiocb*, kMost> list_;
  size_t workers_ = 0;
  size_t count_ = 0;
};

TEST_F(Helping, TheWaiterCopiesWhatNoWorkerComesTo) {
  submit();
  const struct aiocb* const last[] = {&blocks_[count_ - 1]};
  const timespec patience{support::kPatience.count(), 0};
  EXPECT_EQ(0, aio_suspend(last, 1, &patience)) << strerror(errno);
  EXPECT_EQ(1, copied_here);
  all_end_well();
}

TEST_F(Helping, AWaitForAnotherRequestStillEndsWithItsTimeout) {
  submit();
  const struct aiocb* const stuck[] = {&blocks_[1]};
  const timespec moment{0, 20'000'000};
  EXPECT_EQ(-1, aio_suspend(stuck, 1, &moment));
  EXPECT_EQ(EAGAIN, errno);
  EXPECT_EQ(1, copied_here);
  EXPECT_EQ(0, aio_error(&blocks_[count_ - 1])) << "copied on the way";
  all_end_well();
}

TEST_F(Helping, AHandlerThatRunsWhileTheWaiterCopiesEndsTheWait) {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigaction(SIGUSR1, &action, nullptr);
  submit();
  interrupts = true;
  const struct aiocb* const stuck[] = {&blocks_[1]};
  const timespec patience{support::kPatience.count(), 0};
  EXPECT_EQ(-1, aio_suspend(stuck, 1, &patience));
  EXPECT_EQ(EINTR, errno);
  EXPECT_EQ(1, handled);
  interrupts = false;
  all_end_well();
}

TEST_F(Helping, AListIsCopiedByTheCallThatWaitsForIt) {
  std::thread release([&] {
    EXPECT_TRUE(support::eventually([] { return copied_here.load() >= 2; }));
    held = false;
  });
  EXPECT_EQ(0, lio_listio(LIO_WAIT, list_.data(), static_cast<int>(count_), nullptr));
  release.join();
  EXPECT_GE(copied_here, 2);
  all_end_well();
}

}  // namespace
