// C5: which errors there are, and where each is reported: by the call itself or by the request.
// What signals they may not cause is in c05_signals_test.cc, what exhaustion does in
// c05_exhaustion_test.cc.
//
// "glibc:" comments say how glibc 2.36 answers a test that it fails.
#include <limits.h>
#include <sys/resource.h>

#include "support/kinds.h"
#include "support/outcome.h"
#include "support/support.h"
#include "support/threads.h"

namespace {

using support::BlockedSignal;
using support::closed_descriptor;
using support::count;
using support::Descriptor;
using support::failed;
using support::Memory;
using support::NamedFile;
using support::of_call;
using support::Outcome;
using support::Pipe;
using support::run;
using support::SocketPair;
using support::Submit;
using support::temporary_file;
using support::test_signal;

const Submit kSubmits[] = {aio_read, aio_write, support::sync_all, support::sync_data};

// The call itself refuses the request, and leaves no trace of it.
void expect_refused(int error, const aiocb& request) {
  for (const Submit submit : kSubmits) {
    aiocb copy = request;
    errno = 0;
    EXPECT_EQ(-1, submit(&copy));
    EXPECT_EQ(error, errno);
  }
}

void expect_accepted(const aiocb& request) {
  for (const Submit submit : kSubmits) EXPECT_EQ(0, run(submit, request).status);
}

class C05_Errors : public support::Limited {
 protected:
  Descriptor file_ = temporary_file("0123456789");
  char buffer_[16] = "abcdefghijklmno";
  aiocb request_ = support::block(file_.get(), buffer_, 4);
};

// ---------------------------------------------------------------- by the call itself

// "an aio_reqprio outside 0..AIO_PRIO_DELTA_MAX (20) is -1/EINVAL from the call itself"
// glibc: aio_fsync does not look at it.
TEST_F(C05_Errors, PrioritiesOutsideTheRangeAreRefused) {
  EXPECT_EQ(20, sysconf(_SC_AIO_PRIO_DELTA_MAX));
  for (const int priority : {-1, 21, 1000, INT_MIN, INT_MAX}) {
    SCOPED_TRACE(priority);
    request_.aio_reqprio = priority;
    expect_refused(EINVAL, request_);
  }
}

TEST_F(C05_Errors, PrioritiesInsideTheRangeAreAccepted) {
  for (int priority = 0; priority <= 20; ++priority) {
    request_.aio_reqprio = priority;
    expect_accepted(request_);
  }
}

// "and so is a sigev_notify that means nothing" (glibc: accepts it, and sends nothing)
TEST_F(C05_Errors, NotificationsThatMeanNothingAreRefused) {
  for (const int notify : {3, 5, 6, 77, -1, INT_MAX, INT_MIN}) {
    SCOPED_TRACE(notify);
    request_.aio_sigevent.sigev_notify = notify;
    expect_refused(EINVAL, request_);
  }
}

// "or a signal number over SIGRTMAX" (glibc: accepts it, and sends nothing)
TEST_F(C05_Errors, SignalsThatThereAreNotAreRefused) {
  for (const int notify : {SIGEV_SIGNAL, SIGEV_THREAD_ID}) {
    request_.aio_sigevent.sigev_notify = notify;
    request_.aio_sigevent._sigev_un._tid = support::this_thread();
    for (const int signal : {SIGRTMAX + 1, 1000, INT_MAX}) {
      SCOPED_TRACE(signal);
      request_.aio_sigevent.sigev_signo = signal;
      expect_refused(EINVAL, request_);
    }
  }
}

// A signal number is looked at only where one is meant.
TEST_F(C05_Errors, ASignalNumberThatIsNotUsedMayBeAnything) {
  request_.aio_sigevent.sigev_signo = 1000;
  request_.aio_sigevent.sigev_notify = SIGEV_NONE;
  expect_accepted(request_);
  request_.aio_sigevent.sigev_notify = SIGEV_THREAD;
  request_.aio_sigevent.sigev_notify_function = [](sigval) {};
  request_.aio_sigevent.sigev_notify_attributes = nullptr;
  expect_accepted(request_);
}

// A refused write has not been made, a refused request notifies nobody, and its block may be
// submitted when it is put right.
TEST_F(C05_Errors, ARefusedRequestDoesNothing) {
  BlockedSignal signal(test_signal());
  request_.aio_sigevent = support::signal_event(test_signal());
  request_.aio_reqprio = 21;
  EXPECT_EQ(-1, aio_write(&request_));
  request_.aio_reqprio = 20;
  request_.aio_nbytes = 1;
  request_.aio_offset = 9;
  ASSERT_EQ(0, aio_write(&request_));
  EXPECT_EQ(count(1), support::outcome_of(request_));
  EXPECT_TRUE(signal.take());
  EXPECT_FALSE(signal.take_now());
  char content[10];
  EXPECT_EQ(10, pread(file_.get(), content, 10, 0));
  EXPECT_EQ("012345678a", std::string(content, 10));
}

// "SIGEV_SIGNAL with signo 0 is accepted and sends nothing (MPICH and others submit calloc'ed
// blocks)"
TEST_F(C05_Errors, SignalZeroIsAcceptedAndSendsNothing) {
  aiocb zeroed{};
  zeroed.aio_fildes = file_.get();
  zeroed.aio_buf = buffer_;
  zeroed.aio_nbytes = 4;
  ASSERT_EQ(SIGEV_SIGNAL, zeroed.aio_sigevent.sigev_notify);
  sigset_t all, before, pending;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  expect_accepted(zeroed);
  sigpending(&pending);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  EXPECT_TRUE(sigisemptyset(&pending));
}

// "aio_fsync reports a closed one from the call"
TEST_F(C05_Errors, FsyncOfAClosedDescriptorIsRefused) {
  for (const int descriptor : {closed_descriptor(), -1, -100, INT_MAX, INT_MIN}) {
    SCOPED_TRACE(descriptor);
    for (const Submit submit : {Submit{support::sync_all}, Submit{support::sync_data}}) {
      aiocb copy = support::block(descriptor, nullptr, 0);
      errno = 0;
      EXPECT_EQ(-1, submit(&copy));
      EXPECT_EQ(EBADF, errno);
    }
  }
}

// ---------------------------------------------------------------- by the request: descriptors

// "A closed ... descriptor is accepted by aio_read and aio_write, and EBADF comes through
// aio_error"
TEST_F(C05_Errors, AClosedDescriptorIsTheRequestsError) {
  for (const int descriptor : {closed_descriptor(), -1, -100, INT_MAX, INT_MIN}) {
    SCOPED_TRACE(descriptor);
    EXPECT_EQ(failed(EBADF), run(aio_read, support::block(descriptor, buffer_, 4)));
    EXPECT_EQ(failed(EBADF), run(aio_write, support::block(descriptor, buffer_, 4)));
    EXPECT_EQ(failed(EBADF), run(aio_read, support::block(descriptor, buffer_, 0)));
  }
}

// "or wrongly opened"
TEST_F(C05_Errors, AWronglyOpenedDescriptorIsTheRequestsError) {
  NamedFile file("0123456789");
  Pipe pipe;
  const Descriptor for_writing = file.open(O_WRONLY), for_reading = file.open(O_RDONLY);
  const Descriptor direct_writing = file.open(O_WRONLY | O_DIRECT);
  const Descriptor direct_reading = file.open(O_RDONLY | O_DIRECT);
  Memory page(4096);
  for (const int descriptor : {for_writing.get(), direct_writing.get(), pipe.writer.get()}) {
    EXPECT_EQ(failed(EBADF), run(aio_read, support::block(descriptor, page.get(), 4096)));
  }
  for (const int descriptor : {for_reading.get(), direct_reading.get(), pipe.reader.get()}) {
    EXPECT_EQ(failed(EBADF), run(aio_write, support::block(descriptor, page.get(), 4096)));
  }
  EXPECT_EQ("0123456789", file.content());
}

TEST_F(C05_Errors, APathIsNotAnOpenFile) {
  NamedFile file("0123456789");
  const Descriptor path = file.open(O_PATH);
  const Descriptor directory(open("/", O_PATH | O_CLOEXEC));
  for (const int descriptor : {path.get(), directory.get()}) {
    EXPECT_EQ(failed(EBADF), run(aio_read, support::block(descriptor, buffer_, 4)));
    EXPECT_EQ(failed(EBADF), run(aio_write, support::block(descriptor, buffer_, 4)));
    // The rule leaves open whether it is closed in the sense of aio_fsync's check.
    aiocb request = support::block(descriptor, nullptr, 0);
    const int called = aio_fsync(O_SYNC, &request) == 0 ? support::wait_for(request) : errno;
    EXPECT_EQ(EBADF, called);
  }
}

// "EISDIR"
TEST_F(C05_Errors, ADirectoryIsNotRead) {
  const Descriptor directory(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  EXPECT_EQ(failed(EISDIR), run(aio_read, support::block(directory.get(), buffer_, 4)));
  EXPECT_EQ(failed(EBADF), run(aio_write, support::block(directory.get(), buffer_, 4)));
}

// A socket that is not connected, one that listens.
TEST_F(C05_Errors, UnconnectedSocketsAnswerAsReadAndWriteDo) {
  for (const int family : {AF_UNIX, AF_INET}) {
    SCOPED_TRACE(family);
    const Descriptor socket(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(of_call(read(socket.get(), buffer_, 4)),
              run(aio_read, support::block(socket.get(), buffer_, 4)));
    const Outcome writing = of_call(send(socket.get(), buffer_, 4, MSG_NOSIGNAL));
    EXPECT_EQ(writing, run(aio_write, support::block(socket.get(), buffer_, 4)));
  }
}

// ---------------------------------------------------------------- by the request: numbers

// "A negative offset on a seekable file ...: EINVAL". (io_uring takes -1 for the file position.)
TEST_F(C05_Errors, NegativeOffsetsAreTheRequestsError) {
  Memory page(4096);
  const Descriptor direct = temporary_file(std::string(4096, 'x'), O_DIRECT);
  for (const int descriptor : {file_.get(), direct.get()}) {
    for (const off_t offset : {off_t{-1}, off_t{-2}, off_t{-4096}, INT64_MIN}) {
      SCOPED_TRACE(offset);
      EXPECT_EQ(failed(EINVAL), run(aio_read, support::block(descriptor, page.get(), 512, offset)));
      EXPECT_EQ(failed(EINVAL),
                run(aio_write, support::block(descriptor, page.get(), 512, offset)));
      EXPECT_EQ(failed(EINVAL), run(aio_read, support::block(descriptor, page.get(), 0, offset)));
    }
    EXPECT_EQ(0, lseek(descriptor, 0, SEEK_CUR));
  }
  EXPECT_EQ(10, lseek(file_.get(), 0, SEEK_END));
}

// "and an aio_nbytes over SSIZE_MAX: EINVAL" (glibc: EFAULT, as Linux finds that such a buffer
// cannot exist before it looks at the length)
TEST_F(C05_Errors, LengthsOverTheMaximumAreTheRequestsError) {
  Pipe pipe;
  for (const size_t length : {size_t{SSIZE_MAX} + 1, SIZE_MAX - 4096, SIZE_MAX}) {
    SCOPED_TRACE(length);
    EXPECT_EQ(failed(EINVAL), run(aio_read, support::block(file_.get(), buffer_, length)));
    EXPECT_EQ(failed(EINVAL), run(aio_write, support::block(file_.get(), buffer_, length)));
    EXPECT_EQ(failed(EINVAL), run(aio_write, support::block(pipe.writer.get(), buffer_, length)));
    EXPECT_EQ(failed(EINVAL), run(aio_read, support::block(pipe.reader.get(), buffer_, length)));
  }
}

// "EOVERFLOW/EFBIG at the offset maximum": a file system's largest file gives EFBIG. Where the
// end would not even be a number, Linux itself says EINVAL, and C4 wants pwrite's answer.
TEST_F(C05_Errors, TheOffsetMaximumIsAsForPreadAndPwrite) {
  EXPECT_EQ(failed(EFBIG), run(aio_write, support::block(file_.get(), buffer_, 1, INT64_MAX - 1)));
  for (const off_t offset :
       {off_t{1} << 45, off_t{1} << 62, INT64_MAX - 20, INT64_MAX - 4, INT64_MAX - 1, INT64_MAX}) {
    for (const size_t length : {0, 1, 4, 15}) {
      SCOPED_TRACE(testing::Message() << length << " at " << offset);
      EXPECT_EQ(of_call(pread(file_.get(), buffer_, length, offset)),
                run(aio_read, support::block(file_.get(), buffer_, length, offset)));
      EXPECT_EQ(of_call(pwrite(file_.get(), buffer_, length, offset)),
                run(aio_write, support::block(file_.get(), buffer_, length, offset)));
    }
  }
  EXPECT_EQ(10, lseek(file_.get(), 0, SEEK_END));
}

// ---------------------------------------------------------------- by the request: what read says

// "EFAULT": no memory at the address, on every kind of file.
TEST_F(C05_Errors, MemoryThatIsNotThereIsTheRequestsError) {
  Memory nothing(8192, PROT_NONE);
  const Descriptor direct = temporary_file(std::string(4096, 'x'), O_DIRECT);
  Pipe pipe;
  SocketPair socket;
  EXPECT_EQ(4, write(pipe.writer.get(), "abcd", 4));
  EXPECT_EQ(4, write(socket.two.get(), "abcd", 4));
  for (const int in : {file_.get(), direct.get(), pipe.reader.get(), socket.one.get()}) {
    SCOPED_TRACE(in);
    EXPECT_EQ(failed(EFAULT), run(aio_read, support::block(in, nothing.get(), 4096)));
    EXPECT_EQ(failed(EFAULT), run(aio_read, support::block(in, nullptr, 4096)));
  }
  for (const int out : {file_.get(), direct.get(), pipe.writer.get(), socket.one.get()}) {
    SCOPED_TRACE(out);
    EXPECT_EQ(failed(EFAULT), run(aio_write, support::block(out, nothing.get(), 4096)));
    EXPECT_EQ(failed(EFAULT), run(aio_write, support::block(out, nullptr, 4096)));
  }
}

// Memory that ends in the middle: the part that exists, as pread and pwrite.
TEST_F(C05_Errors, MemoryThatEndsInTheMiddleIsUsedUpToThere) {
  const Descriptor file = temporary_file(std::string(65536, 'x'));
  Memory pages(16384);
  ASSERT_EQ(0, mprotect(pages.get() + 8192, 8192, PROT_NONE));
  EXPECT_EQ(of_call(pread(file.get(), pages.get(), 16384, 0)),
            run(aio_read, support::block(file.get(), pages.get(), 16384)));
  EXPECT_EQ(of_call(pwrite(file.get(), pages.get(), 16384, 0)),
            run(aio_write, support::block(file.get(), pages.get(), 16384)));
}

// Read-only memory cannot be read into; and it can be written from.
TEST_F(C05_Errors, ReadOnlyMemoryIsForWritingFrom) {
  Memory page(4096, PROT_READ);
  EXPECT_EQ(failed(EFAULT), run(aio_read, support::block(file_.get(), page.get(), 4)));
  EXPECT_EQ(count(4), run(aio_write, support::block(file_.get(), page.get(), 4)));
}

// "ENOSPC"
TEST_F(C05_Errors, AFullDeviceIsTheRequestsError) {
  const Descriptor full(open("/dev/full", O_RDWR | O_CLOEXEC));
  EXPECT_EQ(failed(ENOSPC), run(aio_write, support::block(full.get(), buffer_, 4)));
  EXPECT_EQ(count(4), run(aio_read, support::block(full.get(), buffer_, 4)));
}

// "EIO": the other side of a terminal is gone.
TEST_F(C05_Errors, ATerminalWithoutItsSlaveIsTheRequestsError) {
  support::Terminal terminal;
  aiocb waiting = support::block(terminal.master.get(), buffer_, 4);
  ASSERT_EQ(0, aio_read(&waiting));
  EXPECT_EQ(EINPROGRESS, aio_error(&waiting));
  terminal.slave.reset();
  EXPECT_EQ(failed(EIO), support::outcome_of(waiting));
  EXPECT_EQ(failed(EIO), run(aio_read, support::block(terminal.master.get(), buffer_, 4)));
}

// A connection that the other side resets, while a read waits.
TEST_F(C05_Errors, AResetConnectionIsTheRequestsError) {
  support::Connection connection;
  aiocb waiting = support::block(connection.one.get(), buffer_, 4);
  ASSERT_EQ(0, aio_read(&waiting));
  EXPECT_EQ(EINPROGRESS, aio_error(&waiting));
  connection.reset_by_two();
  EXPECT_EQ(failed(ECONNRESET), support::outcome_of(waiting));
}

// "EAGAIN on O_NONBLOCK": what would wait, does not.
TEST_F(C05_Errors, NonblockingDescriptorsDoNotWait) {
  Pipe pipe, full_pipe;
  SocketPair socket, full_socket, packets(SOCK_SEQPACKET);
  const Descriptor counter = support::event_counter(0, EFD_NONBLOCK);
  support::Terminal terminal;
  support::fill(full_pipe.writer.get());
  support::fill(full_socket.one.get());
  const int readers[] = {pipe.reader.get(), socket.one.get(), packets.one.get(), counter.get(),
                         terminal.slave.get()};
  const int writers[] = {full_pipe.writer.get(), full_socket.one.get()};
  for (const int descriptor : readers) {
    SCOPED_TRACE(descriptor);
    EXPECT_EQ(0, fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK));
    EXPECT_EQ(failed(EAGAIN), run(aio_read, support::block(descriptor, buffer_, 8)));
  }
  for (const int descriptor : writers) {
    SCOPED_TRACE(descriptor);
    EXPECT_EQ(0, fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK));
    EXPECT_EQ(failed(EAGAIN), run(aio_write, support::block(descriptor, buffer_, 8)));
  }
}

// ... and moves what can be moved at once, as read and write do.
TEST_F(C05_Errors, NonblockingDescriptorsMoveWhatTheyCan) {
  Pipe ours, theirs;
  SocketPair our_socket, their_socket;
  const std::string bytes(size_t{8} << 20, 'x');
  const auto compare = [&](int our_in, int our_out, int their_in, int their_out) {
    for (const int descriptor : {our_in, our_out, their_in, their_out}) {
      EXPECT_EQ(0, fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK));
    }
    std::string copy = bytes;
    EXPECT_EQ(of_call(write(their_in, bytes.data(), bytes.size())),
              run(aio_write, support::block(our_in, copy.data(), copy.size())));
    EXPECT_EQ(of_call(read(their_out, copy.data(), 1000)),
              run(aio_read, support::block(our_out, copy.data(), 1000)));
  };
  compare(ours.writer.get(), ours.reader.get(), theirs.writer.get(), theirs.reader.get());
  compare(our_socket.one.get(), our_socket.two.get(), their_socket.one.get(),
          their_socket.two.get());
}

}  // namespace
