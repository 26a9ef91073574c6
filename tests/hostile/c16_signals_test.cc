// C16: the calls that may be made in a signal handler. Timers fire every 100 us while the
// interrupted thread makes the same calls, allocates memory, or makes the process's very first
// request.
//
// A lock held by the interrupted code would end these tests by their time limit. glibc takes a
// lock that its owner may take again, so it corrupts its lists instead, and calls malloc.
#include <sys/wait.h>

#include "support/support.h"
#include "support/threads.h"

namespace {

using support::Clock;
using support::Descriptor;
using support::Handler;
using support::Pipe;
using support::temporary_file;
using support::test_signal;
using support::Thread;
using support::wait_for;

class C16_Signals : public support::Limited {};

// A timer that interrupts the calling thread again and again for the length of a scope.
class Interrupter {
 public:
  explicit Interrupter(long nanoseconds = 100000) {
    sigevent event = support::signal_event(test_signal());
    event.sigev_notify = SIGEV_THREAD_ID;
    event._sigev_un._tid = support::this_thread();
    EXPECT_EQ(0, timer_create(CLOCK_MONOTONIC, &event, &timer_));
    const itimerspec rhythm{{0, nanoseconds}, {0, nanoseconds}};
    EXPECT_EQ(0, timer_settime(timer_, 0, &rhythm, nullptr));
  }
  ~Interrupter() { timer_delete(timer_); }
  Interrupter(const Interrupter&) = delete;
  Interrupter& operator=(const Interrupter&) = delete;

