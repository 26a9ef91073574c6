#include "ledger.h"

#include <errno.h>
#include <fmt/format.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <unwind.h>

#include <atomic>
#include <cstring>
#include <map>
#include <mutex>

namespace check {

namespace {

enum class State { in_flight, ended, returned };

// The call of a function in whose frame something lies; all zero for what is not on a stack.
struct Home {
  uintptr_t end = 0;         // where its frame ends, which does not change while it runs
  void* function = nullptr;  // where its code begins
  bool operator==(const Home&) const = default;
  explicit operator bool() const { return end != 0; }
};

struct Entry {
  aiocb asked_for;  // as it was submitted
  State state = State::in_flight;
  Stack submitted;
  pid_t thread = 0;
  Home block_home;
  Home buffer_home;
  bool noted = false;  // one finding for each request is enough
};

struct Ledger {
  std::recursive_mutex mutex;
  std::map<const aiocb*, Entry> entries;
};

Ledger& ledger() {
  static Ledger& one = *new Ledger;  // outlives the program's destructors
  return one;
}

std::atomic<long> unreturned{0};  // entries that are not State::returned
thread_local bool inside = false;

// The calling thread's stack.
struct Bounds {
  const char* low = nullptr;
  const char* high = nullptr;
  bool hold(const volatile void* address) const {
    const auto* place = static_cast<const char*>(const_cast<const void*>(address));
    return place >= low && place < high;
  }
};

Bounds bounds_of_this_thread() {
  thread_local Bounds bounds;
  pthread_attr_t attributes;
  if (bounds.high == nullptr && pthread_getattr_np(pthread_self(), &attributes) == 0) {
    void* low = nullptr;
    size_t size = 0;
    pthread_attr_getstack(&attributes, &low, &size);
    pthread_attr_destroy(&attributes);
    bounds.low = static_cast<char*>(low);
    bounds.high = bounds.low + size;
  }
  return bounds;
}

void settle(Entry& entry) {
  if (entry.state != State::returned) unreturned.fetch_sub(1);
  entry.state = State::returned;
}

// Looks whether the request has ended meanwhile. Only while the block's memory is there.
void update(const aiocb& block, Entry& entry) {
  if (entry.state == State::in_flight && status_of(block) != EINPROGRESS)
    entry.state = State::ended;
}

void find_fault(const char* kind, const std::string& what, const aiocb& block, Entry& entry,
                const Stack& found) {
  if (entry.noted) return;
  entry.noted = true;
  report(kind, what, block, entry.submitted, found);
}

const char* changed_member(const aiocb& block, const aiocb& asked_for) {
  if (block.aio_fildes != asked_for.aio_fildes) return "aio_fildes";
  if (block.aio_buf != asked_for.aio_buf) return "aio_buf";
  if (block.aio_nbytes != asked_for.aio_nbytes) return "aio_nbytes";
  if (block.aio_offset != asked_for.aio_offset) return "aio_offset";
  return nullptr;
}

void look_for_changes(const aiocb& block, Entry& entry, const char* call) {
  if (const char* member = changed_member(block, entry.asked_for)) {
    find_fault(
        "changed",
        fmt::format("{} of the block was changed between the submission and {}", member, call),
        block, entry, Stack::here());
  }
}

bool overlap(const volatile void* one, size_t one_length, const void* other, size_t other_length) {
  const auto a = reinterpret_cast<uintptr_t>(one), b = reinterpret_cast<uintptr_t>(other);
  return a < b + other_length && b < a + one_length;
}

// A request in flight that was made from a block with the same contents.
const aiocb* original_of(const aiocb& copy) {
  for (const auto& [block, entry] : ledger().entries) {
    const bool same = changed_member(copy, entry.asked_for) == nullptr;
    if (same && entry.state == State::in_flight) return block;
  }
  return nullptr;
}

struct Search {
  uintptr_t address;
  Home home;
  void* holder = nullptr;  // the function whose frame may hold it, if the next one lies above
};

// libgcc tells of each frame where it begins, the innermost first.
_Unwind_Reason_Code look_at_frame(_Unwind_Context* context, void* argument) {
  Search& search = *static_cast<Search*>(argument);
  const uintptr_t begin = _Unwind_GetCFA(context);
  if (begin > search.address) {
    if (search.holder != nullptr) search.home = {begin, search.holder};
    return _URC_END_OF_STACK;
  }
  search.holder =
      _Unwind_FindEnclosingFunction(reinterpret_cast<void*>(_Unwind_GetIP(context) - 1));
  return _URC_NO_REASON;
}

// Whose frame of the calling thread's stack holds the address; nobody's, if it is on no stack or
// below all frames.
Home home_of(const volatile void* address) {
  if (!bounds_of_this_thread().hold(address)) return {};
  Search search{reinterpret_cast<uintptr_t>(address), {}};
  _Unwind_Backtrace(look_at_frame, &search);
  return search.home;
}

bool is_gone(const Home& home, const volatile void* address) {
  return home && !(home_of(address) == home);
}

// Whether a request whose block or buffer is gone was in progress then. What is left of a block
// says little, as other frames may lie there by now. Without a notification only the functions here
// can have told the program of the end, and then the ledger knows.
bool was_in_progress(const aiocb& block, Entry& entry) {
  if (entry.state != State::in_flight) return false;
  if (entry.asked_for.aio_sigevent.sigev_notify == SIGEV_NONE) return true;
  if (changed_member(block, entry.asked_for) == nullptr) update(block, entry);
  return entry.state == State::in_flight;
}

}  // namespace

Lock::Lock() : taken_(!inside) {
  if (!taken_) return;
  inside = true;
  ledger().mutex.lock();
}

Lock::~Lock() {
  if (!taken_) return;
  ledger().mutex.unlock();
  inside = false;
}

bool nothing_is_open() { return unreturned.load() == 0; }

void submitting(const aiocb& block, const char* call) {
  const auto found = ledger().entries.find(&block);
  if (found != ledger().entries.end()) {
    update(block, found->second);
    if (found->second.state == State::in_flight) {
      find_fault("resubmitted", fmt::format("{} uses a block whose request is in progress", call),
                 block, found->second, Stack::here());
    } else if (found->second.state == State::ended) {
      find_fault("ignored",
                 fmt::format("{} uses a block whose last result was not asked for", call), block,
                 found->second, Stack::here());
    }
    settle(found->second);
  }
  Entry entry;
  entry.asked_for = block;
  entry.submitted = Stack::here();
  entry.thread = static_cast<pid_t>(syscall(SYS_gettid));
  entry.block_home = home_of(&block);
  entry.buffer_home = home_of(block.aio_buf);
  ledger().entries[&block] = entry;
  unreturned.fetch_add(1);
}

void not_submitted(const aiocb& block) {
  const auto found = ledger().entries.find(&block);
  if (found == ledger().entries.end()) return;
  settle(found->second);
  ledger().entries.erase(found);
}

void asked(const aiocb& block, const char* call) {
  const auto found = ledger().entries.find(&block);
  if (found == ledger().entries.end()) {
    if (const aiocb* original = original_of(block)) {
      Entry& entry = ledger().entries[original];
      find_fault("moved", fmt::format("{} is given a copy of a block in progress", call), *original,
                 entry, Stack::here());
    } else {
      report("unknown", fmt::format("{} is given a block that no request was made with", call),
             block, {}, Stack::here());
    }
    return;
  }
  update(block, found->second);
  if (found->second.state != State::returned) look_for_changes(block, found->second, call);
}

void waited_for(const aiocb& block) {
  const auto found = ledger().entries.find(&block);
  if (found != ledger().entries.end()) update(block, found->second);
}

void returned(const aiocb& block, int status) {
  const auto found = ledger().entries.find(&block);
  if (found == ledger().entries.end()) return;
  Entry& entry = found->second;
  if (status == EINPROGRESS) {
    find_fault("early", "aio_return is called before the request has ended", block, entry,
               Stack::here());
  } else if (entry.state == State::returned) {
    find_fault("twice", "aio_return is called a second time for one request", block, entry,
               Stack::here());
  } else {
    settle(entry);
  }
}

void freeing(const void* memory, size_t length, const char* call) {
  auto& entries = ledger().entries;
  for (auto place = entries.begin(); place != entries.end();) {
    const auto [block, entry] = *place;
    const bool has_block = overlap(block, sizeof *block, memory, length);
    const bool has_buffer =
        overlap(entry.asked_for.aio_buf, entry.asked_for.aio_nbytes, memory, length);
    if (entry.state == State::in_flight && (has_block || has_buffer)) {
      update(*block, place->second);
      if (place->second.state == State::in_flight) {
        find_fault("freed",
                   fmt::format("{} releases the {} of a request in progress", call,
                               has_block ? "block" : "buffer"),
                   *block, place->second, Stack::here());
      }
    }
    if (!has_block) {
      ++place;
      continue;
    }
    if (place->second.state == State::ended) {
      find_fault("ignored", fmt::format("{} releases a block whose result was not asked for", call),
                 *block, place->second, Stack::here());
    }
    settle(place->second);
    place = entries.erase(place);
  }
}

void look_at_stack(const char* call) {
  const void* here = __builtin_frame_address(0);
  if (!bounds_of_this_thread().hold(here)) return;  // a handler on a stack of its own
  const auto self = static_cast<pid_t>(syscall(SYS_gettid));
  for (auto& [block, entry] : ledger().entries) {
    if (entry.state != State::in_flight || entry.thread != self) continue;
    const bool block_gone = is_gone(entry.block_home, block);
    if (!block_gone && !is_gone(entry.buffer_home, entry.asked_for.aio_buf)) continue;
    if (!was_in_progress(*block, entry)) continue;
    find_fault(
        "stack",
        fmt::format("the {} of a request in progress was in a function that has returned, as "
                    "seen at {}",
                    block_gone ? "block" : "buffer", call),
        *block, entry, Stack::here());
  }
}

void thread_ends() {
  const auto self = static_cast<pid_t>(syscall(SYS_gettid));
  auto& entries = ledger().entries;
  for (auto place = entries.begin(); place != entries.end();) {
    auto& [block, entry] = *place;
    const bool of_this_stack = entry.thread == self && (entry.block_home || entry.buffer_home);
    if (of_this_stack && was_in_progress(*block, entry)) {
      find_fault("stack",
                 "a thread ends whose stack holds the block or buffer of a request in progress",
                 *block, entry, {});
    }
    if (of_this_stack && entry.block_home) {
      settle(entry);  // its memory is about to go
      place = entries.erase(place);
    } else {
      ++place;
    }
  }
}

void process_ends() {
  for (auto& [block, entry] : ledger().entries) {
    if (entry.state == State::returned) continue;
    update(*block, entry);
    if (entry.state == State::in_flight) {
      find_fault("unfinished", "the program ends without having waited for the request", *block,
                 entry, {});
    } else {
      find_fault("ignored", "the program ends without having asked for the result", *block, entry,
                 {});
    }
  }
  report_repetitions();
}

void child_begins() {
  ledger().entries.clear();
  unreturned.store(0);
}

}  // namespace check
