// The same work by the means that POSIX AIO competes with. Both queues are used as well as they can
// be: what has completed is refilled at once, and one system call submits and waits.
#include <liburing.h>
#include <linux/aio_abi.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <vector>

#include "work.h"

namespace bench {
namespace {

class Buffers {
 public:
  explicit Buffers(const Work& work)
      : block_(work.block),
        memory_(static_cast<char*>(aligned_alloc(
            4096, (work.block * static_cast<size_t>(work.depth) + 4095) / 4096 * 4096))) {
    memset(memory_, 'b', work.block * static_cast<size_t>(work.depth));
  }
  ~Buffers() { free(memory_); }
  Buffers(const Buffers&) = delete;
  Buffers& operator=(const Buffers&) = delete;
  char* operator[](uint64_t i) const { return memory_ + i * block_; }

 private:
  size_t block_;
  char* memory_;
};

uint64_t pipes_with_ring(const Work& work, Course& course) {
  io_uring ring{};
  if (io_uring_queue_init(2048, &ring, 0) != 0) fail("io_uring_queue_init");
  const auto count = static_cast<size_t>(work.depth);
  std::vector<int> readers(count), writers(count);
  std::vector<char> bytes(count);
  const auto post = [&](size_t i) {
    io_uring_sqe* entry = io_uring_get_sqe(&ring);
    io_uring_prep_read(entry, readers[i], &bytes[i], 1, 0);
    io_uring_sqe_set_data64(entry, i);
  };
  for (size_t i = 0; i < count; ++i) {
    int ends[2];
    if (pipe(ends) != 0) fail("pipe");
    readers[i] = ends[0];
    writers[i] = ends[1];
    post(i);
  }
  io_uring_submit(&ring);
  uint64_t done = 0;
  while (!course.over()) {
    const auto i = static_cast<size_t>(course.next()) / 4096 % count;
    if (write(writers[i], "x", 1) != 1) fail("write to a pipe");
    io_uring_cqe* completion = nullptr;
    io_uring_submit_and_wait(&ring, 1);
    if (io_uring_wait_cqe(&ring, &completion) != 0) fail("io_uring_wait_cqe");
    const uint64_t which = io_uring_cqe_get_data64(completion);
    io_uring_cqe_seen(&ring, completion);
    ++done;
    post(which);
  }
  return done;
}

}  // namespace

uint64_t work_in_a_loop(const Work& work, int file, Course course) {
  const Buffers buffers(work);
  uint64_t done = 0;
  while (!course.over()) {
    const ssize_t moved = work.write ? pwrite(file, buffers[0], work.block, course.next())
                                     : pread(file, buffers[0], work.block, course.next());
    if (moved != static_cast<ssize_t>(work.block)) fail("a short transfer");
    ++done;
  }
  return done;
}

uint64_t work_with_ring(const Work& work, int file, Course course) {
  if (work.pattern == Pattern::pipes) return pipes_with_ring(work, course);
  io_uring ring{};
  if (io_uring_queue_init(static_cast<unsigned>(work.depth), &ring, 0) != 0) {
    fail("io_uring_queue_init");
  }
  const Buffers buffers(work);
  std::vector<Latencies::Clock::time_point> begins(static_cast<size_t>(work.depth));
  const auto post = [&](uint64_t i) {
    if (work.timed) begins[i] = Latencies::Clock::now();
    io_uring_sqe* entry = io_uring_get_sqe(&ring);
    const auto place = static_cast<uint64_t>(course.next());
    const auto length = static_cast<unsigned>(work.block);
    if (work.write) {
      io_uring_prep_write(entry, file, buffers[i], length, place);
    } else {
      io_uring_prep_read(entry, file, buffers[i], length, place);
    }
    io_uring_sqe_set_data64(entry, i);
  };
  for (int i = 0; i < work.depth; ++i) post(static_cast<uint64_t>(i));
  uint64_t done = 0;
  for (int left = work.depth; left > 0;) {
    io_uring_submit_and_wait(&ring, 1);
    io_uring_cqe* completion;
    unsigned head, seen = 0;
    io_uring_for_each_cqe(&ring, head, completion) {
      if (completion->res != static_cast<int>(work.block)) fail("a short transfer");
      if (work.timed) latencies.add(begins[io_uring_cqe_get_data64(completion)]);
      ++done;
      ++seen;
      if (course.over()) {
        --left;
      } else {
        post(io_uring_cqe_get_data64(completion));
      }
    }
    io_uring_cq_advance(&ring, seen);
  }
  io_uring_queue_exit(&ring);
  return done;
}

uint64_t work_with_kernel_aio(const Work& work, int file, Course course) {
  aio_context_t context = 0;
  if (syscall(SYS_io_setup, work.depth, &context) != 0) fail("io_setup");
  const Buffers buffers(work);
  const auto depth = static_cast<size_t>(work.depth);
  std::vector<iocb> blocks(depth);
  std::vector<iocb*> ready;
  std::vector<io_event> events(depth);
  const auto prepare = [&](size_t i) {
    blocks[i] = {};
    blocks[i].aio_data = i;
    blocks[i].aio_lio_opcode = work.write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
    blocks[i].aio_fildes = static_cast<uint32_t>(file);
    blocks[i].aio_buf = reinterpret_cast<uint64_t>(buffers[i]);
    blocks[i].aio_nbytes = work.block;
    blocks[i].aio_offset = course.next();
    ready.push_back(&blocks[i]);
  };
  for (size_t i = 0; i < depth; ++i) prepare(i);
  uint64_t done = 0;
  for (size_t left = depth; left > 0;) {
    if (!ready.empty() && syscall(SYS_io_submit, context, ready.size(), ready.data()) !=
                              static_cast<long>(ready.size())) {
      fail("io_submit");
    }
    ready.clear();
    const long count = syscall(SYS_io_getevents, context, 1, depth, events.data(), nullptr);
    for (long i = 0; i < count; ++i) {
      if (events[static_cast<size_t>(i)].res != static_cast<int64_t>(work.block)) {
        fail("a short transfer");
      }
      ++done;
      if (course.over()) {
        --left;
      } else {
        prepare(events[static_cast<size_t>(i)].data);
      }
    }
  }
  return done;
}

}  // namespace bench
