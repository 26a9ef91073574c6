// Threads, and the calling thread as a target of cancellation.
#pragma once

#include <pthread.h>
#include <sched.h>

#include "sys/lock.h"

namespace inflight::sys {

// What a pthread_attr_t says, by value: the program may destroy its object before the thread that
// it describes is made (C2).
struct ThreadAttributes {
  size_t stack_size;
  size_t guard_size;
  void* stack;
  cpu_set_t affinity;
  sched_param scheduling;
  int policy;
  int inherit;
};

void copy_attributes(const pthread_attr_t& from, ThreadAttributes& to);

// Starts a detached thread with the caller's signal mask (the caller holds a SignalBlock, or is
// a helper). Null attributes: the program's defaults if `stack_size` is 0, else that stack, made
// larger where the program's thread-local data needs it. 0 or an errno. Not async-signal-safe:
// glibc may call malloc.
int start_thread(void* (*main)(void*), void* argument, size_t stack_size,
                 const ThreadAttributes* attributes);

void name_this_thread(const char* name);
void copy_name_of_this_thread(char (&name)[16]);

// True when the process's first thread has ended (pthread_exit in main). It then owns no robust
// list any more, which every running thread of glibc does.
bool first_thread_has_ended();

// Arranges that `at_exit` runs on the calling thread when it ends; once per thread is enough.
// Async-signal-safe; does nothing where glibc would have to allocate for it.
void watch_end_of_this_thread(void (*at_exit)(void*));

// True for the key by which that is arranged.
bool is_end_watch(pthread_key_t key);

// Ends the calling thread if it has been cancelled (C17).
void cancellation_point();

// The same, whatever cancel state and type the thread has set, which then are a new thread's.
void catch_up_with_cancellation();

// The calling thread's cancel type from before it was made asynchronous.
class CancelType {
 public:
  void make_asynchronous();
  void restore();  // does nothing if it is restored already

 private:
  int before_;
  bool changed_;
};

// futex_wait_both as a cancellation point. `type` must be restored by the caller's cleanup if the
// call is left by a jump.
long cancellable_futex_wait(Expected word, Expected other, const timespec* deadline,
                            CancelType& type);

// Runs `routine(argument)` if the scope is left by cancellation, pthread_exit or longjmp. The
// buffer is of glibc's older kind on purpose: the newer kind is not removed by a longjmp out of
// a handler, and the next cancellation of that thread would then run into a dead frame.
class CleanupScope {
 public:
  CleanupScope(void (*routine)(void*), void* argument);
  ~CleanupScope();
  CleanupScope(const CleanupScope&) = delete;
  CleanupScope& operator=(const CleanupScope&) = delete;

 private:
  _pthread_cleanup_buffer buffer_;
};

}  // namespace inflight::sys
