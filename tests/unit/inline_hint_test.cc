// What a thread remembers of the descriptors it has read (src/engine/inline_hint.h): how many
// system calls a read takes, and that a cached read stays the caller's own whatever was read
// before.
#include <sys/syscall.h>
#include <sys/uio.h>

#include <atomic>
#include <memory>
#include <vector>

#include "support/support.h"
#include "sys/call.h"

namespace {

using support::block;

constexpr size_t kMany = 40;  // more than a thread has entries

std::atomic<long> own_thread{0};
std::atomic<int> flag_calls{0};
std::atomic<int> read_calls{0};

long watch(long number, const long (&arguments)[6]) {
  const long no_arguments[6] = {};
  if (inflight::sys::raw_call(SYS_gettid, no_arguments) == own_thread) {
    if (number == SYS_fcntl) ++flag_calls;
    if (number == SYS_preadv2) ++read_calls;
  }
  return inflight::sys::raw_call(number, arguments);
}

struct WaitingRead {
  support::Pipe pipe;
  char byte = 0;
  struct aiocb read = block(pipe.reader.get(), &byte, 1);
};

TEST(InlineHints, ManyStreamsAreNotAskedWhetherTheyAreFiles) {
  own_thread = gettid();
  inflight::sys::call_hook = watch;
  std::vector<std::unique_ptr<WaitingRead>> reads;
  for (size_t i = 0; i < kMany; ++i) reads.push_back(std::make_unique<WaitingRead>());
  ASSERT_EQ(0, aio_read(&reads[0]->read));  // tried as a file, and known for a stream then
  flag_calls = read_calls = 0;
  for (size_t i = 1; i < kMany; ++i) ASSERT_EQ(0, aio_read(&reads[i]->read));
  EXPECT_EQ(kMany - 1, static_cast<size_t>(flag_calls)) << "one F_GETFL each";
  EXPECT_EQ(kMany - 1, static_cast<size_t>(read_calls)) << "one try each";
  for (const auto& one : reads) {
    ASSERT_EQ(1, write(one->pipe.writer.get(), "x", 1));
    EXPECT_EQ(1, support::result_of(one->read));
    EXPECT_EQ('x', one->byte);
  }
}

// The first of the files is taken for a stream.
TEST(InlineHints, ACachedReadIsTheCallersOwnAlsoAfterStreams) {
  WaitingRead stream;
  ASSERT_EQ(0, aio_read(&stream.read));
  for (int i = 0; i < 3; ++i) {
    const support::Descriptor file = support::temporary_file("cached");
    char bytes[6] = {};
    struct aiocb read = block(file.get(), bytes, sizeof bytes);
    const iovec piece{bytes, sizeof bytes};
    ASSERT_EQ(6, preadv2(file.get(), &piece, 1, 0, RWF_NOWAIT)) << "cached, and the kernel says so";
    ASSERT_EQ(0, aio_read(&read));
    EXPECT_EQ(0, aio_error(&read)) << "at once: after " << i << " other files";
    EXPECT_EQ(6, support::result_of(read));
  }
  ASSERT_EQ(1, write(stream.pipe.writer.get(), "x", 1));
  EXPECT_EQ(1, support::result_of(stream.read));
}

}  // namespace
