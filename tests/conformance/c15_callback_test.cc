// C15: SIGEV_THREAD. A callback runs on a thread that is not the caller's and looks newly made: its
// mask, its attributes, how it may end, and what it leaves behind for the next one.
//
// "glibc:" comments say how glibc 2.36 answers a test that it fails.
#include <limits.h>

#include "support/support.h"
#include "support/threads.h"

namespace {

using support::callback_event;
using support::Descriptor;
using support::eventually;
using support::Pipe;
using support::signal_event;
using support::temporary_file;
using support::test_signal;
using support::Thread;
using support::wait_for;

class C15_Callback : public support::Limited {
 protected:
  void start(const sigevent& event) {
    block_ = support::block(file_.get(), buffer_, sizeof buffer_);
    block_.aio_sigevent = event;
    ASSERT_EQ(0, aio_read(&block_));
  }

  // Runs `body` as a callback and waits until it has run.
  void in_callback(std::function<void()> body, pthread_attr_t* attributes = nullptr) {
    struct Call {
      std::function<void()> body;
      std::atomic<bool> ran{false};
    } call;
    call.body = std::move(body);
    start(callback_event(
        [](sigval value) {
          auto* running = static_cast<Call*>(value.sival_ptr);
          running->body();
          running->ran = true;
        },
        &call, attributes));
    // A callback that never runs would use `call` later: no other end of this scope is safe.
    if (!eventually([&] { return call.ran.load(); })) {
      ADD_FAILURE() << "the callback did not run";
      abort();
    }
  }

  Descriptor file_ = temporary_file("0123456789abcdef");
  char buffer_[8] = {};
  aiocb block_{};
};

TEST_F(C15_Callback, ACallbackGetsItsValueOnAThreadThatIsNotTheCallers) {
  pid_t thread = 0;
  in_callback([&] { thread = support::this_thread(); });
  EXPECT_NE(0, thread);
  EXPECT_NE(support::this_thread(), thread);
}

// Completion may happen in the caller: even then the callback is not run by it.
TEST_F(C15_Callback, ACallbackNeverRunsOnAThreadOfTheProgram) {
  std::atomic<bool> done{false};
  pid_t waiter_id = 0;
  pid_t thread = 0;
  Pipe pipe;
  char byte;
  aiocb waiting = support::block(pipe.reader.get(), &byte, 1);
  ASSERT_EQ(0, aio_read(&waiting));
  Thread waiter([&] {
    waiter_id = support::this_thread();
    while (!done)
      support::suspend_for(waiting, std::make_unique<timespec>(timespec{0, 1000}).get());
  });
  for (int i = 0; i < 100; ++i) {
    in_callback([&] { thread = support::this_thread(); });
    EXPECT_NE(support::this_thread(), thread);
    EXPECT_NE(waiter_id, thread);
  }
  done = true;
  EXPECT_EQ(1, write(pipe.writer.get(), "x", 1));
  EXPECT_EQ(0, wait_for(waiting));
}

// glibc blocks nothing either, although its helpers block all.
TEST_F(C15_Callback, ACallbackBlocksNoSignal) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  for (int round = 0; round < 3; ++round) {
    in_callback([&] {
      sigset_t mask;
      pthread_sigmask(SIG_SETMASK, &all, &mask);  // and the next one must not see this
      for (int signal = 1; signal <= SIGRTMAX; ++signal) {
        if (sigismember(&mask, signal) == 1) ADD_FAILURE() << "signal " << signal << " is blocked";
      }
    });
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST_F(C15_Callback, ACallbackHasADefaultStackWithoutAttributes) {
  in_callback([] {
    volatile char large[size_t{2} << 20];
    for (size_t i = 0; i < sizeof large; i += 4096) large[i] = 1;
  });
}

TEST_F(C15_Callback, TheAttributesStackAndGuardSizeAreUsed) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, size_t{24} << 20);
  pthread_attr_setguardsize(&attributes, 65536);
  size_t stack = 0;
  size_t guard = 0;
  in_callback(
      [&] {
        volatile char large[size_t{20} << 20];
        for (size_t i = 0; i < sizeof large; i += 4096) large[i] = 1;
        pthread_attr_t own;
        pthread_getattr_np(pthread_self(), &own);
        pthread_attr_getstacksize(&own, &stack);
        pthread_attr_getguardsize(&own, &guard);
        pthread_attr_destroy(&own);
      },
      &attributes);
  EXPECT_GE(stack, size_t{24} << 20);
  EXPECT_GE(guard, size_t{65536});
  pthread_attr_destroy(&attributes);
}

