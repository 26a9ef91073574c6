// C10: aio_fsync as a barrier behind every request queued before it, as the promise that their
// data is on the disk, and what it refuses.
//
// "glibc:" comments say how glibc 2.36 answers a test that it fails.
#include <limits.h>
#include <sys/syscall.h>

#include <algorithm>

#include "support/kinds.h"
#include "support/outcome.h"
#include "support/support.h"
#include "support/threads.h"

namespace {

using support::count;
using support::Descriptor;
using support::failed;
using support::Memory;
using support::NamedFile;
using support::Pipe;
using support::run;
using support::SocketPair;
using support::temporary_file;

class C10_Fsync : public support::Limited {};

constexpr size_t kPage = 4096;

// ---------------------------------------------------------------- the barrier

// Hundreds of requests to the one descriptor, then an fsync through the other: when that is seen
// to have finished, none of them may be seen in progress.
void expect_barrier(int requests_to, int fsync_to, int operation, bool reads_too = false) {
  constexpr int kRequests = 300;
  Memory pages(kRequests * kPage);
  std::vector<aiocb> requests(kRequests);
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < kRequests; ++i) {
      // Every tenth is larger than the others.
      const size_t size = i % 10 == 0 ? 16 * kPage : kPage;
      char* page = pages.get() + std::min<size_t>(i, kRequests - 16) * kPage;
      requests[i] =
          support::block(requests_to, page, size, i * 7 % 100 * static_cast<off_t>(kPage));
      ASSERT_EQ(0, reads_too && i % 2 == 0 ? aio_read(&requests[i]) : aio_write(&requests[i]));
    }
    aiocb barrier = support::block(fsync_to, nullptr, 0);
    ASSERT_EQ(0, aio_fsync(operation, &barrier));
    ASSERT_TRUE(support::eventually([&] { return aio_error(&barrier) != EINPROGRESS; }));
    const auto unfinished = std::count_if(requests.begin(), requests.end(), [](const aiocb& r) {
      return aio_error(&r) == EINPROGRESS;
    });
    EXPECT_EQ(0, unfinished) << "requests queued before the fsync went on after its end";
    EXPECT_EQ(count(0), support::outcome_of(barrier));
    for (const aiocb& request : requests) support::wait_for(request);
  }
}

// "aio_fsync(O_SYNC | O_DSYNC) finishes after every request queued before it on that file has
// finished"
TEST_F(C10_Fsync, FinishesAfterTheWritesBeforeIt) {
  for (const int operation : {O_SYNC, O_DSYNC}) {
    const Descriptor file = temporary_file();
    expect_barrier(file.get(), file.get(), operation);
  }
}

TEST_F(C10_Fsync, FinishesAfterTheDirectWritesBeforeIt) {
  const Descriptor file = temporary_file("", O_DIRECT);
  expect_barrier(file.get(), file.get(), O_SYNC);
}

TEST_F(C10_Fsync, FinishesAfterTheAppendingWritesBeforeIt) {
  const Descriptor file = temporary_file("", O_APPEND);
  expect_barrier(file.get(), file.get(), O_DSYNC);
}

// "every request": reads too.
TEST_F(C10_Fsync, FinishesAfterTheReadsBeforeIt) {
  const Descriptor file = temporary_file(std::string(200 * kPage, 'x'));
  expect_barrier(file.get(), file.get(), O_DSYNC, true);
  const Descriptor direct = temporary_file(std::string(200 * kPage, 'x'), O_DIRECT);
  expect_barrier(direct.get(), direct.get(), O_DSYNC, true);
}

// "on that file": whichever of its descriptors they were queued on. One that cannot write either.
// glibc: knows requests by descriptor; the fsync overtakes them.
TEST_F(C10_Fsync, FinishesAfterTheWritesThroughAnotherDescriptor) {
  NamedFile file;
  const Descriptor one = file.open(O_RDWR), two = file.open(O_RDWR);
  const Descriptor reading = file.open(O_RDONLY), direct = file.open(O_RDWR | O_DIRECT);
  const Descriptor copy(dup(one.get()));
  for (const int other : {two.get(), reading.get(), copy.get(), direct.get()}) {
    expect_barrier(one.get(), other, O_SYNC);
  }
  expect_barrier(direct.get(), reading.get(), O_DSYNC);
}

