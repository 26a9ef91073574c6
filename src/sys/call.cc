// The one place with the system call instruction. Owns nothing but the test hook, which is set
// before any helper thread exists.
#include "sys/call.h"

#include <errno.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#if !defined(__x86_64__)
#error "inflight knows the system call convention and struct aiocb of x86-64 only"
#endif

namespace inflight::sys {

CallHook call_hook = nullptr;

long raw_call(long number, const long (&arguments)[6]) {
  // Loaded first: a sanitizer's check between the two steps would overwrite the registers.
  const long first = arguments[0], second = arguments[1], third = arguments[2];
  const long fourth = arguments[3], fifth = arguments[4], sixth = arguments[5];
  long result;
  register long r10 asm("r10") = fourth;
  register long r8 asm("r8") = fifth;
  register long r9 asm("r9") = sixth;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(first), "S"(second), "d"(third), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}

long look_at(int fd, bool current, FileFacts& facts) {
  struct statx answer;
  const long flags = AT_EMPTY_PATH | (current ? AT_STATX_SYNC_AS_STAT : AT_STATX_DONT_SYNC);
  const long wanted = STATX_TYPE | STATX_INO | STATX_SIZE;
  long result = call(SYS_statx, fd, "", flags, wanted, &answer);
  if (result == 0) {
    const uint64_t device = uint64_t{answer.stx_dev_major} << 32 | answer.stx_dev_minor;
    facts = {device, answer.stx_ino, static_cast<off_t>(answer.stx_size), answer.stx_mode};
  } else if (result != -EBADF) {
    // Filters that are older than statx(2) forbid it.
    struct stat old;
    result = call(SYS_fstat, fd, &old);
    if (result == 0) {
      const uint64_t device = uint64_t{major(old.st_dev)} << 32 | minor(old.st_dev);
      facts = {device, old.st_ino, old.st_size, old.st_mode};
    }
  }
  return result;
}

uint64_t file_size_limit() {
  rlimit limit{};
  if (call(SYS_prlimit64, 0L, static_cast<long>(RLIMIT_FSIZE), 0L, &limit) < 0) return 0;
  return limit.rlim_cur;
}

int processor_count() {
  cpu_set_t set;
  CPU_ZERO(&set);
  const long bytes = call(SYS_sched_getaffinity, 0L, static_cast<long>(sizeof set), &set);
  return bytes > 0 ? CPU_COUNT_S(static_cast<size_t>(bytes), &set) : 1;
}

timespec monotonic_now() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);  // the vDSO: no system call
  return now;
}

}  // namespace inflight::sys
