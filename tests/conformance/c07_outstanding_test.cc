// C7: as many requests at once as a program likes, on one descriptor or on thousands.
//
// glibc: has twenty threads, and a request that waits keeps one; each test here that puts more
// waiting requests on different descriptors never ends there.
#include <stdio.h>
#include <sys/resource.h>

#include <filesystem>

#include "support/kinds.h"
#include "support/loaded.h"
#include "support/outcome.h"
#include "support/support.h"
#include "support/threads.h"

namespace {

using support::Clock;
using support::count;
using support::Descriptor;
using support::Memory;
using support::Pipe;
using support::run;
using support::SocketPair;
using support::temporary_file;

constexpr int kMany = 10'000;

class C07_Outstanding : public support::Limited {};

size_t resident_bytes() {
  size_t total = 0, resident = 0;
  FILE* file = fopen("/proc/self/statm", "re");
  EXPECT_EQ(2, fscanf(file, "%zu %zu", &total, &resident));
  fclose(file);
  return resident * 4096;
}

size_t thread_count() {
  const std::filesystem::directory_iterator all("/proc/self/task");
  return static_cast<size_t>(std::distance(begin(all), end(all)));
}

bool allow_descriptors(rlim_t number) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= number) return true;
  limit.rlim_cur = number;
  limit.rlim_max = std::max(limit.rlim_max, number);
  return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

// ---------------------------------------------------------------- on one descriptor

// "Any number of requests may be outstanding, on one descriptor": reads of a socket.
TEST_F(C07_Outstanding, TenThousandReadsOfOneSocket) {
  SocketPair socket;
  std::vector<char> bytes(kMany);
  std::vector<aiocb> requests(kMany);
  for (int i = 0; i < kMany; ++i) {
    requests[i] = support::block(socket.one.get(), &bytes[i], 1);
    ASSERT_EQ(0, aio_read(&requests[i])) << i << ": " << strerror(errno);
  }
  EXPECT_EQ(EINPROGRESS, aio_error(&requests[0]));
  EXPECT_EQ(EINPROGRESS, aio_error(&requests[kMany - 1]));
  std::string sent(kMany, '\0');
  for (int i = 0; i < kMany; ++i) sent[i] = static_cast<char>(i % 251);
  ASSERT_EQ(kMany, write(socket.two.get(), sent.data(), sent.size()));
  for (aiocb& request : requests) ASSERT_EQ(count(1), support::outcome_of(request));
  EXPECT_TRUE(sent == std::string(bytes.data(), bytes.size()));
}

TEST_F(C07_Outstanding, TenThousandReadsOfOneEventCounter) {
  const Descriptor counter = support::event_counter(0, EFD_SEMAPHORE);
  std::vector<uint64_t> values(kMany);
  std::vector<aiocb> requests(kMany);
  for (int i = 0; i < kMany; ++i) {
    requests[i] = support::block(counter.get(), &values[i], 8);
    ASSERT_EQ(0, aio_read(&requests[i])) << i << ": " << strerror(errno);
  }
  EXPECT_EQ(EINPROGRESS, aio_error(&requests[0]));
  ASSERT_EQ(0, eventfd_write(counter.get(), kMany));
  for (aiocb& request : requests) ASSERT_EQ(count(8), support::outcome_of(request));
  EXPECT_EQ(values, std::vector<uint64_t>(kMany, 1));
}

// Writes that wait for room.
TEST_F(C07_Outstanding, ThousandsOfWritesToAFullPipe) {
  Pipe pipe;
  const size_t before = support::fill(pipe.writer.get());
  constexpr int kWrites = 2000;
  std::vector<std::string> bytes(kWrites);
  std::vector<aiocb> requests(kWrites);
  std::string expected;
  for (int i = 0; i < kWrites; ++i) {
    bytes[i] = std::string(100, static_cast<char>('a' + i % 26));
    expected += bytes[i];
    requests[i] = support::block(pipe.writer.get(), bytes[i].data(), bytes[i].size());
    ASSERT_EQ(0, aio_write(&requests[i])) << i << ": " << strerror(errno);
  }
  EXPECT_EQ(EINPROGRESS, aio_error(&requests[0]));
  EXPECT_EQ(before, support::drain(pipe.reader.get(), before).size());
  EXPECT_TRUE(expected == support::drain(pipe.reader.get(), expected.size()));
  for (aiocb& request : requests) ASSERT_EQ(count(100), support::outcome_of(request));
}

