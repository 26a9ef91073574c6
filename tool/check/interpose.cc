// The functions in between. Each looks into the ledger and calls the next one of its name, which is
// the library's.
#define _LARGEFILE64_SOURCE 1
#include <aio.h>
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "ledger.h"

#define CHECK_EXPORT extern "C" __attribute__((visibility("default")))
#define CHECK_TWIN(name) __attribute__((visibility("default"), alias(#name)))

namespace {

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

#define NEXT(name) static const auto next_function = next<decltype(name)>(#name)

pthread_key_t thread_key;

void thread_ends(void*) {
  if (const check::Lock lock; lock) check::thread_ends();
}

void child_begins() {
  if (const check::Lock lock; lock) check::child_begins();
}

__attribute__((constructor)) void prepare() {
  pthread_key_create(&thread_key, thread_ends);
  pthread_atfork(nullptr, nullptr, child_begins);
}

__attribute__((destructor)) void finish() {
  if (const check::Lock lock; lock) check::process_ends();
}

// One request: into the ledger before it is made, as it may end before the call returns.
template <class Make>
int submit(aiocb* block, const char* call, Make make) {
  {
    const check::Lock lock;
    if (!lock) return make();
    pthread_setspecific(thread_key, &thread_key);
    check::look_at_stack(call);
    check::submitting(*block, call);
  }
  const int result = make();
  if (result != 0) {
    const int error = errno;
    if (const check::Lock lock; lock) check::not_submitted(*block);
    errno = error;
  }
  return result;
}

// After a call that may have waited. errno is the call's.
void waited_for(const aiocb* const list[], int count) {
  const int error = errno;
  if (const check::Lock lock; lock) {
    for (int i = 0; i < count; ++i) {
      if (list[i] != nullptr) check::waited_for(*list[i]);
    }
  }
  errno = error;
}

}  // namespace

int check::status_of(const aiocb& block) {
  NEXT(aio_error);
  return next_function(&block);
}

CHECK_EXPORT int aio_read(struct aiocb* block) {
  NEXT(aio_read);
  return submit(block, "aio_read", [&] { return next_function(block); });
}

CHECK_EXPORT int aio_write(struct aiocb* block) {
  NEXT(aio_write);
  return submit(block, "aio_write", [&] { return next_function(block); });
}

CHECK_EXPORT int aio_fsync(int operation, struct aiocb* block) {
  NEXT(aio_fsync);
  return submit(block, "aio_fsync", [&] { return next_function(operation, block); });
}

CHECK_EXPORT int lio_listio(int mode, struct aiocb* const list[], int count,
                            struct sigevent* event) {
  NEXT(lio_listio);
  if (const check::Lock lock; lock) {
    check::look_at_stack("lio_listio");
    for (int i = 0; i < count; ++i) {
      if (list[i] == nullptr || list[i]->aio_lio_opcode == LIO_NOP) continue;
      check::submitting(*list[i], "lio_listio");
    }
  }
  const int result = next_function(mode, list, count, event);
  if (mode == LIO_WAIT) waited_for(list, count);
  if (result != 0 && errno == EINVAL) {
    if (const check::Lock lock; lock) {
      for (int i = 0; i < count; ++i) {
        if (list[i] != nullptr) check::not_submitted(*list[i]);
      }
    }
    errno = EINVAL;
  }
  return result;
}

CHECK_EXPORT int aio_error(const struct aiocb* block) {
  NEXT(aio_error);
  if (const check::Lock lock; lock) {
    check::look_at_stack("aio_error");
    check::asked(*block, "aio_error");
  }
  return next_function(block);
}

CHECK_EXPORT ssize_t aio_return(struct aiocb* block) {
  NEXT(aio_return);
  if (const check::Lock lock; lock) {
    check::look_at_stack("aio_return");
    check::asked(*block, "aio_return");
    check::returned(*block, check::status_of(*block));
  }
  return next_function(block);
}

CHECK_EXPORT int aio_suspend(const struct aiocb* const list[], int count,
                             const struct timespec* timeout) {
  NEXT(aio_suspend);
  if (const check::Lock lock; lock) {
    check::look_at_stack("aio_suspend");
    for (int i = 0; i < count; ++i) {
      if (list[i] != nullptr) check::asked(*list[i], "aio_suspend");
    }
  }
  const int result = next_function(list, count, timeout);
  waited_for(list, count);
  return result;
}

CHECK_EXPORT int aio_cancel(int descriptor, struct aiocb* block) {
  NEXT(aio_cancel);
  if (const check::Lock lock; lock && block != nullptr) check::asked(*block, "aio_cancel");
  const int answer = next_function(descriptor, block);
  waited_for(&block, 1);
  return answer;
}

CHECK_EXPORT void free(void* memory) {
  NEXT(free);
  if (memory != nullptr && !check::nothing_is_open()) {
    if (const check::Lock lock; lock) check::freeing(memory, malloc_usable_size(memory), "free");
  }
  next_function(memory);
}

CHECK_EXPORT void* realloc(void* memory, size_t length) {
  NEXT(realloc);
  if (memory != nullptr && !check::nothing_is_open()) {
    if (const check::Lock lock; lock) check::freeing(memory, malloc_usable_size(memory), "realloc");
  }
  return next_function(memory, length);
}

CHECK_EXPORT int munmap(void* memory, size_t length) {
  NEXT(munmap);
  if (!check::nothing_is_open()) {
    if (const check::Lock lock; lock) check::freeing(memory, length, "munmap");
  }
  return next_function(memory, length);
}

extern "C" {
CHECK_TWIN(aio_read) int aio_read64(struct aiocb64* block) noexcept;
CHECK_TWIN(aio_write) int aio_write64(struct aiocb64* block) noexcept;
CHECK_TWIN(aio_fsync) int aio_fsync64(int operation, struct aiocb64* block) noexcept;
CHECK_TWIN(aio_error) int aio_error64(const struct aiocb64* block) noexcept;
CHECK_TWIN(aio_return) ssize_t aio_return64(struct aiocb64* block) noexcept;
CHECK_TWIN(aio_suspend)
int aio_suspend64(const struct aiocb64* const list[], int count, const struct timespec* timeout);
CHECK_TWIN(aio_cancel) int aio_cancel64(int descriptor, struct aiocb64* block) noexcept;
CHECK_TWIN(lio_listio)
int lio_listio64(int mode, struct aiocb64* const list[], int count,
                 struct sigevent* event) noexcept;
}
