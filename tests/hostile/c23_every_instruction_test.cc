// C23: a handler that forks, run at every instruction of the library, while all that is observed is
// written down (INFLIGHT_STATS, INFLIGHT_TRACE): the child goes on inside the call that its handler
// interrupted, in a library whose state is gone.
//
// The test traces a child of its own as c16_every_instruction_test.cc does. In each handler that
// child forks; the grandchild, which nobody traces, returns from the handler, ends the interrupted
// call somehow, and then must have AIO that works.
#include <dlfcn.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include <filesystem>

#include "support/loaded.h"
#include "support/stepping.h"
#include "support/support.h"
#include "support/threads.h"

namespace {

using support::block;
using support::Descriptor;
using support::Pipe;
using support::Place;
using support::shared;
using support::tell;

volatile sig_atomic_t is_grandchild = 0;

void on_signal(int, siginfo_t*, void*) {
  const int error = errno;
  const pid_t child = fork();
  if (child == 0) {
    support::limit_runtime(std::chrono::seconds(20));
    is_grandchild = 1;
    errno = error;
    return;
  }
  int status = -1;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  int none = 0;
  if (status != 0) shared->wrong.compare_exchange_strong(none, status);
  ++shared->handled;
  errno = error;
  tell(Place::handled);
}

// The grandchild's end: a read and a write of its own, on a descriptor that it opens now.
[[noreturn]] void end_grandchild() {
  const Descriptor file = support::temporary_file("0123456789");
  char bytes[4] = {};
  aiocb request = block(file.get(), bytes, 4, 0);
  if (aio_read(&request) != 0 || support::wait_for(request) != 0) _exit(1);
  if (aio_write(&request) != 0 || support::wait_for(request) != 0) _exit(2);
  _exit(memcmp(bytes, "0123", 4) == 0 ? 0 : 3);
}

class C23_EveryInstruction : public support::Limited {
 protected:
  void SetUp() override {
    Limited::SetUp();
    void* memory = mmap(nullptr, sizeof(support::Shared), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(MAP_FAILED, memory);
    shared = new (memory) support::Shared{};
    std::string name = support::scratch_directory() + "/inflight-pages-XXXXXX";
    ASSERT_NE(nullptr, mkdtemp(name.data()));
    pages_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(pages_); }

  // `call` is made once as it is, so that the helpers are there, and then stepped through. `every`:
  // so many-th instruction, of a call that goes through the same ones again and again.
  void fork_inside(const std::function<void(const Descriptor&, const Pipe&)>& call, int every = 1) {
    const pid_t child = fork();
    if (child == 0) run(call);
    ASSERT_GT(child, 0);
    support::Tracer tracer(child, support::text_of_library());
    tracer.trace(0, stride() * every, false);
    if (WIFEXITED(tracer.status()) && WEXITSTATUS(tracer.status()) == 77) {
      GTEST_SKIP() << "tracing is forbidden here";
    }
    EXPECT_EQ(0, tracer.status()) << "the traced process's wait status";
    EXPECT_EQ(0, shared->wrong) << "a grandchild's wait status";
    EXPECT_EQ(tracer.signals(), shared->handled);
    EXPECT_GE(tracer.signals(), 20) << "instructions of the library that were interrupted";
  }

 private:
  // The sanitizers' code is many times as long, and on glibc its "library" is the whole of libc.
  static int stride() {
    void* const libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
    const bool is_glibc = dlsym(RTLD_DEFAULT, "aio_read") == dlsym(libc, "aio_read");
    return support::kSanitized ? 17 : is_glibc ? 401 : 1;
  }

  [[noreturn]] void run(const std::function<void(const Descriptor&, const Pipe&)>& call) const {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    support::limit_runtime(std::chrono::seconds(50));
    setenv("INFLIGHT_SPIN", "0", 1);
    setenv("INFLIGHT_STATS", pages_.c_str(), 1);
    setenv("INFLIGHT_STATS_TIMES", "1", 1);
    setenv("INFLIGHT_TRACE", pages_.c_str(), 1);
    setenv("INFLIGHT_TRACE_SPANS", "64", 1);
    if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(77);
    struct sigaction action {};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigaction(SIGUSR1, &action, nullptr);
    const Descriptor file = support::temporary_file("0123456789");
    const Pipe pipe;
    raise(SIGSTOP);
    call(file, pipe);
    tell(Place::begin);
    call(file, pipe);
    if (is_grandchild != 0) end_grandchild();
    tell(Place::end);
    _exit(0);
  }

  std::string pages_;
};

TEST_F(C23_EveryInstruction, ForkInAReadFromMemory) {
  fork_inside([](const Descriptor& file, const Pipe&) {
    static char bytes[4];
    static aiocb request;
    request = block(file.get(), bytes, 4, 0);
    aio_read(&request);
    while (is_grandchild == 0 && aio_error(&request) == EINPROGRESS) sched_yield();
  });
}

TEST_F(C23_EveryInstruction, ForkInAReadThatWaitsAndInItsCancellation) {
  fork_inside([](const Descriptor&, const Pipe& pipe) {
    static char byte;
    static aiocb request;
    request = block(pipe.reader.get(), &byte, 1);
    aio_read(&request);
    aio_cancel(pipe.reader.get(), &request);
    while (is_grandchild == 0 && aio_error(&request) == EINPROGRESS) sched_yield();
  });
}

TEST_F(C23_EveryInstruction, ForkInAWaitThatItsTimeoutEnds) {
  fork_inside([](const Descriptor&, const Pipe& pipe) {
    static char byte;
    static aiocb request;
    request = block(pipe.reader.get(), &byte, 1);
    aio_read(&request);
    const timespec moment = support::milliseconds(1);
    support::suspend_for(request, &moment);
    if (is_grandchild == 0) aio_cancel(pipe.reader.get(), &request);
  });
}

// So long that its links are in pages of their own.
TEST_F(C23_EveryInstruction, ForkInAWaitForALongList) {
  fork_inside(
      [](const Descriptor&, const Pipe& pipe) {
        static char bytes[300];
        static aiocb requests[300];
        static const aiocb* list[300];
        for (size_t i = 0; i < std::size(list); ++i) {
          if (requests[i].aio_nbytes == 0) {  // once: it stays
            requests[i] = block(pipe.reader.get(), &bytes[i], 1);
            aio_read(&requests[i]);
          }
          list[i] = &requests[i];
        }
        const timespec moment = support::milliseconds(1);
        aio_suspend(list, std::size(list), &moment);
      },
      7);
}

TEST_F(C23_EveryInstruction, ForkInAListThatIsAwaited) {
  fork_inside([](const Descriptor& file, const Pipe&) {
    static char bytes[] = "89";
    static aiocb request;
    request = block(file.get(), bytes, 2, 8);
    request.aio_lio_opcode = LIO_WRITE;
    aiocb* const list[] = {&request};
    lio_listio(LIO_WAIT, list, 1, nullptr);
    while (is_grandchild == 0 && aio_error(&request) == EINPROGRESS) sched_yield();
  });
}

TEST_F(C23_EveryInstruction, ForkInACloseThatStopsARead) {
  fork_inside([](const Descriptor&, const Pipe&) {
    static char byte;
    static aiocb request;
    int ends[2];
    if (pipe(ends) != 0) return;
    request = block(ends[0], &byte, 1);
    aio_read(&request);
    close(ends[0]);  // whose number is free then, in the grandchild as well
    close(ends[1]);
    while (is_grandchild == 0 && aio_error(&request) == EINPROGRESS) sched_yield();
  });
}

TEST_F(C23_EveryInstruction, ForkInAWriteAndInItsFsync) {
  fork_inside([](const Descriptor& file, const Pipe&) {
    static char bytes[] = "89";
    static aiocb request;
    request = block(file.get(), bytes, 2, 8);
    aio_write(&request);
    while (is_grandchild == 0 && aio_error(&request) == EINPROGRESS) sched_yield();
    if (is_grandchild == 0) aio_fsync(O_DSYNC, &request);
    while (is_grandchild == 0 && aio_error(&request) == EINPROGRESS) sched_yield();
  });
}

// In the middle of a list, the child makes the entries that were not made yet. (It would wait for
// those that were, as they are its parent's.)
void list_and_poll(const Descriptor& file, const Pipe&) {
  static char bytes[3];
  static aiocb requests[3];
  aiocb* list[3];
  for (int i = 0; i < 3; ++i) {
    requests[i] = block(file.get(), &bytes[i], 1, i);
    requests[i].aio_lio_opcode = i == 1 ? LIO_WRITE : LIO_READ;
    list[i] = &requests[i];
  }
  bytes[1] = '1';
  lio_listio(LIO_NOWAIT, list, 3, nullptr);
  for (aiocb& request : requests) {
    while (is_grandchild == 0 && aio_error(&request) == EINPROGRESS) sched_yield();
  }
}

TEST_F(C23_EveryInstruction, ForkInAListThatIsNotAwaited) { fork_inside(list_and_poll); }

}  // namespace
