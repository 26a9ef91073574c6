// C22: a close is seen at the other end as it returns, whatever became of the request that was
// polled there before.
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "support/support.h"
#include "support/threads.h"

namespace {

using support::block;

constexpr int kRounds = 100;

struct C22_Polls : ::testing::Test {
  void SetUp() override { signal(SIGPIPE, SIG_IGN); }
};

// `stop` ends the read before its descriptor is closed.
void expect_broken_pipe_after(void (*stop)(int reader, struct aiocb& read)) {
  for (int round = 0; round < kRounds; ++round) {
    support::Pipe pipe;
    char byte;
    struct aiocb read = block(pipe.reader.get(), &byte, 1);
    ASSERT_EQ(0, aio_read(&read));
    if (round % 2 == 0) support::others_are_asleep();  // it is polled, or about to be
    stop(pipe.reader.get(), read);
    pipe.reader.reset();
    ASSERT_EQ(-1, write(pipe.writer.get(), "x", 1))
        << "somebody still has the file, round " << round;
    ASSERT_EQ(EPIPE, errno);
    ASSERT_EQ(ECANCELED, support::wait_for(read));
  }
}

TEST_F(C22_Polls, ACloseIsSeenAtOnce) {
  expect_broken_pipe_after([](int, struct aiocb&) {});
}

TEST_F(C22_Polls, ACloseAfterACancelIsSeenAtOnce) {
  expect_broken_pipe_after(
      [](int reader, struct aiocb& read) { EXPECT_EQ(AIO_CANCELED, aio_cancel(reader, &read)); });
}

TEST_F(C22_Polls, ACloseAfterACancelOfAllIsSeenAtOnce) {
  expect_broken_pipe_after(
      [](int reader, struct aiocb&) { EXPECT_EQ(AIO_CANCELED, aio_cancel(reader, nullptr)); });
}

}  // namespace
