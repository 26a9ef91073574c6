// The spawner: the helper thread that makes the others.
//
// glibc's pthread_create may call malloc, which the code that a handler interrupted may be inside
// of. So a submission never makes a thread, except this one at the process's first request; it
// stays until the program's last thread ends. It also sends again what a full signal
// queue refused (C15).
#pragma once

#include "core/core.h"

namespace inflight::engine {

struct Process;

struct Spawner {
  sys::FutexWord doorbell;
  bool alive;
  int helpers;  // the other helper threads that exist or are being made
  // The program's first thread has ended, as the spawner has seen: the last helper is to call it.
  bool awaits_end;
  std::atomic<bool> program_thread_ended;
  std::atomic<bool> first_thread_ends;  // it has begun to: its other destructors may take long
  core::NoticeList refused;  // notifications that the signal queue had no room for, in order
  std::atomic<uint32_t> refused_count;  // how many, for a look without the lock
};

// Notes the calling thread, so that the spawner learns of its end.
void watch_program_thread();

// Asks the spawner to look at what is wanted; makes it if it does not exist. Without the lock,
// signals blocked.
void ring_spawner(Process& process);

// Makes sure that the spawner exists. 0 or EAGAIN. Without the lock, signals blocked.
int ensure_spawner(Process& process);

}  // namespace inflight::engine
