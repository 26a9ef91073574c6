// C21: descriptors. The program's numbers are its own: the lowest free one stays the lowest free
// one, and AIO works after every number was closed, taken over or used up.
//
// Each test runs in a child that has made no request yet.
#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <set>

#include "support/support.h"
#include "support/threads.h"

namespace {

using support::Descriptor;
using support::eventually;
using support::in_child;
using support::NamedFile;
using support::Pipe;
using support::wait_for;

class C21_Descriptors : public support::Limited {};

std::set<int> open_descriptors() {
  std::set<int> found;
  DIR* directory = opendir("/proc/self/fd");
  while (const dirent* one = readdir(directory)) {
    if (one->d_name[0] != '.') found.insert(atoi(one->d_name));
  }
  found.erase(dirfd(directory));
  closedir(directory);
  return found;
}

// Every way a request may go: a cached read, a large write, fsync, a waiting read, a cancellation,
// a callback, a signal.
void expect_aio_works(int file, int pipe_reader, int pipe_writer) {
  std::vector<char> large(size_t{1} << 20, 'l');
  aiocb writing = support::block(file, large.data(), large.size());
  ASSERT_EQ(0, aio_write(&writing));
  EXPECT_EQ(static_cast<ssize_t>(large.size()), support::result_of(writing));
  aiocb syncing = support::block(file, nullptr, 0);
  ASSERT_EQ(0, aio_fsync(O_DSYNC, &syncing));
  EXPECT_EQ(0, wait_for(syncing));
  char small[16] = {};
  aiocb reading = support::block(file, small, sizeof small, 1000);
  ASSERT_EQ(0, aio_read(&reading));
  EXPECT_EQ(ssize_t{sizeof small}, support::result_of(reading));
  EXPECT_EQ(std::string(16, 'l'), std::string(small, 16));

  char bytes[2] = {};
  aiocb first = support::block(pipe_reader, &bytes[0], 1);
  aiocb second = support::block(pipe_reader, &bytes[1], 1);
  support::CaughtSignal signal(support::test_signal());
  first.aio_sigevent = support::signal_event(support::test_signal());
  static std::atomic<bool> called;
  called = false;
  second.aio_sigevent = support::callback_event([](sigval) { called = true; }, nullptr);
  ASSERT_EQ(0, aio_read(&first));
  ASSERT_EQ(0, aio_read(&second));
  EXPECT_EQ(1, write(pipe_writer, "x", 1));
  EXPECT_EQ(0, wait_for(first));
  EXPECT_TRUE(signal.reaches(1));
  if (support::served_by_inflight()) {
    EXPECT_EQ(AIO_CANCELED, aio_cancel(pipe_reader, &second));
  } else {
    EXPECT_EQ(1, write(pipe_writer, "y", 1));  // glibc cannot; that is C14's test
  }
  EXPECT_TRUE(eventually([] { return called.load(); }));
}

TEST_F(C21_Descriptors, OpenStillReturnsTheLowestFreeNumber) {
  EXPECT_EQ(0, in_child([] {
              Descriptor file = support::temporary_file("content");
              Pipe pipe;
              const std::set<int> before = open_descriptors();
              expect_aio_works(file.get(), pipe.reader.get(), pipe.writer.get());
              int expected = 0;
              for (int i = 0; i < 200; ++i) {
                while (before.count(expected) != 0) ++expected;
                EXPECT_EQ(expected, open("/dev/null", O_RDONLY | O_CLOEXEC));
                ++expected;
              }
            }));
}

TEST_F(C21_Descriptors, WhatTheLibraryOpensIsClosedByExec) {
  EXPECT_EQ(0, in_child([] {
              Descriptor file = support::temporary_file("content");
              Pipe pipe;
              const std::set<int> before = open_descriptors();
              expect_aio_works(file.get(), pipe.reader.get(), pipe.writer.get());
              for (const int number : open_descriptors()) {
                if (before.count(number) != 0) continue;
                EXPECT_NE(0, fcntl(number, F_GETFD) & FD_CLOEXEC)
                    << number << " would be inherited";
              }
            }));
}

TEST_F(C21_Descriptors, RequestsWorkAfterCloseRangeOverEverything) {
  EXPECT_EQ(0, in_child([] {
              NamedFile named("content");
              for (int round = 0; round < 3; ++round) {
                ASSERT_EQ(0, close_range(3, ~0U, 0));
                Descriptor file = named.open(O_RDWR);
                EXPECT_EQ(3, file.get());
                Pipe pipe;
                expect_aio_works(file.get(), pipe.reader.get(), pipe.writer.get());
                if (round == 1) {  // and what was closed now is somebody else's
                  for (int i = 0; i < 300; ++i) EXPECT_GE(dup(pipe.writer.get()), 0);
                  expect_aio_works(file.get(), pipe.reader.get(), pipe.writer.get());
                }
                file.release();
                pipe.reader.release();
                pipe.writer.release();
              }
            }));
}

TEST_F(C21_Descriptors, RequestsWorkAfterClosefrom) {
  EXPECT_EQ(0, in_child([] {
              NamedFile named("content");
              {
                Descriptor file = named.open(O_RDWR);
                Pipe pipe;
                expect_aio_works(file.get(), pipe.reader.get(), pipe.writer.get());
                file.release();
                pipe.reader.release();
                pipe.writer.release();
              }
              closefrom(3);
              Descriptor file = named.open(O_RDWR);
              EXPECT_EQ(3, file.get());
              Pipe pipe;
              expect_aio_works(file.get(), pipe.reader.get(), pipe.writer.get());
            }));
}

// The program takes over every number below its limit with a pipe of its own. The library must
// neither need a number that it had nor touch what is there now.
void take_over_every_number(bool use_dup3) {
  EXPECT_EQ(0, in_child([=] {
              rlimit limit{1024, 1024};
              getrlimit(RLIMIT_NOFILE, &limit);
              limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 1024);
              setrlimit(RLIMIT_NOFILE, &limit);
              Descriptor file = support::temporary_file("content");
              Pipe pipe;
              Pipe decoy;
              expect_aio_works(file.get(), pipe.reader.get(), pipe.writer.get());
              std::set<int> taken = open_descriptors();
              for (int i = 3; i < static_cast<int>(limit.rlim_cur); ++i) taken.insert(i);
              for (const int mine : {0, 1, 2, file.get(), pipe.reader.get(), pipe.writer.get(),
                                     decoy.reader.get(), decoy.writer.get()}) {
                taken.erase(mine);
              }
              for (const int number : taken) {
                if (number >= static_cast<int>(limit.rlim_cur)) {
                  close(number);
                  continue;
                }
                EXPECT_EQ(number, use_dup3 ? dup3(decoy.writer.get(), number, O_CLOEXEC)
                                           : dup2(decoy.writer.get(), number));
              }
              for (int round = 0; round < 3; ++round) {
                expect_aio_works(file.get(), pipe.reader.get(), pipe.writer.get());
              }
              struct stat there {};
              struct stat expected {};
              fstat(decoy.writer.get(), &expected);
              for (const int number : taken) {
                if (number >= static_cast<int>(limit.rlim_cur)) continue;
                EXPECT_EQ(0, fstat(number, &there)) << number << " was closed";
                EXPECT_EQ(expected.st_ino, there.st_ino) << number << " was replaced";
              }
              fcntl(decoy.reader.get(), F_SETFL, O_NONBLOCK);
              char byte;
              EXPECT_EQ(-1, read(decoy.reader.get(), &byte, 1))
                  << "something was written to a number";
            }));
}

