// A system call hook for tests: rules that make chosen calls of the library fail, come short or be
// interrupted, and a count of how often they did. Everything else goes to the kernel.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "sys/call.h"

namespace faults {

struct Rule {
  long number;                        // SYS_...
  long answer = 0;                    // what the call gives instead: a negative errno
  int times = 1 << 30;                // how often, then the kernel answers again
  int after = 0;                      // calls let through first
  int every = 1;                      // only every so many-th call
  bool shorten = false;               // instead of an answer: the length (third argument) is halved
  long operation = -1;                // only calls with this second argument
  std::function<void()> before = {};  // done first, then the kernel is asked
  std::function<void()> afterwards = {};  // done between the kernel's answer and the library
  int seen = 0;
};

inline std::mutex mutex;
inline std::vector<Rule> rules;
inline std::atomic<long> injected{0};

enum class Fate { pass, shorten, answer, meanwhile };

inline Fate decide(long number, long operation, Rule& matched) {
  const std::lock_guard<std::mutex> guard(mutex);
  for (Rule& rule : rules) {
    if (rule.number != number || rule.times == 0) continue;
    if (rule.operation != -1 && rule.operation != operation) continue;
    if (rule.after > 0) {
      --rule.after;
      continue;
    }
    if (++rule.seen % rule.every != 0) continue;
    --rule.times;
    ++injected;
    matched = rule;
    if (rule.before || rule.afterwards) return Fate::meanwhile;
    return rule.shorten ? Fate::shorten : Fate::answer;
  }
  return Fate::pass;
}

// The calls made so far, by number.
inline std::array<std::atomic<bool>, 512> made{};

inline long hook(long number, const long (&arguments)[6]) {
  Rule rule{number};
  if (number >= 0 && number < static_cast<long>(made.size())) {
    made[static_cast<size_t>(number)].store(true, std::memory_order_relaxed);
  }
  switch (decide(number, arguments[1], rule)) {
    case Fate::answer:
      return rule.answer;
    case Fate::meanwhile: {
      if (rule.before) rule.before();
      const long answer = inflight::sys::raw_call(number, arguments);
      if (rule.afterwards) rule.afterwards();
      return answer;
    }
    case Fate::pass:
      break;
    case Fate::shorten:
      const long changed[6] = {arguments[0], arguments[1], (arguments[2] + 1) / 2,
                               arguments[3], arguments[4], arguments[5]};
      return inflight::sys::raw_call(number, changed);
  }
  return inflight::sys::raw_call(number, arguments);
}

// Sets rules for a scope. Whatever the library started before keeps its threads.
class Scope {
 public:
  explicit Scope(std::vector<Rule> wanted) {
    const std::lock_guard<std::mutex> guard(mutex);
    rules = std::move(wanted);
    injected = 0;
    // Not written again once it is there: threads of the library read it.
    if (inflight::sys::call_hook != hook) inflight::sys::call_hook = hook;
  }
  ~Scope() {
    // The hook stays: a helper thread may be inside it. Without rules it changes nothing.
    const std::lock_guard<std::mutex> guard(mutex);
    rules.clear();
  }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
};

}  // namespace faults
