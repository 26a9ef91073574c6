// The frames of the calling thread's stack: which call's frame holds an object.
#pragma once

#include <cstdint>
#include <tuple>
#include <vector>

namespace check {

// The call of a function in whose frame something lies; all zero for what is not on a stack.
struct Home {
  uintptr_t end = 0;         // where its frame ends, which does not change while it runs
  void* function = nullptr;  // where its code begins
  bool operator==(const Home&) const = default;
  bool operator<(const Home& other) const {
    return std::tie(end, function) < std::tie(other.end, other.function);
  }
  explicit operator bool() const { return end != 0; }
};

// The calls that a thread is inside of.
struct Frames {
  std::vector<Home> homes;   // the innermost first
  uintptr_t begin = 0;       // of the innermost
  void* function = nullptr;  // of the frame whose end the next step tells
};

Frames frames_of_this_thread();

// Whether it lies on the calling thread's stack; not so in a handler that has a stack of its own.
bool is_on_this_stack(const volatile void* address);

// Whose frame holds the address; nobody's, if it is on no stack or below all frames.
Home home_of(const volatile void* address);

inline uintptr_t address_of(const volatile void* memory) {
  return reinterpret_cast<uintptr_t>(const_cast<const void*>(memory));
}

}  // namespace check
