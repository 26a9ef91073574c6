// The exported functions: C linkage, the names of <aio.h>, and errno. Nothing else happens here.
//
// The 64 twins take struct aiocb64, which on x86-64 is struct aiocb under another name; they are
// aliases. Every function is async-signal-safe and may be called from any thread.
#define _LARGEFILE64_SOURCE 1
#include <aio.h>
#include <errno.h>

#include "runtime/calls.h"
#include "runtime/start.h"

#define INFLIGHT_EXPORT extern "C" __attribute__((visibility("default")))
#define INFLIGHT_TWIN(name) __attribute__((visibility("default"), alias(#name)))

namespace {

using inflight::core::Operation;

int answer(int result) {
  if (result >= 0) return result;
  errno = -result;
  return -1;
}

}  // namespace

// <aio.h> gives the pointers attributes that promise they are not null; a call with null is the
// caller's error, as it is with glibc.

INFLIGHT_EXPORT int aio_read(struct aiocb* block) {
  return answer(inflight::runtime::submit(*block, Operation::read));
}

INFLIGHT_EXPORT int aio_write(struct aiocb* block) {
  return answer(inflight::runtime::submit(*block, Operation::write));
}

INFLIGHT_EXPORT int aio_fsync(int operation, struct aiocb* block) {
  return answer(inflight::runtime::synchronize(operation, *block));
}

// aio_error(3): the status, by one acquire load. errno is left alone.
INFLIGHT_EXPORT int aio_error(const struct aiocb* block) {
  return inflight::core::status_of(*block);
}

// aio_return(3): also sets errno to the request's error when it gives -1, as read(2) would have.
INFLIGHT_EXPORT ssize_t aio_return(struct aiocb* block) {
  int error;
  const ssize_t result = inflight::runtime::result(*block, error);
  if (error != 0) errno = error;
  return result;
}

INFLIGHT_EXPORT int aio_suspend(const struct aiocb* const list[], int count,
                                const struct timespec* timeout) {
  return answer(inflight::runtime::suspend(list, count, timeout));
}

INFLIGHT_EXPORT int aio_cancel(int descriptor, struct aiocb* block) {
  return answer(inflight::runtime::cancel(descriptor, block));
}

INFLIGHT_EXPORT int lio_listio(int mode, struct aiocb* const list[], int count,
                               struct sigevent* event) {
  return answer(inflight::runtime::list(mode, list, count, event));
}

// glibc's aio_init(3): aio_threads is taken as the number of pool threads if it comes before the
// first request; the other members have no meaning here.
INFLIGHT_EXPORT void aio_init(const struct aioinit* wishes) {
  inflight::runtime::wish_for_threads(wishes->aio_threads);
}

extern "C" {
INFLIGHT_TWIN(aio_read) int aio_read64(struct aiocb64* block) noexcept;
INFLIGHT_TWIN(aio_write) int aio_write64(struct aiocb64* block) noexcept;
INFLIGHT_TWIN(aio_fsync) int aio_fsync64(int operation, struct aiocb64* block) noexcept;
INFLIGHT_TWIN(aio_error) int aio_error64(const struct aiocb64* block) noexcept;
INFLIGHT_TWIN(aio_return) ssize_t aio_return64(struct aiocb64* block) noexcept;
INFLIGHT_TWIN(aio_suspend)
int aio_suspend64(const struct aiocb64* const list[], int count, const struct timespec* timeout);
INFLIGHT_TWIN(aio_cancel) int aio_cancel64(int descriptor, struct aiocb64* block) noexcept;
INFLIGHT_TWIN(lio_listio)
int lio_listio64(int mode, struct aiocb64* const list[], int count,
                 struct sigevent* event) noexcept;
}
