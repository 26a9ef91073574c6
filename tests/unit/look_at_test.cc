// What the library asks of a file (src/sys/call.h: look_at): the same answer with and without
// statx(2), and nothing that makes the file's next write dearer.
#include <errno.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "support/support.h"
#include "unit/faults.h"

namespace {

using faults::Rule;
using faults::Scope;
using inflight::sys::FileFacts;
using inflight::sys::look_at;

void expect_the_truth(int fd) {
  struct stat truth;
  ASSERT_EQ(0, fstat(fd, &truth));
  for (const bool current : {false, true}) {
    FileFacts facts{};
    ASSERT_EQ(0, look_at(fd, current, facts));
    EXPECT_EQ(uint64_t{major(truth.st_dev)} << 32 | minor(truth.st_dev), facts.device);
    EXPECT_EQ(truth.st_ino, facts.inode);
    EXPECT_EQ(truth.st_size, facts.size);
    EXPECT_EQ(truth.st_mode, facts.mode);
  }
}

void expect_the_truth_of_all_kinds() {
  const support::Descriptor file = support::temporary_file("some bytes");
  const support::Pipe pipe;
  const support::SocketPair sockets;
  const support::Descriptor directory(open("/", O_PATH | O_DIRECTORY));
  const support::Descriptor null(open("/dev/null", O_RDWR));
  for (const support::Descriptor* one : {&file, &pipe.reader, &sockets.one, &directory, &null}) {
    expect_the_truth(one->get());
  }
  FileFacts facts{};
  EXPECT_EQ(-EBADF, look_at(-1, false, facts));
}

TEST(LookAt, IsTheTruth) { expect_the_truth_of_all_kinds(); }

TEST(LookAt, IsTheTruthAlsoWhereStatxIsForbidden) {
  for (const int error : {ENOSYS, EPERM, EACCES}) {
    const Scope scope({Rule{.number = SYS_statx, .answer = -error}});
    expect_the_truth_of_all_kinds();
  }
}

// A kernel with fine-grained time stamps remembers that somebody has asked for them.
TEST(LookAt, DoesNotAskForTimes) {
  static long asked_for = 0;
  inflight::sys::call_hook = [](long number, const long(&arguments)[6]) {
    EXPECT_NE(SYS_fstat, number);
    if (number == SYS_statx) asked_for |= arguments[3];
    return inflight::sys::raw_call(number, arguments);
  };
  const support::Descriptor file = support::temporary_file();
  char byte = 'x';
  struct aiocb write = support::block(file.get(), &byte, 1);
  ASSERT_EQ(0, aio_write(&write));
  EXPECT_EQ(1, support::result_of(write));
  EXPECT_NE(0, asked_for);
  EXPECT_EQ(0, asked_for & (STATX_ATIME | STATX_CTIME | STATX_MTIME | STATX_BTIME));
}

}  // namespace