 private:
  timer_t timer_{};
};

// ---------------------------------------------------------------- the storm

// What one thread and its handler work on. The file holds, at byte i, the value i % 251.
struct Storm {
  static constexpr size_t kSlots = 16;
  struct Slot {
    aiocb block;
    unsigned char buffer[64];
    bool busy;
    bool checked;  // its bytes are known in advance
  };
  int file = -1;
  int pipe_reader = -1;
  int pipe_writer = -1;
  Slot slots[kSlots] = {};
  unsigned turn = 0;
  int handled = 0;
  int submitted = 0;
  int wrong = 0;
};
thread_local Storm* storm = nullptr;

void take_result(Storm& all, Storm::Slot& slot, int status) {
  const ssize_t result = aio_return(&slot.block);
  slot.busy = false;
  if (status == ECANCELED) {
    if (result != -1) ++all.wrong;
    return;
  }
  if (status != 0 || result < 1) {
    ++all.wrong;
    return;
  }
  if (!slot.checked) return;
  for (ssize_t i = 0; i < result; ++i) {
    if (slot.buffer[i] != (slot.block.aio_offset + i) % 251) ++all.wrong;
  }
}

void submit_one(Storm& all, Storm::Slot& slot, unsigned turn) {
  const bool from_pipe = turn % 5 == 4;
  slot.block = aiocb{};
  slot.block.aio_fildes = from_pipe ? all.pipe_reader : all.file;
  slot.block.aio_buf = slot.buffer;
  slot.block.aio_nbytes = from_pipe ? 1 : sizeof slot.buffer;
  slot.block.aio_offset = turn * 37 % 60000;
  slot.block.aio_sigevent.sigev_notify = SIGEV_NONE;
  slot.block.aio_lio_opcode = LIO_READ;
  slot.checked = !from_pipe;
  slot.busy = true;
  int answer;
  if (turn % 7 == 3) {
    aiocb* list[1] = {&slot.block};
    answer = lio_listio(LIO_NOWAIT, list, 1, nullptr);
  } else if (turn % 7 == 5 && !from_pipe) {
    for (size_t i = 0; i < sizeof slot.buffer; ++i) {
      slot.buffer[i] =
          static_cast<unsigned char>((slot.block.aio_offset + static_cast<off_t>(i)) % 251);
    }
    answer = aio_write(&slot.block);
  } else {
    answer = aio_read(&slot.block);
  }
  if (answer != 0) {
    slot.busy = false;
    ++all.wrong;
  }
  ++all.submitted;
}

// The same step for the handler and, with slots of its own, for the thread that it interrupts.
void step(Storm& all, size_t first_slot, size_t slots) {
  const unsigned turn = all.turn++;
  Storm::Slot& slot = all.slots[first_slot + turn % slots];
  if (!slot.busy) {
    submit_one(all, slot, turn);
    return;
  }
  int status = aio_error(&slot.block);
  if (status == EINPROGRESS) {
    const timespec none{};
    const aiocb* list[1] = {&slot.block};
    if (aio_suspend(list, 1, &none) != 0 && errno != EAGAIN && errno != EINTR) ++all.wrong;
    if (slot.block.aio_fildes == all.pipe_reader) {
      if (turn % 2 == 0) {
        const int answer = aio_cancel(all.pipe_reader, &slot.block);
        if (answer < 0) ++all.wrong;
      } else {
        ssize_t ignored = write(all.pipe_writer, "p", 1);
        (void)ignored;
      }
    } else if (turn % 16 == 0) {
      aio_cancel(all.file, turn % 32 == 0 ? nullptr : &slot.block);
    }
    status = aio_error(&slot.block);
  }
  if (status != EINPROGRESS) take_result(all, slot, status);
}

void storm_handler(int, siginfo_t*, void*) {
  const int saved = errno;
  if (storm != nullptr) {
    ++storm->handled;
    for (int i = 0; i < 2; ++i) step(*storm, 0, Storm::kSlots / 2);
  }
  errno = saved;
}

// The first request that needs a helper thread is another test's subject (see below).
void have_helpers() {
  char byte;
  Pipe pipe;
  aiocb first = support::block(pipe.reader.get(), &byte, 1);
  ASSERT_EQ(0, aio_read(&first));
  ASSERT_EQ(1, write(pipe.writer.get(), "x", 1));
  ASSERT_EQ(0, wait_for(first));
}

// One thread's part: `work` is called until the time is over, with the timer firing, and for longer
// where the machine was too busy for a storm.
void weather(int file, std::chrono::milliseconds length, const std::function<void(Storm&)>& work) {
  ASSERT_NO_FATAL_FAILURE(have_helpers());
  auto mine = std::make_unique<Storm>();
  Pipe pipe;
  fcntl(pipe.writer.get(), F_SETFL, O_NONBLOCK);
  // A number of its own: the handler cancels all that goes through it.
  Descriptor duplicate(fcntl(file, F_DUPFD_CLOEXEC, 0));
  mine->file = duplicate.get();
  mine->pipe_reader = pipe.reader.get();
  mine->pipe_writer = pipe.writer.get();
  storm = mine.get();
  {
    Interrupter interrupter;
    const auto end = Clock::now() + length * support::length_factor();
    while (Clock::now() < end || mine->handled <= 10 || mine->submitted <= 10) work(*mine);
  }
  storm = nullptr;
  // What is left in the pipe's line comes to its end.
  aio_cancel(mine->pipe_reader, nullptr);
  for (Storm::Slot& slot : mine->slots) {
    if (!slot.busy) continue;
    if (slot.block.aio_fildes == mine->pipe_reader && aio_error(&slot.block) == EINPROGRESS) {
      EXPECT_EQ(1, write(pipe.writer.get(), "e", 1));
    }
    take_result(*mine, slot, wait_for(slot.block));
  }
  EXPECT_EQ(0, mine->wrong);
}

std::string numbered_bytes() {
  std::string bytes(65536, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i % 251);
  return bytes;
}

TEST_F(C16_Signals, HandlersSubmitPollSuspendAndCancelWhileTheThreadDoesTheSame) {
  Handler handler(test_signal(), storm_handler, SA_RESTART);
  Descriptor file = temporary_file(numbered_bytes());
  // The thread's own slots and its own state: what may be shared is the library, not the test.
  auto own = std::make_unique<Storm>();
  Pipe pipe;
  fcntl(pipe.writer.get(), F_SETFL, O_NONBLOCK);
  own->file = file.get();
  own->pipe_reader = pipe.reader.get();
  own->pipe_writer = pipe.writer.get();
  weather(file.get(), std::chrono::milliseconds(2000),
          [&](Storm&) { step(*own, Storm::kSlots / 2, Storm::kSlots / 2); });
  aio_cancel(own->pipe_reader, nullptr);
  for (Storm::Slot& slot : own->slots) {
    if (!slot.busy) continue;
    if (slot.block.aio_fildes == own->pipe_reader && aio_error(&slot.block) == EINPROGRESS) {
      EXPECT_EQ(1, write(pipe.writer.get(), "e", 1));
    }
    take_result(*own, slot, wait_for(slot.block));
  }
  EXPECT_EQ(0, own->wrong);
}

TEST_F(C16_Signals, SeveralThreadsAndTheirHandlersSubmitAtOnce) {
  Handler handler(test_signal(), storm_handler, SA_RESTART);
  Descriptor file = temporary_file(numbered_bytes());
  std::vector<std::unique_ptr<Thread>> threads;
  for (int i = 0; i < 3; ++i) {
    threads.push_back(std::make_unique<Thread>([&] {
      weather(file.get(), std::chrono::milliseconds(1500), [&](Storm&) {
        unsigned char buffer[128];
        aiocb reading = support::block(file.get(), buffer, sizeof buffer, 5000);
        EXPECT_EQ(0, aio_read(&reading));
        EXPECT_EQ(0, wait_for(reading));
        EXPECT_EQ(5000 % 251, buffer[0]);
      });
    }));
  }
  threads.clear();
}

// The handler may find the thread inside malloc: it must not come to a call of it.
TEST_F(C16_Signals, HandlersSubmitWhileTheThreadAllocates) {
  Handler handler(test_signal(), storm_handler, SA_RESTART);
  Descriptor file = temporary_file(numbered_bytes());
  weather(file.get(), std::chrono::milliseconds(1000), [&](Storm&) {
    void* pieces[32];
    for (size_t i = 0; i < 32; ++i) pieces[i] = malloc(16 + i * 997);
    for (void* piece : pieces) free(piece);
  });
}

TEST_F(C16_Signals, HandlersSubmitWhileTheThreadWaitsInAioSuspend) {
  Handler handler(test_signal(), storm_handler, SA_RESTART);
  Descriptor file = temporary_file(numbered_bytes());
  Pipe quiet;
  char byte;
  aiocb waiting = support::block(quiet.reader.get(), &byte, 1);
  ASSERT_EQ(0, aio_read(&waiting));
  weather(file.get(), std::chrono::milliseconds(700), [&](Storm&) {
    const timespec moment{0, 2000000};
    if (support::suspend_for(waiting, &moment) == 0) ADD_FAILURE() << "nothing had finished";
  });
  EXPECT_EQ(1, write(quiet.writer.get(), "q", 1));
  EXPECT_EQ(0, wait_for(waiting));
}

TEST_F(C16_Signals, HandlersSubmitWhileTheThreadWaitsInLioListio) {
  Handler handler(test_signal(), storm_handler, SA_RESTART);
  Descriptor file = temporary_file(numbered_bytes());
  weather(file.get(), std::chrono::milliseconds(700), [&](Storm&) {
    unsigned char buffers[8][512];
    aiocb blocks[8];
    aiocb* list[8];
    for (int i = 0; i < 8; ++i) {
      blocks[i] = support::block(file.get(), buffers[i], 512, i * 512);
      blocks[i].aio_lio_opcode = LIO_READ;
      list[i] = &blocks[i];
    }
    if (lio_listio(LIO_WAIT, list, 8, nullptr) != 0) {
      EXPECT_EQ(EINTR, errno);
    }
    for (aiocb& block : blocks) EXPECT_EQ(512, support::result_of(block));
  });
}

// Requests that finish are notified by signal, on top of the timer's signals.
std::atomic<int> notified{0};
void count_notified(int, siginfo_t*, void*) { ++notified; }

TEST_F(C16_Signals, NotificationHandlersInterruptTheSameCalls) {
  Handler storm_timer(test_signal(), storm_handler, SA_RESTART);
  Handler notifications(test_signal(1), count_notified, SA_RESTART);
  Descriptor file = temporary_file(numbered_bytes());
  notified = 0;
  int expected = 0;
  weather(file.get(), std::chrono::milliseconds(700), [&](Storm&) {
    unsigned char buffer[64];
    aiocb reading = support::block(file.get(), buffer, sizeof buffer);
    reading.aio_sigevent = support::signal_event(test_signal(1));
    EXPECT_EQ(0, aio_read(&reading));
    ++expected;
    EXPECT_EQ(0, wait_for(reading));
  });
  EXPECT_TRUE(support::eventually([&] { return notified == expected; }));
}

// ---------------------------------------------------------------- waiting in a handler

aiocb handlers_request;
std::atomic<int> handler_answer{-2};
std::atomic<int> handler_runs{0};
void wait_in_handler(int, siginfo_t*, void*) {
  const int saved = errno;
  const aiocb* list[1] = {&handlers_request};
  handler_answer = aio_suspend(list, 1, nullptr);
  ++handler_runs;
  errno = saved;
}

// The thread is interrupted anywhere in its own calls, and the handler waits for a request of the
// thread's. Whatever that request needs to finish must not be in the interrupted thread's hands.
TEST_F(C16_Signals, AHandlerMayWaitForTheInterruptedThreadsRequest) {
  Handler handler(test_signal(), wait_in_handler, SA_RESTART);
  Descriptor file = temporary_file(numbered_bytes());
  Pipe pipe;
  char bytes[64];
  handlers_request = support::block(pipe.reader.get(), bytes, 1);
  ASSERT_EQ(0, aio_read(&handlers_request));
  ASSERT_EQ(1, write(pipe.writer.get(), "x", 1));
  handler_runs = 0;
  {
    Interrupter interrupter(300000);
    const auto end = Clock::now() + std::chrono::milliseconds(700);
    while (Clock::now() < end || handler_runs <= 10) {
      aiocb reading = support::block(file.get(), bytes, sizeof bytes);
      EXPECT_EQ(0, aio_read(&reading));
      EXPECT_EQ(0, wait_for(reading));
      char byte;
      aiocb waiting = support::block(pipe.reader.get(), &byte, 1);
      EXPECT_EQ(0, aio_read(&waiting));
      EXPECT_EQ(1, write(pipe.writer.get(), "y", 1));
      EXPECT_EQ(0, wait_for(waiting));
    }
  }
  EXPECT_EQ(0, handler_answer);
}

// ---------------------------------------------------------------- the first request

volatile sig_atomic_t first_done = 0;
aiocb first_request;
char first_byte;
void make_first_request(int, siginfo_t*, void*) {
  if (first_done != 0) return;
  if (aio_read(&first_request) != 0) _exit(2);
  first_done = 1;
}

// Starting up must be possible in a handler, too, also with malloc's lock held below it.
void first_request_in_handler() {
  Descriptor file = temporary_file("0123456789");
  for (int round = 0; round < 30; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      support::limit_runtime(std::chrono::seconds(10));
      Handler handler(test_signal(), make_first_request, SA_RESTART);
      first_request = support::block(file.get(), &first_byte, 1);
      {
        Interrupter interrupter(50000 + round * 7001);
        while (first_done == 0) {
          void* pieces[64];
          for (size_t i = 0; i < 64; ++i) pieces[i] = malloc(8 + i * 331);
          for (void* piece : pieces) free(piece);
        }
      }
      const bool good = wait_for(first_request) == 0 && first_byte == '0';
      _exit(good ? 0 : 3);
    }
    EXPECT_EQ(0, support::end_of(child)) << "round " << round;
    if (testing::Test::HasFailure()) return;
  }
}

// A known limit: pthread_create calls malloc, and nothing may be prepared before the first request
// (C3). Only a first request that needs no thread is safe here.
constexpr char kNeedsAThread[] = "the first request that needs a thread is not safe over malloc";

TEST_F(C16_Signals, TheFirstRequestOfAProcessMayBeAFileReadInAHandlerOverMalloc) {
  if (support::engine() != "auto") GTEST_SKIP() << kNeedsAThread;
  first_request_in_handler();
}

}  // namespace
