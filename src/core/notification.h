// How a finished request, or a finished list, is told to the program (C15): a copy of its
// sigevent, and the notice that carries it from the completion to its delivery.
#pragma once

#include <signal.h>

#include "base/list.h"
#include "sys/thread.h"

namespace inflight::core {

struct Request;
struct Group;

// A slab entry, because few requests bring thread attributes.
struct AttributesCopy {
  uint32_t index;
  AttributesCopy* next_free;
  sys::ThreadAttributes value;
};

struct Notification {
  enum class Kind : uint8_t { none, signal, thread_signal, callback };

  Kind kind;
  int signal;
  pid_t thread;
  sigval value;
  void (*function)(sigval);
  AttributesCopy* attributes;  // owned; null when the callback takes the defaults
};

// False for a sigevent that means nothing (C5), which then notifies nobody. `attributes` stays
// null; whoever keeps the notification copies sigev_notify_attributes then.
bool read_sigevent(const sigevent& event, Notification& notification);

// Part of a Request or a Group, whose storage it keeps from reuse until it has been delivered.
struct Notice {
  Notification what;
  Link<Notice> link;
  Request* request;  // one of these two owns the notice
  Group* group;
};

using NoticeList = List<Notice, &Notice::link>;

}  // namespace inflight::core
