// Counting notifications: one for every request that asks for one, no more (C15). A request's
// number is its sigev_value; its count is in memory that outlives every block.
#pragma once

#include <aio.h>
#include <signal.h>

#include <array>
#include <atomic>

namespace model {

class Notices {
 public:
  static constexpr int kMost = 4096;

  // Makes `event` tell under a new number, which is returned; -1 when the kind is none.
  static int ask(sigevent& event, int kind) {
    event = {};
    event.sigev_notify = SIGEV_NONE;
    if (kind == 0 || next_ >= kMost) return -1;
#if defined(__SANITIZE_THREAD__)
    kind = 2;  // the sanitizer keeps one pending signal of each number
#endif
    const int number = next_++;
    event.sigev_value.sival_int = number;
    if (kind == 1) {
      event.sigev_notify = SIGEV_SIGNAL;
      event.sigev_signo = signal_number();
    } else {
      event.sigev_notify = SIGEV_THREAD;
      event.sigev_notify_function = [](sigval value) { ++counts_[at(value.sival_int)]; };
      event.sigev_notify_attributes = nullptr;
    }
    return number;
  }

  static int signal_number() { return SIGRTMIN + 5; }
  static void install() {
    struct sigaction action {};
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    action.sa_sigaction = [](int, siginfo_t* info, void*) {
      if (info->si_code == SI_ASYNCIO) ++counts_[at(info->si_value.sival_int)];
    };
    sigaction(signal_number(), &action, nullptr);
  }

  static int count(int number) { return counts_[at(number)]; }
  static int asked() { return next_; }

 private:
  static size_t at(int number) { return static_cast<size_t>(number); }
  static inline std::array<std::atomic<int>, kMost> counts_{};
  static inline std::atomic<int> next_{0};
};

}  // namespace model
