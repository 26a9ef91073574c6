// What is found goes, a line of JSON each, to the file that INFLIGHT_CHECK_LOG names. The same
// finding from the same place is written once, and counted.
#pragma once

#include <aio.h>

#include <string>

namespace check {

// Where a call came from: return addresses, the innermost first.
struct Stack {
  static constexpr int kMost = 24;
  void* frames[kMost];
  int depth = 0;

  // Of the caller of the interposed function.
  static Stack here();
  bool operator==(const Stack& other) const;
};

// `what` is one sentence about the request of `block`, which `submitted` made and `found` is wrong
// about; either may be empty. Called with the ledger locked.
void report(const char* kind, const std::string& what, const aiocb& block, const Stack& submitted,
            const Stack& found);

// Writes how often each finding came again. At the end of the process.
void report_repetitions();

}  // namespace check
