// C16: a handler that makes AIO calls itself, run at every instruction of the library.
//
// The test traces a child of its own, lets it make one AIO call instruction by instruction, and
// delivers a signal before each one that lies in the library. Where the library has signals
// blocked, the kernel keeps the signal until they are open again, which is then where the handler
// runs. The handler reads, writes, waits, cancels and lists in turn; both its requests and the
// interrupted one must end right. Only the calling thread is traced, not the library's own.
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>

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
using support::Text;
using support::Tracer;

#define CHECK_IN_CHILD(condition)                            \
  do {                                                       \
    int none = 0;                                            \
    if (!(condition)) {                                      \
      shared->wrong.compare_exchange_strong(none, __LINE__); \
    }                                                        \
  } while (false)

// ---------------------------------------------------------------- the child

const std::string kContent = "0123456789abcdef";

// What the handler uses; made before the first signal.
struct Tools {
  Descriptor file = support::temporary_file(kContent);
  Pipe pipe;
  aiocb* interrupted = nullptr;  // the block of the call that is interrupted
  unsigned turn = 0;
};

Tools* tools = nullptr;

// aio_suspend until it is finished, whatever interrupts.
int end_of(const aiocb& request) {
  const aiocb* list[] = {&request};
  while (aio_error(&request) == EINPROGRESS) aio_suspend(list, 1, nullptr);
  return aio_error(&request);
}

void read_file() {
  char bytes[4] = {};
  aiocb request = block(tools->file.get(), bytes, 4, 10);
  CHECK_IN_CHILD(aio_read(&request) == 0);
  CHECK_IN_CHILD(end_of(request) == 0 && aio_return(&request) == 4);
  CHECK_IN_CHILD(memcmp(bytes, "abcd", 4) == 0);
}

void write_file() {
  char bytes[] = "ef";
  aiocb request = block(tools->file.get(), bytes, 2, 14);
  CHECK_IN_CHILD(aio_write(&request) == 0);
  CHECK_IN_CHILD(end_of(request) == 0 && aio_return(&request) == 2);
}

void read_pipe() {
  char byte = 0;
  aiocb request = block(tools->pipe.reader.get(), &byte, 1);
  CHECK_IN_CHILD(aio_read(&request) == 0);
  CHECK_IN_CHILD(write(tools->pipe.writer.get(), "p", 1) == 1);
  CHECK_IN_CHILD(end_of(request) == 0 && byte == 'p');
}

void cancel_read() {
  char byte = 0;
  aiocb request = block(tools->pipe.reader.get(), &byte, 1);
  CHECK_IN_CHILD(aio_read(&request) == 0);
  CHECK_IN_CHILD(aio_cancel(tools->pipe.reader.get(), &request) == AIO_CANCELED);
  CHECK_IN_CHILD(aio_error(&request) == ECANCELED && aio_return(&request) == -1);
}

void list_reads() {
  char bytes[2] = {};
  aiocb one = block(tools->file.get(), &bytes[0], 1, 1);
  aiocb other = block(tools->file.get(), &bytes[1], 1, 2);
  one.aio_lio_opcode = other.aio_lio_opcode = LIO_READ;
  aiocb* list[] = {&one, nullptr, &other};
  CHECK_IN_CHILD(lio_listio(LIO_NOWAIT, list, 3, nullptr) == 0);
  CHECK_IN_CHILD(end_of(one) == 0 && end_of(other) == 0);
  CHECK_IN_CHILD(bytes[0] == '1' && bytes[1] == '2');
}

void look_at_interrupted() {
  if (tools->interrupted == nullptr) return;
  const aiocb* list[] = {tools->interrupted};
  const timespec at_once{0, 0};
  aio_suspend(list, 1, &at_once);
  aio_error(tools->interrupted);
}

void on_signal(int, siginfo_t*, void*) {
  static void (*const actions[])() = {read_file,   read_pipe,  write_file,
                                      cancel_read, list_reads, look_at_interrupted};
  const int error = errno;
  actions[tools->turn++ % std::size(actions)]();
  ++shared->handled;
  errno = error;
  tell(Place::handled);
}

// ---------------------------------------------------------------- the calls that are interrupted

