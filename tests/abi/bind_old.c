/* A C program as it was compiled twenty years ago: its references are to aio_read@GLIBC_2.2.5, and
 * lio_listio, which changed, to @GLIBC_2.4 and @GLIBC_2.2.5. glibc keeps these names for such
 * programs; the library must answer them too. Run by check_bindings.sh. */
#define _LARGEFILE64_SOURCE
#define _GNU_SOURCE
#include <aio.h>
#include <string.h>

#define OLD(name) __asm__(".symver " #name "," #name "@GLIBC_2.2.5")
OLD(aio_init);
OLD(aio_read);
OLD(aio_read64);
OLD(aio_write);
OLD(aio_write64);
OLD(aio_fsync);
OLD(aio_fsync64);
OLD(aio_error);
OLD(aio_error64);
OLD(aio_return);
OLD(aio_return64);
OLD(aio_suspend);
OLD(aio_suspend64);
OLD(aio_cancel);
OLD(aio_cancel64);
OLD(lio_listio64);
__asm__(".symver lio_listio,lio_listio@GLIBC_2.4");
__asm__(".symver older_lio_listio,lio_listio@GLIBC_2.2.5");
extern int older_lio_listio(int mode, struct aiocb* const list[], int count,
                            struct sigevent* event);

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
  answers += older_lio_listio(LIO_WAIT, nothing, 1, NULL);
  return answers == 1000; /* the answers are not the matter: the calls must not be left out */
}
