// C14: aio_cancel. Its answers, what it does to the block, and that neither a byte that arrives
// later nor one that was written already gets lost.
//
// "Stopped" reads wait in files that stay empty: a pipe, a socket, a terminal, an eventfd.
// glibc cancels only what no thread has taken yet, so nearly every test here fails there.
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "support/support.h"
#include "support/threads.h"

namespace {

using support::BlockedSignal;
using support::Descriptor;
using support::eventually;
using support::Pipe;
using support::SocketPair;
using support::temporary_file;
using support::test_signal;
using support::Thread;
using support::wait_for;

class C14_Cancel : public support::Limited {};

// Where a read waits, and where bytes for it come from.
struct Place {
  Descriptor reader, writer;
};

Place in_pipe() {
  Pipe pipe;
  return {std::move(pipe.reader), std::move(pipe.writer)};
}

Place in_socket(int type = SOCK_STREAM) {
  SocketPair pair(type);
  return {std::move(pair.one), std::move(pair.two)};
}

Place in_terminal() {
  const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  grantpt(master);
  unlockpt(master);
  char name[64] = "";
  ptsname_r(master, name, sizeof name);
  const int slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
  termios mode{};
  tcgetattr(slave, &mode);
  cfmakeraw(&mode);
  tcsetattr(slave, TCSANOW, &mode);
  return {Descriptor(slave), Descriptor(master)};
}

// Two numbers of one eventfd.
Place in_eventfd() {
  const int counter = eventfd(0, EFD_CLOEXEC);
  return {Descriptor(counter), Descriptor(fcntl(counter, F_DUPFD_CLOEXEC, 0))};
}

void expect_stopped(const aiocb& block) {
  EXPECT_EQ(ECANCELED, aio_error(&block));
  EXPECT_EQ(-1, aio_return(const_cast<aiocb*>(&block)));
}

bool same_public_members(const aiocb& one, const aiocb& two) {
  return one.aio_fildes == two.aio_fildes && one.aio_reqprio == two.aio_reqprio &&
         one.aio_buf == two.aio_buf && one.aio_nbytes == two.aio_nbytes &&
         one.aio_offset == two.aio_offset &&
         memcmp(&one.aio_sigevent, &two.aio_sigevent, sizeof one.aio_sigevent) == 0;
}

// ---------------------------------------------------------------- reads that wait

// A waiting read is stopped, three times over, by name and by NULL; then 8 bytes arrive, and a
// plain read gets them.
void stops_a_waiting_read(const Place& place) {
  for (int round = 0; round < 3; ++round) {
    char buffer[8] = {'-'};
    aiocb reading = support::block(place.reader.get(), buffer, 8, 3);
    const aiocb before = reading;
    ASSERT_EQ(0, aio_read(&reading));
    if (round == 1) {
      EXPECT_TRUE(support::others_are_asleep());  // it is where it waits
    }
    EXPECT_EQ(AIO_CANCELED, aio_cancel(place.reader.get(), round == 2 ? nullptr : &reading));
    if (testing::Test::HasFailure()) {
      EXPECT_EQ(8, write(place.writer.get(), "12345678", 8)) << "to get the read out of the way";
      wait_for(reading);
      return;
    }
    expect_stopped(reading);
    EXPECT_TRUE(same_public_members(before, reading));
    EXPECT_EQ('-', buffer[0]);
    EXPECT_EQ(AIO_ALLDONE, aio_cancel(place.reader.get(), &reading)) << "a second time";
  }
  EXPECT_EQ(8, write(place.writer.get(), "12345678", 8));
  EXPECT_EQ("12345678", support::drain(place.reader.get(), 8));
}

TEST_F(C14_Cancel, StopsAReadThatWaitsInAPipe) { stops_a_waiting_read(in_pipe()); }
TEST_F(C14_Cancel, StopsAReadThatWaitsInASocket) { stops_a_waiting_read(in_socket()); }
TEST_F(C14_Cancel, StopsAReadThatWaitsInADatagramSocket) {
  stops_a_waiting_read(in_socket(SOCK_DGRAM));
}
TEST_F(C14_Cancel, StopsAReadThatWaitsInATerminal) { stops_a_waiting_read(in_terminal()); }
TEST_F(C14_Cancel, StopsAReadThatWaitsInAnEventfd) { stops_a_waiting_read(in_eventfd()); }

// Bytes arrive at the moment of the cancellation: each is either in the request, which then says
// so, or still to be read.
void loses_no_byte(const Place& place) {
  constexpr uint64_t kRounds = 1500;
  std::atomic<uint64_t> go{0};
  std::atomic<bool> stop{false};
  Thread sender([&] {
    for (uint64_t i = 1; i <= kRounds; ++i) {
      while (go != i) {
        if (stop) return;
        sched_yield();
      }
      if (write(place.writer.get(), &i, sizeof i) != sizeof i) return;
    }
  });
  uint64_t stopped = 0;
  for (uint64_t i = 1; i <= kRounds && !testing::Test::HasFailure(); ++i) {
    uint64_t value = 0;
    aiocb reading = support::block(place.reader.get(), &value, sizeof value);
    EXPECT_EQ(0, aio_read(&reading));
    go = i;
    for (uint64_t spin = i % 16; spin > 0; --spin) sched_yield();
    const int answer = aio_cancel(place.reader.get(), &reading);
    const int status = wait_for(reading);
    if (answer == AIO_CANCELED) {
      EXPECT_EQ(ECANCELED, status);
      EXPECT_EQ(0U, value) << "stopped, but the buffer was written to";
      EXPECT_EQ(ssize_t{sizeof value}, read(place.reader.get(), &value, sizeof value));
      ++stopped;
    } else {
      EXPECT_EQ(0, status);
      EXPECT_EQ(ssize_t{sizeof value}, aio_return(&reading));
    }
    EXPECT_EQ(i, value);
  }
  stop = true;
  testing::Test::RecordProperty("stopped", static_cast<int>(stopped));
}

TEST_F(C14_Cancel, LosesNoByteOfAPipe) { loses_no_byte(in_pipe()); }
TEST_F(C14_Cancel, LosesNoByteOfASocket) { loses_no_byte(in_socket()); }
TEST_F(C14_Cancel, LosesNoByteOfATerminal) { loses_no_byte(in_terminal()); }
TEST_F(C14_Cancel, LosesNoCountOfAnEventfd) { loses_no_byte(in_eventfd()); }

TEST_F(C14_Cancel, TheOthersInLineKeepTheirOrderWhenOneIsStopped) {
  Place place = in_pipe();
  char bytes[6] = {};
  std::vector<aiocb> blocks;
  for (char& byte : bytes) blocks.push_back(support::block(place.reader.get(), &byte, 1));
  for (aiocb& block : blocks) ASSERT_EQ(0, aio_read(&block));
  for (const size_t stopped : {size_t{1}, size_t{0}, size_t{4}}) {
    EXPECT_EQ(AIO_CANCELED, aio_cancel(place.reader.get(), &blocks[stopped]));
    expect_stopped(blocks[stopped]);
  }
  EXPECT_EQ(6, write(place.writer.get(), "abcdef", 6));
  for (const size_t kept : {size_t{2}, size_t{3}, size_t{5}}) EXPECT_EQ(0, wait_for(blocks[kept]));
  EXPECT_EQ('a', bytes[2]);
  EXPECT_EQ('b', bytes[3]);
  EXPECT_EQ('c', bytes[5]);
  EXPECT_EQ(0, bytes[0] | bytes[1] | bytes[4]);
}

TEST_F(C14_Cancel, NullStopsAllOfTheDescriptor) {
  Place place = in_pipe();
  Place other = in_pipe();
  std::vector<char> bytes(1000);
  std::vector<aiocb> blocks;
  for (char& byte : bytes) blocks.push_back(support::block(place.reader.get(), &byte, 1));
  for (aiocb& block : blocks) ASSERT_EQ(0, aio_read(&block));
  char byte;
  aiocb elsewhere = support::block(other.reader.get(), &byte, 1);
  ASSERT_EQ(0, aio_read(&elsewhere));
  EXPECT_EQ(AIO_CANCELED, aio_cancel(place.reader.get(), nullptr));
  for (const aiocb& block : blocks) expect_stopped(block);
  EXPECT_EQ(EINPROGRESS, aio_error(&elsewhere));
  EXPECT_EQ(1, write(other.writer.get(), "x", 1));
  EXPECT_EQ(0, wait_for(elsewhere));
  EXPECT_EQ(1, write(place.writer.get(), "x", 1));
  EXPECT_EQ("x", support::drain(place.reader.get(), 1));
}

// POSIX: "against file descriptor fildes". A duplicate is another descriptor.
TEST_F(C14_Cancel, NullLeavesADuplicatesRequestsAlone) {
  Place place = in_pipe();
  Descriptor duplicate(fcntl(place.reader.get(), F_DUPFD_CLOEXEC, 0));
  char bytes[2] = {};
  aiocb stays = support::block(duplicate.get(), &bytes[0], 1);
  aiocb goes = support::block(place.reader.get(), &bytes[1], 1);
  ASSERT_EQ(0, aio_read(&stays));
  ASSERT_EQ(0, aio_read(&goes));
  EXPECT_EQ(AIO_CANCELED, aio_cancel(place.reader.get(), nullptr));
  expect_stopped(goes);
  EXPECT_EQ(EINPROGRESS, aio_error(&stays));
  EXPECT_EQ(1, write(place.writer.get(), "x", 1));
  EXPECT_EQ(0, wait_for(stays));
  EXPECT_EQ('x', bytes[0]);
}

TEST_F(C14_Cancel, ABlockCanBeUsedAgainAtOnce) {
  Place place = in_socket();
  char byte = 0;
  aiocb reading{};
  for (int round = 0; round < 500; ++round) {
    reading = support::block(place.reader.get(), &byte, 1);
    ASSERT_EQ(0, aio_read(&reading));
    ASSERT_EQ(AIO_CANCELED, aio_cancel(place.reader.get(), &reading));
  }
  reading = support::block(place.reader.get(), &byte, 1);
  ASSERT_EQ(0, aio_read(&reading));
  EXPECT_EQ(1, write(place.writer.get(), "x", 1));
  EXPECT_EQ(0, wait_for(reading));
  EXPECT_EQ('x', byte);
}

// ---------------------------------------------------------------- writes

// A write of 1 MiB has filled a pipe and waits for room, with three more behind it.
class StartedWrite {
 public:
  StartedWrite() : place_(in_pipe()), started_bytes_(size_t{1} << 20, 's') {
    started_ = support::block(place_.writer.get(), started_bytes_.data(), started_bytes_.size());
    EXPECT_EQ(0, aio_write(&started_));
    EXPECT_TRUE(eventually([&] {
      int there = 0;
      ioctl(place_.reader.get(), FIONREAD, &there);
      return there >= 65536;
    }));
    for (size_t i = 0; i < 3; ++i) {
      behind_[i] = support::block(place_.writer.get(), &behind_bytes_[i], 1);
      EXPECT_EQ(0, aio_write(&behind_[i]));
    }
  }

