// One lio_listio call. Lives until its entries have finished, their notifications are delivered
// and its own one is; guarded by the process lock.
//
// `unfinished` counts entries without a final status, `undelivered` those whose notification has
// not been carried out; the call itself holds one of each while it submits, and a LIO_WAIT call
// holds its `undelivered` until it returns, so that the group outlives the wait.
#pragma once

#include "core/request.h"

namespace inflight::core {

struct Group {
  uint32_t index;
  Group* next_free;
  uint32_t unfinished;
  uint32_t undelivered;
  bool failed;      // an entry ended with an error
  bool is_awaited;  // by the call that made it: LIO_WAIT
  WaitLink* first_waiter;
  Notice notice;
};

}  // namespace inflight::core
