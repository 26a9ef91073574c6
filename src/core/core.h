// The requests of the process: who is outstanding, on which file, who waits for them.
//
// One Core exists, in memory that a fork wipes (runtime/state.h). `lock` guards everything in it
// but the atomics. Functions that say so are called with the lock held; they make no system call
// but for memory, and report what must happen once the lock is released in an Effects.
#pragma once

#include <atomic>

#include "core/file.h"
#include "core/group.h"
#include "core/slab.h"
#include "core/waiter.h"
#include "sys/lock.h"

namespace inflight::core {

// What a change under the lock has caused and the caller must carry out after releasing it
// (engine/dispatch.h): threads to wake, notifications to send, requests to start.
struct Effects {
  static constexpr int kWakes = 8;
  const sys::FutexWord* wakes[kWakes] = {};
  int wake_count = 0;
  int workers = 0;      // idle workers of the pool to wake
  int notifiers = 0;    // idle notification threads to wake
  bool spawn = false;   // a helper thread is wanted
  bool nudge = false;   // the stream thread has news
  bool submit = false;  // the kernel AIO engine holds requests that are to be submitted
  NoticeList notices{};
  RequestQueue ready{};
  void wake(const sys::FutexWord& word);
};

struct Core {
  static constexpr size_t kBuckets = 4096;

  sys::Lock lock;
  // Requests in some file, read without the lock by the close family.
  std::atomic<uint32_t> outstanding;
  Slab<Request, 1024, 65536> requests;
  Slab<File, 256, 65536> files;
  Slab<Group, 256, 65536> groups;
  Slab<AttributesCopy, 64, 65536> attributes;
  File* buckets[kBuckets];
};

// All below: lock held.

// The request that the block stands for, or null when that one has finished.
Request* find(Core& core, const aiocb& block);
Request* find(Core& core, Ticket ticket);

// The file of that key, or null while no request is on it.
File* find_file(const Core& core, const FileKey& key);

// Links a filled-in request into the file of that key, State::waiting. False: memory exhausted.
bool enroll(Core& core, Request& request, const FileKey& key);

// Takes back an enrolment under the same hold of the lock.
void withdraw(Core& core, Request& request);

// Ends a request that is in no queue: its block gets the status, waiters fire, its file moves on.
// A notification is collected in `effects`; without one the slot is free afterwards.
void finish(Core& core, Request& request, int error, ssize_t result, Effects& effects);

// The notification has been carried out: frees its owner and moves its group on.
void delivered(Core& core, Notice& notice, Effects& effects);

// A request that is nothing but a notice: no block, no file. Null when memory is exhausted.
Request* take_notice(Core& core, const Notification& notification);

// A group with the submitting call's own references, or null when memory is exhausted.
Group* open_group(Core& core, const Notification& notification, bool is_awaited);
void release_undelivered(Core& core, Group& group, Effects& effects);

void release_request(Core& core, Request& request);

}  // namespace inflight::core
