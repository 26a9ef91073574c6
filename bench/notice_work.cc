// The least that a notification costs: the program reads, and tells itself. No implementation of
// POSIX AIO can be faster by these means.
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

#include "work.h"

namespace bench {
namespace {

std::atomic<uint64_t> told{0};

// A queued signal, as SIGEV_SIGNAL wants it.
void send_signal() {
  static const pid_t self = getpid();
  siginfo_t info{};
  info.si_signo = SIGUSR1;
  info.si_code = SI_ASYNCIO;
  info.si_pid = self;
  if (syscall(SYS_rt_sigqueueinfo, self, SIGUSR1, &info) != 0) fail("rt_sigqueueinfo");
}

// A thread that is kept, and is never asked whether it still looks new.
class Caller {
 public:
  ~Caller() {
    call(nullptr);
    thread_.join();
  }
  void call(void (*function)()) {
    const std::lock_guard guard(mutex_);
    queue_.push_back(function);
    if (queue_.size() == 1) called_.notify_one();
  }

 private:
  void run() {
    for (;;) {
      std::unique_lock guard(mutex_);
      called_.wait(guard, [this] { return !queue_.empty(); });
      void (*const function)() = queue_.front();
      queue_.pop_front();
      guard.unlock();
      if (function == nullptr) return;
      function();
    }
  }

  std::mutex mutex_;
  std::condition_variable called_;
  std::deque<void (*)()> queue_;
  std::thread thread_{[this] { run(); }};
};

}  // namespace

uint64_t work_with_notices(const Work& work, int file, Course course) {
  const std::unique_ptr<char, decltype(&free)> memory(
      static_cast<char*>(aligned_alloc(4096, work.block)), free);
  memset(memory.get(), 'b', work.block);
  signal(SIGUSR1, [](int) { ++told; });
  Caller caller;
  uint64_t done = 0;
  while (!course.over()) {
    if (pread(file, memory.get(), work.block, course.next()) != static_cast<ssize_t>(work.block)) {
      fail("a short transfer");
    }
    ++done;
    if (work.notice == Notice::signal) {
      send_signal();
    } else {
      caller.call([] { ++told; });
    }
  }
  return done;
}

}  // namespace bench
