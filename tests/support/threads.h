// What tests about signals, threads and processes share, on top of support.h: suites with a time
// limit, handlers that are put back, threads that can be seen asleep, notifications to wait for.
//
// Header only. A test looks at a thread through /proc/self/task, because a test that means "while
// it waits in this call" has to know that it waits there.
#pragma once

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <memory>
#include <new>
#include <string>

#include "support/support.h"

namespace support {

// A suite whose tests are killed when they hang: an implementation that breaks these rules often
// does, and the next test must still run.
class Limited : public testing::Test {
 protected:
  void SetUp() override { limit_runtime(std::chrono::seconds(60)); }
  void TearDown() override { alarm(0); }
};

// Signals of the tests' own. SIGALRM belongs to limit_runtime.
inline int test_signal(int number = 0) { return SIGRTMIN + 4 + number; }

inline pid_t this_thread() { return static_cast<pid_t>(syscall(SYS_gettid)); }

// A signal's action for the length of a scope.
class Handler {
 public:
  Handler(int signal, void (*function)(int, siginfo_t*, void*), int flags = 0) : signal_(signal) {
    struct sigaction action {};
    action.sa_sigaction = function;
    action.sa_flags = SA_SIGINFO | flags;
    sigemptyset(&action.sa_mask);
    sigaction(signal_, &action, &before_);
  }
  ~Handler() { sigaction(signal_, &before_, nullptr); }
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;

 private:
  int signal_;
  struct sigaction before_ {};
};

// A signal blocked for the length of a scope in the calling thread and those it makes, to be
// taken by hand.
class BlockedSignal {
 public:
  explicit BlockedSignal(int signal) : signal_(signal) {
    sigset_t set = only();
    pthread_sigmask(SIG_BLOCK, &set, &before_);
  }
  ~BlockedSignal() {
    while (take_now()) {
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  BlockedSignal(const BlockedSignal&) = delete;
  BlockedSignal& operator=(const BlockedSignal&) = delete;

  // Waits for one to arrive; false when none came for kPatience.
  bool take(siginfo_t* info = nullptr) const { return take_within({kPatience.count(), 0}, info); }
  // Takes one that is pending already.
  bool take_now(siginfo_t* info = nullptr) const { return take_within({0, 0}, info); }

 private:
  sigset_t only() const {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal_);
    return set;
  }
  bool take_within(timespec limit, siginfo_t* info) const {
    const sigset_t set = only();
    int taken;
    while ((taken = sigtimedwait(&set, info, &limit)) < 0 && errno == EINTR) {
    }
    return taken == signal_;
  }

  int signal_;
  sigset_t before_{};
};

// A signal whose arrivals are noted by a handler. For tests with callbacks: a callback's thread
// blocks nothing, so it may be the one to take what every other thread has blocked.
class CaughtSignal {
 public:
  explicit CaughtSignal(int signal) : handler_(signal, &CaughtSignal::note, SA_RESTART) {
    count_ = 0;
    sum_ = 0;
  }
  static int count() { return count_; }
  // Of the values that came with them.
  static int sum() { return sum_; }
  static bool reaches(int count) {
    return eventually([=] { return count_ >= count; });
  }

 private:
  static void note(int, siginfo_t* info, void*) {
    sum_ += info->si_value.sival_int;
    ++count_;
  }
  static inline std::atomic<int> count_{0};
  static inline std::atomic<int> sum_{0};
  Handler handler_;
};

inline sigevent signal_event(int signal, int value = 0) {
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = signal;
  event.sigev_value.sival_int = value;
  return event;
}

inline sigevent callback_event(void (*function)(sigval), void* argument,
                               pthread_attr_t* attributes = nullptr) {
  sigevent event{};
  event.sigev_notify = SIGEV_THREAD;
  event.sigev_notify_function = function;
  event.sigev_value.sival_ptr = argument;
  event.sigev_notify_attributes = attributes;
  return event;
}

// The state letter of a thread of this process as /proc shows it, '?' when it is gone.
inline char thread_state(pid_t id) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/stat", id);
  const int file = ::open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return '?';
  char text[512];
  const ssize_t length = ::read(file, text, sizeof text - 1);
  ::close(file);
  if (length <= 0) return '?';
  text[length] = '\0';
  const char* parenthesis = strrchr(text, ')');
  return parenthesis != nullptr && parenthesis[1] == ' ' ? parenthesis[2] : '?';
}

// A thread whose kernel id is known. `body` may leave by cancellation or pthread_exit.
class Thread {
 public:
  explicit Thread(std::function<void()> body, size_t stack_size = 0) : body_(std::move(body)) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    if (stack_size != 0) pthread_attr_setstacksize(&attributes, stack_size);
    running_ = pthread_create(&handle_, &attributes, &Thread::main, this) == 0;
    pthread_attr_destroy(&attributes);
    EXPECT_TRUE(running_) << "no thread to test with";
    while (running_ && id_.load() == 0) sched_yield();
  }
  ~Thread() { join(); }
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;

