// What no implementation of POSIX AIO can go beyond: the system calls that a work needs at least if
// the contract is kept, and nothing around them.
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "work.h"

namespace bench {
namespace {

// A thread that is told of every byte that comes to one of the pipes, as one has to be: a request
// outlives the thread that made it, and may interrupt nothing in it (C18, C19).
void watch(const std::vector<int>& readers, std::atomic<bool>& ready) {
  io_uring ring{};
  if (io_uring_queue_init(4096, &ring, IORING_SETUP_COOP_TASKRUN) != 0) fail("io_uring_queue_init");
  for (const int reader : readers) {
    io_uring_prep_poll_multishot(io_uring_get_sqe(&ring), reader, POLLIN);
  }
  io_uring_submit(&ring);
  ready = true;
  for (io_uring_cqe* completion; io_uring_wait_cqe(&ring, &completion) == 0;) {
    io_uring_cqe_seen(&ring, completion);
  }
}

// What a submission asks of a descriptor (C5, C9), with signals blocked as long as the request is
// in nobody's hands (C16).
void submit(int file) {
  const uint64_t all = ~uint64_t{0};
  uint64_t before = 0;
  struct statx facts;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof before);
  fcntl(file, F_GETFL);
  statx(file, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, &facts);
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, nullptr, sizeof before);
}

}  // namespace

uint64_t work_with_pipes_at_least(const Work& work, Course course) {
  std::vector<int> readers, writers;
  for (int i = 0; i < work.depth; ++i) {
    int ends[2];
    if (pipe(ends) != 0) fail("pipe");
    readers.push_back(ends[0]);
    writers.push_back(ends[1]);
  }
  std::atomic<bool> ready{false};
  std::thread([&] { watch(readers, ready); }).detach();
  while (!ready) std::this_thread::yield();
  uint64_t done = 0;
  for (char byte; !course.over(); ++done) {
    const auto i = static_cast<size_t>(course.next()) / 4096 % readers.size();
    if (write(writers[i], "x", 1) != 1) fail("write to a pipe");
    if (read(readers[i], &byte, 1) != 1) fail("read of a pipe");
    submit(readers[i]);
  }
  const Measured measured{static_cast<double>(done), 0, 0};
  const ssize_t written = write(STDOUT_FILENO, &measured, sizeof measured);
  _Exit(written == sizeof measured ? 0 : 1);  // its watcher sleeps
}

uint64_t work_without_waiting(const Work& work, int file, Course course) {
  // As many buffers as requests would have between the threads, since what is hot in a cache is
  // cheaper to fill.
  const auto count = static_cast<size_t>(std::max(1, work.depth / work.threads));
  std::vector<char> buffers(count * work.block);
  uint64_t done = 0;
  for (; !course.over(); ++done) {
    const iovec piece{&buffers[done % count * work.block], work.block};
    const off_t place = course.next();
    ssize_t moved = preadv2(file, &piece, 1, place, RWF_NOWAIT);
    if (moved < 0) moved = preadv(file, &piece, 1, place);
    if (moved != static_cast<ssize_t>(work.block)) fail("a short transfer");
  }
  return done;
}

}  // namespace bench