TEST_F(C21_Descriptors, RequestsWorkAfterDup2OverEveryNumber) { take_over_every_number(false); }
TEST_F(C21_Descriptors, RequestsWorkAfterDup3OverEveryNumber) { take_over_every_number(true); }

TEST_F(C21_Descriptors, RequestsWorkWhenEveryNumberWasUsedUpBeforeTheFirst) {
  EXPECT_EQ(0, in_child([] {
              const rlimit few{64, 64};
              ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &few));
              Descriptor file = support::temporary_file("content");
              Pipe pipe;
              while (dup(0) >= 0) {
              }
              EXPECT_EQ(EMFILE, errno);
              expect_aio_works(file.get(), pipe.reader.get(), pipe.writer.get());
            }));
}

TEST_F(C21_Descriptors, RequestsWorkWhenTheLimitIsLoweredToNothing) {
  EXPECT_EQ(0, in_child([] {
              Descriptor file = support::temporary_file("content");
              Pipe pipe;
              const rlimit none{0, 0};
              ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
              expect_aio_works(file.get(), pipe.reader.get(), pipe.writer.get());
            }));
}

TEST_F(C21_Descriptors, RequestsWorkOnHighNumbers) {
  EXPECT_EQ(0, in_child([] {
              rlimit limit{};
              getrlimit(RLIMIT_NOFILE, &limit);
              limit.rlim_cur = limit.rlim_max;
              setrlimit(RLIMIT_NOFILE, &limit);
              const int high = static_cast<int>(std::min<rlim_t>(limit.rlim_cur, 100000)) - 3;
              Descriptor file = support::temporary_file("content");
              Pipe pipe;
              ASSERT_EQ(high, dup2(file.get(), high));
              ASSERT_EQ(high + 1, dup2(pipe.reader.get(), high + 1));
              ASSERT_EQ(high + 2, dup2(pipe.writer.get(), high + 2));
              expect_aio_works(high, high + 1, high + 2);
            }));
}

}  // namespace
