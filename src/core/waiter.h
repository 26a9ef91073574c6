// Threads that wait for requests: aio_suspend, lio_listio(LIO_WAIT), and close() waiting for what
// must still act on its file.
//
// A Waiter and its links live with the waiting call (on its stack, or in pages of its own when
// there are many), and are linked into the requests under the process lock. A completion unlinks
// what it fires under that lock, so after the waiter has taken the lock once more and removed the
// rest, nobody knows its memory. The wake-up itself happens after the lock is released and may
// reach a stale address, which is harmless.
#pragma once

#include <aio.h>

#include "sys/lock.h"

namespace inflight::core {

struct Waiter {
  sys::FutexWord fired;
};

struct WaitLink {
  const aiocb* unknown;  // a block in progress whose request is not in the table (yet)
  Waiter* waiter;
  WaitLink** home;  // the head of the list it is in; null when it is in none
  WaitLink* next;
  WaitLink* previous;
};

inline void insert(WaitLink& link, Waiter& waiter, WaitLink*& head) {
  link = {nullptr, &waiter, &head, head, nullptr};
  if (head != nullptr) head->previous = &link;
  head = &link;
}

inline void remove(WaitLink& link) {
  if (link.home == nullptr) return;
  (link.previous != nullptr ? link.previous->next : *link.home) = link.next;
  if (link.next != nullptr) link.next->previous = link.previous;
  link.home = nullptr;
}

}  // namespace inflight::core
