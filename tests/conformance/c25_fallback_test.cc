// C25: where io_uring, or the kernel's own AIO, is missing or forbidden, requests are served all
// the same, and nothing is printed.
//
// Each test puts a seccomp filter on a child that has made no request yet. The modes of the test
// runs (nouring, bare) forbid the calls for whole suites; here it is about every errno and about
// silence.
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "support/support.h"
#include "support/threads.h"

namespace {

using support::Descriptor;
using support::eventually;
using support::Pipe;
using support::temporary_file;
using support::wait_for;

class C25_Fallback : public support::Limited {};

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

const std::vector<long> kRing = {SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register};
const std::vector<long> kKernelAio = {SYS_io_setup,      SYS_io_submit,  SYS_io_getevents,
                                      SYS_io_pgetevents, SYS_io_destroy, SYS_io_cancel};
// What came after Linux 5.10.
const std::vector<long> kNew = {
    SYS_futex_waitv, SYS_epoll_pwait2, 442, 443, 448, 450, 451, 452, 453, 454, 455, 456};

// From now on these calls fail with the errno, in all threads that will be made.
bool forbid(const std::vector<long>& calls, int error) {
  std::vector<sock_filter> program = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  for (const long call : calls) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(call), 0, 1));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

// Requests of every kind; 0 or the number of the step that went wrong.
int serve_everything() {
  Descriptor file = temporary_file("0123456789");
  char buffer[4] = {};
  aiocb reading = support::block(file.get(), buffer, 4, 2);
  if (aio_read(&reading) != 0 || wait_for(reading) != 0 || memcmp(buffer, "2345", 4) != 0) return 1;
  std::vector<char> large(size_t{1} << 20, 'l');
  aiocb writing = support::block(file.get(), large.data(), large.size());
  aiocb syncing = support::block(file.get(), nullptr, 0);
  if (aio_write(&writing) != 0 || aio_fsync(O_SYNC, &syncing) != 0) return 2;
  if (wait_for(syncing) != 0 || aio_error(&writing) != 0) return 3;

  Descriptor direct = temporary_file("", O_DIRECT);
  const std::unique_ptr<void, decltype(&free)> memory(aligned_alloc(4096, 4096), free);
  auto* aligned = static_cast<char*>(memory.get());
  memset(aligned, 'd', 4096);
  aiocb direct_write = support::block(direct.get(), aligned, 4096);
  if (direct.get() >= 0 &&
      (aio_write(&direct_write) != 0 || support::result_of(direct_write) != 4096)) {
    return 4;
  }

  static std::atomic<bool> called;
  Pipe pipe;
  char bytes[3] = {};
  aiocb blocks[3];
  for (int i = 0; i < 3; ++i) blocks[i] = support::block(pipe.reader.get(), &bytes[i], 1);
  blocks[1].aio_sigevent = support::callback_event([](sigval) { called = true; }, nullptr);
  for (aiocb& block : blocks) {
    if (aio_read(&block) != 0) return 5;
  }
  const timespec moment{0, 1000000};
  if (support::suspend_for(blocks[0], &moment) != -1 || errno != EAGAIN) return 6;
  if (write(pipe.writer.get(), "xy", 2) != 2) return 7;
  if (wait_for(blocks[0]) != 0 || wait_for(blocks[1]) != 0) return 8;
  if (bytes[0] != 'x' || bytes[1] != 'y') return 9;
  if (!eventually([] { return called.load(); })) return 10;
  if (aio_cancel(pipe.reader.get(), &blocks[2]) != AIO_CANCELED && support::served_by_inflight()) {
    return 11;
  }
  if (write(pipe.writer.get(), "zz", 2) != 2) return 12;
  return 0;
}

// Runs serve_everything under the filter, with what it prints caught.
void serves_silently(const std::vector<long>& calls, int error) {
  Pipe output;
  const pid_t child = fork();
  if (child == 0) {
    support::limit_runtime(std::chrono::seconds(20));
    dup2(output.writer.get(), 1);
    dup2(output.writer.get(), 2);
    if (!forbid(calls, error)) _exit(98);
    const int step = serve_everything();
    _exit(step);
  }
  output.writer.reset();
  const std::string printed = support::drain(output.reader.get(), 10000);
  int status = -1;
  EXPECT_EQ(child, waitpid(child, &status, 0));
  EXPECT_TRUE(WIFEXITED(status)) << "ended by signal " << WTERMSIG(status);
  EXPECT_EQ(0, WEXITSTATUS(status)) << "the step that failed, with " << strerror(error);
  EXPECT_EQ("", printed);
}

std::vector<long> both() {
  std::vector<long> calls = kRing;
  calls.insert(calls.end(), kKernelAio.begin(), kKernelAio.end());
  return calls;
}

TEST_F(C25_Fallback, ServesSilentlyWithNothingForbidden) { serves_silently({}, EPERM); }
TEST_F(C25_Fallback, ServesSilentlyWhenIoUringIsEperm) { serves_silently(kRing, EPERM); }
TEST_F(C25_Fallback, ServesSilentlyWhenIoUringIsEnosys) { serves_silently(kRing, ENOSYS); }
TEST_F(C25_Fallback, ServesSilentlyWhenIoUringIsEnomem) { serves_silently(kRing, ENOMEM); }
TEST_F(C25_Fallback, ServesSilentlyWhenIoUringIsEmfile) { serves_silently(kRing, EMFILE); }
TEST_F(C25_Fallback, ServesSilentlyWhenARingCanBeMadeButNotEntered) {
  serves_silently({SYS_io_uring_enter}, EPERM);
}
TEST_F(C25_Fallback, ServesSilentlyWhenARingCannotBeRegisteredWith) {
  serves_silently({SYS_io_uring_register}, EPERM);
}
TEST_F(C25_Fallback, ServesSilentlyWhenTheKernelsAioIsEnosys) {
  serves_silently(kKernelAio, ENOSYS);
}
TEST_F(C25_Fallback, ServesSilentlyWhenTheKernelsAioHasNoRoom) {
  serves_silently({SYS_io_setup}, EAGAIN);
}
TEST_F(C25_Fallback, ServesSilentlyWhenSubmittingToTheKernelsAioIsEperm) {
  serves_silently({SYS_io_submit}, EPERM);
}
TEST_F(C25_Fallback, ServesSilentlyWhenBothAreEperm) { serves_silently(both(), EPERM); }
TEST_F(C25_Fallback, ServesSilentlyWhenBothAreEnosys) { serves_silently(both(), ENOSYS); }
TEST_F(C25_Fallback, ServesSilentlyWithTheCallsOfAnOldKernelOnly) {
  std::vector<long> calls = kNew;
  serves_silently(calls, ENOSYS);
  const std::vector<long> all = both();
  calls.insert(calls.end(), all.begin(), all.end());
  serves_silently(calls, ENOSYS);
}

// Forbidden in the middle of the program's life, as a sandbox does after its start.
TEST_F(C25_Fallback, ServesWhenForbiddenAfterTheFirstRequests) {
  EXPECT_EQ(0, support::in_child([] {
              support::limit_runtime(std::chrono::seconds(30));
              EXPECT_EQ(0, serve_everything());
              ASSERT_TRUE(forbid(both(), EPERM));
              EXPECT_EQ(0, serve_everything());
            }));
}

TEST_F(C25_Fallback, AForkedChildServesWhereTheParentHadMore) {
  EXPECT_EQ(0, serve_everything());
  serves_silently(both(), EPERM);
}

}  // namespace