// A barrier behind a barrier, and requests between them.
TEST_F(C10_Fsync, BarriersFinishInCallOrder) {
  const Descriptor file = temporary_file();
  char byte = 'x';
  for (int round = 0; round < 5; ++round) {
    std::vector<aiocb> writes(50), barriers(50);
    for (size_t i = 0; i < writes.size(); ++i) {
      writes[i] = support::block(file.get(), &byte, 1, static_cast<off_t>(i));
      barriers[i] = support::block(file.get(), nullptr, 0);
      ASSERT_EQ(0, aio_write(&writes[i]));
      ASSERT_EQ(0, aio_fsync(i % 2 == 0 ? O_SYNC : O_DSYNC, &barriers[i]));
    }
    for (size_t i = writes.size(); i-- > 0;) {
      // From the last on, so that what finished too early is found.
      ASSERT_EQ(0, support::wait_for(barriers[i]));
      for (size_t before = 0; before <= i; ++before) {
        ASSERT_NE(EINPROGRESS, aio_error(&writes[before]));
        ASSERT_NE(EINPROGRESS, aio_error(&barriers[before]));
      }
    }
  }
}

// Requests queued from other threads before the call was made.
TEST_F(C10_Fsync, FinishesAfterTheWritesOfOtherThreads) {
  const Descriptor file = temporary_file();
  Memory pages(100 * kPage);
  for (int round = 0; round < 10; ++round) {
    std::vector<aiocb> requests(200);
    const auto submit = [&](size_t from) {
      for (size_t i = from; i < from + 100; ++i) {
        requests[i] = support::block(file.get(), pages.get() + i % 100 * kPage, kPage,
                                     static_cast<off_t>(i * kPage));
        EXPECT_EQ(0, aio_write(&requests[i]));
      }
    };
    {
      support::Thread one([&] { submit(0); }), two([&] { submit(100); });
    }
    aiocb barrier = support::block(file.get(), nullptr, 0);
    ASSERT_EQ(0, aio_fsync(O_DSYNC, &barrier));
    ASSERT_TRUE(support::eventually([&] { return aio_error(&barrier) != EINPROGRESS; }));
    for (const aiocb& request : requests) ASSERT_NE(EINPROGRESS, aio_error(&request));
    EXPECT_EQ(count(0), support::outcome_of(barrier));
  }
}

// One that failed has finished too; its failure is its own.
TEST_F(C10_Fsync, AFailedWriteBeforeItIsNotItsFailure) {
  const Descriptor file = temporary_file();
  char byte = 'x';
  aiocb bad = support::block(file.get(), nullptr, 1);
  aiocb good = support::block(file.get(), &byte, 1);
  aiocb barrier = support::block(file.get(), nullptr, 0);
  ASSERT_EQ(0, aio_write(&bad));
  ASSERT_EQ(0, aio_write(&good));
  ASSERT_EQ(0, aio_fsync(O_SYNC, &barrier));
  EXPECT_EQ(count(0), support::outcome_of(barrier));
  EXPECT_EQ(EFAULT, aio_error(&bad));
  EXPECT_EQ(0, aio_error(&good));
}

// Requests on other files are not its concern, though they never end.
TEST_F(C10_Fsync, WaitsForNoOtherFile) {
  Pipe pipe;
  char byte = 0;
  aiocb waiting = support::block(pipe.reader.get(), &byte, 1);
  ASSERT_EQ(0, aio_read(&waiting));
  const Descriptor file = temporary_file("x");
  EXPECT_EQ(count(0), run(support::sync_all, support::block(file.get(), nullptr, 0)));
  EXPECT_EQ(EINPROGRESS, aio_error(&waiting));
  EXPECT_EQ(1, write(pipe.writer.get(), "x", 1));
  EXPECT_EQ(count(1), support::outcome_of(waiting));
}

// ---------------------------------------------------------------- durability

struct CacheRange {
  uint64_t offset, length;
};
struct CacheState {
  uint64_t cached, dirty, writeback, evicted, recently_evicted;
};