TEST_F(C15_Callback, TheAttributesAffinityIsUsed) {
  cpu_set_t mine;
  ASSERT_EQ(0, pthread_getaffinity_np(pthread_self(), sizeof mine, &mine));
  int last = CPU_SETSIZE - 1;
  while (!CPU_ISSET(last, &mine)) --last;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(last, &one);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setaffinity_np(&attributes, sizeof one, &one);
  cpu_set_t seen;
  in_callback([&] { pthread_getaffinity_np(pthread_self(), sizeof seen, &seen); }, &attributes);
  EXPECT_TRUE(CPU_EQUAL(&one, &seen));
  in_callback([&] { pthread_getaffinity_np(pthread_self(), sizeof seen, &seen); });
  EXPECT_TRUE(CPU_EQUAL(&mine, &seen)) << "and only for the request that asked for it";
  pthread_attr_destroy(&attributes);
}

TEST_F(C15_Callback, AStackGivenInTheAttributesIsUsed) {
  constexpr size_t kSize = size_t{512} * 1024;
  void* stack = mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstack(&attributes, stack, kSize);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  const char* local = nullptr;
  std::atomic<pid_t> thread{0};
  in_callback(
      [&] {
        volatile char here = 0;
        local = const_cast<const char*>(&here);
        thread = support::this_thread();
      },
      &attributes);
  EXPECT_GE(local, static_cast<char*>(stack));
  EXPECT_LT(local, static_cast<char*>(stack) + kSize);
  EXPECT_TRUE(eventually([&] { return support::thread_state(thread) == '?'; }))
      << "the stack is the program's again after the callback";
  pthread_attr_destroy(&attributes);
  munmap(stack, kSize);
}

// glibc: keeps the pointer and reads the attributes when the request has finished.
TEST_F(C15_Callback, TheAttributesAreCopiedWhenTheRequestIsMade) {
  static std::atomic<size_t> stack;
  stack = 0;
  Pipe pipe;
  char byte;
  auto attributes = std::make_unique<pthread_attr_t>();
  pthread_attr_init(attributes.get());
  pthread_attr_setstacksize(attributes.get(), size_t{3} << 20);
  aiocb reading = support::block(pipe.reader.get(), &byte, 1);
  reading.aio_sigevent = callback_event(
      [](sigval) {
        pthread_attr_t own;
        size_t size = 0;
        pthread_getattr_np(pthread_self(), &own);
        pthread_attr_getstacksize(&own, &size);
        pthread_attr_destroy(&own);
        stack = size;
      },
      nullptr, attributes.get());
  ASSERT_EQ(0, aio_read(&reading));
  pthread_attr_destroy(attributes.get());
  memset(attributes.get(), 0, sizeof *attributes);
  pthread_attr_init(attributes.get());
  pthread_attr_setstacksize(attributes.get(), size_t{40} << 20);
  EXPECT_EQ(1, write(pipe.writer.get(), "x", 1));
  EXPECT_TRUE(eventually([] { return stack != 0; }));
  EXPECT_GE(stack, size_t{3} << 20);
  EXPECT_LT(stack, size_t{8} << 20);
  pthread_attr_destroy(attributes.get());
}

TEST_F(C15_Callback, ACallbackMayEndItsThread) {
  static std::atomic<int> ended;
  ended = 0;
  for (int round = 1; round <= 50; ++round) {
    start(callback_event(
        [](sigval) {
          struct AtExit {
            ~AtExit() { ++ended; }
          } at_exit;
          pthread_exit(nullptr);
        },
        nullptr));
    ASSERT_TRUE(eventually([&] { return ended == round; })) << "round " << round;
  }
  int ran = 0;
  in_callback([&] { ++ran; });
  EXPECT_EQ(1, ran);
}

