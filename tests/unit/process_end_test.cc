// The end of a process whose first thread has ended (src/engine/spawner.cc, may_end): the library's
// own threads must not keep it (C18, C20), however late the last request ends.
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include <thread>

#include "support/support.h"
#include "support/threads.h"

namespace {

// Longer than the spawner looks again and again whether this was the end.
constexpr unsigned kLong = 10;

void feed_late(const support::Pipe& pipe) {
  if (fork() != 0) return;
  sleep(kLong);
  _exit(write(pipe.writer.get(), "x", 1) == 1 ? 0 : 1);
}

TEST(ProcessEnd, ComesAfterALateRequestOfAThreadThatIsGone) {
  if (!support::in_role()) {
    EXPECT_EQ(6 << 8, support::in_new_program());
    return;
  }
  support::limit_runtime(std::chrono::seconds(kLong) + support::kPatience / 2);
  static support::Pipe pipe;
  static char byte;
  static struct aiocb read = support::block(pipe.reader.get(), &byte, 1);
  feed_late(pipe);
  if (aio_read(&read) != 0) _exit(51);
  atexit([] { _exit(aio_error(&read) == 0 && byte == 'x' ? 6 : 53); });
  pthread_exit(nullptr);
}

// It never makes a request, and ends when the library has long stopped to look for the end.
TEST(ProcessEnd, ComesAlsoWithAFirstThreadThatNeverMadeARequest) {
  if (!support::in_role()) {
    EXPECT_EQ(6 << 8, support::in_new_program());
    return;
  }
  support::limit_runtime(std::chrono::seconds(kLong) + support::kPatience / 2);
  std::thread([] {
    const support::Pipe pipe;
    char byte;
    struct aiocb read = support::block(pipe.reader.get(), &byte, 1);
    if (aio_read(&read) != 0 || write(pipe.writer.get(), "x", 1) != 1) _exit(51);
    if (support::result_of(read) != 1) _exit(52);
  }).join();
  atexit([] { _exit(6); });
  sleep(kLong);
  pthread_exit(nullptr);
}

// Nor has it got to its end when it begins to.
TEST(ProcessEnd, ComesAlsoAfterLongDestructors) {
  if (!support::in_role()) {
    EXPECT_EQ(6 << 8, support::in_new_program());
    return;
  }
  support::limit_runtime(std::chrono::seconds(kLong) + support::kPatience / 2);
  const support::Descriptor file = support::temporary_file("x");
  char byte;
  struct aiocb write_one = support::block(file.get(), &byte, 1);
  if (aio_write(&write_one) != 0 || support::result_of(write_one) != 1) _exit(51);
  pthread_key_t key;
  pthread_key_create(&key, [](void*) { sleep(kLong); });
  pthread_setspecific(key, &key);
  atexit([] { _exit(6); });
  pthread_exit(nullptr);
}

}  // namespace
