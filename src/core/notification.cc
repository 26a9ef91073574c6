// Reading the program's sigevent. Pure: touches nothing but its arguments.
#include "core/notification.h"

namespace inflight::core {

bool read_sigevent(const sigevent& event, Notification& notification) {
  notification = {};
  notification.value = event.sigev_value;
  switch (event.sigev_notify) {
    case SIGEV_NONE:
      return true;
    case SIGEV_SIGNAL:
    case SIGEV_THREAD_ID:
      if (event.sigev_signo < 0 || event.sigev_signo > SIGRTMAX) return false;
      notification.signal = event.sigev_signo;
      if (event.sigev_signo == 0) return true;  // calloc'ed blocks: sends nothing
      if (event.sigev_notify == SIGEV_SIGNAL) {
        notification.kind = Notification::Kind::signal;
      } else {
        notification.kind = Notification::Kind::thread_signal;
        notification.thread = event._sigev_un._tid;
      }
      return true;
    case SIGEV_THREAD:
      if (event.sigev_notify_function == nullptr) return false;
      notification.kind = Notification::Kind::callback;
      notification.function = event.sigev_notify_function;
      return true;
    default:
      return false;
  }
}

}  // namespace inflight::core
