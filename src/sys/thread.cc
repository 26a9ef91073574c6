// The library's use of pthreads. Owns one thread-specific key, made on first use, whose only job
// is to tell when a thread of the program ends.
#include "sys/thread.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/prctl.h>

extern "C" {
void _pthread_cleanup_push(_pthread_cleanup_buffer* buffer, void (*routine)(void*), void* argument);
void _pthread_cleanup_pop(_pthread_cleanup_buffer* buffer, int execute);
}

namespace inflight::sys {
namespace {

constexpr size_t kLargestStack = size_t{64} << 20;
constexpr pthread_key_t kKeysWithoutMalloc = 32;  // glibc keeps these in the thread itself

// The key that tells when a thread ends: 0 before it is made, then key + 1.
std::atomic<uint32_t> end_watch{0};

int create(pthread_attr_t& attributes, void* (*main)(void*), void* argument) {
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  return pthread_create(&thread, &attributes, main, argument);
}

void apply(const ThreadAttributes& from, pthread_attr_t& to) {
  if (from.stack != nullptr) {
    pthread_attr_setstack(&to, from.stack, from.stack_size);
  } else if (from.stack_size != 0) {
    pthread_attr_setstacksize(&to, from.stack_size);
  }
  pthread_attr_setguardsize(&to, from.guard_size);
  pthread_attr_setinheritsched(&to, from.inherit);
  pthread_attr_setschedpolicy(&to, from.policy);
  pthread_attr_setschedparam(&to, &from.scheduling);
  if (CPU_COUNT(&from.affinity) < CPU_SETSIZE) {
    pthread_attr_setaffinity_np(&to, sizeof from.affinity, &from.affinity);
  }
}

}  // namespace

void copy_attributes(const pthread_attr_t& from, ThreadAttributes& to) {
  to = {};
  pthread_attr_getstack(&from, &to.stack, &to.stack_size);
  // Without a stack of its own glibc reports an address computed from nothing.
  if (reinterpret_cast<intptr_t>(to.stack) <= 0) {
    to.stack = nullptr;
    pthread_attr_getstacksize(&from, &to.stack_size);
  }
  pthread_attr_getguardsize(&from, &to.guard_size);
  pthread_attr_getinheritsched(&from, &to.inherit);
  pthread_attr_getschedpolicy(&from, &to.policy);
  pthread_attr_getschedparam(&from, &to.scheduling);
  if (pthread_attr_getaffinity_np(&from, sizeof to.affinity, &to.affinity) != 0) {
    memset(&to.affinity, 0xff, sizeof to.affinity);
  }
}

int start_thread(void* (*main)(void*), void* argument, size_t stack_size,
                 const ThreadAttributes* attributes) {
  pthread_attr_t attribute;
  int error = pthread_attr_init(&attribute);
  if (error != 0) return error;
  if (attributes != nullptr) apply(*attributes, attribute);
  if (attributes != nullptr || stack_size == 0) {
    error = create(attribute, main, argument);
  } else {
    // glibc takes thread-local data from the stack: EINVAL says that it did not fit.
    do {
      pthread_attr_setstacksize(&attribute, stack_size);
      error = create(attribute, main, argument);
      stack_size *= 2;
    } while (error == EINVAL && stack_size <= kLargestStack);
  }
  pthread_attr_destroy(&attribute);
  return error;
}

void name_this_thread(const char* name) { call(SYS_prctl, long{PR_SET_NAME}, name); }

void copy_name_of_this_thread(char (&name)[16]) { call(SYS_prctl, long{PR_GET_NAME}, name); }

bool first_thread_has_ended() {
  void* head = nullptr;
  size_t length = 0;
  if (call(SYS_get_robust_list, process_id(), &head, &length) < 0) return false;
  return head == nullptr;
}

void watch_end_of_this_thread(void (*at_exit)(void*)) {
  uint32_t known = end_watch.load(std::memory_order_acquire);
  if (known == 0) {
    pthread_key_t key;
    if (pthread_key_create(&key, at_exit) != 0) return;
    if (end_watch.compare_exchange_strong(known, key + 1)) {
      known = key + 1;
    } else {
      pthread_key_delete(key);  // another thread was first
    }
  }
  const pthread_key_t key = known - 1;
  if (key < kKeysWithoutMalloc) pthread_setspecific(key, &end_watch);
}

bool is_end_watch(pthread_key_t key) {
  return key + 1 == end_watch.load(std::memory_order_acquire);
}

void cancellation_point() { pthread_testcancel(); }

void catch_up_with_cancellation() {
  pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, nullptr);
  pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, nullptr);
  pthread_testcancel();
}

void CancelType::make_asynchronous() {
  changed_ = true;
  pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &before_);
}

void CancelType::restore() {
  if (!changed_) return;
  pthread_setcanceltype(before_, nullptr);
  changed_ = false;
}

long cancellable_futex_wait(Expected word, Expected other, const timespec* deadline,
                            CancelType& type) {
  // Asynchronous for the length of one system call, as glibc makes its own calls cancellable:
  // nothing is held meanwhile but what the caller's CleanupScope releases.
  type.make_asynchronous();
  const long result = futex_wait_both(word, other, deadline);
  type.restore();
  return result;
}

CleanupScope::CleanupScope(void (*routine)(void*), void* argument) {
  _pthread_cleanup_push(&buffer_, routine, argument);
}

CleanupScope::~CleanupScope() { _pthread_cleanup_pop(&buffer_, 0); }

}  // namespace inflight::sys
