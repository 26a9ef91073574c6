// Making another thread's calls instruction by instruction, with a signal before each that lies in
// the library: the tracing side, and the marks by which the traced child tells where it is.
//
// Header only; the child is forked by the test and asks to be traced (PTRACE_TRACEME). Only its
// calling thread is traced, not the library's own threads.
#pragma once

#include <dlfcn.h>
#include <link.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <atomic>
#include <unordered_set>
#include <utility>

#include "support/support.h"

namespace support {

// The places at which the child stops by a breakpoint instruction.
enum class Place : int { none, begin, end, handled };

struct Shared {
  std::atomic<Place> place;
  std::atomic<int> wrong;  // the line of the first check that did not hold
  std::atomic<int> handled;
};

inline Shared* shared = nullptr;  // in memory that both sides share

inline void tell(Place place) {
  shared->place = place;
  asm volatile("int3" ::: "memory");
}

struct Text {
  uintptr_t first = 0, last = 0;
};

// The code of the object that serves aio_read.
inline Text text_of_library() {
  Text text;
  dl_iterate_phdr(
      [](dl_phdr_info* object, size_t, void* result) {
        const auto inside = reinterpret_cast<uintptr_t>(dlsym(RTLD_DEFAULT, "aio_read"));
        for (int i = 0; i < object->dlpi_phnum; ++i) {
          const auto& part = object->dlpi_phdr[i];
          const uintptr_t first = object->dlpi_addr + part.p_vaddr;
          if (part.p_type != PT_LOAD || (part.p_flags & PF_X) == 0) continue;
          if (inside < first || inside >= first + part.p_memsz) continue;
          *static_cast<Text*>(result) = {first, first + part.p_memsz};
        }
        return 0;
      },
      &text);
  return text;
}

class Tracer {
 public:
  Tracer(pid_t child, Text text) : child_(child), text_(text) {}

  // Before every `stride`th instruction in the library, from the `offset`th on, a signal; with
  // `once`, before the `offset`th only, where loops do not count again.
  void trace(int offset, int stride, bool once) {
    offset_ = offset;
    stride_ = stride;
    once_ = once;
    while (next_stop()) {
      if (stopped_by_ != SIGTRAP) {
        resume(PTRACE_CONT, stopped_by_ == SIGSTOP ? 0 : stopped_by_);
      } else if (is_marker()) {
        at_marker(shared->place.exchange(Place::none));
      } else {
        at_step();
      }
    }
  }

  int status() const { return status_; }
  int seen() const { return seen_; }  // instructions in the library
  int signals() const { return signals_; }

 private:
  bool next_stop() {
    if (waitpid(child_, &status_, 0) != child_ || !WIFSTOPPED(status_)) return false;
    stopped_by_ = WSTOPSIG(status_);
    return true;
  }

  bool is_marker() const {
    siginfo_t info{};
    ptrace(PTRACE_GETSIGINFO, child_, nullptr, &info);
    return info.si_code == SI_KERNEL;
  }

  void at_marker(Place place) {
    stepping_ = place == Place::begin || (place == Place::handled && stepping_);
    resume(stepping_ ? PTRACE_SINGLESTEP : PTRACE_CONT, 0);
  }

  void at_step() {
    const auto at = static_cast<uintptr_t>(
        ptrace(PTRACE_PEEKUSER, child_, offsetof(user_regs_struct, rip), nullptr));
    if (at < text_.first || at >= text_.last) return resume(PTRACE_SINGLESTEP, 0);
    // Back from the handler, the same instruction is still to be made.
    if (at == std::exchange(interrupted_at_, 0)) return resume(PTRACE_SINGLESTEP, 0);
    if (once_ && !visited_.insert(at).second) return resume(PTRACE_SINGLESTEP, 0);
    const int number = seen_++;
    const bool chosen = once_ ? number == offset_ : number % stride_ == offset_ % stride_;
    if (!chosen) return resume(PTRACE_SINGLESTEP, 0);
    ++signals_;
    interrupted_at_ = at;
    resume(PTRACE_CONT, SIGUSR1);  // to the handler's end, at once or when the signal is open
  }

  void resume(__ptrace_request how, int signal) const { ptrace(how, child_, nullptr, signal); }

  const pid_t child_;
  const Text text_;
  int offset_ = 0, stride_ = 1;
  uintptr_t interrupted_at_ = 0;
  std::unordered_set<uintptr_t> visited_;
  bool once_ = false, stepping_ = false;
  int status_ = 0, stopped_by_ = 0, seen_ = 0, signals_ = 0;
};

}  // namespace support
