// C23: fork, vfork, posix_spawn, daemon, and the ends of a process.
//
// What is measured is the child's exit status and that it ends; a child that hangs is killed by
// its own alarm, and the parent says so.
#include <spawn.h>
#include <sys/wait.h>

#include "support/support.h"
#include "support/threads.h"

extern char** environ;

namespace {

using support::Descriptor;
using support::eventually;
using support::NamedFile;
using support::Pipe;
using support::temporary_file;
using support::Thread;
using support::wait_for;

class C23_Process : public support::Limited {};

// AIO from the beginning, without gtest: 0 if everything works. For children of loaded parents.
int first_steps() {
  static std::atomic<bool> called;
  called = false;
  Descriptor file = temporary_file("0123456789");
  char buffer[4] = {};
  aiocb reading = support::block(file.get(), buffer, 4, 2);
  if (aio_read(&reading) != 0 || wait_for(reading) != 0 || memcmp(buffer, "2345", 4) != 0) return 1;
  Pipe pipe;
  char byte = 0;
  aiocb waiting = support::block(pipe.reader.get(), &byte, 1);
  waiting.aio_sigevent = support::callback_event([](sigval) { called = true; }, nullptr);
  if (aio_read(&waiting) != 0 || aio_error(&waiting) != EINPROGRESS) return 2;
  if (write(pipe.writer.get(), "x", 1) != 1) return 3;
  if (wait_for(waiting) != 0 || byte != 'x') return 4;
  if (!eventually([] { return called.load(); })) return 5;
  std::vector<char> large(size_t{1} << 20, 'l');
  aiocb writing = support::block(file.get(), large.data(), large.size());
  if (aio_write(&writing) != 0 || wait_for(writing) != 0) return 6;
  if (aio_fsync(O_DSYNC, &writing) != 0 || wait_for(writing) != 0) return 7;
  return 0;
}

// ---------------------------------------------------------------- fork

TEST_F(C23_Process, AChildHasWorkingAioWhileTheParentsThreadsAreBusy) {
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  Descriptor file = temporary_file(std::string(65536, 'f'));
  std::vector<std::unique_ptr<Thread>> threads;
  for (int number = 0; number < 8; ++number) {
    threads.push_back(std::make_unique<Thread>([&, number] {
      Pipe pipe;
      char buffer[4096];
      while (!stop) {
        aiocb reading = support::block(file.get(), buffer, sizeof buffer);
        if (number % 2 == 1) reading.aio_sigevent = support::callback_event([](sigval) {}, nullptr);
        aiocb waiting = support::block(pipe.reader.get(), buffer, 1);
        if (aio_read(&waiting) != 0 || aio_read(&reading) != 0) ++wrong;
        if (write(pipe.writer.get(), "x", 1) != 1) ++wrong;
        if (wait_for(reading) != 0 || wait_for(waiting) != 0) ++wrong;
      }
    }));
  }
  for (int round = 0; round < 40 * support::length_factor(); ++round) {
    const pid_t child = fork();
    if (child == 0) {
      support::limit_runtime(std::chrono::seconds(20));
      _exit(first_steps());
    }
    EXPECT_EQ(0, support::end_of(child)) << "round " << round;
    if (HasFailure()) break;
  }
  stop = true;
  threads.clear();
  EXPECT_EQ(0, wrong) << "the parent's requests must go on";
}

TEST_F(C23_Process, AChildStartsWithNoRequestsAndTheParentsGoOn) {
  Pipe pipe;
  char bytes[2] = {};
  aiocb first = support::block(pipe.reader.get(), &bytes[0], 1);
  aiocb second = support::block(pipe.reader.get(), &bytes[1], 1);
  ASSERT_EQ(0, aio_read(&first));
  ASSERT_EQ(0, aio_read(&second));
  const pid_t child = fork();
  if (child == 0) {
    support::limit_runtime(std::chrono::seconds(20));
    if (aio_cancel(pipe.reader.get(), nullptr) != AIO_ALLDONE) _exit(11);
    if (close(pipe.reader.get()) != 0) _exit(12);
    pipe.reader.release();
    _exit(first_steps());
  }
  EXPECT_EQ(0, support::end_of(child));
  EXPECT_EQ(EINPROGRESS, aio_error(&first));
  EXPECT_EQ(EINPROGRESS, aio_error(&second));
  EXPECT_EQ(2, write(pipe.writer.get(), "xy", 2));
  EXPECT_EQ(0, wait_for(first));
  EXPECT_EQ(0, wait_for(second));
  EXPECT_EQ("xy", std::string(bytes, 2));
}

// A child that inherited the parent's helpers' files would take the bytes.
TEST_F(C23_Process, AChildTakesNothingOfTheParentsReads) {
  Pipe pipe;
  Pipe hold;
  char byte = 0;
  aiocb reading = support::block(pipe.reader.get(), &byte, 1);
  ASSERT_EQ(0, aio_read(&reading));
  const pid_t child = fork();
  if (child == 0) {
    support::limit_runtime(std::chrono::seconds(20));
    const int result = first_steps();
    char wait;
    if (read(hold.reader.get(), &wait, 1) != 1) _exit(21);
    if (byte != 0) _exit(22);
    _exit(result);
  }
  EXPECT_EQ(1, write(pipe.writer.get(), "x", 1));
  EXPECT_EQ(0, wait_for(reading));
  EXPECT_EQ('x', byte);
  EXPECT_EQ(1, write(hold.writer.get(), "g", 1));
  EXPECT_EQ(0, support::end_of(child));
}

TEST_F(C23_Process, AChildsChildHasWorkingAioToo) {
  EXPECT_EQ(0, first_steps());
  const pid_t child = fork();
  if (child == 0) {
    support::limit_runtime(std::chrono::seconds(20));
    if (first_steps() != 0) _exit(31);
    const pid_t grandchild = fork();
    if (grandchild == 0) {
      support::limit_runtime(std::chrono::seconds(20));
      _exit(first_steps());
    }
    const int status = support::end_of(grandchild);
    _exit(status == 0 ? first_steps() : 32);
  }
  EXPECT_EQ(0, support::end_of(child));
}

TEST_F(C23_Process, ACallbackMayFork) {
  static std::atomic<int> status;
  status = -1;
  Descriptor file = temporary_file("0123456789");
  char buffer[4];
  aiocb reading = support::block(file.get(), buffer, 4);
  reading.aio_sigevent = support::callback_event(
      [](sigval) {
        const pid_t child = fork();
        if (child == 0) {
          support::limit_runtime(std::chrono::seconds(20));
          _exit(first_steps());
        }
        status = support::end_of(child);
      },
      nullptr);
  ASSERT_EQ(0, aio_read(&reading));
  EXPECT_TRUE(eventually([] { return status != -1; }));
  EXPECT_EQ(0, status);
}

TEST_F(C23_Process, DaemonsHaveWorkingAio) {
  EXPECT_EQ(0, first_steps());
  Pipe report;
  const pid_t child = fork();
  if (child == 0) {
    report.reader.reset();
    if (daemon(1, 1) != 0) _exit(1);
    support::limit_runtime(std::chrono::seconds(20));
    const char result = static_cast<char>(first_steps());
    _exit(write(report.writer.get(), &result, 1) == 1 ? 0 : 1);
  }
  EXPECT_EQ(0, support::end_of(child));
  report.writer.reset();
  const std::string result = support::drain(report.reader.get(), 1);
  ASSERT_EQ(1U, result.size()) << "the daemon died";
  EXPECT_EQ(0, result[0]);
}

// ---------------------------------------------------------------- vfork and posix_spawn

// The child of a vfork runs in the parent's memory, but closes its own descriptors.
// A function of its own, because a vforked child must not return from its caller.
pid_t vfork_and_close(int way, int descriptor) {
  const pid_t child = vfork();
  if (child != 0) return child;
  switch (way) {
    case 0:
      close(descriptor);
      break;
    case 1:
      dup2(2, descriptor);
      break;
    case 2:
      dup3(2, descriptor, O_CLOEXEC);
      break;
    default:
      close_range(3, ~0U, 0);
      break;
  }
  _exit(0);
}

TEST_F(C23_Process, AVforkedChildsClosesLeaveTheParentsRequestsAlone) {
  for (int round = 0; round < 8; ++round) {
    Pipe pipe;
    char bytes[3] = {};
    std::vector<aiocb> blocks;
    for (char& byte : bytes) blocks.push_back(support::block(pipe.reader.get(), &byte, 1));
    for (aiocb& block : blocks) ASSERT_EQ(0, aio_read(&block));
    EXPECT_EQ(0, support::end_of(vfork_and_close(round % 4, pipe.reader.get())));
    for (const aiocb& block : blocks) EXPECT_EQ(EINPROGRESS, aio_error(&block));
    EXPECT_EQ(3, write(pipe.writer.get(), "xyz", 3));
    for (const aiocb& block : blocks) EXPECT_EQ(0, wait_for(block));
    EXPECT_EQ("xyz", std::string(bytes, 3));
  }
}

TEST_F(C23_Process, SpawnedProgramsRunAndTheParentsRequestsGoOn) {
  Pipe pipe;
  char byte = 0;
  aiocb reading = support::block(pipe.reader.get(), &byte, 1);
  ASSERT_EQ(0, aio_read(&reading));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addclose(&actions, pipe.reader.get());
  posix_spawn_file_actions_adddup2(&actions, 2, pipe.writer.get());
  char name[] = "true";
  char* arguments[] = {name, nullptr};
  pid_t child = -1;
  ASSERT_EQ(0, posix_spawnp(&child, "true", &actions, nullptr, arguments, environ));
  posix_spawn_file_actions_destroy(&actions);
  EXPECT_EQ(0, support::end_of(child));
  EXPECT_EQ(0, system("true"));
  EXPECT_EQ(EINPROGRESS, aio_error(&reading));
  EXPECT_EQ(1, write(pipe.writer.get(), "x", 1));
  EXPECT_EQ(0, wait_for(reading));
}

// ---------------------------------------------------------------- ends

// Requests of every kind that cannot finish: waiting reads, a write without room, one behind it, a
// list, notifications, and file requests on their way.
void leave_requests_pending() {
  static Pipe* pipe = new Pipe;
  static Pipe* full = new Pipe;
  static char bytes[64];
  static std::string* large = new std::string(size_t{1} << 20, 'l');
  static aiocb blocks[32];
  static Descriptor* file = new Descriptor(temporary_file());
  for (int i = 0; i < 8; ++i) {
    blocks[i] = support::block(pipe->reader.get(), &bytes[i], 1);
    if (i % 2 == 0) blocks[i].aio_sigevent = support::callback_event([](sigval) {}, nullptr);
    if (aio_read(&blocks[i]) != 0) _exit(41);
  }
  for (int i = 8; i < 12; ++i) {
    blocks[i] = support::block(full->writer.get(), large->data(), large->size());
    if (aio_write(&blocks[i]) != 0) _exit(42);
  }
  aiocb* list[4];
  for (int i = 12; i < 16; ++i) {
    blocks[i] = support::block(pipe->reader.get(), &bytes[i], 1);
    blocks[i].aio_lio_opcode = LIO_READ;
    list[i - 12] = &blocks[i];
  }
  if (lio_listio(LIO_NOWAIT, list, 4, nullptr) != 0) _exit(43);
  for (int i = 16; i < 32; ++i) {
    blocks[i] = support::block(file->get(), large->data(), large->size(), (i - 16L) << 20);
    if ((i == 31 ? aio_fsync(O_SYNC, &blocks[i]) : aio_write(&blocks[i])) != 0) _exit(44);
  }
}

// A child with requests pending that ends in the given way; its wait status.
int ends(const std::function<void()>& end) {
  const auto before = support::Clock::now();
  const pid_t child = fork();
  if (child == 0) {
    support::limit_runtime(std::chrono::seconds(20));
    leave_requests_pending();
    end();
    _exit(99);
  }
  const int status = support::end_of(child);
  EXPECT_LT(support::Clock::now() - before, std::chrono::seconds(15)) << "not at once";
  return status;
}

TEST_F(C23_Process, UnderscoreExitEndsAtOnce) {
  EXPECT_EQ(7 << 8, ends([] { _exit(7); }));
}

TEST_F(C23_Process, ExitEndsAtOnce) {
  EXPECT_EQ(7 << 8, ends([] { exit(7); }));
}

TEST_F(C23_Process, QuickExitEndsAtOnce) {
  EXPECT_EQ(7 << 8, ends([] { quick_exit(7); }));
}

TEST_F(C23_Process, ExitOfAnotherThreadEndsAtOnce) {
  EXPECT_EQ(7 << 8, ends([] { Thread([] { exit(7); }); }));
}

TEST_F(C23_Process, ExecEndsAtOnce) {
  EXPECT_EQ(3 << 8, ends([] { execl("/bin/sh", "sh", "-c", "exit 3", nullptr); }));
}

TEST_F(C23_Process, ExecOfAnotherThreadEndsAtOnce) {
  EXPECT_EQ(3 << 8, ends([] { Thread([] { execl("/bin/sh", "sh", "-c", "exit 3", nullptr); }); }));
}

TEST_F(C23_Process, ASignalsDefaultActionEndsAtOnce) {
  EXPECT_EQ(SIGTERM, ends([] {
              raise(SIGTERM);
              pause();
            }));
}

void end_another_thread_first() {
  pthread_t thread;
  pthread_create(
      &thread, nullptr, [](void*) -> void* { return nullptr; }, nullptr);
  pthread_join(thread, nullptr);
}

// The last one to end is another thread than the first.
void end_another_thread_last() {
  pthread_t thread;
  pthread_create(
      &thread, nullptr,
      [](void*) -> void* {
        while (support::thread_state(getpid()) != 'Z') sched_yield();
        return nullptr;
      },
      nullptr);
  pthread_detach(thread);
}

// The process ends when the last thread of the program does: helpers must not keep it. An
// ordinary end runs the exit handlers.
TEST_F(C23_Process, TheProcessEndsWhenItsMainThreadExitsLast) {
  if (!support::in_role()) {
    EXPECT_EQ(6 << 8, support::in_new_program());
    return;
  }
  support::limit_runtime(std::chrono::seconds(15));
  if (first_steps() != 0) _exit(51);
  atexit([] { _exit(6); });
  end_another_thread_first();
  pthread_exit(nullptr);
}

TEST_F(C23_Process, TheProcessEndsWhenItsMainThreadExitsFirst) {
  if (!support::in_role()) {
    EXPECT_EQ(6 << 8, support::in_new_program());
    return;
  }
  support::limit_runtime(std::chrono::seconds(15));
  if (first_steps() != 0) _exit(51);
  atexit([] { _exit(6); });
  end_another_thread_last();
  pthread_exit(nullptr);
}

// Requests that come to an end by themselves do not have to be lost for that.
TEST_F(C23_Process, TheProcessEndsAfterItsLastThreadLeftWritesBehind) {
  if (!support::in_role()) {
    NamedFile named;
    setenv("INFLIGHT_TEST_FILE", named.path().c_str(), 1);
    EXPECT_EQ(6 << 8, support::in_new_program());
    unsetenv("INFLIGHT_TEST_FILE");
    return;
  }
  support::limit_runtime(std::chrono::seconds(15));
  static const std::string bytes(size_t{1} << 20, 'l');
  static aiocb blocks[16];
  const int file = open(getenv("INFLIGHT_TEST_FILE"), O_RDWR | O_CLOEXEC);
  for (long i = 0; i < 16; ++i) {
    blocks[i] = support::block(file, const_cast<char*>(bytes.data()), bytes.size(), i << 20);
    if (aio_write(&blocks[i]) != 0) _exit(52);
  }
  atexit([] {
    for (const aiocb& block : blocks) {
      if (aio_error(&block) != 0 && aio_error(&block) != EINPROGRESS) _exit(53);
    }
    _exit(6);
  });
  end_another_thread_last();
  pthread_exit(nullptr);
}

// The same in a forked child, whose first thread is a copy of one that was not the parent's first.
TEST_F(C23_Process, AForkedChildEndsWhenAllItsThreadsHaveExited) {
  int status = -1;
  Thread forking([&] {
    const pid_t child = fork();
    if (child == 0) {
      support::limit_runtime(std::chrono::seconds(15));
      if (first_steps() != 0) _exit(51);
      atexit([] { _exit(6); });
      end_another_thread_first();
      pthread_exit(nullptr);
    }
    status = support::end_of(child);
  });
  forking.join();
  EXPECT_EQ(6 << 8, status);
}

TEST_F(C23_Process, ExitHandlersMayUseAio) {
  const pid_t child = fork();
  if (child == 0) {
    support::limit_runtime(std::chrono::seconds(20));
    leave_requests_pending();
    atexit([] { _exit(first_steps()); });
    exit(9);
  }
  EXPECT_EQ(0, support::end_of(child));
}

}  // namespace
