// C22 at the narrowest points: a descriptor is given to another file between two steps of a
// submission that the caller cannot see.
#include <unistd.h>

#include <thread>

#include "support/support.h"
#include "support/threads.h"
#include "unit/faults.h"

namespace {

using faults::Rule;
using faults::Scope;
using support::block;
using support::Descriptor;

// The library has asked which file the number is; then, before the request is known to anybody,
// another file comes to the number. A third comes after the submission: it must wait for the
// request which acts by number.
TEST(Closing, AFileThatCameDuringTheSubmissionIsTheOnesWhoseCloseWaits) {
  setenv("INFLIGHT_ENGINE", "threads", 1);
  const Descriptor before = support::temporary_file("before");
  const Descriptor during = support::temporary_file("during");
  const Descriptor after = support::temporary_file("after.");
  const int number = dup(before.get());
  char bytes[6] = {};

  std::atomic<bool> may_read{false};
  const auto swap = [&] { std::thread([&] { dup2(during.get(), number); }).join(); };
  const auto hold = [&] { EXPECT_TRUE(support::eventually([&] { return may_read.load(); })); };
  const Scope scope({Rule{.number = SYS_statx, .times = 1, .afterwards = swap},
                     Rule{.number = SYS_pread64, .times = 1, .before = hold}});
  aiocb reading = block(number, bytes, sizeof bytes, 0);
  ASSERT_EQ(0, aio_read(&reading));
  std::atomic<bool> entered{false};
  std::atomic<bool> replaced{false};
  {
    const support::Thread replacing([&] {
      entered = true;
      dup2(after.get(), number);
      replaced = true;
    });
    EXPECT_TRUE(support::eventually(
        [&] { return replaced.load() || (entered.load() && replacing.asleep()); }));
    may_read = true;
  }
  EXPECT_EQ(0, support::wait_for(reading));
  EXPECT_EQ("during", std::string(bytes, sizeof bytes));
  close(number);
}

}  // namespace
