// How the kernel AIO engine gathers requests (src/engine/kaio.h): few io_submit calls, and nothing
// that is held back is forgotten or out of reach (C6, C7, C14).
#include <stdlib.h>
#include <sys/syscall.h>

#include <array>
#include <atomic>

#include "support/support.h"
#include "sys/call.h"

namespace {

using support::block;

constexpr size_t kSize = 4096;
constexpr size_t kMost = 16;
constexpr size_t kBusy = 4;  // so many in the kernel make the engine hold others back

std::atomic<bool> no_completions{false};
std::atomic<bool> one_at_a_time{false};  // the kernel takes one request of each call
std::atomic<int> calls{0};

long watch(long number, const long (&arguments)[6]) {
  if (number == SYS_io_getevents) {
    while (no_completions) usleep(100);
  }
  if (number == SYS_io_submit) {
    ++calls;
    if (one_at_a_time) {
      const long changed[6] = {arguments[0], 1, arguments[2]};
      return inflight::sys::raw_call(number, changed);
    }
  }
  return inflight::sys::raw_call(number, arguments);
}

class Gathering : public ::testing::Test {
 protected:
  void SetUp() override {
    inflight::sys::call_hook = watch;
    ASSERT_EQ(0, posix_memalign(&memory_, kSize, kMost * kSize));
    file_ = support::temporary_file(std::string(kMost * kSize, 'g'), O_DIRECT);
    aio_context_t context = 0;
    if (syscall(SYS_io_setup, 1, &context) != 0) GTEST_SKIP() << "io_setup: " << strerror(errno);
    syscall(SYS_io_destroy, context);
    for (size_t i = 0; i < kMost; ++i) {
      blocks_[i] = block(file_.get(), static_cast<char*>(memory_) + i * kSize, kSize,
                         static_cast<off_t>(i * kSize));
      blocks_[i].aio_lio_opcode = LIO_READ;
      list_[i] = &blocks_[i];
    }
  }
  void TearDown() override {
    no_completions = false;
    free(memory_);
  }

  void submit(size_t first, size_t end) {
    for (size_t i = first; i < end; ++i) ASSERT_EQ(0, aio_read(&blocks_[i]));
  }
  void all_end_well(size_t count) {
    no_completions = false;
    for (size_t i = 0; i < count; ++i) {
      ASSERT_TRUE(support::eventually([&] { return aio_error(&blocks_[i]) != EINPROGRESS; }));
      EXPECT_EQ(ssize_t{kSize}, aio_return(&blocks_[i])) << strerror(aio_error(&blocks_[i]));
    }
  }

  support::Descriptor file_;
  void* memory_ = nullptr;
  std::array<struct aiocb, kMost> blocks_;
  std::array<struct aiocb*, kMost> list_;
};

TEST_F(Gathering, AListIsOneCall) {
  ASSERT_EQ(0, lio_listio(LIO_NOWAIT, list_.data(), kMost, nullptr));
  all_end_well(kMost);
  EXPECT_EQ(1, calls);
}

TEST_F(Gathering, AListOfWhichTheKernelTakesOneAtATimeIsServed) {
  one_at_a_time = true;
  ASSERT_EQ(0, lio_listio(LIO_WAIT, list_.data(), kMost, nullptr));
  all_end_well(kMost);
  EXPECT_EQ(int{kMost}, calls);
}

TEST_F(Gathering, WhatIsHeldBackGoesWithTheNextCompletion) {
  no_completions = true;
  submit(0, kBusy);
  EXPECT_EQ(int{kBusy}, calls);
  submit(kBusy, 10);
  EXPECT_EQ(int{kBusy}, calls);
  all_end_well(10);
  EXPECT_EQ(int{kBusy} + 1, calls);
}

TEST_F(Gathering, ManyAreNotHeldBack) {
  no_completions = true;
  submit(0, kMost);
  EXPECT_EQ(int{kBusy}, calls);
  std::array<struct aiocb, kMost> more = blocks_;
  for (size_t i = 0; i < kBusy; ++i) ASSERT_EQ(0, aio_read(&more[i]));
  EXPECT_EQ(int{kBusy} + 1, calls);
  all_end_well(kMost);
  for (size_t i = 0; i < kBusy; ++i) EXPECT_EQ(ssize_t{kSize}, support::result_of(more[i]));
}

TEST_F(Gathering, AWaitSubmitsWhatIsHeldBack) {
  no_completions = true;
  submit(0, kBusy + 2);
  EXPECT_EQ(int{kBusy}, calls);
  const struct aiocb* awaited[] = {&blocks_[kBusy]};
  const timespec moment{0, 1000};
  EXPECT_EQ(-1, aio_suspend(awaited, 1, &moment));
  EXPECT_EQ(EAGAIN, errno);
  EXPECT_EQ(int{kBusy} + 1, calls);
  all_end_well(kBusy + 2);
}

TEST_F(Gathering, AHeldRequestCanBeCancelled) {
  no_completions = true;
  submit(0, kBusy + 1);
  EXPECT_EQ(AIO_CANCELED, aio_cancel(file_.get(), &blocks_[kBusy]));
  EXPECT_EQ(ECANCELED, aio_error(&blocks_[kBusy]));
  all_end_well(kBusy);
  EXPECT_EQ(int{kBusy}, calls);
}

TEST_F(Gathering, ABusyFileHoldsNoOtherBack) {
  const support::Descriptor other = support::temporary_file(std::string(kSize, 'o'), O_DIRECT);
  no_completions = true;
  submit(0, kBusy + 1);
  EXPECT_EQ(int{kBusy}, calls);
  struct aiocb elsewhere = block(other.get(), static_cast<char*>(memory_) + 8 * kSize, kSize);
  ASSERT_EQ(0, aio_read(&elsewhere));
  EXPECT_EQ(int{kBusy} + 1, calls);
  all_end_well(kBusy + 1);
  EXPECT_EQ(ssize_t{kSize}, support::result_of(elsewhere));
}

}  // namespace
