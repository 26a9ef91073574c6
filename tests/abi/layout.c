/* C2: struct aiocb is glibc's. The numbers are written down here because they are the binary
 * interface: programs compiled against any glibc of the last twenty years have them built in. A
 * wrong one does not compile; what is left for run time is to say so. */
#define _LARGEFILE64_SOURCE
#include <aio.h>
#include <stddef.h>
#include <stdio.h>

#define AT(member, offset)                                             \
  _Static_assert(offsetof(struct aiocb, member) == (offset), #member); \
  _Static_assert(offsetof(struct aiocb64, member) == (offset), #member " of aiocb64")

_Static_assert(sizeof(struct aiocb) == 168, "struct aiocb");
_Static_assert(sizeof(struct aiocb64) == 168, "struct aiocb64");
_Static_assert(sizeof(struct sigevent) == 64, "struct sigevent");
AT(aio_fildes, 0);
AT(aio_lio_opcode, 4);
AT(aio_reqprio, 8);
AT(aio_buf, 16);
AT(aio_nbytes, 24);
AT(aio_sigevent, 32);
AT(__next_prio, 96);
AT(__abs_prio, 104);
AT(__policy, 108);
AT(__error_code, 112);
AT(__return_value, 120);
AT(aio_offset, 128);
AT(__glibc_reserved, 136);

int main(void) {
  printf("struct aiocb: %zu bytes\n", sizeof(struct aiocb));
  return 0;
}
