// The fault matrix: every system call of the library fails with every errno that may be its answer,
// once, every second time, and where anything can go on without it, always. Each case is a process
// of its own with a whole workload (tests/unit/tolerant_workload.h), on two engines.
#include <stdlib.h>
#include <sys/syscall.h>

#include "support/support.h"
#include "unit/faults.h"
#include "unit/tolerant_workload.h"

namespace {

using faults::Permitted;
using faults::Rule;

enum class Role : uint8_t {
  hidden,    // no request may notice
  transfer,  // its errno is the request's
  look,      // the descriptor seems closed
  memory,    // a call may be refused
  closing,   // the close family hands it through
};

struct Call {
  const char* name;
  long number;
  Role role;
  bool can_do_without;  // the library finds another way when it always fails
  std::vector<int> errors;
  bool without_ring = false;  // it is made only then
  long operation = -1;        // as in Rule
};

constexpr long kFutexWaitv = 449;
constexpr long kFutexWait = 9 | 128;  // FUTEX_WAIT_BITSET, private

const std::vector<Call>& calls() {
  static const std::vector<int> reads = {EIO, EBADF, EFAULT, EINVAL, EISDIR, ENXIO, ECONNRESET};
  static const std::vector<int> writes = {EIO, ENOSPC, EDQUOT, EFBIG, EPIPE, EPERM, EFAULT};
  static const std::vector<Call> all = {
      {"pread64", SYS_pread64, Role::transfer, true, reads},
      {"pwrite64", SYS_pwrite64, Role::transfer, true, writes},
      {"preadv2", SYS_preadv2, Role::transfer, true, reads},
      {"pwritev2", SYS_pwritev2, Role::transfer, true, writes},
      {"read", SYS_read, Role::transfer, true, reads},
      {"write", SYS_write, Role::transfer, true, writes},
      {"recvfrom", SYS_recvfrom, Role::transfer, true, reads},
      {"sendto", SYS_sendto, Role::transfer, true, {EIO, EPIPE, ENOBUFS, ENOMEM, ECONNRESET}},
      {"fsync", SYS_fsync, Role::transfer, true, {EIO, ENOSPC, EROFS, EDQUOT}},
      {"fdatasync", SYS_fdatasync, Role::transfer, true, {EIO, ENOSPC, EROFS, EDQUOT}},
      {"fcntl", SYS_fcntl, Role::look, true, {EBADF}},
      {"statx", SYS_statx, Role::look, true, {EBADF, EFAULT, ENOMEM, ENOSYS, EPERM}},
      {"mmap", SYS_mmap, Role::memory, true, {ENOMEM, EAGAIN, EPERM}},
      {"madvise", SYS_madvise, Role::memory, true, {EINVAL, ENOMEM, EAGAIN}},
      {"munmap", SYS_munmap, Role::hidden, true, {EINVAL, ENOMEM}},
      {"io_setup",
       SYS_io_setup,
       Role::hidden,
       true,
       {EAGAIN, EFAULT, EINVAL, ENOMEM, ENOSYS, EPERM}},
      {"io_submit", SYS_io_submit, Role::hidden, true, {EAGAIN, EBADF, EFAULT, EINVAL, ENOSYS}},
      {"io_getevents", SYS_io_getevents, Role::hidden, false, {EINTR, EFAULT, EINVAL, ENOSYS}},
      {"io_uring_setup",
       SYS_io_uring_setup,
       Role::hidden,
       true,
       {EPERM, ENOSYS, ENOMEM, EINVAL, EMFILE, ENFILE, EFAULT, EACCES}},
      {"io_uring_enter",
       SYS_io_uring_enter,
       Role::hidden,
       true,
       {EPERM, EINVAL, EBADF, EOPNOTSUPP}},
      {"io_uring_enter_for_now",
       SYS_io_uring_enter,
       Role::hidden,
       false,
       {EAGAIN, EBUSY, EINTR, ENOMEM}},
      {"ppoll", SYS_ppoll, Role::hidden, false, {EINTR, ENOMEM, EINVAL, EFAULT}, true},
      {"futex_wait", SYS_futex, Role::hidden, false, {EAGAIN, EINTR}, false, kFutexWait},
      {"futex_waitv", kFutexWaitv, Role::hidden, true, {ENOSYS, EPERM}},
      {"futex_waitv_for_now", kFutexWaitv, Role::hidden, false, {EAGAIN, EINTR}},
      {"rt_sigqueueinfo", SYS_rt_sigqueueinfo, Role::hidden, false, {EAGAIN}},
      {"rt_tgsigqueueinfo", SYS_rt_tgsigqueueinfo, Role::hidden, true, {EAGAIN}},
      {"timer_create", SYS_timer_create, Role::hidden, true, {EAGAIN, EINVAL, ENOMEM, ENOTSUP}},
      {"timer_settime", SYS_timer_settime, Role::hidden, true, {EINVAL}},
      {"timer_delete", SYS_timer_delete, Role::hidden, true, {EINVAL}},
      {"rt_sigprocmask", SYS_rt_sigprocmask, Role::hidden, false, {EINVAL, EFAULT}},
      {"rt_sigpending", SYS_rt_sigpending, Role::hidden, true, {EFAULT}},
      {"prctl", SYS_prctl, Role::hidden, true, {EINVAL, EPERM, EFAULT}},
      {"prlimit64", SYS_prlimit64, Role::hidden, true, {EPERM, EINVAL, EFAULT}},
      {"sched_getaffinity", SYS_sched_getaffinity, Role::hidden, true, {EINVAL, EPERM, ESRCH}},
      {"sched_getattr", SYS_sched_getattr, Role::hidden, true, {EINVAL, ESRCH}},
      {"sigaltstack", SYS_sigaltstack, Role::hidden, true, {EPERM, ENOMEM}},
      {"get_robust_list", SYS_get_robust_list, Role::hidden, true, {EPERM, ENOSYS, ESRCH}},
      {"clock_nanosleep", SYS_clock_nanosleep, Role::hidden, true, {EINTR, EINVAL}},
      {"openat", SYS_openat, Role::hidden, true, {EACCES, ENOENT, EMFILE, ENOSPC, EEXIST}},
      {"fallocate", SYS_fallocate, Role::hidden, true, {EOPNOTSUPP, ENOSPC, EFBIG, EIO}},
      {"ftruncate", SYS_ftruncate, Role::hidden, true, {EINVAL, EFBIG, EIO}},
      {"unlink", SYS_unlink, Role::hidden, true, {EACCES, ENOENT}},
      {"close", SYS_close, Role::closing, true, {EIO, EINTR, EBADF}},
      {"dup2", SYS_dup2, Role::closing, true, {EBADF, EBUSY}},
      {"dup3", SYS_dup3, Role::closing, true, {EBADF, EBUSY}},
      {"close_range", SYS_close_range, Role::closing, true, {EINVAL, ENOSYS}},
      // These cannot fail, or not with the arguments that they get.
      {"rt_sigaction", SYS_rt_sigaction, Role::hidden, false, {}},
      {"getpid", SYS_getpid, Role::hidden, false, {}},
      {"gettid", SYS_gettid, Role::hidden, false, {}},
      {"getuid", SYS_getuid, Role::hidden, false, {}},
      {"tgkill", SYS_tgkill, Role::hidden, false, {}},
  };
  return all;
}

std::ostream& operator<<(std::ostream& out, const Call& call) { return out << call.name; }

Permitted permitted(const Call& call, int error) {
  Permitted result;
  if (call.role == Role::transfer) result.errors = {error};
  // A file of which nothing can be found out counts as closed.
  if (call.role == Role::look) result = {{EBADF, EINVAL}, EBADF, false};
  if (call.role == Role::memory) result = {{EAGAIN}, EAGAIN, false};
  if (call.role == Role::closing) result.close_fails = true;
  return result;
}

std::vector<Rule> with_ring_or_not(const Call& call, Rule rule) {
  std::vector<Rule> rules{rule};
  if (call.without_ring) rules.push_back({SYS_io_uring_setup, -EPERM});
  return rules;
}

class FaultMatrix : public ::testing::TestWithParam<Call> {
 protected:
  static void survives(const Call& call, const Rule& rule, const char* engine) {
    SCOPED_TRACE(testing::Message()
                 << call.name << " " << strerrorname_np(static_cast<int>(-rule.answer)) << ", "
                 << rule.times << " times, every " << rule.every << ", engine " << engine);
    const int status = support::in_child([&] {
      setenv("INFLIGHT_ENGINE", engine, 1);
      setenv("INFLIGHT_STATS", support::scratch_directory().c_str(), 1);
      const int error = static_cast<int>(-rule.answer);
      const faults::Scope scope(with_ring_or_not(call, rule));
      faults::Workload(permitted(call, error)).run();
      remove_pages();
    });
    EXPECT_EQ(0, status);
  }

