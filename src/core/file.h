// What orders requests on one file (C9, C10).
//
// A File exists while requests on it do. Regular files, block devices, FIFOs and sockets are known
// by device and inode, so that two descriptors of one file share their order; every other kind
// (eventfds share one inode, pseudo-terminal masters too) is known by its descriptor number.
//
// All requests are in `all`, in call order: an fsync may begin when it is the first there. A lane
// holds those that are served one after the other: the reads of a stream, the writes of a stream,
// the O_APPEND writes of a file. Guarded by the process lock.
#pragma once

#include "core/turns.h"

namespace inflight::core {

struct FileKey {
  uint64_t device;
  uint64_t inode;  // or the descriptor number, with device ~0
  bool operator==(const FileKey& other) const {
    return device == other.device && inode == other.inode;
  }
};

struct File {
  uint32_t index;
  File* next_free;
  FileKey key;
  File* next_in_bucket;
  FileRequests all;
  LaneRequests lanes[2];  // reads, writes
  Turns writes;  // in the pool, of a regular file and buffered: the kernel makes one at a time
  uint32_t in_kernel;  // requests that the kernel AIO engine has submitted
};

// True for a request that waits for its turn in a lane.
bool needs_lane(const Request& request);
inline LaneRequests& lane_of(File& file, const Request& request) {
  return file.lanes[request.is_write() ? 1 : 0];
}

// True when nothing that was queued before keeps it from starting.
bool may_start(const Request& request);

// Takes the request out of its file and collects what may start because of that; those are moved
// to State::moving and now belong to the caller.
void leave_file(Request& request, RequestQueue& ready);

}  // namespace inflight::core
