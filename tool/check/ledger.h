// The requests of the program: what was asked for, from where, and how each stands.
//
// One lock guards the ledger. Its owner blocks no signals; a thread that holds it and is
// interrupted by a handler that makes AIO calls passes those on unseen (Lock::taken).
#pragma once

#include <aio.h>

#include <cstddef>

#include "report.h"

namespace check {

// Held while the ledger is used. False if this thread holds it already.
class Lock {
 public:
  Lock();
  ~Lock();
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  explicit operator bool() const { return taken_; }

 private:
  bool taken_;
};

// All below: locked.

// Before the call that makes the request, and after one that did not make it.
void submitting(const aiocb& block, const char* call);
void not_submitted(const aiocb& block);

// The program asks for the status, or the result, of a block.
void asked(const aiocb& block, const char* call);
void returned(const aiocb& block, int status);

// A call has returned that may have waited for the request, or cancelled it.
void waited_for(const aiocb& block);

// The memory is about to be freed or moved.
void freeing(const void* memory, size_t length, const char* call);

// Whether functions have returned meanwhile in whose frames the calling thread's requests lie.
void look_at_stack(const char* call);

void thread_ends();
void process_ends();
void child_begins();

// True if every result has been asked for; without the lock.
bool nothing_is_open();

// The library's own aio_error, behind the interposed one.
int status_of(const aiocb& block);

}  // namespace check
