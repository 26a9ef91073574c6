// Moving bytes of a stream without waiting. Works on a request in State::moving, on the thread
// that owns it, whose signals are blocked (so a SIGPIPE of a pipe write stays with that thread;
// the caller's own thread never writes to a pipe here).
#include <errno.h>

#include "engine/streams.h"

namespace inflight::engine {
namespace {

using core::Request;

constexpr int kRounds = 16;  // then others get their turn

long attempt(const Request& request) {
  const int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
  if (request.is_write()) {
    return request.is_socket
               ? sys::send(request.fd, request.next_byte(), request.left(), flags)
               : sys::write_without_waiting(request.fd, request.next_byte(), request.left(), -1);
  }
  // read(2) of nothing is nothing, while recv(2) of nothing waits for a message.
  if (request.is_socket && request.left() == 0) return 0;
  return request.is_socket
             ? sys::receive(request.fd, request.next_byte(), request.left(), MSG_DONTWAIT)
             : sys::read_without_waiting(request.fd, request.next_byte(), request.left(), -1);
}

bool cannot_say(const Request& request, long result) {
  return !request.is_socket && (result == -EOPNOTSUPP || result == -ENOSYS);
}

}  // namespace

Step transfer_without_waiting(Request& request, long& result) {
  const bool blocking = (request.status_flags & O_NONBLOCK) == 0;
  for (int round = 0; round < kRounds;) {
    result = attempt(request);
    if (result == -EINTR) continue;
    if (cannot_say(request, result)) return Step::impossible;
    if (result == -EAGAIN && blocking) return Step::waits;
    if (result < 0) {
      if (request.done > 0) result = static_cast<long>(request.done);
      return Step::ended;
    }
    request.done += static_cast<size_t>(result);
    result = static_cast<long>(request.done);
    if (!request.is_write() || request.left() == 0 || !blocking) return Step::ended;
    ++round;
  }
  return Step::waits;
}

}  // namespace inflight::engine