TEST_F(C15_Callback, ACallbacksThreadCanBeCancelledAndTheNextOneIsNot) {
  struct Shared {
    std::atomic<pthread_t> thread{};
    std::atomic<bool> unwound{false};
  };
  for (int round = 0; round < 20; ++round) {
    static Shared shared;
    shared.thread = pthread_t{};
    shared.unwound = false;
    start(callback_event(
        [](sigval) {
          struct AtExit {
            ~AtExit() { shared.unwound = true; }
          } at_exit;
          shared.thread = pthread_self();
          for (;;) pause();
        },
        nullptr));
    ASSERT_TRUE(eventually([&] { return shared.thread != pthread_t{}; }));
    EXPECT_EQ(0, pthread_cancel(shared.thread));
    ASSERT_TRUE(eventually([&] { return shared.unwound.load(); }));
    int state = -1;
    int type = -1;
    in_callback([&] {
      pthread_testcancel();
      pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
      pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &type);
    });
    EXPECT_EQ(PTHREAD_CANCEL_ENABLE, state);
    EXPECT_EQ(PTHREAD_CANCEL_DEFERRED, type);
  }
}

pthread_key_t data_key;
std::atomic<int> data_destroyed{0};

TEST_F(C15_Callback, ThreadSpecificDataIsDestroyedAfterTheCallbackAndUnseenByTheNext) {
  ASSERT_EQ(0, pthread_key_create(&data_key, [](void* value) {
              if (value == &data_key) ++data_destroyed;
            }));
  for (int round = 1; round <= 20; ++round) {
    void* seen = &seen;
    in_callback([&] {
      seen = pthread_getspecific(data_key);
      pthread_setspecific(data_key, &data_key);
    });
    EXPECT_EQ(nullptr, seen) << "round " << round;
    EXPECT_TRUE(eventually([&] { return data_destroyed == round; }));
  }
  pthread_key_delete(data_key);
}

// However many keys there are, and whoever makes them.
TEST_F(C15_Callback, ThreadSpecificDataOfALateKeyIsDestroyedToo) {
  constexpr int kKeys = 60;
  for (int round = 1; round <= 8; ++round) {
    in_callback([&] {
      for (int i = 0; i < kKeys; ++i) {
        pthread_key_create(&data_key, [](void* value) {
          if (value == &data_key) ++data_destroyed;
        });
      }
      pthread_setspecific(data_key, &data_key);
    });
    EXPECT_TRUE(eventually([&] { return data_destroyed == round; })) << "round " << round;
  }
}

TEST_F(C15_Callback, ThreadSpecificDataOfALoneKeyIsDestroyedToo) {
  std::vector<pthread_key_t> keys(300);
  for (pthread_key_t& key : keys) {
    ASSERT_EQ(0, pthread_key_create(&key, [](void* value) {
                if (value == &data_key) ++data_destroyed;
              }));
  }
  in_callback([] {});
  for (size_t i = 0; i + 1 < keys.size(); ++i) pthread_key_delete(keys[i]);
  for (int round = 1; round <= 5; ++round) {
    in_callback([&] { pthread_setspecific(keys.back(), &data_key); });
    EXPECT_TRUE(eventually([&] { return data_destroyed == round; })) << "round " << round;
  }
}

// Wherever the only key is, and however its callback came by it: nothing that the library could
// have seen before tells of it.
TEST_F(C15_Callback, ThreadSpecificDataOfAKeyAmongDeletedOnesIsDestroyedToo) {
  int round = 0;
  for (const size_t deleted : {0, 1, 30, 31, 32, 33, 59, 63, 64, 300, 900}) {
    void* seen = &seen;
    in_callback([&] {
      std::vector<pthread_key_t> keys(deleted + 1);
      for (pthread_key_t& key : keys) {
        pthread_key_create(&key, [](void* value) {
          if (value == &data_key) ++data_destroyed;
        });
      }
      data_key = keys.back();
      keys.pop_back();
      for (const pthread_key_t key : keys) pthread_key_delete(key);
      pthread_setspecific(data_key, &data_key);
    });
    in_callback([&] { seen = pthread_getspecific(data_key); });
    EXPECT_EQ(nullptr, seen) << deleted << " deleted";
    ++round;
    EXPECT_TRUE(eventually([&] { return data_destroyed == round; })) << deleted << " deleted";
    pthread_key_delete(data_key);
  }
}

std::atomic<int> objects_destroyed{0};
struct Counted {
  int uses = 0;
  ~Counted() { ++objects_destroyed; }
};
thread_local Counted thread_local_object;

TEST_F(C15_Callback, ThreadLocalObjectsAreDestroyedAfterTheCallbackAndNewForTheNext) {
  const int before = objects_destroyed;
  for (int round = 1; round <= 20; ++round) {
    int uses = -1;
    in_callback([&] { uses = thread_local_object.uses++; });
    EXPECT_EQ(0, uses) << "round " << round;
  }
  EXPECT_TRUE(eventually([&] { return objects_destroyed == before + 20; }));
}

