// Single requests: submission, and the result. Owns nothing; runs on the program's thread.
#include <fcntl.h>

#include "engine/submit.h"
#include "runtime/calls.h"
#include "runtime/start.h"

namespace inflight::runtime {

int submit(aiocb& block, core::Operation operation) {
  for (;;) {
    engine::Process* process = start();
    if (process == nullptr) return -EAGAIN;
    const int error = engine::submit(*process, block, operation);
    if (error != engine::kForked) return -error;
  }
}

int synchronize(int how, aiocb& block) {
  if (how != O_SYNC && how != O_DSYNC) return -EINVAL;
  if (sys::get_status_flags(block.aio_fildes) < 0) return -EBADF;
  return submit(block, how == O_SYNC ? core::Operation::fsync : core::Operation::fdatasync);
}

ssize_t result(const aiocb& block, int& error) {
  error = core::status_of(block);
  return error == EINPROGRESS ? -1 : core::result_of(block);
}

}  // namespace inflight::runtime
