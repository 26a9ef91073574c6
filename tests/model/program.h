// A random program: what each of a few threads does with AIO, one command after the other. Every
// value of every field means something, so that any program can be shrunk to any smaller one.
#pragma once

#include <rapidcheck.h>

#include <cstdint>
#include <ostream>
#include <vector>

namespace model {

inline constexpr int kThreads = 3;
inline constexpr int kSlots = 8;  // control blocks of a thread

enum class Kind : uint8_t {
  submit,  // a read or a write, by the slot's file
  list,    // up to three slots by lio_listio; mode by `amount`
  synchronize,
  cancel,      // one slot
  cancel_all,  // all of a file
  suspend,     // for up to four slots; the timeout by `amount`
  take,        // waits for a slot and checks its result
  feed,        // bytes for the pipe that is read
  drain,       // bytes from the pipe that is written
  reopen,      // closes a file with whatever is in flight and opens its successor
  fork_child,
  kCount
};

// What a thread has, each its own.
enum class FileRole : uint8_t { cached, direct, append, source, sink, kCount };

struct Command {
  uint8_t thread;
  Kind kind;
  FileRole file;
  uint8_t slot;
  bool write;
  uint8_t block;   // where, in units of 4 KiB
  uint8_t amount;  // how much
  uint8_t notify;  // none, signal, thread
  uint8_t priority;
};

using Program = std::vector<Command>;

inline std::ostream& operator<<(std::ostream& out, const Command& command) {
  static const char* const kinds[] = {"submit",     "list",    "synchronize", "cancel",
                                      "cancel_all", "suspend", "take",        "feed",
                                      "drain",      "reopen",  "fork"};
  static const char* const files[] = {"cached", "direct", "append", "source", "sink"};
  return out << "{thread " << int{command.thread} << ": "
             << kinds[static_cast<size_t>(command.kind)] << " "
             << files[static_cast<size_t>(command.file)] << (command.write ? " write" : " read")
             << " slot " << int{command.slot} << " block " << int{command.block} << " amount "
             << int{command.amount} << " notify " << int{command.notify} << " priority "
             << int{command.priority} << "}";
}

inline void showValue(const Command& command, std::ostream& out) { out << command; }

}  // namespace model

namespace rc {

template <>
struct Arbitrary<model::Command> {
  static Gen<model::Command> arbitrary() {
    using model::Command;
    const auto below = [](int limit) {
      return gen::inRange<uint8_t>(0, static_cast<uint8_t>(limit));
    };
    // Submissions are most of it; the rare ones change everything for those around them.
    const auto kind = gen::weightedElement<model::Kind>({{12, model::Kind::submit},
                                                         {3, model::Kind::list},
                                                         {2, model::Kind::synchronize},
                                                         {3, model::Kind::cancel},
                                                         {1, model::Kind::cancel_all},
                                                         {3, model::Kind::suspend},
                                                         {4, model::Kind::take},
                                                         {4, model::Kind::feed},
                                                         {3, model::Kind::drain},
                                                         {1, model::Kind::reopen},
                                                         {1, model::Kind::fork_child}});
    return gen::build<Command>(
        gen::set(&Command::thread, below(model::kThreads)), gen::set(&Command::kind, kind),
        gen::set(&Command::file,
                 gen::map(below(5), [](uint8_t n) { return static_cast<model::FileRole>(n); })),
        gen::set(&Command::slot, below(model::kSlots)), gen::set(&Command::write),
        gen::set(&Command::block, below(16)), gen::set(&Command::amount),
        gen::set(&Command::notify, below(3)), gen::set(&Command::priority, below(21)));
  }
};

}  // namespace rc