  // Everything that was written, once the started write has ended.
  std::string received() {
    std::string all = support::drain(place_.reader.get(), started_bytes_.size());
    EXPECT_EQ(0, wait_for(started_));
    EXPECT_EQ(static_cast<ssize_t>(started_bytes_.size()), aio_return(&started_));
    for (const aiocb& block : behind_) wait_for(block);
    place_.writer.reset();
    return all + support::drain(place_.reader.get(), 100);
  }

  Place place_;
  std::string started_bytes_;
  char behind_bytes_[3] = {'1', '2', '3'};
  aiocb started_{};
  aiocb behind_[3]{};
};

TEST_F(C14_Cancel, AStartedWriteIsNotCanceledAndArrivesWhole) {
  StartedWrite writes;
  EXPECT_EQ(AIO_NOTCANCELED, aio_cancel(writes.place_.writer.get(), &writes.started_));
  EXPECT_EQ(EINPROGRESS, aio_error(&writes.started_));
  EXPECT_TRUE(writes.started_bytes_ + "123" == writes.received());
}

TEST_F(C14_Cancel, AWriteBehindAStartedOneIsStopped) {
  StartedWrite writes;
  EXPECT_EQ(AIO_CANCELED, aio_cancel(writes.place_.writer.get(), &writes.behind_[1]));
  expect_stopped(writes.behind_[1]);
  EXPECT_EQ(EINPROGRESS, aio_error(&writes.behind_[0]));
  EXPECT_TRUE(writes.started_bytes_ + "13" == writes.received());
}

TEST_F(C14_Cancel, NullIsNotCanceledWhenAStartedWriteGoesOnButStopsThoseBehind) {
  StartedWrite writes;
  EXPECT_EQ(AIO_NOTCANCELED, aio_cancel(writes.place_.writer.get(), nullptr));
  for (const aiocb& block : writes.behind_) expect_stopped(block);
  EXPECT_EQ(EINPROGRESS, aio_error(&writes.started_));
  EXPECT_TRUE(writes.started_bytes_ == writes.received());
}

// Whatever the answers are, the file holds exactly what was not cancelled.
TEST_F(C14_Cancel, AppendsAreEitherWholeInTheFileOrCanceled) {
  for (int round = 0; round < 20; ++round) {
    Descriptor file = temporary_file("", O_APPEND);
    constexpr size_t kWrites = 200;
    std::vector<std::string> lines;
    std::vector<aiocb> blocks;
    for (size_t i = 0; i < kWrites; ++i) {
      lines.push_back(std::to_string(i) + std::string(200, '.') + "\n");
    }
    for (std::string& line : lines) {
      blocks.push_back(support::block(file.get(), line.data(), line.size()));
    }
    for (aiocb& block : blocks) ASSERT_EQ(0, aio_write(&block));
    const int one = aio_cancel(file.get(), &blocks[kWrites - 1]);
    const int all = aio_cancel(file.get(), nullptr);
    std::string expected;
    bool any_finished_later = false;
    for (size_t i = 0; i < kWrites; ++i) {
      const int before = aio_error(&blocks[i]);
      if (before == EINPROGRESS) any_finished_later = true;
      const int status = wait_for(blocks[i]);
      if (status == 0) {
        expected += lines[i];
      } else {
        EXPECT_EQ(ECANCELED, status);
      }
    }
    if (one == AIO_CANCELED) {
      EXPECT_EQ(ECANCELED, aio_error(&blocks[kWrites - 1]));
    }
    if (any_finished_later) {
      EXPECT_EQ(AIO_NOTCANCELED, all);
    }
    std::string content(expected.size() + 1000, '\0');
    const ssize_t length = pread(file.get(), content.data(), content.size(), 0);
    content.resize(length < 0 ? 0 : static_cast<size_t>(length));
    EXPECT_TRUE(expected == content);
  }
}

// ---------------------------------------------------------------- the other answers

TEST_F(C14_Cancel, AlldoneWhenTheRequestHasFinished) {
  Descriptor file = temporary_file("0123456789");
  char buffer[4];
  aiocb reading = support::block(file.get(), buffer, 4);
  ASSERT_EQ(0, aio_read(&reading));
  ASSERT_EQ(0, wait_for(reading));
  EXPECT_EQ(AIO_ALLDONE, aio_cancel(file.get(), &reading));
  EXPECT_EQ(0, aio_error(&reading));
  EXPECT_EQ(4, aio_return(&reading));
  EXPECT_EQ(AIO_ALLDONE, aio_cancel(file.get(), &reading)) << "after aio_return";
}

TEST_F(C14_Cancel, AlldoneWhenTheDescriptorHasNoRequests) {
  Pipe pipe;
  EXPECT_EQ(AIO_ALLDONE, aio_cancel(pipe.reader.get(), nullptr));
  char byte;
  aiocb reading = support::block(pipe.reader.get(), &byte, 1);
  ASSERT_EQ(0, aio_read(&reading));
  EXPECT_EQ(AIO_ALLDONE, aio_cancel(pipe.writer.get(), nullptr));
  EXPECT_EQ(1, write(pipe.writer.get(), "x", 1));
  EXPECT_EQ(0, wait_for(reading));
  EXPECT_EQ(AIO_ALLDONE, aio_cancel(pipe.reader.get(), nullptr));
}

TEST_F(C14_Cancel, AClosedDescriptorIsEbadf) {
  Descriptor file = temporary_file("0123456789");
  char buffer[4];
  aiocb reading = support::block(file.get(), buffer, 4);
  ASSERT_EQ(0, aio_read(&reading));
  ASSERT_EQ(0, wait_for(reading));
  const int number = file.get();
  file.reset();
  errno = 0;
  EXPECT_EQ(-1, aio_cancel(number, nullptr));
  EXPECT_EQ(EBADF, errno);
  errno = 0;
  EXPECT_EQ(-1, aio_cancel(number, &reading));
  EXPECT_EQ(EBADF, errno);
  errno = 0;
  EXPECT_EQ(-1, aio_cancel(-1, nullptr));
  EXPECT_EQ(EBADF, errno);
}

TEST_F(C14_Cancel, ABlockOfAnotherDescriptorIsEinvalAndStopsNothing) {
  Pipe pipe;
  Pipe other;
  char byte;
  aiocb reading = support::block(pipe.reader.get(), &byte, 1);
  ASSERT_EQ(0, aio_read(&reading));
  errno = 0;
  EXPECT_EQ(-1, aio_cancel(other.reader.get(), &reading));
  EXPECT_EQ(EINVAL, errno);
  EXPECT_EQ(EINPROGRESS, aio_error(&reading));
  EXPECT_EQ(1, write(pipe.writer.get(), "x", 1));
  EXPECT_EQ(0, wait_for(reading));
}

// ---------------------------------------------------------------- notifications

TEST_F(C14_Cancel, TheSignalOfAStoppedRequestIsSent) {
  BlockedSignal signal(test_signal());
  Place place = in_pipe();
  char bytes[2];
  std::vector<aiocb> blocks(2);
  for (int i = 0; i < 2; ++i) {
    blocks[i] = support::block(place.reader.get(), &bytes[i], 1);
    blocks[i].aio_sigevent = support::signal_event(test_signal(), 10 + i);
    ASSERT_EQ(0, aio_read(&blocks[i]));
  }
  siginfo_t info{};
  ASSERT_EQ(AIO_CANCELED, aio_cancel(place.reader.get(), &blocks[1]));
  ASSERT_TRUE(signal.take(&info));
  EXPECT_EQ(11, info.si_value.sival_int);
  EXPECT_EQ(SI_ASYNCIO, info.si_code);
  ASSERT_EQ(AIO_CANCELED, aio_cancel(place.reader.get(), nullptr));
  ASSERT_TRUE(signal.take(&info));
  EXPECT_EQ(10, info.si_value.sival_int);
  EXPECT_FALSE(signal.take_now());
}

TEST_F(C14_Cancel, TheCallbackOfAStoppedRequestRunsAndSeesItsStatus) {
  static std::atomic<int> status;
  static char byte;
  static aiocb reading;
  for (int round = 0; round < 20; ++round) {
    Place place = in_pipe();
    status = -1;
    reading = support::block(place.reader.get(), &byte, 1);
    reading.aio_sigevent =
        support::callback_event([](sigval) { status = aio_error(&reading); }, nullptr);
    ASSERT_EQ(0, aio_read(&reading));
    ASSERT_EQ(AIO_CANCELED, aio_cancel(place.reader.get(), &reading));
    ASSERT_TRUE(eventually([] { return status != -1; }));
    EXPECT_EQ(ECANCELED, status);
  }
}

}  // namespace
