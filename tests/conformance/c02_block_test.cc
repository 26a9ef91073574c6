// C2: struct aiocb, the program's and the library's parts of it, and that it is read when a request
// is submitted and not later. When it is written for the last time is in c02_completion_test.cc.
//
// "glibc:" comments say how glibc 2.36 answers a test that it fails.
#include <cstddef>

#include "support/outcome.h"
#include "support/support.h"
#include "support/threads.h"

namespace {

using support::BlockedSignal;
using support::callback_event;
using support::Descriptor;
using support::eventually;
using support::Pipe;
using support::signal_event;
using support::temporary_file;
using support::test_signal;
using support::wait_for;

class C02_Block : public support::Limited {};

// ---------------------------------------------------------------- its layout

// "Users keep the system's <aio.h>. struct aiocb is glibc's, 168 bytes on x86-64"
static_assert(sizeof(aiocb) == 168);
static_assert(sizeof(aiocb64) == 168);
static_assert(offsetof(aiocb, aio_fildes) == 0);
static_assert(offsetof(aiocb, aio_lio_opcode) == 4);
static_assert(offsetof(aiocb, aio_reqprio) == 8);
static_assert(offsetof(aiocb, aio_buf) == 16);
static_assert(offsetof(aiocb, aio_nbytes) == 24);
static_assert(offsetof(aiocb, aio_sigevent) == 32);
static_assert(offsetof(aiocb, aio_offset) == 128);

// ---------------------------------------------------------------- private members

// Everything but the public members holds `bytes`.
void set_private_members(aiocb& block, const aiocb& bytes) {
  aiocb mixed = bytes;
  mixed.aio_fildes = block.aio_fildes;
  mixed.aio_lio_opcode = block.aio_lio_opcode;
  mixed.aio_reqprio = block.aio_reqprio;
  mixed.aio_buf = block.aio_buf;
  mixed.aio_nbytes = block.aio_nbytes;
  mixed.aio_sigevent = block.aio_sigevent;
  mixed.aio_offset = block.aio_offset;
  block = mixed;
}

aiocb filled_with(int word) {
  aiocb made;
  auto* words = reinterpret_cast<int*>(&made);
  std::fill(words, words + sizeof made / sizeof word, word);
  return made;
}

void expect_usable_with(const aiocb& garbage, const std::string& what) {
  SCOPED_TRACE(what);
  Descriptor file = temporary_file("0123456789");
  Pipe pipe;
  char buffer[4] = {'a', 'b', 'c', 'd'};
  aiocb request = support::block(file.get(), buffer, 4, 2);
  set_private_members(request, garbage);
  EXPECT_EQ(support::count(4), support::run(aio_write, request));
  EXPECT_EQ(support::count(4), support::run(aio_read, request));
  EXPECT_EQ(support::count(0), support::run(support::sync_all, request));

  aiocb waiting = support::block(pipe.reader.get(), buffer, 4);
  set_private_members(waiting, garbage);
  ASSERT_EQ(0, aio_read(&waiting));
  EXPECT_EQ(EINPROGRESS, aio_error(&waiting));
  EXPECT_EQ(4, write(pipe.writer.get(), "wxyz", 4));
  EXPECT_EQ(support::count(4), support::outcome_of(waiting));
  EXPECT_EQ("wxyz", std::string(buffer, 4));

  aiocb listed = support::block(file.get(), buffer, 4, 0);
  set_private_members(listed, garbage);
  listed.aio_lio_opcode = LIO_READ;
  aiocb* const list[] = {&listed};
  EXPECT_EQ(0, lio_listio(LIO_WAIT, list, 1, nullptr));
  EXPECT_EQ(4, aio_return(&listed));
}

// "They may hold garbage when a request is submitted": every bit clear or set, noise, and words
// that look like a status.
TEST_F(C02_Block, PrivateMembersMayHoldGarbage) {
  expect_usable_with(filled_with(0), "zeros");
  expect_usable_with(filled_with(-1), "ones");
  expect_usable_with(filled_with(0x5a5aa5a5), "noise");
  expect_usable_with(filled_with(EINPROGRESS), "EINPROGRESS everywhere");
  expect_usable_with(filled_with(ECANCELED), "ECANCELED everywhere");
  expect_usable_with(filled_with(1), "small numbers");
}

// The worst garbage is what the library itself wrote there, for another request.
TEST_F(C02_Block, PrivateMembersMayBeThoseOfAnotherRequest) {
  Pipe pipe;
  char byte = 0;
  aiocb pending = support::block(pipe.reader.get(), &byte, 1);
  ASSERT_EQ(0, aio_read(&pending));
  expect_usable_with(pending, "a copy of a block in flight");
  EXPECT_EQ(EINPROGRESS, aio_error(&pending));
  EXPECT_EQ(1, write(pipe.writer.get(), "x", 1));
  EXPECT_EQ(support::count(1), support::outcome_of(pending));
  EXPECT_EQ('x', byte);
  expect_usable_with(pending, "a copy of a finished block");
}

// A copy of a block in flight, submitted in its turn, is another request: neither's end, nor a
// cancellation of one, is taken for the other's.
TEST_F(C02_Block, ACopyOfABlockInFlightIsARequestOfItsOwn) {
  Pipe first, second;
  char bytes[2] = {};
  aiocb original = support::block(first.reader.get(), &bytes[0], 1);
  ASSERT_EQ(0, aio_read(&original));
  aiocb copy = original;
  copy.aio_fildes = second.reader.get();
  copy.aio_buf = &bytes[1];
  ASSERT_EQ(0, aio_read(&copy));
  EXPECT_EQ(1, write(second.writer.get(), "2", 1));
  EXPECT_EQ(support::count(1), support::outcome_of(copy));
  EXPECT_EQ(EINPROGRESS, aio_error(&original));
  EXPECT_EQ(1, write(first.writer.get(), "1", 1));
  EXPECT_EQ(support::count(1), support::outcome_of(original));
  EXPECT_EQ("12", std::string(bytes, 2));
}

// "the library may use only its private members": the others are the program's, before and after,
// but for aio_lio_opcode.
// glibc: aio_fsync sets aio_reqprio to 0.
TEST_F(C02_Block, PublicMembersStayAsTheProgramLeftThem) {
  Descriptor file = temporary_file("0123456789");
  char buffer[4] = {};
  for (const support::Submit submit :
       {static_cast<support::Submit>(aio_read), static_cast<support::Submit>(aio_write),
        static_cast<support::Submit>(support::sync_all)}) {
    aiocb request = support::block(file.get(), buffer, 4, 3);
    request.aio_reqprio = 7;
    request.aio_sigevent.sigev_value.sival_int = 1234;
    const aiocb before = request;
    ASSERT_EQ(0, submit(&request));
    EXPECT_EQ(0, wait_for(request));
    EXPECT_EQ(before.aio_fildes, request.aio_fildes);
    EXPECT_EQ(before.aio_reqprio, request.aio_reqprio);
    EXPECT_EQ(before.aio_buf, request.aio_buf);
    EXPECT_EQ(before.aio_nbytes, request.aio_nbytes);
    EXPECT_EQ(before.aio_offset, request.aio_offset);
    EXPECT_EQ(0, memcmp(&before.aio_sigevent, &request.aio_sigevent, sizeof(sigevent)));
  }
}

// ---------------------------------------------------------------- aio_lio_opcode

// "aio_lio_opcode is ignored by aio_read/aio_write on input and holds LIO_READ / LIO_WRITE
// afterwards"
TEST_F(C02_Block, LioOpcodeIsIgnoredAndHoldsWhatWasDone) {
  Descriptor file = temporary_file("0123456789");
  for (const int opcode : std::initializer_list<int>{LIO_READ, LIO_WRITE, LIO_NOP, 77, -1}) {
    SCOPED_TRACE(opcode);
    char buffer[4] = {};
    aiocb request = support::block(file.get(), buffer, 4, 2);
    request.aio_lio_opcode = opcode;
    ASSERT_EQ(0, aio_read(&request));
    EXPECT_EQ(4, support::result_of(request));
    EXPECT_EQ("2345", std::string(buffer, 4));
    EXPECT_EQ(LIO_READ, request.aio_lio_opcode);

    request.aio_lio_opcode = opcode;
    ASSERT_EQ(0, aio_write(&request));
    EXPECT_EQ(4, support::result_of(request));
    EXPECT_EQ(LIO_WRITE, request.aio_lio_opcode);
  }
  Pipe pipe;
  char byte = 'x';
  aiocb writing = support::block(pipe.writer.get(), &byte, 1);
  aiocb reading = support::block(pipe.reader.get(), &byte, 1);
  writing.aio_lio_opcode = LIO_READ;
  reading.aio_lio_opcode = LIO_WRITE;
  ASSERT_EQ(0, aio_read(&reading));
  ASSERT_EQ(0, aio_write(&writing));
  EXPECT_EQ(1, support::result_of(writing));
  EXPECT_EQ(1, support::result_of(reading));
  EXPECT_EQ(LIO_WRITE, writing.aio_lio_opcode);
  EXPECT_EQ(LIO_READ, reading.aio_lio_opcode);
}

// ---------------------------------------------------------------- copied when submitted

// Every public member becomes something that would be noticed.
void spoil(aiocb& request) {
  request.aio_fildes = -1;
  request.aio_lio_opcode = 99;
  request.aio_reqprio = 12345;
  request.aio_buf = nullptr;
  request.aio_nbytes = SIZE_MAX;
  request.aio_offset = -1;
  memset(&request.aio_sigevent, 0x5a, sizeof request.aio_sigevent);
}

// "Everything a request needs, its sigevent too, is copied when it is submitted"
// glibc: takes the members from the block when it gets to the request: EBADF, and a notification
// of whatever the block holds at the end.
TEST_F(C02_Block, ABlockMayChangeWhileItsRequestWaits) {
  BlockedSignal signal(test_signal());
  Pipe pipe;
  char buffer[4] = {};
  aiocb request = support::block(pipe.reader.get(), buffer, 4);
  request.aio_sigevent = signal_event(test_signal(), 42);
  ASSERT_EQ(0, aio_read(&request));
  spoil(request);
  EXPECT_EQ(4, write(pipe.writer.get(), "wxyz", 4));
  siginfo_t info;
  ASSERT_TRUE(signal.take(&info));
  EXPECT_EQ(42, info.si_value.sival_int);
  EXPECT_EQ(0, aio_error(&request));
  EXPECT_EQ(4, aio_return(&request));
  EXPECT_EQ("wxyz", std::string(buffer, 4));
}

// The same for requests that wait behind others for their turn, and for those of files.
// glibc: as above.
TEST_F(C02_Block, BlocksMayChangeWhileTheirRequestsAreQueued) {
  Descriptor file = temporary_file("", O_APPEND);
  std::string letters;
  std::vector<char> bytes(200);
  std::vector<aiocb> requests(bytes.size());
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>('a' + i % 26);
    letters += bytes[i];
    requests[i] = support::block(file.get(), &bytes[i], 1);
    ASSERT_EQ(0, aio_write(&requests[i]));
    spoil(requests[i]);
  }
  for (aiocb& request : requests) EXPECT_EQ(support::count(1), support::outcome_of(request));
  std::string content(bytes.size() + 1, '\0');
  EXPECT_EQ(static_cast<ssize_t>(bytes.size()),
            pread(file.get(), content.data(), content.size(), 0));
  content.resize(bytes.size());
  EXPECT_EQ(letters, content);
}

// "PostgreSQL changes sigev_value of a block in flight": of one that notifies by callback.
void take_value(sigval value) { *static_cast<std::atomic<int>*>(value.sival_ptr) += 1; }

TEST_F(C02_Block, AChangedSigevValueIsNotTheOneThatIsSent) {
  Pipe pipe;
  char byte = 0;
  std::atomic<int> meant{0}, other{0};
  aiocb request = support::block(pipe.reader.get(), &byte, 1);
  request.aio_sigevent = callback_event(take_value, &meant);
  ASSERT_EQ(0, aio_read(&request));
  request.aio_sigevent.sigev_value.sival_ptr = &other;
  EXPECT_EQ(1, write(pipe.writer.get(), "x", 1));
  // glibc: calls with the new value.
  EXPECT_TRUE(eventually([&] { return meant + other > 0; }));
  EXPECT_EQ(1, meant);
  EXPECT_EQ(0, other);
}

}  // namespace
