// An io_uring without a descriptor, owned by one thread.
//
// The ring is registered with the kernel under an index of that thread and never gets a number
// (IORING_SETUP_REGISTERED_FD_ONLY, Linux 6.5), so the program can neither close it nor find the
// lowest free number taken (C21). Its memory is ours (IORING_SETUP_NO_MMAP) and is unmapped in
// forked children. Kernels that cannot do this get no ring, and the stream thread polls instead.
//
// The kernel leaves completions for the thread to make at its next system call
// (IORING_SETUP_COOP_TASKRUN) and says that there are some. Else it would interrupt the thread for
// each as it looks for news, and who writes to a pipe would pay for that: 5 us instead of 1 on a
// virtual machine. (IORING_SETUP_DEFER_TASKRUN would leave them to the next enter, which a filter
// may have forbidden by then.)
//
// All of it belongs to the stream thread; no lock.
#pragma once

#include "sys/call.h"

namespace inflight::engine {

struct Ring {
  static constexpr unsigned kEntries = 256;

  int number;  // the registered index
  void* memory;
  void* sqe_memory;
  io_uring_sqe* sqes;
  unsigned* sq_head;
  unsigned* sq_tail;
  unsigned* sq_flags;
  unsigned* cq_head;
  unsigned* cq_tail;
  io_uring_cqe* cqes;
  unsigned sq_mask;
  unsigned cq_mask;
  unsigned to_submit;  // entries written since the last enter
  unsigned refused;    // so many enters in a row, for now as it was said

  bool open();
  void close();

  // A zeroed entry that the next enter submits; null when the queue is full.
  io_uring_sqe* next_entry();

  // Submits and, if `wait`, sleeps until something completes, a nudge arrives or `timeout` (null:
  // never) ends. Negative errno when the ring can no longer be entered; -ETIME and -EINTR are not
  // errors and give 0, nor is it one to be refused for now.
  long enter(bool wait, const timespec* timeout);

  bool has_completion() const;
  // The next system call will make completions.
  bool has_work() const;
  // Takes the oldest completion; false when there is none.
  bool take(io_uring_cqe& completion);
};

}  // namespace inflight::engine
