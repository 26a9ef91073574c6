// The call that waits for a list makes the copies itself for which there is no thread (C12): with
// the workers held, it still comes to all that is not in their hands or next in turn.
#include <sys/syscall.h>

#include <atomic>
#include <thread>
#include <vector>

#include "support/support.h"
#include "support/threads.h"
#include "sys/call.h"

namespace {

using support::block;

constexpr size_t kSize = 64 * 1024;  // more than a caller copies when it submits several

long own_thread = 0;
std::atomic<bool> held{true};
std::atomic<int> copied_here{0};

// The workers stay in their reads while `held`.
long watch(long number, const long (&arguments)[6]) {
  if (number != SYS_preadv2) return inflight::sys::raw_call(number, arguments);
  const long no_arguments[6] = {};
  if (inflight::sys::raw_call(SYS_gettid, no_arguments) == own_thread) {
    ++copied_here;
  } else {
    EXPECT_TRUE(support::eventually([] { return !held.load(); }));
  }
  return inflight::sys::raw_call(number, arguments);
}

struct List {
  explicit List(size_t count)
      : file(support::temporary_file(std::string(count * kSize, 'a'))),
        bytes(count * kSize, '-'),
        blocks(count) {
    for (size_t i = 0; i < count; ++i) {
      blocks[i] = block(file.get(), &bytes[i * kSize], kSize, static_cast<off_t>(i * kSize));
      blocks[i].aio_lio_opcode = LIO_READ;
      entries.push_back(&blocks[i]);
    }
  }
  int read(int mode) {
    return lio_listio(mode, entries.data(), static_cast<int>(entries.size()), nullptr);
  }
  void ended_well() {
    for (auto& one : blocks) EXPECT_EQ(ssize_t{kSize}, support::result_of(one));
    EXPECT_EQ(std::string(bytes.size(), 'a'), bytes);
  }

  support::Descriptor file;
  std::string bytes;
  std::vector<struct aiocb> blocks;
  std::vector<struct aiocb*> entries;
};

class AwaitedList : public ::testing::Test {
 protected:
  void SetUp() override {
    own_thread = gettid();
    inflight::sys::call_hook = watch;
    processors_ = inflight::sys::processor_count();
    if (processors_ == 1) GTEST_SKIP() << "the caller copies everything at once";
  }
  int processors_ = 0;
};

TEST_F(AwaitedList, IsCopiedByItsCallerToo) {
  // The first is the caller's, each worker has one, one is next, and the others find nobody.
  constexpr int kOthers = 5;
  const int mine = 1 + kOthers;
  List list(static_cast<size_t>(mine + (processors_ - 1) + 1));
  const support::Thread release([&] {
    EXPECT_TRUE(support::eventually([&] { return copied_here.load() == mine; }));
    held = false;
  });
  EXPECT_EQ(0, list.read(LIO_WAIT)) << strerror(errno);
  EXPECT_EQ(mine, copied_here);
  list.ended_well();
}

TEST_F(AwaitedList, OneThatIsNotAwaitedIsLeftToThreads) {
  List list(static_cast<size_t>(processors_ + 5));
  EXPECT_EQ(0, list.read(LIO_NOWAIT)) << strerror(errno);
  EXPECT_LE(copied_here, 1);
  held = false;
  list.ended_well();
}

}  // namespace
