// What a request costs inside the library, in instructions: the shortest ways must not grow.
//
// A child of the test makes the calls while it is traced instruction by instruction; those that lie
// in the library are counted. Unlike times, counts are the same on every machine. The numbers are
// those of the release build by Debian 12's compiler; who makes a way shorter writes the new one
// down. What the kernel does in system calls is not counted, nor is libc.
#include <sys/mman.h>
#include <sys/prctl.h>

#include "support/stepping.h"
#include "support/support.h"

namespace {

using support::block;
using support::Place;
using support::tell;
using support::Tracer;

constexpr int kCalls = 16;
constexpr int kNoSignal = 1 << 30;

struct Files {
  support::Descriptor file = support::temporary_file(std::string(4096, 'c'));
  char bytes[4096];
  struct aiocb request = block(file.get(), bytes, sizeof bytes);

  void read() {
    if (aio_read(&request) != 0) _exit(2);
  }
  void end() {
    if (aio_error(&request) != 0 || aio_return(&request) != sizeof bytes) _exit(3);
  }
};

// `prepare` runs as it is, `call` is counted, several times. The average.
template <class Prepare, class Call>
int instructions_of(Prepare prepare, Call call) {
  void* memory = mmap(nullptr, sizeof(support::Shared), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  support::shared = new (memory) support::Shared{};
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    support::limit_runtime(std::chrono::seconds(50));
    if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(77);
    raise(SIGSTOP);
    for (int i = 0; i < kCalls; ++i) {
      prepare();
      tell(Place::begin);
      call();
      tell(Place::end);
    }
    _exit(0);
  }
  Tracer tracer(child, support::text_of_library());
  tracer.trace(kNoSignal - 1, kNoSignal, false);
  if (WIFEXITED(tracer.status()) && WEXITSTATUS(tracer.status()) == 77) return -1;
  EXPECT_EQ(0, tracer.status()) << "the child's wait status";
  return tracer.seen() / kCalls;
}

void expect_at_most(int seen, int recorded) {
  if (seen < 0) GTEST_SKIP() << "tracing is forbidden here";
  printf("%d instructions; recorded: %d\n", seen, recorded);
  EXPECT_GT(seen, 0) << "the library was not called";
  EXPECT_LE(seen, recorded + recorded / 10);
}

TEST(Instructions, OfAReadFromMemory) {
  Files files;
  files.read();
  expect_at_most(instructions_of([&] { files.read(); }, [&] { files.read(); }), 240);
}

TEST(Instructions, OfErrorAndReturn) {
  Files files;
  files.read();
  expect_at_most(instructions_of([] {}, [&] { files.end(); }), 22);
}

TEST(Instructions, OfASuspendThatNeedNotWait) {
  Files files;
  files.read();
  const struct aiocb* list[] = {&files.request};
  expect_at_most(instructions_of([] {}, [&] { aio_suspend(list, 1, nullptr); }), 56);
}

// C22: what the close family costs a program with nothing in flight.
TEST(Instructions, OfACloseBeforeTheFirstRequest) {
  int file = -1;
  const auto open_one = [&] { file = open("/dev/null", O_RDONLY); };
  expect_at_most(instructions_of(open_one, [&] { close(file); }), 15);
}

TEST(Instructions, OfACloseWithNothingInFlight) {
  Files files;
  int file = -1;
  const auto open_one = [&] {
    files.read();
    file = open("/dev/null", O_RDONLY);
  };
  expect_at_most(instructions_of(open_one, [&] { close(file); }), 120);
}

}  // namespace
