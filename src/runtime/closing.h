// The close family (C22): what must happen around a call that frees descriptor numbers.
#pragma once

#include "engine/process.h"

namespace inflight::runtime {

// False before the process's first request: then there is nothing to stand around, and a program
// that uses no asynchronous I/O pays for this look only.
inline bool is_in_use() {
  return engine::process_pointer.load(std::memory_order_acquire) != nullptr;
}

// Stands around a call that closes the descriptors from first to last. Before it: requests on
// disk files are waited for, so that what the program wrote is written; those on streams are
// stopped, for they may wait for ever, and one that has begun to write ends with the bytes that
// it wrote. Submissions meanwhile wait (core/closing.h).
//
// Costs a mark and its removal, two uncontended atomic operations, while nothing is outstanding:
// a submission may be under way that has examined the descriptor and is not counted yet.
// Async-signal-safe, and undone if the thread is cancelled in the call.
class ClosingScope {
 public:
  ClosingScope(uint32_t first, uint32_t last);
  ~ClosingScope();
  ClosingScope(const ClosingScope&) = delete;
  ClosingScope& operator=(const ClosingScope&) = delete;

 private:
  static void abandoned(void* self) { static_cast<ClosingScope*>(self)->end(); }
  void settle_requests() const;
  void end();

  engine::Process* process_;  // null: no request was ever made
  uint32_t first_;
  uint32_t last_;
  int mark_ = 0;
  sys::CleanupScope cleanup_;
};

}  // namespace inflight::runtime
