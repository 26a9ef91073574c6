#include "ledger.h"

#include <errno.h>
#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <mutex>
#include <set>

#include "frames.h"

namespace check {

namespace {

enum class State { in_flight, ended, returned };

struct Entry {
  aiocb asked_for;  // as it was submitted
  State state = State::in_flight;
  Stack submitted;
  pid_t thread = 0;
  Home block_home;
  Home buffer_home;
  bool noted = false;  // one finding for each request is enough
  bool told = false;   // the program knows that it has ended, and may change the block
};

// A thread's call whose frame holds blocks or buffers.
struct Holder {
  pid_t thread;
  Home home;
  bool operator<(const Holder& other) const {
    return std::tie(thread, home) < std::tie(other.thread, other.home);
  }
};

struct Ledger {
  std::recursive_mutex mutex;
  std::map<const aiocb*, Entry> entries;
  // So that no call here has to look at all entries: those by what holds them, and by where their
  // buffers begin. An entry leaves these when its result has been asked for.
  std::map<Holder, std::set<const aiocb*>> held;
  std::multimap<uintptr_t, const aiocb*> buffers;
  size_t longest_buffer = 0;
};

Ledger& ledger() {
  static Ledger& one = *new Ledger;  // outlives the program's destructors
  return one;
}

std::atomic<long> unreturned{0};  // entries that are not State::returned
thread_local bool inside = false;

void enter(const aiocb* block, const Entry& entry) {
  Ledger& all = ledger();
  for (const Home& home : {entry.block_home, entry.buffer_home}) {
    if (home) all.held[{entry.thread, home}].insert(block);
  }
  all.buffers.emplace(address_of(entry.asked_for.aio_buf), block);
  all.longest_buffer = std::max(all.longest_buffer, entry.asked_for.aio_nbytes);
  unreturned.fetch_add(1);
}

void settle(const aiocb* block, Entry& entry) {
  if (entry.state == State::returned) return;
  entry.state = State::returned;
  unreturned.fetch_sub(1);
  Ledger& all = ledger();
  for (const Home& home : {entry.block_home, entry.buffer_home}) {
    const auto holder = all.held.find({entry.thread, home});
    if (holder == all.held.end()) continue;
    holder->second.erase(block);
    if (holder->second.empty()) all.held.erase(holder);
  }
  const auto [begin, end] = all.buffers.equal_range(address_of(entry.asked_for.aio_buf));
  for (auto place = begin; place != end; ++place) {
    if (place->second != block) continue;
    all.buffers.erase(place);
    return;
  }
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

// A request in flight that was made from a block with the same contents.
const aiocb* original_of(const aiocb& copy) {
  for (const auto& [block, entry] : ledger().entries) {
    const bool same = changed_member(copy, entry.asked_for) == nullptr;
    if (same && entry.state == State::in_flight) return block;
  }
  return nullptr;
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
    settle(&block, found->second);
  }
  Entry entry;
  entry.asked_for = block;
  entry.submitted = Stack::here();
  entry.thread = static_cast<pid_t>(syscall(SYS_gettid));
  entry.block_home = home_of(&block);
  entry.buffer_home = home_of(block.aio_buf);
  ledger().entries[&block] = entry;
  enter(&block, entry);
}

void not_submitted(const aiocb& block) {
  const auto found = ledger().entries.find(&block);
  if (found == ledger().entries.end()) return;
  settle(&block, found->second);
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
  Entry& entry = found->second;
  update(block, entry);
  // Who is notified of the end may have learnt of it from that, unseen here.
  const bool may_know = entry.told || entry.asked_for.aio_sigevent.sigev_notify != SIGEV_NONE;
  if (entry.state == State::in_flight || (entry.state == State::ended && !may_know)) {
    look_for_changes(block, entry, call);
  }
  if (entry.state == State::ended) entry.told = true;
}

void waited_for(const aiocb& block) {
  const auto found = ledger().entries.find(&block);
  if (found == ledger().entries.end()) return;
  update(block, found->second);
  if (found->second.state == State::ended) found->second.told = true;
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
    settle(&block, entry);
  }
}

void freeing(const void* memory, size_t length, const char* call) {
  const auto release = [call](const aiocb* block, const char* part) {
    Entry& entry = ledger().entries.at(block);
    if (entry.state == State::in_flight) update(*block, entry);
    if (entry.state != State::in_flight) return;
    find_fault("freed", fmt::format("{} releases the {} of a request in progress", call, part),
               *block, entry, Stack::here());
  };
  auto& entries = ledger().entries;
  const uintptr_t begin = address_of(memory), end = begin + length;
  // Those that may reach into it from below begin no more than the longest buffer before it.
  const uintptr_t lowest = begin - std::min(begin, ledger().longest_buffer);
  const auto& buffers = ledger().buffers;
  for (auto place = buffers.lower_bound(lowest); place != buffers.end() && place->first < end;) {
    const auto [address, block] = *place++;
    if (address + entries.at(block).asked_for.aio_nbytes > begin) release(block, "buffer");
  }
  const auto* const first = reinterpret_cast<const aiocb*>(begin - std::min(begin, sizeof(aiocb)));
  for (auto place = entries.upper_bound(first); place != entries.end();) {
    const aiocb* const block = place->first;
    if (address_of(block) >= end) break;
    release(block, "block");
    if (place->second.state == State::ended) {
      find_fault("ignored", fmt::format("{} releases a block whose result was not asked for", call),
                 *block, place->second, Stack::here());
    }
    settle(block, place->second);
    place = entries.erase(place);
  }
}

void look_at_stack(const char* call) {
  const void* here = __builtin_frame_address(0);
  if (!is_on_this_stack(here)) return;  // a handler on a stack of its own
  const auto self = static_cast<pid_t>(syscall(SYS_gettid));
  auto& held = ledger().held;
  auto place = held.lower_bound({self, {}});
  if (place == held.end() || place->first.thread != self) return;
  const Frames frames = frames_of_this_thread();
  for (; place != held.end() && place->first.thread == self; ++place) {
    const Home& home = place->first.home;
    if (std::find(frames.homes.begin(), frames.homes.end(), home) != frames.homes.end()) continue;
    for (const aiocb* block : place->second) {
      Entry& entry = ledger().entries.at(block);
      if (!was_in_progress(*block, entry)) continue;
      find_fault(
          "stack",
          fmt::format("the {} of a request in progress was in a function that has returned, as "
                      "seen at {}",
                      entry.block_home == home ? "block" : "buffer", call),
          *block, entry, Stack::here());
    }
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
      settle(block, entry);  // its memory is about to go
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
  ledger().held.clear();
  ledger().buffers.clear();
  unreturned.store(0);
}

}  // namespace check
