// What the exported functions do. Each returns its answer or a negative errno; the abi layer puts
// that into errno. All are async-signal-safe (C16).
#pragma once

#include <aio.h>

#include "core/request.h"

namespace inflight::runtime {

// aio_read(3p), aio_write(3p): 0, -EINVAL or -EAGAIN.
int submit(aiocb& block, core::Operation operation);

// aio_fsync(3p): also -EBADF for a closed descriptor, -EINVAL for another `how`.
int synchronize(int how, aiocb& block);

// aio_return(3p): the result. `error` becomes what the request failed with, or EINPROGRESS.
ssize_t result(const aiocb& block, int& error);

// aio_suspend(3p), a cancellation point: 0, -EAGAIN, -EINTR or -EINVAL.
int suspend(const aiocb* const list[], int count, const timespec* timeout);

// aio_cancel(3p): AIO_CANCELED, AIO_NOTCANCELED, AIO_ALLDONE, or -EBADF, -EINVAL.
int cancel(int fd, const aiocb* block);

// lio_listio(3p), with LIO_WAIT a cancellation point: 0, -EINVAL, -EAGAIN, -EIO or -EINTR.
int list(int mode, aiocb* const list[], int count, const sigevent* event);

}  // namespace inflight::runtime
