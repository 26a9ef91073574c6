/* Programs that use AIO wrongly, one for each kind that `inflight check` finds, and one that does
 * not. Which one is the argument. */
#include <aio.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int ends[2];

static struct aiocb read_one(char* byte) {
  struct aiocb block;
  memset(&block, 0, sizeof block);
  block.aio_fildes = ends[0];
  block.aio_buf = byte;
  block.aio_nbytes = 1;
  block.aio_sigevent.sigev_notify = SIGEV_NONE;
  return block;
}

static void feed(void) {
  if (write(ends[1], "x", 1) != 1) abort();
}

static void finish(struct aiocb* block) {
  const struct aiocb* const list[] = {block};
  while (aio_error(block) == EINPROGRESS) aio_suspend(list, 1, NULL);
  aio_return(block);
}

static char byte;
static struct aiocb kept;

static void start_kept(void) {
  kept = read_one(&byte);
  if (aio_read(&kept) != 0) abort();
}

static void nothing_wrong(void) {
  struct aiocb* heap = malloc(sizeof *heap);
  char on_stack;
  struct aiocb mine = read_one(&on_stack);
  struct aiocb* list[] = {&mine, NULL};
  *heap = read_one(&byte);
  feed();
  if (aio_read(heap) != 0) abort();
  finish(heap);
  free(heap);
  // A block belongs to the program again as soon as it knows of the end.
  feed();
  if (aio_read(&mine) != 0) abort();
  while (aio_error(&mine) == EINPROGRESS) aio_suspend((const struct aiocb* const*)list, 1, NULL);
  mine.aio_nbytes = 0;
  mine.aio_fildes = -1;
  if (aio_error(&mine) != 0 || aio_return(&mine) != 1) abort();
  mine = read_one(&on_stack);
  mine.aio_lio_opcode = LIO_READ;
  feed();
  if (lio_listio(LIO_WAIT, list, 2, NULL) != 0) abort();
  aio_return(&mine);
  if (aio_read(&mine) != 0) abort();
  aio_cancel(ends[0], &mine);
  finish(&mine);
}

static void moved(void) {
  start_kept();
  struct aiocb copy = kept;
  aio_error(&copy);
  feed();
  finish(&kept);
}

static void freed(void) {
  struct aiocb* block = malloc(sizeof *block);
  *block = read_one(&byte);
  if (aio_read(block) != 0) abort();
  free(block);
}

static void freed_buffer(void) {
  char* buffer = malloc(100);
  kept = read_one(buffer);
  if (aio_read(&kept) != 0) abort();
  free(buffer);
  aio_cancel(ends[0], &kept);
  aio_return(&kept);
}

static void resubmitted(void) {
  start_kept();
  aio_read(&kept);
  feed();
  feed();
  finish(&kept);
}

static void changed(void) {
  start_kept();
  kept.aio_nbytes = 17;
  feed();
  finish(&kept);
}

static void twice(void) {
  start_kept();
  feed();
  finish(&kept);
  aio_return(&kept);
}

static void early(void) {
  start_kept();
  aio_return(&kept);
  feed();
  finish(&kept);
}

static void ignored(void) {
  start_kept();
  feed();
  while (aio_error(&kept) == EINPROGRESS) usleep(100);
}

static void unfinished(void) { start_kept(); }

static void unknown(void) {
  struct aiocb never = read_one(&byte);
  aio_error(&never);
}

__attribute__((noinline)) static void start_on_stack(void) {
  char mine;
  struct aiocb block = read_one(&mine);
  if (aio_read(&block) != 0) abort();
}

/* So far down that later calls do not use the same memory, which would end in anything. */
__attribute__((noinline)) static int start_deep_down(int depth) {
  volatile char room[4096];
  room[0] = room[4095] = 0;
  if (depth == 0) start_on_stack();
  return depth == 0 ? room[0] : start_deep_down(depth - 1) + room[4095];
}

static void stack(void) {
  start_deep_down(64);
  start_kept(); /* any later call sees it */
  aio_cancel(ends[0], NULL);
  aio_return(&kept);
}

static void* run_on_stack(void* unused) {
  (void)unused;
  start_deep_down(64);
  return NULL;
}

static void stack_of_a_thread(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, run_on_stack, NULL) != 0) abort();
  pthread_join(thread, NULL);
  aio_cancel(ends[0], NULL);
}

int main(int argc, char** argv) {
  static const struct {
    const char* name;
    void (*run)(void);
  } all[] = {{"nothing_wrong", nothing_wrong},
             {"moved", moved},
             {"freed", freed},
             {"freed_buffer", freed_buffer},
             {"resubmitted", resubmitted},
             {"changed", changed},
             {"twice", twice},
             {"early", early},
             {"ignored", ignored},
             {"unfinished", unfinished},
             {"unknown", unknown},
             {"stack", stack},
             {"stack_of_a_thread", stack_of_a_thread}};
  if (argc != 2 || pipe(ends) != 0) return 2;
  for (size_t i = 0; i < sizeof all / sizeof *all; ++i) {
    if (strcmp(argv[1], all[i].name) == 0) {
      all[i].run();
      return 0;
    }
  }
  return 2;
}
