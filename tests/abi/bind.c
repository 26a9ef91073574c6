/* A C program as it is compiled today: its references carry the version of the glibc it is built
 * with (aio_read@GLIBC_2.34). It is run by check_bindings.sh under LD_DEBUG=bindings. Every call is
 * made once, so that each name is bound; all are refused or have nothing to do. */
#define _LARGEFILE64_SOURCE
#define _GNU_SOURCE
#include <aio.h>
#include <string.h>

int main(void) {
  struct aiocb request;
  struct aiocb64 request64;
  const struct aiocb* const list[1] = {NULL};
  const struct aiocb64* const list64[1] = {NULL};
  struct aiocb* const nothing[1] = {NULL};
  struct aiocb64* const nothing64[1] = {NULL};
  const struct timespec now = {0, 0};
  struct aioinit hints;
  int answers = 0;
  memset(&hints, 0, sizeof hints);
  memset(&request, 0, sizeof request);
  memset(&request64, 0, sizeof request64);
  request.aio_reqprio = -1; /* EINVAL */
  request64.aio_reqprio = -1;
  aio_init(&hints);
  answers += aio_read(&request) + aio_read64(&request64);
  answers += aio_write(&request) + aio_write64(&request64);
  answers += aio_fsync(-1, &request) + aio_fsync64(-1, &request64);
  answers += aio_error(&request) + aio_error64(&request64);
  answers += (int)(aio_return(&request) + aio_return64(&request64));
  answers += aio_suspend(list, 1, &now) + aio_suspend64(list64, 1, &now);
  answers += aio_cancel(-1, NULL) + aio_cancel64(-1, NULL);
  answers += lio_listio(LIO_WAIT, nothing, 1, NULL) + lio_listio64(LIO_WAIT, nothing64, 1, NULL);
  return answers == 1000; /* the answers are not the matter: the calls must not be left out */
}