  // What the thread ended with.
  void* join() {
    void* result = nullptr;
    if (running_) pthread_join(handle_, &result);
    running_ = false;
    return result;
  }
  pthread_t handle() const { return handle_; }
  pid_t id() const { return id_; }
  bool asleep() const { return thread_state(id_) == 'S'; }

 private:
  static void* main(void* self) {
    auto* thread = static_cast<Thread*>(self);
    thread->id_ = this_thread();
    thread->body_();
    return nullptr;
  }

  std::function<void()> body_;
  pthread_t handle_{};
  std::atomic<pid_t> id_{0};
  bool running_ = false;
};

// Waits until the thread has set `entered`, just before the call that is meant, and sleeps in it.
// A thread may also sleep for a moment on its way there, for a lock: so it is looked at more than
// once.
inline bool asleep_after(const Thread& thread, const std::atomic<bool>& entered) {
  return eventually([&] {
    for (int look = 0; look < 4; ++look) {
      if (!entered || !thread.asleep()) return false;
      usleep(50);
    }
    return true;
  });
}

// Waits until every other thread of the process sleeps: what was submitted has got to where it
// waits. Looked at more than once, as above.
inline bool others_are_asleep() {
  const std::string self = std::to_string(this_thread());
  return eventually([&] {
    for (int look = 0; look < 4; ++look) {
      for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
        const std::string id = task.path().filename();
        if (id != self && thread_state(std::stoi(id)) != 'S') return false;
      }
      usleep(50);
    }
    return true;
  });
}

// Sends the signal to a thread that sleeps, again and again until `returned` is set: the first
// one may arrive before the thread is inside the call that is meant.
inline bool interrupt_until(const Thread& thread, int signal, const std::atomic<bool>& returned) {
  return eventually([&] {
    if (!returned && thread.asleep()) pthread_kill(thread.handle(), signal);
    return returned.load();
  });
}

// An object on a page of its own, so that touching it after give_back() is a crash.
template <class T>
class OwnPage {
 public:
  OwnPage() {
    void* memory = mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(MAP_FAILED, memory);
    object_ = new (memory) T{};
  }
  ~OwnPage() {
    if (object_ != nullptr) munmap(object_, kSize);
  }
  OwnPage(const OwnPage&) = delete;
  OwnPage& operator=(const OwnPage&) = delete;

  T* get() const { return object_; }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }
  // From any thread. The addresses stay taken, so that nothing else appears there.
  void give_back() const { mprotect(object_, kSize, PROT_NONE); }

 private:
  static constexpr size_t kSize = (sizeof(T) + 4095) / 4096 * 4096;
  T* object_ = nullptr;
};

inline timespec milliseconds(long count) { return {count / 1000, count % 1000 * 1000000}; }

// aio_suspend for one request with a null or given timeout.
inline int suspend_for(const struct aiocb& request, const timespec* timeout = nullptr) {
  const struct aiocb* list[1] = {&request};
  return aio_suspend(list, 1, timeout);
}

// Waits for the end of a child process; its wait status. One that does not come to its end is
// killed, which is then the status: its own alarm may find no thread that takes it.
inline int end_of(pid_t child) {
  int status = -1;
  const auto ended = [&] { return waitpid(child, &status, WNOHANG) == child; };
  if (!eventually(ended)) {
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
  }
  return status;
}

// Runs the current test again in a program of its own, where in_role() is true and an end of the
// main thread by pthread_exit meets no handler of gtest's; the wait status.
inline bool in_role() { return getenv("INFLIGHT_TEST_ROLE") != nullptr; }
inline int in_new_program() {
  const testing::TestInfo* test = testing::UnitTest::GetInstance()->current_test_info();
  const std::string filter =
      std::string("--gtest_filter=") + test->test_suite_name() + "." + test->name();
  const pid_t child = fork();
  if (child == 0) {
    setenv("INFLIGHT_TEST_ROLE", "1", 1);
    const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(nowhere, 1);
    execl("/proc/self/exe", "test", filter.c_str(), "--gtest_catch_exceptions=0", nullptr);
    _exit(126);
  }
  return end_of(child);
}

// A descriptor that no open file has.
inline int closed_descriptor() {
  const int number = fcntl(0, F_DUPFD_CLOEXEC, 700);
  ::close(number);
  return number;
}

}  // namespace support
