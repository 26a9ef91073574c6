// Runs one thread's part of a program against the library, and holds every answer against what the
// contract permits.
#pragma once

#include <aio.h>

#include <array>
#include <atomic>
#include <string>

#include "model/program.h"
#include "model/stream_log.h"
#include "support/support.h"

namespace model {

// Says what was wrong and ends the process: the parent reports it, and shrinks the program.
[[noreturn]] void wrong(const std::string& what);

class Executor {
 public:
  Executor();

  void run(const Command& command);
  // Brings every request to its end, and checks the files and the streams as wholes.
  void finish();

 private:
  static constexpr size_t kBlock = 4096;
  static constexpr size_t kBlocks = 16;

  enum class Use : uint8_t { idle, read, write, synchronize };
  enum class May : uint8_t { not_cancelled, cancelled, must_be_cancelled };

  struct Slot {
    struct aiocb block {};
    char* buffer = nullptr;  // kBlock * 2, aligned
    Use use = Use::idle;
    FileRole file = FileRole::cached;
    May may = May::not_cancelled;
    size_t first = 0, count = 0;  // blocks of a positional request
    size_t piece = 0;             // of a lane
    int notice = -1;
  };

  int descriptor(FileRole file) const;
  void open_file(FileRole file);
  void prepare(const Command& command, Slot& slot);
  void prepare_positional(const Command& command, Slot& slot);
  void prepare_stream(const Command& command, Slot& slot);
  void await_overlapping(const Slot& wanted, bool write);
  Slot& idle_slot(unsigned number);

  void submit(const Command& command);
  void submit_list(const Command& command);
  void synchronize(const Command& command);
  void cancel(const Command& command);
  void cancel_all(const Command& command);
  void suspend(const Command& command);
  void feed(size_t count);
  void drain(size_t count);
  void reopen(FileRole file);
  static void fork_child();

  void take(Slot& slot);
  void take_all(FileRole file);
  void check(Slot& slot, int status, ssize_t result);
  void check_read(Slot& slot, ssize_t result);
  void check_write(Slot& slot, ssize_t result);
  void check_file(FileRole file) const;
  static void check_content(int descriptor, const std::string& content);
  void check_append();
  void check_source();
  void check_sink();

  std::array<Slot, kSlots> slots_;
  std::array<support::Descriptor, 3> files_;  // cached, direct, append
  std::array<std::string, 2> content_;        // what cached and direct hold
  support::Descriptor source_reader_, source_writer_, sink_reader_, sink_writer_;
  Lane source_, sink_, appended_;
  uint64_t fed_ = 0;         // bytes of the sequence that went into the source
  uint64_t sink_place_ = 0;  // of the sequence that the next write to the sink takes
  std::string drained_;      // what came out of the sink
  unsigned writes_ = 0;
};

}  // namespace model
