// The private members of the program's struct aiocb, as inflight uses them (C2).
//
//   __error_code     the status: EINPROGRESS, then 0, ECANCELED or an errno. The last word that is
//                    ever written of a request (release), and what aio_error reads (acquire).
//   __return_value   what aio_return gives; written before the status
//   __next_prio      the ticket: which request of the table this block stands for. Written before
//                    the status becomes EINPROGRESS; garbage in a block never submitted, so a
//                    ticket is believed only if the table's entry names this block too.
//
// After the final status is stored the block is the program's again and may be freed memory.
#pragma once

#include <aio.h>
#include <errno.h>

#include <atomic>
#include <cstdint>

namespace inflight::core {

static_assert(sizeof(aiocb) == 168, "glibc's x86-64 layout");

using Ticket = uint64_t;  // generation << 32 | index; 0 is never given

inline std::atomic_ref<int> status_word(const aiocb& block) {
  return std::atomic_ref<int>(const_cast<aiocb&>(block).__error_code);
}

// Acquire: whoever sees the final status sees the result and the data too.
inline int status_of(const aiocb& block) {
  return status_word(block).load(std::memory_order_acquire);
}

// The member is a pointer; a ticket has its width.
inline std::atomic_ref<aiocb*> ticket_word(const aiocb& block) {
  return std::atomic_ref<aiocb*>(const_cast<aiocb&>(block).__next_prio);
}

inline Ticket ticket_of(const aiocb& block) {
  // Relaxed: it is verified against the table, under the lock.
  return reinterpret_cast<Ticket>(ticket_word(block).load(std::memory_order_relaxed));
}

inline void set_ticket(aiocb& block, Ticket ticket) {
  ticket_word(block).store(reinterpret_cast<aiocb*>(ticket), std::memory_order_relaxed);
}

inline void set_in_progress(aiocb& block) {
  // Release, so that who sees EINPROGRESS sees the ticket.
  status_word(block).store(EINPROGRESS, std::memory_order_release);
}

inline ssize_t result_of(const aiocb& block) {
  return std::atomic_ref<ssize_t>(const_cast<aiocb&>(block).__return_value)
      .load(std::memory_order_relaxed);  // ordered by the status
}

// The end of a request's use of the block.
inline void settle(aiocb& block, int error, ssize_t result) {
  std::atomic_ref<ssize_t>(block.__return_value).store(result, std::memory_order_relaxed);
  status_word(block).store(error, std::memory_order_release);
}

}  // namespace inflight::core
