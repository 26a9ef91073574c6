// The seam: every system call of the library goes through sys::call, and no other file holds the
// instruction. A test that sets `call_hook` can make any call fail, be short, late or interrupted.
//
// The calls are made here and not by libc's functions for three reasons: an interposer in front of
// us must not count every transfer twice (C2), errno belongs to the program, and libc's read and
// write are cancellation points, which a submission must not be.
//
// Every wrapper returns the kernel's answer: a result, or a negative errno. All are
// async-signal-safe.
#pragma once

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#include <cstdint>

namespace inflight::sys {

using CallHook = long (*)(long number, const long (&arguments)[6]);

// Null outside tests: the instruction is then issued in place.
extern CallHook call_hook;

long raw_call(long number, const long (&arguments)[6]);

namespace detail {
inline long word(long value) { return value; }
inline long word(const volatile void* value) { return reinterpret_cast<long>(value); }
inline long word(const void* value) { return reinterpret_cast<long>(value); }
}  // namespace detail

template <class... Arguments>
inline long call(long number, Arguments... arguments) {
  const long words[6] = {detail::word(arguments)...};
  return call_hook == nullptr ? raw_call(number, words) : call_hook(number, words);
}

// The kernel's signal set: 64 bits, bit n-1 for signal n. glibc's sigset_t is wider and its
// functions hide signals 32 and 33.
using SignalMask = uint64_t;

inline long get_status_flags(int fd) { return call(SYS_fcntl, fd, F_GETFL, 0L); }

// What is asked of a file, and no more: a kernel with fine-grained time stamps (Linux 6.13) makes
// the write after an fstat(2) several times as dear, since that asks for the times, too. Not
// `current`: what the kernel knows without asking a server will do.
struct FileFacts {
  uint64_t device;
  uint64_t inode;
  off_t size;
  mode_t mode;
};
long look_at(int fd, bool current, FileFacts& facts);

inline long read_at(int fd, void* buffer, size_t length, off_t offset) {
  return call(SYS_pread64, fd, buffer, static_cast<long>(length), offset);
}

inline long write_at(int fd, const void* buffer, size_t length, off_t offset) {
  return call(SYS_pwrite64, fd, buffer, static_cast<long>(length), offset);
}

inline long read_next(int fd, void* buffer, size_t length) {
  return call(SYS_read, fd, buffer, static_cast<long>(length));
}

inline long write_next(int fd, const void* buffer, size_t length) {
  return call(SYS_write, fd, buffer, static_cast<long>(length));
}

// preadv2(2) and pwritev2(2) with one piece. Offset -1 means the file's own position, which is
// what a stream needs. EAGAIN: it would have waited. EOPNOTSUPP: this file cannot say.
inline long read_without_waiting(int fd, void* buffer, size_t length, off_t offset) {
  const iovec piece{buffer, length};
  return call(SYS_preadv2, fd, &piece, 1L, offset, 0L, static_cast<long>(RWF_NOWAIT));
}

inline long write_without_waiting(int fd, void* buffer, size_t length, off_t offset) {
  const iovec piece{buffer, length};
  return call(SYS_pwritev2, fd, &piece, 1L, offset, 0L, static_cast<long>(RWF_NOWAIT));
}

inline long receive(int fd, void* buffer, size_t length, int flags) {
  return call(SYS_recvfrom, fd, buffer, static_cast<long>(length), flags, 0L, 0L);
}

inline long send(int fd, const void* buffer, size_t length, int flags) {
  return call(SYS_sendto, fd, buffer, static_cast<long>(length), flags, 0L, 0L);
}

inline long synchronize(int fd) { return call(SYS_fsync, fd); }
inline long synchronize_data(int fd) { return call(SYS_fdatasync, fd); }

// RLIMIT_FSIZE: going beyond it raises SIGXFSZ in the thread that does. 0 if it cannot be told.
uint64_t file_size_limit();
inline constexpr uint64_t kNoLimit = ~uint64_t{0};  // RLIM_INFINITY

inline long wait_for_readiness(pollfd* files, unsigned long count, const timespec* timeout,
                               const SignalMask& mask) {
  return call(SYS_ppoll, files, static_cast<long>(count), timeout, &mask,
              static_cast<long>(sizeof mask));
}

inline long kaio_setup(unsigned capacity, aio_context_t& context) {
  return call(SYS_io_setup, static_cast<long>(capacity), &context);
}

inline long kaio_submit(aio_context_t context, iocb* const* list, long count) {
  return call(SYS_io_submit, static_cast<long>(context), count, list);
}

inline long kaio_wait(aio_context_t context, io_event* events, long capacity, timespec* timeout) {
  return call(SYS_io_getevents, static_cast<long>(context), 1L, capacity, events, timeout);
}

inline long ring_setup(unsigned entries, io_uring_params& parameters) {
  return call(SYS_io_uring_setup, static_cast<long>(entries), &parameters);
}

inline long ring_enter(int ring, unsigned submit, unsigned wait, unsigned flags,
                       const io_uring_getevents_arg* argument) {
  return call(SYS_io_uring_enter, ring, static_cast<long>(submit), static_cast<long>(wait),
              static_cast<long>(flags), argument, static_cast<long>(sizeof *argument));
}

inline long process_id() { return call(SYS_getpid); }
inline long thread_id() { return call(SYS_gettid); }
inline long user_id() { return call(SYS_getuid); }
inline bool is_thread(long pid, long tid) { return call(SYS_tgkill, pid, tid, 0L) == 0; }

// rt_sigqueueinfo(2) to the process, rt_tgsigqueueinfo(2) to one of its threads.
inline long queue_signal(long pid, int signal, const siginfo_t& info) {
  return call(SYS_rt_sigqueueinfo, pid, signal, &info);
}
inline long queue_signal_to_thread(long pid, long tid, int signal, const siginfo_t& info) {
  return call(SYS_rt_tgsigqueueinfo, pid, tid, signal, &info);
}

inline long close(int fd) { return call(SYS_close, fd); }
inline long duplicate_to(int from, int to) { return call(SYS_dup2, from, to); }
inline long duplicate_to(int from, int to, int flags) { return call(SYS_dup3, from, to, flags); }
inline long close_range(unsigned first, unsigned last, unsigned flags) {
  return call(SYS_close_range, static_cast<long>(first), static_cast<long>(last),
              static_cast<long>(flags));
}

// Processors that this process may run on; 1 if that cannot be known.
int processor_count();

timespec monotonic_now();

}  // namespace inflight::sys
