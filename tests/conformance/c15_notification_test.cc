// C15: notifications. Signals with what they carry, what a handler or callback may do to the block,
// and that none is dropped however many there are. The threads that callbacks run on have a file
// of their own.
//
// "glibc:" comments say how glibc 2.36 answers a test that it fails.
#include <limits.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <set>

#include "support/support.h"
#include "support/threads.h"

namespace {

using support::BlockedSignal;
using support::callback_event;
using support::Descriptor;
using support::eventually;
using support::Handler;
using support::Pipe;
using support::signal_event;
using support::temporary_file;
using support::test_signal;
using support::Thread;
using support::wait_for;

// A request that finishes at once, with a notification of the test's choice.
class C15_Notification : public support::Limited {
 protected:
  void start(const sigevent& event) {
    block_ = support::block(file_.get(), buffer_, sizeof buffer_);
    block_.aio_sigevent = event;
    ASSERT_EQ(0, aio_read(&block_));
  }

  Descriptor file_ = temporary_file("0123456789abcdef");
  char buffer_[8] = {};
  aiocb block_{};
};

// ---------------------------------------------------------------- none, and signals

TEST_F(C15_Notification, NoneSendsNothing) {
  BlockedSignal signal(test_signal());
  sigevent event = signal_event(test_signal());
  event.sigev_notify = SIGEV_NONE;
  start(event);
  EXPECT_EQ(0, wait_for(block_));
  start(signal_event(test_signal(), 2));
  siginfo_t info;
  ASSERT_TRUE(signal.take(&info));
  EXPECT_EQ(2, info.si_value.sival_int) << "the first one is SIGEV_NONE";
}

TEST_F(C15_Notification, ASignalSaysWhatItIsAndWhoSentIt) {
  BlockedSignal signal(test_signal());
  sigevent event = signal_event(test_signal());
  event.sigev_value.sival_ptr = &block_;
  start(event);
  siginfo_t info{};
  ASSERT_TRUE(signal.take(&info));
  EXPECT_EQ(test_signal(), info.si_signo);
  EXPECT_EQ(SI_ASYNCIO, info.si_code);
  EXPECT_EQ(&block_, info.si_value.sival_ptr);
  EXPECT_EQ(getpid(), info.si_pid);
  EXPECT_EQ(getuid(), info.si_uid);
  EXPECT_EQ(0, aio_error(&block_));
}

TEST_F(C15_Notification, AStandardSignalServesToo) {
  BlockedSignal signal(SIGUSR1);
  start(signal_event(SIGUSR1, 41));
  siginfo_t info{};
  ASSERT_TRUE(signal.take(&info));
  EXPECT_EQ(SI_ASYNCIO, info.si_code);
  EXPECT_EQ(41, info.si_value.sival_int);
}

// A signal for the submitting thread alone would stay pending there.
TEST_F(C15_Notification, ASignalIsSentToTheProcess) {
  BlockedSignal signal(test_signal());
  std::atomic<bool> release{false};
  Thread submitter([&] {
    start(signal_event(test_signal(), 6));
    while (!release) sched_yield();
  });
  siginfo_t info{};
  EXPECT_TRUE(signal.take(&info));
  EXPECT_EQ(6, info.si_value.sival_int);
  release = true;
}

TEST_F(C15_Notification, SignalsAreQueuedOneForEachRequest) {
  BlockedSignal signal(test_signal());
  constexpr int kRequests = 200;
  std::vector<aiocb> blocks(kRequests);
  for (int i = 0; i < kRequests; ++i) {
    aiocb& block = blocks[static_cast<size_t>(i)];
    block = support::block(file_.get(), buffer_, 1);
    block.aio_sigevent = signal_event(test_signal(), i);
    ASSERT_EQ(0, i % 2 == 0 ? aio_read(&block) : aio_fsync(O_DSYNC, &block));
  }
  std::set<int> values;
  for (int i = 0; i < kRequests; ++i) {
    siginfo_t info;
    ASSERT_TRUE(signal.take(&info));
    values.insert(info.si_value.sival_int);
  }
  EXPECT_EQ(size_t{kRequests}, values.size());
  EXPECT_FALSE(signal.take_now());
}

TEST_F(C15_Notification, AFailedRequestNotifiesToo) {
  BlockedSignal signal(test_signal());
  aiocb failing = support::block(support::closed_descriptor(), buffer_, 1);
  failing.aio_sigevent = signal_event(test_signal(), 3);
  ASSERT_EQ(0, aio_write(&failing));
  siginfo_t info;
  ASSERT_TRUE(signal.take(&info));
  EXPECT_EQ(3, info.si_value.sival_int);
  EXPECT_EQ(EBADF, aio_error(&failing));
}

// glibc: does not know SIGEV_THREAD_ID and sends nothing.
TEST_F(C15_Notification, ThreadIdSendsTheSignalToThatThread) {
  BlockedSignal signal(test_signal());
  siginfo_t info{};
  bool came = false;
  Thread receiver([&] { came = signal.take(&info); });
  Pipe pipe;
  char byte;
  aiocb reading = support::block(pipe.reader.get(), &byte, 1);
  reading.aio_sigevent = signal_event(test_signal(), 8);
  reading.aio_sigevent.sigev_notify = SIGEV_THREAD_ID;
  reading.aio_sigevent._sigev_un._tid = receiver.id();
  ASSERT_EQ(0, aio_read(&reading));
  std::atomic<bool> entered{true};
  EXPECT_TRUE(support::asleep_after(receiver, entered));
  EXPECT_EQ(1, write(pipe.writer.get(), "x", 1));
  EXPECT_EQ(0, wait_for(reading));
  // Blocked here as well: one for the process could be taken by this thread.
  if (HasFailure() || !eventually([&] { return !receiver.asleep(); })) {
    pthread_kill(receiver.handle(), test_signal());
  }
  receiver.join();
  EXPECT_TRUE(came);
  EXPECT_EQ(SI_ASYNCIO, info.si_code);
  EXPECT_EQ(8, info.si_value.sival_int);

  // The same thread again, without waiting for it: it must not be this one that gets it.
  aiocb own = support::block(file_.get(), buffer_, 1);
  own.aio_sigevent = signal_event(test_signal(), 9);
  own.aio_sigevent.sigev_notify = SIGEV_THREAD_ID;
  own.aio_sigevent._sigev_un._tid = support::this_thread();
  ASSERT_EQ(0, aio_read(&own));
  EXPECT_TRUE(signal.take(&info));
  EXPECT_EQ(9, info.si_value.sival_int);
}

TEST_F(C15_Notification, ThreadIdOfAThreadThatIsGoneHarmsNothing) {
  Thread gone([] {});
  gone.join();
  ASSERT_TRUE(eventually([&] { return support::thread_state(gone.id()) == '?'; }));
  sigevent event = signal_event(SIGKILL);
  event.sigev_notify = SIGEV_THREAD_ID;
  event._sigev_un._tid = gone.id();
  start(event);
  EXPECT_EQ(0, wait_for(block_));
  BlockedSignal signal(test_signal());
  start(signal_event(test_signal()));
  EXPECT_TRUE(signal.take()) << "later notifications must still be sent";
}

TEST_F(C15_Notification, TheSigeventIsCopiedWhenTheRequestIsMade) {
  BlockedSignal signal(test_signal());
  Pipe pipe;
  char byte;
  aiocb reading = support::block(pipe.reader.get(), &byte, 1);
  reading.aio_sigevent = signal_event(test_signal(), 1);
  ASSERT_EQ(0, aio_read(&reading));
  reading.aio_sigevent = signal_event(SIGKILL, 2);
  EXPECT_EQ(1, write(pipe.writer.get(), "x", 1));
  siginfo_t info;
  ASSERT_TRUE(signal.take(&info));
  EXPECT_EQ(1, info.si_value.sival_int);
}

// ---------------------------------------------------------------- status before notification

std::atomic<int> early{0};
std::atomic<int> handled{0};
void look_at_status(int, siginfo_t* info, void*) {
  auto* block = static_cast<aiocb*>(info->si_value.sival_ptr);
  if (aio_error(block) != 0 || aio_return(block) != 1) ++early;
  ++handled;
}
void look_at_status(sigval value) {
  auto* block = static_cast<aiocb*>(value.sival_ptr);
  if (aio_error(block) != 0 || aio_return(block) != 1) ++early;
  ++handled;
}

TEST_F(C15_Notification, TheStatusIsFinalBeforeTheNotificationIsSent) {
  Handler handler(test_signal(), look_at_status, SA_RESTART);
  Pipe pipe;
  for (const bool with_signal : {true, false}) {
    for (const int descriptor : {file_.get(), pipe.reader.get()}) {
      early = 0;
      handled = 0;
      for (int round = 0; round < 300; ++round) {
        aiocb reading = support::block(descriptor, buffer_, 1);
        reading.aio_sigevent =
            with_signal ? signal_event(test_signal()) : callback_event(look_at_status, nullptr);
        reading.aio_sigevent.sigev_value.sival_ptr = &reading;
        ASSERT_EQ(0, aio_read(&reading));
        if (descriptor == pipe.reader.get()) {
          EXPECT_EQ(1, write(pipe.writer.get(), "x", 1));
        }
        ASSERT_TRUE(eventually([&] { return handled > round; }));
      }
      EXPECT_EQ(0, early);
    }
  }
}

// ---------------------------------------------------------------- the block

// The callback unmaps it: nothing may look at it afterwards.
TEST_F(C15_Notification, ACallbackMayFreeTheBlock) {
  static std::atomic<int> freed;
  freed = 0;
  Pipe pipe;
  for (int round = 1; round <= 200; ++round) {
    support::OwnPage<aiocb> page;
    char byte;
    *page = support::block(round % 2 == 0 ? pipe.reader.get() : file_.get(), &byte, 1);
    page->aio_sigevent = callback_event(
        [](sigval value) {
          auto* own = static_cast<support::OwnPage<aiocb>*>(value.sival_ptr);
          aio_return(own->get());
          own->give_back();
          ++freed;
        },
        &page);
    ASSERT_EQ(0, aio_read(page.get()));
    if (round % 2 == 0) {
      EXPECT_EQ(1, write(pipe.writer.get(), "x", 1));
    }
    ASSERT_TRUE(eventually([&] { return freed == round; }));
  }
}

std::atomic<int> freed_by_handler{0};
void free_in_handler(int, siginfo_t* info, void*) {
  static_cast<support::OwnPage<aiocb>*>(info->si_value.sival_ptr)->give_back();
  ++freed_by_handler;
}

TEST_F(C15_Notification, AHandlerMayFreeTheBlock) {
  Handler handler(test_signal(), free_in_handler, SA_RESTART);
  freed_by_handler = 0;
  Pipe pipe;
  for (int round = 1; round <= 200; ++round) {
    support::OwnPage<aiocb> page;
    char byte;
    *page = support::block(round % 2 == 0 ? pipe.reader.get() : file_.get(), &byte, 1);
    page->aio_sigevent = signal_event(test_signal());
    page->aio_sigevent.sigev_value.sival_ptr = &page;
    ASSERT_EQ(0, aio_read(page.get()));
    if (round % 2 == 0) {
      EXPECT_EQ(1, write(pipe.writer.get(), "x", 1));
    }
    ASSERT_TRUE(eventually([&] { return freed_by_handler == round; }));
  }
}

// The status in memory that another process sees becomes final there as well.
TEST_F(C15_Notification, ABlocksMemoryMayBeSharedWithAnotherProcess) {
  void* memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(MAP_FAILED, memory);
  auto* shared = static_cast<aiocb*>(memory);
  Pipe pipe;
  char byte = 0;
  *shared = support::block(pipe.reader.get(), &byte, 1);
  ASSERT_EQ(0, aio_read(shared));
  const pid_t child = fork();
  if (child == 0) {
    while (aio_error(shared) == EINPROGRESS) sched_yield();
    _exit(aio_error(shared) == 0 && aio_return(shared) == 1 ? 0 : 1);
  }
  EXPECT_EQ(EINPROGRESS, aio_error(shared));
  EXPECT_EQ(1, write(pipe.writer.get(), "x", 1));
  EXPECT_EQ(0, wait_for(*shared));
  int status = -1;
  EXPECT_EQ(child, waitpid(child, &status, 0));
  EXPECT_EQ(0, status);
  EXPECT_EQ(1, aio_return(shared));
  munmap(memory, 4096);
}

// ---------------------------------------------------------------- the next request

struct Chain {
  aiocb block;
  char byte;
  int descriptor;
  std::atomic<int> left;
  std::atomic<int> failed;
};
Chain chain;

void continue_chain() {
  if (aio_error(&chain.block) != 0 || aio_return(&chain.block) != 1) ++chain.failed;
  if (chain.left.fetch_sub(1) > 1 && aio_read(&chain.block) != 0) ++chain.failed;
}

void run_chain(int descriptor, const sigevent& event) {
  chain.left = 1000;
  chain.failed = 0;
  chain.block = support::block(descriptor, &chain.byte, 1);
  chain.block.aio_sigevent = event;
  ASSERT_EQ(0, aio_read(&chain.block));
  EXPECT_TRUE(eventually([] { return chain.left <= 0; })) << chain.left << " left";
  EXPECT_EQ(0, chain.failed);
}

TEST_F(C15_Notification, ACallbackMaySubmitTheNextRequest) {
  run_chain(file_.get(), callback_event([](sigval) { continue_chain(); }, nullptr));
}

TEST_F(C15_Notification, AHandlerMaySubmitTheNextRequest) {
  Handler handler(
      test_signal(), [](int, siginfo_t*, void*) { continue_chain(); }, SA_RESTART);
  run_chain(file_.get(), signal_event(test_signal()));
}

// ---------------------------------------------------------------- bursts

TEST_F(C15_Notification, ABurstOfThousandsOfCallbacksAllRun) {
  static std::atomic<int> ran;
  ran = 0;
  constexpr int kRequests = 3000;
  std::vector<aiocb> blocks(kRequests, support::block(file_.get(), buffer_, 1));
  for (aiocb& block : blocks) {
    block.aio_sigevent = callback_event([](sigval) { ++ran; }, nullptr);
    ASSERT_EQ(0, aio_read(&block));
  }
  EXPECT_TRUE(eventually([] { return ran == kRequests; })) << ran << " ran";
}

std::atomic<long> burst_sum{0};
void add_to_burst(int, siginfo_t* info, void*) { burst_sum += info->si_value.sival_int; }

TEST_F(C15_Notification, ABurstOfThousandsOfSignalsAllArrive) {
  Handler handler(test_signal(), add_to_burst, SA_RESTART);
  burst_sum = 0;
  constexpr int kRequests = 5000;
  std::vector<aiocb> blocks(kRequests, support::block(file_.get(), buffer_, 1));
  for (int i = 0; i < kRequests; ++i) {
    aiocb& block = blocks[static_cast<size_t>(i)];
    block.aio_sigevent = signal_event(test_signal(), i + 1);
    ASSERT_EQ(0, aio_read(&block));
  }
  constexpr long kSum = long{kRequests} * (kRequests + 1) / 2;
  EXPECT_TRUE(eventually([&] { return burst_sum == kSum; })) << burst_sum << " of " << kSum;
}

// Pending signals are counted by user, so a child becomes one that nobody else is.
void become_a_user_of_ones_own() {
  const auto id = static_cast<uid_t>(200000 + getpid());
  if (getuid() == 0) {
    ASSERT_EQ(0, setresuid(id, id, id));
  }
}

// glibc: drops what the queue does not take.
TEST_F(C15_Notification, NothingIsDroppedWhenTheSignalQueueIsFull) {
  EXPECT_EQ(0, support::in_child([] {
              support::limit_runtime(std::chrono::seconds(30));
              become_a_user_of_ones_own();
              const rlimit small{8, 8};
              ASSERT_EQ(0, setrlimit(RLIMIT_SIGPENDING, &small));
              BlockedSignal filler(test_signal(1));
              BlockedSignal signal(test_signal());
              Pipe pipe;
              std::vector<char> bytes(300);
              std::vector<aiocb> blocks(bytes.size());
              for (size_t i = 0; i < bytes.size(); ++i) {
                blocks[i] = support::block(pipe.reader.get(), &bytes[i], 1);
                blocks[i].aio_sigevent = signal_event(test_signal(), static_cast<int>(i));
                ASSERT_EQ(0, aio_read(&blocks[i]));
              }
              int fillers = 0;
              while (sigqueue(getpid(), test_signal(1), sigval{}) == 0) ++fillers;
              EXPECT_GT(fillers, 0);
              ASSERT_EQ(static_cast<ssize_t>(bytes.size()),
                        write(pipe.writer.get(), bytes.data(), bytes.size()));
              // The statuses do not wait for the deliveries.
              for (const aiocb& block : blocks) EXPECT_EQ(0, wait_for(block));
              EXPECT_FALSE(signal.take_now()) << "the queue was full";
              for (; fillers > 0; --fillers) EXPECT_TRUE(filler.take());
              std::set<int> values;
              siginfo_t info;
              while (values.size() < bytes.size() && signal.take(&info)) {
                EXPECT_EQ(SI_ASYNCIO, info.si_code);
                EXPECT_TRUE(values.insert(info.si_value.sival_int).second) << "came twice";
              }
              EXPECT_EQ(bytes.size(), values.size());
            }));
}

TEST_F(C15_Notification, AFullSignalQueueHoldsUpNeitherCallbacksNorRequests) {
  EXPECT_EQ(0, support::in_child([] {
              support::limit_runtime(std::chrono::seconds(30));
              become_a_user_of_ones_own();
              const rlimit none{0, 0};
              ASSERT_EQ(0, setrlimit(RLIMIT_SIGPENDING, &none));
              BlockedSignal signal(test_signal());
              Pipe pipe;
              char bytes[3];
              aiocb stuck = support::block(pipe.reader.get(), &bytes[0], 1);
              stuck.aio_sigevent = signal_event(test_signal());
              ASSERT_EQ(0, aio_read(&stuck));
              ASSERT_EQ(1, write(pipe.writer.get(), "x", 1));
              EXPECT_EQ(0, wait_for(stuck));
              static std::atomic<bool> ran;
              aiocb called = support::block(pipe.reader.get(), &bytes[1], 1);
              called.aio_sigevent = callback_event([](sigval) { ran = true; }, nullptr);
              aiocb plain = support::block(pipe.reader.get(), &bytes[2], 1);
              ASSERT_EQ(0, aio_read(&called));
              ASSERT_EQ(0, aio_read(&plain));
              ASSERT_EQ(2, write(pipe.writer.get(), "xy", 2));
              EXPECT_EQ(0, wait_for(plain));
              EXPECT_TRUE(eventually([] { return ran.load(); }));
              EXPECT_EQ(AIO_ALLDONE, aio_cancel(pipe.reader.get(), nullptr));
            }));
}

}  // namespace
