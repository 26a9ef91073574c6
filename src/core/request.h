// A request: everything that one aio_read, aio_write, aio_fsync or list entry needs, copied when
// it is submitted (C2), and the state it is in.
//
// States. Every change is made under the process lock, except that the one thread that owns a
// request in `moving` works on it without the lock.
//
//   free     on the table's free list
//   waiting  linked in its file, not begun: an earlier request of its lane, or the requests before
//            a barrier, come first. May be cancelled.
//   moving   owned by the thread that is starting it or trying to transfer without waiting; that
//            thread has its signals blocked and soon moves it on. Others wait for that.
//   queued   in the pool's queue or the ring's inbox, not begun. May be cancelled.
//   armed    a stream: waits until its file is ready. A read may be cancelled; a write not (C14).
//   running  in the hands of the kernel or of a worker. Ends by itself.
//   settled  its block has the final status; the slot lives on until the notification is delivered
#pragma once

#include <aio.h>
#include <sys/types.h>

#include "base/list.h"
#include "core/block.h"
#include "core/notification.h"

namespace inflight::core {

struct File;
struct Group;
class Turns;
struct WaitLink;

enum class Operation : uint8_t { read, write, fsync, fdatasync };

enum class State : uint8_t { free, waiting, moving, queued, armed, running, settled };

// Who finished it, for the statistics.
enum class Carrier : uint8_t { caller, kaio, ring, stream, pool };

// Where the stream engine has a request.
enum class Place : uint8_t {
  fresh,  // not yet tried
  inbox,  // to be polled
  polled,
  resting,
};

enum class FileKind : uint8_t {
  closed,  // no such descriptor when it was submitted
  disk,    // regular files and block devices: positional, finite
  stream,  // pipes, sockets, terminals, eventfds: ordered, may wait for ever
  other,   // positional by the look of it, but nobody knows: /dev/random, /proc, directories
};

struct Request {
  uint32_t index;
  uint32_t generation;
  Request* next_free;

  aiocb* block;
  void* buffer;
  size_t length;
  size_t done;  // bytes already transferred, when it is carried in several steps
  off_t offset;
  int fd;
  int status_flags;  // F_GETFL when it was submitted
  Operation operation;
  State state;
  FileKind kind;
  Carrier carrier;
  uint8_t priority;  // aio_reqprio: higher waits longer
  bool is_socket;
  bool may_block;    // carried by the pool although it may wait for ever
  bool is_cold;      // a read whose data is not in memory, as was found by trying
  bool takes_turns;  // a buffered write to a regular file: see File::writes
  bool has_turn;     // or waits in `turns`
  bool in_lane;
  bool disowned;
  uint8_t vain;  // how often in a row its file was ready for nothing
  Place place;   // which of the stream engine's queues it is in

  Turns* turns;  // whose it has or waits for, while it is in the pool; or null
  File* file;
  Group* group;
  Link<Request> in_file;
  Link<Request> lane_link;
  Link<Request> queue_link;  // the pool's queue, an inbox, a list of ready requests: one at a time
  WaitLink* first_waiter;
  Notice notice;

  // For those who watch (engine/observe.h): nanoseconds, and the number of its span.
  uint64_t submitted;
  uint64_t started;
  uint32_t span;

  // Its descriptor is closed while a worker is inside its system call: no further one may be made.
  // Set under the lock, read by the worker without it.
  void disown() { std::atomic_ref<bool>(disowned).store(true); }
  bool is_disowned() { return std::atomic_ref<bool>(disowned).load(); }

  Ticket ticket() const { return Ticket{generation} << 32 | index; }
  bool is_transfer() const { return operation == Operation::read || operation == Operation::write; }
  bool is_write() const { return operation == Operation::write; }
  char* next_byte() const { return static_cast<char*>(buffer) + done; }
  size_t left() const { return length - done; }
};

using FileRequests = List<Request, &Request::in_file>;
using LaneRequests = List<Request, &Request::lane_link>;
using RequestQueue = List<Request, &Request::queue_link>;

}  // namespace inflight::core
