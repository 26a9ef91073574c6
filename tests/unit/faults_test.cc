// Every system call of the library fails in turn, comes short or is interrupted, while a workload
// runs whose every answer is checked: each request ends once, with the right status and data, and
// tells so once. Each test is a process of its own (ctest runs them one by one).
#include "unit/faults.h"

#include <signal.h>
#include <stdlib.h>

#include <memory>

#include "support/support.h"

namespace {

using faults::Rule;
using faults::Scope;
using support::eventually;

constexpr size_t kBlockSize = 4096;
constexpr int kBlocks = 32;

std::atomic<int> callbacks{0};
void on_callback(sigval) { ++callbacks; }

std::atomic<int> signals{0};
void on_signal(int) { ++signals; }

struct FreeAligned {
  void operator()(char* memory) const { free(memory); }
};
using Aligned = std::unique_ptr<char, FreeAligned>;

Aligned aligned(size_t bytes) {
  void* memory = nullptr;
  if (posix_memalign(&memory, 4096, bytes) != 0) abort();
  return Aligned(static_cast<char*>(memory));
}

void notify_by(struct aiocb& request, int kind) {
  if (kind == 1) {
    request.aio_sigevent.sigev_notify = SIGEV_SIGNAL;
    request.aio_sigevent.sigev_signo = SIGRTMIN + 2;
  } else if (kind == 2) {
    request.aio_sigevent.sigev_notify = SIGEV_THREAD;
    request.aio_sigevent.sigev_notify_function = on_callback;
    request.aio_sigevent.sigev_notify_attributes = nullptr;
  }
}

// Writes a file in blocks, makes it durable, reads it back; every notification kind in turn.
void file_workload(int flags) {
  const support::Descriptor file = support::temporary_file("", flags);
  const Aligned memory = aligned(2 * kBlocks * kBlockSize);
  std::vector<struct aiocb> writes, reads;
  for (int i = 0; i < kBlocks; ++i) {
    char* data = memory.get() + i * kBlockSize;
    memset(data, 'a' + i, kBlockSize);
    writes.push_back(support::block(file.get(), data, kBlockSize, i * long{kBlockSize}));
    reads.push_back(
        support::block(file.get(), data + kBlocks * kBlockSize, kBlockSize, i * long{kBlockSize}));
  }
  for (int i = 0; i < kBlocks; ++i) {
    notify_by(writes[i], i % 3);
    ASSERT_EQ(0, aio_write(&writes[i])) << strerror(errno);
  }
  struct aiocb sync = support::block(file.get(), nullptr, 0);
  ASSERT_EQ(0, aio_fsync(O_SYNC, &sync));
  ASSERT_EQ(0, support::wait_for(sync));
  for (auto& request : writes) {
    ASSERT_EQ(0, aio_error(&request));
    ASSERT_EQ(ssize_t{kBlockSize}, aio_return(&request));
  }
  for (int i = 0; i < kBlocks; ++i) {
    notify_by(reads[i], i % 3);
    ASSERT_EQ(0, aio_read(&reads[i])) << strerror(errno);
  }
  for (auto& request : reads) {
    ASSERT_EQ(0, support::wait_for(request));
    ASSERT_EQ(ssize_t{kBlockSize}, aio_return(&request));
  }
  ASSERT_EQ(0, memcmp(memory.get(), memory.get() + kBlocks * kBlockSize, kBlocks * kBlockSize));
}

// Waiting reads on a pipe and a socket, served in order, one cancelled.
void stream_workload(int reader, int writer) {
  constexpr int kReads = 16;
  std::vector<std::string> buffers(kReads, std::string(10, '\0'));
  std::vector<struct aiocb> reads;
  for (auto& buffer : buffers) reads.push_back(support::block(reader, buffer.data(), 10));
  for (int i = 0; i < kReads; ++i) {
    notify_by(reads[i], i % 3);
    ASSERT_EQ(0, aio_read(&reads[i])) << strerror(errno);
  }
  ASSERT_EQ(AIO_CANCELED, aio_cancel(reader, &reads[5]));
  for (int i = 0; i < kReads - 1; ++i) {
    std::string text(10, static_cast<char>('a' + i));
    struct aiocb write = support::block(writer, text.data(), text.size());
    ASSERT_EQ(0, aio_write(&write));
    ASSERT_EQ(0, support::wait_for(write));
    ASSERT_EQ(10, aio_return(&write));
  }
  for (int i = 0; i < kReads; ++i) {
    ASSERT_EQ(i == 5 ? ECANCELED : 0, support::wait_for(reads[i])) << i;
    if (i == 5) continue;
    ASSERT_EQ(10, aio_return(&reads[i]));
    ASSERT_EQ(std::string(10, static_cast<char>('a' + i - (i > 5))), buffers[i]);
  }
}

int of_kind(int count, int kind) { return count / 3 + (kind < count % 3 ? 1 : 0); }

// The whole workload under `rules`, with every notification counted.
void survives(std::vector<Rule> rules) {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  ASSERT_EQ(0, sigaction(SIGRTMIN + 2, &action, nullptr));
  const Scope scope(std::move(rules));
  ASSERT_NO_FATAL_FAILURE(file_workload(0));
  ASSERT_NO_FATAL_FAILURE(file_workload(O_DIRECT));
  const support::Pipe pipe;
  ASSERT_NO_FATAL_FAILURE(stream_workload(pipe.reader.get(), pipe.writer.get()));
  const support::SocketPair sockets;
  ASSERT_NO_FATAL_FAILURE(stream_workload(sockets.one.get(), sockets.two.get()));
  const int expected_signals = 4 * of_kind(kBlocks, 1) + 2 * of_kind(16, 1);
  const int expected_callbacks = 4 * of_kind(kBlocks, 2) + 2 * of_kind(16, 2);
  EXPECT_TRUE(eventually([&] { return callbacks == expected_callbacks; })) << callbacks;
#if defined(__SANITIZE_THREAD__)
  EXPECT_LE(signals, expected_signals);  // the sanitizer keeps one pending signal of each number
#else
  EXPECT_TRUE(eventually([&] { return signals == expected_signals; })) << signals;
#endif
}

TEST(Faults, NothingFails) { survives({}); }

TEST(Faults, NoRing) {
  survives({{SYS_io_uring_setup, -ENOSYS}});
  EXPECT_GT(faults::injected, 0);
}

TEST(Faults, NoMemoryForTheRing) { survives({{SYS_io_uring_setup, -ENOMEM}}); }

TEST(Faults, RingForbiddenLater) {
  survives({{.number = SYS_io_uring_enter, .answer = -EPERM, .after = 1}});
  EXPECT_GT(faults::injected, 0);
}

TEST(Faults, RingInterrupted) {
  survives({{.number = SYS_io_uring_enter, .answer = -EINTR, .times = 50, .after = 1},
            {.number = SYS_io_uring_enter, .answer = -EBUSY, .times = 50},
            {.number = SYS_io_uring_enter, .answer = -EAGAIN, .times = 50}});
  EXPECT_GT(faults::injected, 0);
}

TEST(Faults, NoKernelAio) {
  survives({{SYS_io_setup, -ENOSYS}});
  EXPECT_GT(faults::injected, 0);
}

TEST(Faults, KernelAioFull) {
  survives({{.number = SYS_io_submit, .answer = -EAGAIN, .times = 20}});
  EXPECT_GT(faults::injected, 0);
}

TEST(Faults, KernelAioInterrupted) {
  survives({{.number = SYS_io_getevents, .answer = -EINTR, .times = 100}});
  EXPECT_GT(faults::injected, 0);
}

TEST(Faults, NoRingAndNoKernelAio) {
  survives({{SYS_io_uring_setup, -EPERM}, {SYS_io_setup, -EPERM}});
}

TEST(Faults, PollInterrupted) {
  survives({{SYS_io_uring_setup, -EPERM},
            {.number = SYS_ppoll, .answer = -EINTR, .times = 100},
            {.number = SYS_ppoll, .answer = -ENOMEM, .times = 20}});
}

TEST(Faults, PollRefusesTheList) {
  survives({{SYS_io_uring_setup, -EPERM}, {.number = SYS_ppoll, .answer = -EINVAL, .times = 60}});
}

TEST(Faults, TransfersInterrupted) {
  std::vector<Rule> rules;
  for (const long number : {SYS_pread64, SYS_pwrite64, SYS_read, SYS_write, SYS_preadv2,
                            SYS_pwritev2, SYS_recvfrom, SYS_sendto, SYS_fsync, SYS_fdatasync}) {
    rules.push_back({.number = number, .answer = -EINTR, .times = 40});
  }
  survives(rules);
  EXPECT_GT(faults::injected, 0);
}

TEST(Faults, TransfersShort) {
  survives({{.number = SYS_pread64, .shorten = true},
            {.number = SYS_pwrite64, .times = 64, .shorten = true}});
  EXPECT_GT(faults::injected, 0);
}

TEST(Faults, NoReadWithoutWaiting) {
  survives({{SYS_preadv2, -EOPNOTSUPP}, {SYS_pwritev2, -EOPNOTSUPP}});
  EXPECT_GT(faults::injected, 0);
}

TEST(Faults, EveryReadWouldWait) {
  survives({{.number = SYS_preadv2, .answer = -EAGAIN, .times = 200}});
  EXPECT_GT(faults::injected, 0);
}

TEST(Faults, SignalQueueFull) {
  survives({{.number = SYS_rt_sigqueueinfo, .answer = -EAGAIN, .times = 100}});
  EXPECT_EQ(100, faults::injected);
}

TEST(Faults, NudgeFallsBack) { survives({{SYS_rt_tgsigqueueinfo, -EAGAIN}}); }

TEST(Faults, FutexInterrupted) {
  survives({{.number = SYS_futex, .answer = -EINTR, .times = 200}});
}

TEST(Faults, NoRestartableWait) {
  constexpr long kFutexWaitv = 449;
  const Scope scope({{kFutexWaitv, -ENOSYS}});
  const support::Pipe pipe;
  char byte;
  struct aiocb request = support::block(pipe.reader.get(), &byte, 1);
  ASSERT_EQ(0, aio_read(&request));
  const struct aiocb* list[] = {&request};
  const timespec soon = {0, 1'000'000};
  EXPECT_EQ(-1, aio_suspend(list, 1, &soon));
  EXPECT_EQ(EAGAIN, errno);
  EXPECT_GT(faults::injected, 0);
  EXPECT_EQ(AIO_CANCELED, aio_cancel(pipe.reader.get(), &request));
}

TEST(Faults, NoMemoryAtAllIsEAGAIN) {
  const Scope scope({{SYS_mmap, -ENOMEM}});
  const support::Pipe pipe;
  char byte;
  struct aiocb request = support::block(pipe.reader.get(), &byte, 1);
  EXPECT_EQ(-1, aio_read(&request));
  EXPECT_EQ(EAGAIN, errno);
  struct aiocb* list[] = {&request};
  request.aio_lio_opcode = LIO_READ;
  EXPECT_EQ(-1, lio_listio(LIO_WAIT, list, 1, nullptr));
  EXPECT_EQ(EAGAIN, errno);
}

TEST(Faults, MemoryEndsAfterTheStart) {
  const Scope scope({{.number = SYS_mmap, .answer = -ENOMEM, .after = 1}});
  const support::Pipe pipe;
  char byte;
  struct aiocb request = support::block(pipe.reader.get(), &byte, 1);
  EXPECT_EQ(-1, aio_read(&request));
  EXPECT_EQ(EAGAIN, errno);
}

TEST(Faults, AnErrorOfTheDeviceIsTheRequestsError) {
  const support::Descriptor file = support::temporary_file(std::string(8192, 'x'));
  setenv("INFLIGHT_ENGINE", "threads", 1);
  const Scope scope({{SYS_pread64, -EIO}, {SYS_pwrite64, -ENOSPC}, {SYS_fsync, -EIO}});
  char data[100] = {};
  struct aiocb request = support::block(file.get(), data, sizeof data);
  ASSERT_EQ(0, aio_read(&request));
  EXPECT_EQ(EIO, support::wait_for(request));
  EXPECT_EQ(-1, aio_return(&request));
  ASSERT_EQ(0, aio_write(&request));
  EXPECT_EQ(ENOSPC, support::wait_for(request));
  ASSERT_EQ(0, aio_fsync(O_SYNC, &request));
  EXPECT_EQ(EIO, support::wait_for(request));
}

}  // namespace
