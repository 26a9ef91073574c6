// The one place with the system call instruction. Owns nothing but the test hook, which is set
// before any helper thread exists.
#include "sys/call.h"

#include <sched.h>
#include <sys/resource.h>

#if !defined(__x86_64__)
#error "inflight knows the system call convention and struct aiocb of x86-64 only"
#endif

namespace inflight::sys {

CallHook call_hook = nullptr;

long raw_call(long number, const long (&arguments)[6]) {
  long result;
  register long fourth asm("r10") = arguments[3];
  register long fifth asm("r8") = arguments[4];
  register long sixth asm("r9") = arguments[5];
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(arguments[0]), "S"(arguments[1]), "d"(arguments[2]), "r"(fourth),
                 "r"(fifth), "r"(sixth)
               : "rcx", "r11", "memory");
  return result;
}

bool file_size_is_limited() {
  rlimit limit{};
  if (call(SYS_prlimit64, 0L, static_cast<long>(RLIMIT_FSIZE), 0L, &limit) < 0) return true;
  return limit.rlim_cur != RLIM_INFINITY;
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