  static void remove_pages() {
    const std::string pattern =
        support::scratch_directory() + "/" + std::to_string(getpid()) + "-1.stats";
    unlink(pattern.c_str());
  }
};

TEST_P(FaultMatrix, EveryRequestEndsOnce) {
  const Call& call = GetParam();
  unsigned turn = 0;
  for (const int error : call.errors) {
    // The engines take turns, so that each errno meets another one.
    static const char* const engines[] = {"auto", "uring", "threads"};
    const auto engine = [&] { return engines[turn++ % std::size(engines)]; };
    ++turn;
    Rule rule{.number = call.number, .answer = -error, .operation = call.operation};
    if (call.can_do_without) survives(call, rule, engine());
    // Not the second: what takes two pieces of memory would never get both.
    rule.every = call.role == Role::memory ? 3 : 2;
    // A descriptor is open or it is not.
    if (call.role != Role::look) survives(call, rule, engine());
    rule.every = 1;
    rule.times = 1;
    survives(call, rule, engine());
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Calls, FaultMatrix, testing::ValuesIn(calls()),
                         [](const auto& call) { return std::string(call.param.name); });

// What is not in the table is not tested.
TEST(FaultTable, KnowsEveryCallThatTheLibraryMakes) {
  for (const char* engine : {"auto", "uring", "kaio", "threads"}) {
    EXPECT_EQ(0, support::in_child([&] {
                setenv("INFLIGHT_ENGINE", engine, 1);
                const faults::Scope scope({});
                faults::Workload({}).run();
                for (size_t number = 0; number < faults::made.size(); ++number) {
                  if (!faults::made[number]) continue;
                  const bool known = std::any_of(
                      calls().begin(), calls().end(),
                      [&](const Call& call) { return call.number == static_cast<long>(number); });
                  EXPECT_TRUE(known) << "system call " << number;
                }
              }));
  }
}

}  // namespace
