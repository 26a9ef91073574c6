// A thread that waits until a request of a list has finished, or a whole group.
#pragma once

#include "engine/process.h"

namespace inflight::runtime {

// Owns the links by which requests know the waiter. Unlinks them at the end of its scope and when
// the thread is cancelled or a handler jumps out of the wait (C17).
class Wait {
 public:
  // `epoch` is the process's at the beginning of the call that waits.
  Wait(engine::Process& process, uint32_t epoch, core::WaitLink* links)
      : process_(process), epoch_(epoch), links_(links), cleanup_(abandoned, this) {}
  ~Wait() { unlink(); }
  Wait(const Wait&) = delete;
  Wait& operator=(const Wait&) = delete;

  // Lock held, as often as there is room at `links`: a list that a completion fires, or a block
  // that says EINPROGRESS and yet has no request. Such a block must be looked at again.
  void watch(core::WaitLink*& head);
  void watch_unknown(const aiocb& block);

  // Looks again at the unknown blocks; true if one has finished. Those that have a request by now
  // are watched.
  bool look_again();

  bool knows_all() const { return unknown_ == 0; }

  // Sleeps until one of them has finished: 0, -EINTR or -ETIMEDOUT. A cancellation point. In a
  // child that a handler has forked since the call began, where none of them exists: -EINTR.
  int sleep(const timespec* deadline);

  // The same, and neither a handler nor cancellation ends it.
  void sleep_through(const timespec* deadline);

 private:
  static void abandoned(void* self);
  sys::Expected here() const { return {process_.epoch, epoch_}; }
  sys::Expected not_fired() const { return {waiter_.fired, 0}; }
  bool fired() const { return waiter_.fired.load(std::memory_order_acquire) != 0; }
  void unlink();

  engine::Process& process_;
  const uint32_t epoch_;
  core::WaitLink* links_;
  size_t count_ = 0;
  size_t unknown_ = 0;
  core::Waiter waiter_{};
  sys::CancelType cancel_type_{};
  sys::CleanupScope cleanup_;  // last: it must not be undone before the links are
};

}  // namespace inflight::runtime
