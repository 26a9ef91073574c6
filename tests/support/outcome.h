// How a request ended, as one value to compare: with what the rule says, or with what pread, write
// and the like answer when the test makes the same call itself.
#pragma once

#include <memory>
#include <ostream>

#include "support/support.h"

namespace support {

struct Outcome {
  int status = 0;      // aio_error's, or the errno of the call that was compared
  ssize_t result = 0;  // aio_return's

  bool operator==(const Outcome&) const = default;
};

inline std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  return out << "{" << (outcome.status == 0 ? "ok" : strerrorname_np(outcome.status)) << ", "
             << outcome.result << "}";
}

inline Outcome failed(int error) { return {error, -1}; }
inline Outcome count(ssize_t bytes) { return {0, bytes}; }

// What an ordinary call gave; it must be the expression's last use of errno.
inline Outcome of_call(ssize_t result) { return result < 0 ? failed(errno) : count(result); }

inline Outcome outcome_of(struct aiocb& request) {
  const int status = wait_for(request);
  return {status, aio_return(&request)};
}

using Submit = int (*)(struct aiocb*);

inline int sync_all(struct aiocb* request) { return aio_fsync(O_SYNC, request); }
inline int sync_data(struct aiocb* request) { return aio_fsync(O_DSYNC, request); }

// Submits a request, which must be accepted, and waits for its end.
inline Outcome run(Submit submit, const struct aiocb& request) {
  auto copy = std::make_unique<struct aiocb>(request);
  if (submit(copy.get()) != 0) {
    ADD_FAILURE() << "the call itself failed: " << strerror(errno);
    return failed(errno);
  }
  const Outcome outcome = outcome_of(*copy);
  // One that never ends may still write to its block.
  if (aio_error(copy.get()) == EINPROGRESS) copy.release();
  return outcome;
}

}  // namespace support