// cachestat(2), new in Linux 6.5 and not in libc's headers.
bool state_of_cache(int descriptor, CacheState& state) {
  CacheRange all = {0, 0};
  constexpr long kCachestat = 451;
  return syscall(kCachestat, descriptor, &all, &state, 0) == 0;
}

// "and makes their data durable": nothing of the file is left that the disk has not.
TEST_F(C10_Fsync, LeavesNothingUnwritten) {
  CacheState state{};
  Memory pages(256 * kPage);
  for (const auto submit : {support::sync_all, support::sync_data}) {
    const Descriptor file = temporary_file();
    ASSERT_EQ(256 * kPage, static_cast<size_t>(write(file.get(), pages.get(), 256 * kPage)));
    if (!state_of_cache(file.get(), state)) GTEST_SKIP() << "no cachestat: " << strerror(errno);
    if (state.dirty == 0) GTEST_SKIP() << "this file system keeps nothing back";
    std::vector<aiocb> requests(256);
    for (size_t i = 0; i < requests.size(); ++i) {
      requests[i] =
          support::block(file.get(), pages.get() + i * kPage, kPage, static_cast<off_t>(i * kPage));
      ASSERT_EQ(0, aio_write(&requests[i]));
    }
    EXPECT_EQ(count(0), run(submit, support::block(file.get(), nullptr, 0)));
    ASSERT_TRUE(state_of_cache(file.get(), state));
    EXPECT_EQ(0U, state.dirty);
    EXPECT_EQ(0U, state.writeback);
    for (aiocb& request : requests) EXPECT_EQ(count(kPage), support::outcome_of(request));
  }
}

// "if it fails, it says so"
TEST_F(C10_Fsync, AFailureIsReported) {
  Pipe pipe;
  SocketPair socket;
  const Descriptor counter = support::event_counter();
  support::Terminal terminal;
  for (const int descriptor : {pipe.reader.get(), pipe.writer.get(), socket.one.get(),
                               counter.get(), terminal.slave.get()}) {
    SCOPED_TRACE(descriptor);
    for (const auto submit : {support::sync_all, support::sync_data}) {
      EXPECT_EQ(failed(EINVAL), run(submit, support::block(descriptor, nullptr, 0)));
    }
  }
}

// ---------------------------------------------------------------- what is accepted

// "Other op values: EINVAL"
TEST_F(C10_Fsync, OtherOperationsAreRefused) {
  const Descriptor file = temporary_file("x");
  for (const int operation : {0, -1, 1, O_RDWR, O_APPEND, O_SYNC | O_APPEND, O_DSYNC | O_RDWR,
                              O_SYNC & ~O_DSYNC, INT_MAX, INT_MIN}) {
    SCOPED_TRACE(operation);
    aiocb request = support::block(file.get(), nullptr, 0);
    errno = 0;
    EXPECT_EQ(-1, aio_fsync(operation, &request));
    EXPECT_EQ(EINVAL, errno);
  }
}

// "read-only descriptors and directories are accepted, as glibc does"
TEST_F(C10_Fsync, ReadOnlyDescriptorsAndDirectoriesAreAccepted) {
  NamedFile file("x");
  const Descriptor reading = file.open(O_RDONLY), writing = file.open(O_WRONLY);
  const Descriptor directory(open(support::scratch_directory().c_str(), O_RDONLY | O_DIRECTORY));
  for (const int descriptor : {reading.get(), writing.get(), directory.get()}) {
    for (const auto submit : {support::sync_all, support::sync_data}) {
      EXPECT_EQ(count(0), run(submit, support::block(descriptor, nullptr, 0)));
    }
  }
}

// The members that are a transfer's mean nothing.
TEST_F(C10_Fsync, TheMembersOfATransferAreIgnored) {
  const Descriptor file = temporary_file("x");
  aiocb request = support::block(file.get(), reinterpret_cast<void*>(8), SIZE_MAX, -77);
  request.aio_lio_opcode = 1234;
  EXPECT_EQ(count(0), run(support::sync_all, request));
  EXPECT_EQ(count(0), run(support::sync_data, request));
}

}  // namespace