// A descriptor and a pipe of its own: the handler's actions do not mix with it.
struct Subject {
  Descriptor file = support::temporary_file(kContent);
  Pipe pipe;
  char bytes[4] = {};
  aiocb request = block(file.get(), bytes, 4, 0);
  const aiocb* list[1] = {&request};
  Subject() { tools->interrupted = &request; }
  ~Subject() { tools->interrupted = nullptr; }
  void use_pipe() { request = block(pipe.reader.get(), bytes, 1); }
  void feed() { CHECK_IN_CHILD(write(pipe.writer.get(), "x", 1) == 1); }
  void expect_fed() {
    CHECK_IN_CHILD(end_of(request) == 0 && aio_return(&request) == 1 && bytes[0] == 'x');
  }
  void expect_read() {
    CHECK_IN_CHILD(end_of(request) == 0 && aio_return(&request) == 4);
    CHECK_IN_CHILD(memcmp(bytes, "0123", 4) == 0);
  }
};

void stepped(const std::function<void()>& call) {
  tell(Place::begin);
  call();
  tell(Place::end);
}

void reading() {
  Subject subject;
  stepped([&] { CHECK_IN_CHILD(aio_read(&subject.request) == 0); });
  subject.expect_read();
}

void reading_a_pipe() {
  Subject subject;
  subject.use_pipe();
  stepped([&] { CHECK_IN_CHILD(aio_read(&subject.request) == 0); });
  subject.feed();
  subject.expect_fed();
}

void writing() {
  Subject subject;
  char text[] = "wxyz";
  subject.request.aio_buf = text;
  stepped([&] { CHECK_IN_CHILD(aio_write(&subject.request) == 0); });
  CHECK_IN_CHILD(end_of(subject.request) == 0 && aio_return(&subject.request) == 4);
}

void synchronizing() {
  Subject subject;
  stepped([&] { CHECK_IN_CHILD(aio_fsync(O_DSYNC, &subject.request) == 0); });
  CHECK_IN_CHILD(end_of(subject.request) == 0);
}

void asking() {
  Subject subject;
  CHECK_IN_CHILD(aio_read(&subject.request) == 0);
  end_of(subject.request);
  stepped([&] {
    CHECK_IN_CHILD(aio_error(&subject.request) == 0);
    CHECK_IN_CHILD(aio_suspend(subject.list, 1, nullptr) == 0);
    CHECK_IN_CHILD(aio_return(&subject.request) == 4);
  });
}

