/* A program of a user of the installed packages. It ends with 0 if inflight serves it: the C
 * library cannot cancel a read that waits in a pipe. */
#include <aio.h>
#include <inflight/stats.h>
#include <stdio.h>
#include <unistd.h>

int main(void) {
  static char byte;
  static struct aiocb block;
  int ends[2];
  if (pipe(ends) != 0) return 2;
  block.aio_fildes = ends[0];
  block.aio_buf = &byte;
  block.aio_nbytes = sizeof byte;
  block.aio_sigevent.sigev_notify = SIGEV_NONE;
  if (aio_read(&block) != 0) return 2;
  usleep(50000);
  int outcome = aio_cancel(ends[0], &block);
  printf("%s, %d counters\n", outcome == AIO_CANCELED ? "canceled" : "not canceled",
         (int)INFLIGHT_COUNTERS);
  return outcome == AIO_CANCELED ? 0 : 1;
}