thread_local int plain_thread_local = 17;

TEST_F(C15_Callback, ThreadLocalVariablesStartAnewInEachCallback) {
  for (int round = 1; round <= 20; ++round) {
    int seen = -1;
    in_callback([&] {
      seen = plain_thread_local;
      plain_thread_local = round;
    });
    EXPECT_EQ(17, seen) << "round " << round;
  }
}

TEST_F(C15_Callback, WhatACallbackDoesToItsThreadIsUnseenByTheNext) {
  char original[16] = "";
  for (int round = 1; round <= 5; ++round) {
    char name[16] = "";
    stack_t alternate{};
    cpu_set_t affinity;
    int error = -1;
    int policy = -1;
    static char other_stack[65536];
    in_callback([&] {
      error = errno;
      pthread_getname_np(pthread_self(), name, sizeof name);
      sigaltstack(nullptr, &alternate);
      sched_param parameters{};
      pthread_getschedparam(pthread_self(), &policy, &parameters);
      pthread_getaffinity_np(pthread_self(), sizeof affinity, &affinity);
      errno = EXDEV;
      pthread_setname_np(pthread_self(), "renamed");
      stack_t mine{};
      mine.ss_sp = other_stack;
      mine.ss_size = sizeof other_stack;
      sigaltstack(&mine, nullptr);
    });
    if (round == 1) memcpy(original, name, sizeof name);
    EXPECT_EQ(0, error);
    EXPECT_STREQ(original, name);
    EXPECT_TRUE((alternate.ss_flags & SS_DISABLE) != 0);
    EXPECT_EQ(SCHED_OTHER, policy);
  }
}

// A thread for each, as far as the program can tell: callbacks may wait for each other.
TEST_F(C15_Callback, CallbacksThatWaitForEachOtherAllRun) {
  constexpr unsigned kCallbacks = 40;
  static pthread_barrier_t barrier;
  static std::atomic<unsigned> passed;
  passed = 0;
  pthread_barrier_init(&barrier, nullptr, kCallbacks);
  std::vector<aiocb> blocks(kCallbacks, support::block(file_.get(), buffer_, 1));
  for (aiocb& block : blocks) {
    block.aio_sigevent = callback_event(
        [](sigval) {
          pthread_barrier_wait(&barrier);
          ++passed;
        },
        nullptr);
    ASSERT_EQ(0, aio_read(&block));
  }
  EXPECT_TRUE(eventually([] { return passed == kCallbacks; })) << passed << " came through";
}

TEST_F(C15_Callback, ACallbackThatWaitsHoldsUpNoRequest) {
  support::CaughtSignal signal(test_signal());
  static std::atomic<bool> release;
  static std::atomic<int> running;
  release = false;
  running = 0;
  const auto wait = [](sigval) {
    ++running;
    while (!release) usleep(1000);
    --running;
  };
  std::vector<aiocb> blocks(8, support::block(file_.get(), buffer_, 1));
  for (aiocb& block : blocks) {
    block.aio_sigevent = callback_event(wait, nullptr);
    ASSERT_EQ(0, aio_read(&block));
  }
  EXPECT_TRUE(eventually([] { return running == 8; }));
  Pipe pipe;
  char byte;
  aiocb reading = support::block(pipe.reader.get(), &byte, 1);
  reading.aio_sigevent = signal_event(test_signal());
  ASSERT_EQ(0, aio_read(&reading));
  EXPECT_EQ(1, write(pipe.writer.get(), "x", 1));
  EXPECT_TRUE(signal.reaches(1));
  int ran = 0;
  in_callback([&] { ++ran; });
  EXPECT_EQ(1, ran);
  release = true;
  EXPECT_TRUE(eventually([] { return running == 0; }));
}

TEST_F(C15_Callback, CallbackThreadsDoNotPileUp) {
  const auto threads = [] {
    struct stat directory {};
    stat("/proc/self/task", &directory);
    return static_cast<int>(directory.st_nlink) - 2;
  };
  for (int i = 0; i < 500; ++i) {
    in_callback([] {});
  }
  EXPECT_TRUE(eventually([&] { return threads() < 40; })) << threads() << " threads";
}

}  // namespace