// Files, which finish by themselves, but not as fast as they are asked for.
void ten_thousand_of_a_file(int flags, support::Submit submit) {
  const Descriptor file = temporary_file(std::string(1 << 20, 'x'), flags);
  Memory memory(4096);
  std::vector<aiocb> requests(kMany);
  for (int i = 0; i < kMany; ++i) {
    requests[i] = support::block(file.get(), memory.get(), 4096, i % 256 * 4096);
    ASSERT_EQ(0, submit(&requests[i])) << i << ": " << strerror(errno);
  }
  for (aiocb& request : requests) ASSERT_EQ(count(4096), support::outcome_of(request));
}

TEST_F(C07_Outstanding, TenThousandReadsOfOneFile) { ten_thousand_of_a_file(0, aio_read); }
TEST_F(C07_Outstanding, TenThousandWritesOfOneFile) { ten_thousand_of_a_file(0, aio_write); }
TEST_F(C07_Outstanding, TenThousandDirectReadsOfOneFile) {
  ten_thousand_of_a_file(O_DIRECT, aio_read);
}
TEST_F(C07_Outstanding, TenThousandDirectWritesOfOneFile) {
  ten_thousand_of_a_file(O_DIRECT, aio_write);
}

// ---------------------------------------------------------------- on many

// "or thousands": each pipe has a read that waits; the last is served first.
TEST_F(C07_Outstanding, AReadOnEachOfAThousandPipes) {
  constexpr int kPipes = 1000;
  if (!allow_descriptors(3 * kPipes)) GTEST_SKIP() << "RLIMIT_NOFILE cannot be raised";
  std::vector<Pipe> pipes(kPipes);
  std::vector<char> bytes(kPipes);
  std::vector<aiocb> requests(kPipes);
  for (int i = 0; i < kPipes; ++i) {
    requests[i] = support::block(pipes[i].reader.get(), &bytes[i], 1);
    ASSERT_EQ(0, aio_read(&requests[i])) << i << ": " << strerror(errno);
  }
  for (int i = kPipes - 1; i >= 0; --i) {
    ASSERT_EQ(EINPROGRESS, aio_error(&requests[i]));
    const char byte = static_cast<char>(i);
    ASSERT_EQ(1, write(pipes[i].writer.get(), &byte, 1));
    ASSERT_EQ(count(1), support::outcome_of(requests[i]));
    ASSERT_EQ(byte, bytes[i]);
  }
}

// Requests that wait do not starve those that could go on.
TEST_F(C07_Outstanding, WaitingRequestsStarveNoOthers) {
  constexpr int kWaiting = 150;
  std::vector<Pipe> empty(kWaiting), full(kWaiting);
  std::vector<char> bytes(kWaiting);
  std::vector<aiocb> reads(kWaiting), writes(kWaiting);
  for (int i = 0; i < kWaiting; ++i) {
    support::fill(full[i].writer.get());
    reads[i] = support::block(empty[i].reader.get(), &bytes[i], 1);
    writes[i] = support::block(full[i].writer.get(), &bytes[i], 1);
    ASSERT_EQ(0, aio_read(&reads[i]));
    ASSERT_EQ(0, aio_write(&writes[i]));
  }
  const Descriptor file = temporary_file(std::string(65536, 'x'));
  const Descriptor direct = temporary_file(std::string(65536, 'x'), O_DIRECT);
  Memory memory(65536);
  for (const int descriptor : {file.get(), direct.get()}) {
    EXPECT_EQ(count(65536), run(aio_write, support::block(descriptor, memory.get(), 65536)));
    EXPECT_EQ(count(65536), run(aio_read, support::block(descriptor, memory.get(), 65536)));
    EXPECT_EQ(count(0), run(support::sync_all, support::block(descriptor, nullptr, 0)));
  }
  for (int i = 0; i < kWaiting; ++i) {
    EXPECT_EQ(EINPROGRESS, aio_error(&reads[i]));
    EXPECT_EQ(EINPROGRESS, aio_error(&writes[i]));
    empty[i].writer.reset();
    full[i].reader.reset();
    EXPECT_EQ(count(0), support::outcome_of(reads[i]));
    EXPECT_EQ(support::failed(EPIPE), support::outcome_of(writes[i]));
  }
}

