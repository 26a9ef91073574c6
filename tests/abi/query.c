/* include/inflight/inflight.h: what the library says of itself, and how its structures grow. */
#include <aio.h>
#include <errno.h>
#include <inflight/inflight.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int failures;

#define EXPECT(condition)                                             \
  do {                                                                \
    if (!(condition)) {                                               \
      fprintf(stderr, "line %d: not so: %s\n", __LINE__, #condition); \
      ++failures;                                                     \
    }                                                                 \
  } while (0)

static void read_from(int descriptor) {
  static char byte;
  static struct aiocb block;
  block.aio_fildes = descriptor;
  block.aio_buf = &byte;
  block.aio_nbytes = 1;
  block.aio_sigevent.sigev_notify = SIGEV_NONE;
  EXPECT(aio_read(&block) == 0);
}

static void sizes(void) {
  struct {
    struct inflight_info info;
    char later[16];
  } newer;
  struct inflight_info older;
  memset(&newer, 0xff, sizeof newer);
  EXPECT(inflight_get_info(&newer.info, sizeof newer) == 0);
  EXPECT(newer.info.size == sizeof newer.info);
  EXPECT(newer.later[0] == 0 && newer.later[15] == 0);
  memset(&older, 0xff, sizeof older);
  EXPECT(inflight_get_info(&older, offsetof(struct inflight_info, untried)) == 0);
  EXPECT(older.size == offsetof(struct inflight_info, untried));
  EXPECT(older.untried == 0xffffffff);
  errno = 0;
  EXPECT(inflight_get_info(&older, 4) == -1 && errno == EINVAL);
}

static void counts(const char* directory) {
  struct inflight_counts seen;
  errno = 0;
  EXPECT(inflight_get_counts(&seen, sizeof seen) == -1 && errno == ENODATA);
  EXPECT(setenv("INFLIGHT_STATS", directory, 1) == 0);
  read_from(0);
  pid_t child = fork();
  if (child == 0) { /* the child starts anew, and finds the variable */
    read_from(-1);
    EXPECT(inflight_get_counts(&seen, sizeof seen) == 0);
    EXPECT(seen.size == sizeof seen);
    EXPECT(seen.value[INFLIGHT_READS] == 1 && seen.value[INFLIGHT_FAILED] == 1);
    _exit(failures);
  }
  int status = -1;
  EXPECT(waitpid(child, &status, 0) == child && status == 0);
}

int main(int argc, char** argv) {
  struct inflight_info info;
  int ends[2];
  if (argc != 3 || pipe(ends) != 0 || dup2(ends[0], 0) != 0) return 2;
  EXPECT(strcmp(inflight_version(), argv[1]) == 0);
  EXPECT(inflight_get_info(&info, sizeof info) == 0);
  EXPECT(info.preferred == INFLIGHT_ENGINE_AUTO);
  EXPECT((info.usable & 1U << INFLIGHT_ENGINE_THREADS) != 0);
  EXPECT((info.untried & 1U << INFLIGHT_ENGINE_KAIO) != 0);
  EXPECT(info.outstanding == 0 && info.threads > 0 && info.inline_limit > 0 && info.counting == 0);
  sizes();
  counts(argv[2]);
  EXPECT(inflight_get_info(&info, sizeof info) == 0);
  EXPECT(info.outstanding == 1);
  return failures != 0;
}