void suspending() {
  Subject subject;
  subject.use_pipe();
  CHECK_IN_CHILD(aio_read(&subject.request) == 0);
  stepped([&] {
    const timespec moment{0, 300'000};
    CHECK_IN_CHILD(aio_suspend(subject.list, 1, &moment) == -1);
    CHECK_IN_CHILD(errno == EAGAIN || errno == EINTR);
  });
  subject.feed();
  subject.expect_fed();
}

void cancelling() {
  Subject subject;
  subject.use_pipe();
  CHECK_IN_CHILD(aio_read(&subject.request) == 0);
  stepped([&] { CHECK_IN_CHILD(aio_cancel(subject.pipe.reader.get(), nullptr) == AIO_CANCELED); });
  CHECK_IN_CHILD(aio_error(&subject.request) == ECANCELED);
}

void listing(int mode) {
  Subject subject;
  char text[] = "wxyz";
  aiocb writing = block(subject.file.get(), text, 4, 100);
  subject.request.aio_lio_opcode = LIO_READ;
  writing.aio_lio_opcode = LIO_WRITE;
  aiocb* list[] = {&subject.request, &writing};
  stepped([&] {
    const int result = lio_listio(mode, list, 2, nullptr);
    CHECK_IN_CHILD(result == 0 || (mode == LIO_WAIT && errno == EINTR));
  });
  CHECK_IN_CHILD(end_of(writing) == 0);
  subject.expect_read();
}

void closing() {
  Subject subject;
  subject.use_pipe();
  CHECK_IN_CHILD(aio_read(&subject.request) == 0);
  stepped([&] { CHECK_IN_CHILD(close(subject.pipe.reader.release()) == 0); });
  CHECK_IN_CHILD(end_of(subject.request) == ECANCELED);
}

class C16_EveryInstruction : public support::Limited {
 protected:
  void SetUp() override {
    Limited::SetUp();
    void* memory = mmap(nullptr, sizeof(support::Shared), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(MAP_FAILED, memory);
    shared = new (memory) support::Shared{};
    text_ = support::text_of_library();
    ASSERT_LT(text_.first, text_.last);
  }

  // A traced child that runs `body`; it waits at its start, for the tracer.
  pid_t start_child(const std::function<void()>& body) const {
    fflush(nullptr);
    const pid_t child = fork();
    if (child != 0) return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // a stopped or hanging child must not outlive the test
    support::limit_runtime(std::chrono::seconds(50));
    setenv("INFLIGHT_SPIN", "0", 1);  // a loop that waits is not worth being stepped through
    if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(77);
    struct sigaction action {};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigaction(SIGUSR1, &action, nullptr);
    tools = new Tools;
    raise(SIGSTOP);
    body();
    _exit(0);
  }

  bool ended_well(const Tracer& tracer) const {
    if (WIFEXITED(tracer.status()) && WEXITSTATUS(tracer.status()) == 77) {
      skipped_ = true;
      return false;
    }
    EXPECT_EQ(0, tracer.status()) << "the child's wait status";
    EXPECT_EQ(0, shared->wrong) << "the line of a check that failed in the child";
    EXPECT_EQ(tracer.signals(), shared->handled.exchange(0)) << "each signal was handled";
    return !HasFailure();
  }

  // In one child the call is made six times, so that each of the handler's actions meets about
  // every instruction.
  void interrupt(const std::function<void()>& call) {
    constexpr unsigned kTimes = 6;
    const pid_t child = start_child([&] {
      read_pipe(), write_file();  // the helpers are there
      for (unsigned time = 0; time < kTimes; ++time) {
        tools->turn = time;
        call();
      }
    });
    ASSERT_GT(child, 0);
    Tracer tracer(child, text_);
    tracer.trace(0, 1, false);
    if (!ended_well(tracer) && skipped_) GTEST_SKIP() << "tracing is forbidden here";
    EXPECT_GE(tracer.signals(), 6) << "instructions of the library that were interrupted";
    RecordProperty("signals", tracer.signals());
  }

  Text text_;
  mutable bool skipped_ = false;
};

TEST_F(C16_EveryInstruction, OfAReadFromMemory) { interrupt(reading); }
TEST_F(C16_EveryInstruction, OfAReadThatWaits) { interrupt(reading_a_pipe); }
TEST_F(C16_EveryInstruction, OfAWrite) { interrupt(writing); }
TEST_F(C16_EveryInstruction, OfAnFsync) { interrupt(synchronizing); }
TEST_F(C16_EveryInstruction, OfTheStatusCalls) { interrupt(asking); }
TEST_F(C16_EveryInstruction, OfASuspend) { interrupt(suspending); }
TEST_F(C16_EveryInstruction, OfACancel) { interrupt(cancelling); }
TEST_F(C16_EveryInstruction, OfAListThatIsNotAwaited) {
  interrupt([] { listing(LIO_NOWAIT); });
}
TEST_F(C16_EveryInstruction, OfAListThatIsAwaited) {
  interrupt([] { listing(LIO_WAIT); });
}
TEST_F(C16_EveryInstruction, OfAClose) { interrupt(closing); }

// The first request of a process sets the library up; a handler's may come in between. Each
// instruction needs a process of its own here, so each engine takes others of them.
TEST_F(C16_EveryInstruction, OfTheFirstRequest) {
  constexpr int kStride = support::kSanitized ? 401 : 41;  // their code is many times as long
  const std::string mode = support::engine();
  int offset = 0;
  for (const char letter : mode) offset += letter;
  for (int number = offset % kStride;; number += kStride) {
    const pid_t child = start_child([&] {
      tools->turn = static_cast<unsigned>(number / kStride);
      number % 2 == 0 ? reading() : writing();
    });
    ASSERT_GT(child, 0);
    Tracer tracer(child, text_);
    tracer.trace(number, 1, true);
    if (!ended_well(tracer)) {
      if (skipped_) GTEST_SKIP() << "tracing is forbidden here";
      FAIL() << "at instruction " << number;
    }
    if (tracer.signals() == 0) break;  // the call was over
  }
}

}  // namespace
