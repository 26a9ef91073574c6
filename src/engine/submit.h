// From the program's aiocb to a request.
#pragma once

#include "core/core.h"
#include "engine/process.h"

namespace inflight::engine {

// What a descriptor is, asked of the kernel once per submission (once per run of equal
// descriptors in a list).
struct Target {
  int fd;
  int status_flags;
  core::FileKind kind;
  bool is_socket;
  bool is_regular;
  bool is_cold;   // the caller tried to read inline, and could not
  bool may_wait;  // a regular file that may not be one of a disk
  core::FileKey key;
  uint32_t closes;  // Closing::count() from before it was asked
};

// `operation` decides how an unusual file is probed. A closed descriptor is FileKind::closed.
Target examine(const Process& process, int fd, core::Operation operation);

// Not an errno: a handler has forked since the library was started, and this is the child, where it
// has to be started anew.
inline constexpr int kForked = -1;

// aio_read, aio_write and aio_fsync after their own checks. 0, an errno or kForked; then nothing
// was queued. Async-signal-safe.
int submit(Process& process, aiocb& block, core::Operation operation);

// True if the entry is a read that the caller could answer at once: nothing else has to be done
// for it. Async-signal-safe.
bool submit_inline(Process& process, aiocb& block);

// One entry of a list, with signals blocked by the caller, who carries out the effects. `target`
// is what the previous entry found. An entry that cannot be queued gets its status all the same
// (C12); EAGAIN: memory is exhausted, else 0.
int submit_entry(Process& process, aiocb& block, core::Group& group, Target& target,
                 core::Effects& effects);

}  // namespace inflight::engine