// ---------------------------------------------------------------- what they take

// "Memory per outstanding request is bounded and small", and there is no thread for each.
TEST_F(C07_Outstanding, AWaitingRequestTakesLittle) {
  SocketPair socket;
  std::vector<char> bytes(2 * kMany);
  std::vector<aiocb> requests(2 * kMany);
  const auto submit = [&](int i) {
    requests[i] = support::block(socket.one.get(), &bytes[i], 1);
    ASSERT_EQ(0, aio_read(&requests[i]));
  };
  submit(0);
  const size_t resident = resident_bytes(), threads = thread_count();
  for (int i = 1; i < 2 * kMany; ++i) submit(i);
  if (!support::kSanitized) {
    // The bytes of the blocks and buffers are there since the vectors were made.
    EXPECT_LT((resident_bytes() - resident) / (2 * kMany), 1024U);
  }
  EXPECT_LE(thread_count(), threads + 32);
  std::string sent(2 * kMany, 'x');
  EXPECT_EQ(2 * kMany, write(socket.two.get(), sent.data(), sent.size()));
  for (aiocb& request : requests) ASSERT_EQ(count(1), support::outcome_of(request));
}

// ... and what they took is used again for the next ones.
TEST_F(C07_Outstanding, FinishedRequestsGiveBackWhatTheyTook) {
  SocketPair socket;
  std::vector<char> bytes(kMany);
  std::vector<aiocb> requests(kMany);
  const std::string sent(kMany, 'x');
  size_t resident = 0;
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < kMany; ++i) {
      requests[i] = support::block(socket.one.get(), &bytes[i], 1);
      ASSERT_EQ(0, aio_read(&requests[i]));
    }
    EXPECT_EQ(kMany, write(socket.two.get(), sent.data(), sent.size()));
    for (aiocb& request : requests) ASSERT_EQ(count(1), support::outcome_of(request));
    if (round == 0) resident = resident_bytes();
  }
  if (support::kSanitized) GTEST_SKIP() << "the sanitizer keeps memory of its own";
  EXPECT_LT(resident_bytes(), resident + (size_t{2} << 20));
}

// "no call blocks for room": while the engines are stuck behind streams that nobody serves, every
// call returns, in a time that has nothing to do with theirs.
TEST_F(C07_Outstanding, NoCallWaitsForRoom) {
  SocketPair socket;
  Pipe pipe;
  support::fill(socket.one.get());
  support::fill(pipe.writer.get());
  std::vector<char> bytes(kMany);
  std::vector<aiocb> requests(kMany);
  const auto start = Clock::now();
  for (int i = 0; i < kMany; ++i) {
    const int descriptor = i % 2 == 0 ? socket.one.get() : pipe.writer.get();
    requests[i] = support::block(descriptor, &bytes[i], 1);
    ASSERT_EQ(0, aio_write(&requests[i])) << strerror(errno);
  }
  // None has ended, so none can have been waited for; this only puts a number to "returns".
  EXPECT_LT(Clock::now() - start, support::kPatience);
  for (const aiocb& request : requests) ASSERT_EQ(EINPROGRESS, aio_error(&request));
  socket.two.reset();
  pipe.reader.reset();
  for (aiocb& request : requests) support::wait_for(request);
}

}  // namespace
