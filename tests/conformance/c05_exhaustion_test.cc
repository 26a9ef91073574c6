// C5, "EAGAIN only when memory or threads are truly exhausted": what happens when they are. Each
// test exhausts them in a child.
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "support/kinds.h"
#include "support/loaded.h"
#include "support/outcome.h"
#include "support/support.h"
#include "support/threads.h"

namespace {

using support::count;
using support::Descriptor;
using support::Pipe;
using support::SocketPair;
using support::temporary_file;

class C05_Exhaustion : public support::Limited {};

bool forbid_threads() {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
  if (geteuid() == 0) seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0);
  // clone3's flags are out of a filter's sight; libc goes back to clone when there is none.
  const bool set = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0 &&
                   seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAGAIN), SCMP_SYS(clone), 1,
                                    SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD)) == 0 &&
                   seccomp_load(filter) == 0;
  seccomp_release(filter);
  return set;
}

// Without threads a call fails with EAGAIN, or else its request ends: it is never accepted and
// then forgotten.
TEST_F(C05_Exhaustion, WithoutThreadsACallFailsOrItsRequestEnds) {
  const auto body = [] {
    ASSERT_TRUE(forbid_threads());
    const Descriptor file = temporary_file("0123456789");
    Pipe pipe;
    char buffer[4] = {};
    const struct {
      support::Submit submit;
      int descriptor;
    } cases[] = {{aio_read, file.get()},
                 {aio_write, file.get()},
                 {support::sync_all, file.get()},
                 {aio_write, pipe.writer.get()},
                 {aio_read, pipe.reader.get()}};
    for (const auto& c : cases) {
      aiocb request = support::block(c.descriptor, buffer, 4);
      if (c.descriptor == pipe.reader.get()) {
        EXPECT_EQ(4, write(pipe.writer.get(), "abcd", 4));
      }
      errno = 0;
      if (c.submit(&request) == 0) {
        EXPECT_EQ(0, support::wait_for(request));
      } else {
        EXPECT_EQ(EAGAIN, errno);
      }
    }
  };
  EXPECT_EQ(0, support::in_child(body));
}

// What was refused for want of threads is accepted when there are some again: nothing is left
// behind by the failure. The filter holds for one thread and what it starts, so another can.
TEST_F(C05_Exhaustion, ARefusalForWantOfThreadsIsNotForEver) {
  const auto body = [] {
    const Descriptor file = temporary_file("0123456789");
    char buffer[4] = {};
    support::Thread poor([&] {
      ASSERT_TRUE(forbid_threads());
      aiocb request = support::block(file.get(), buffer, 4);
      if (aio_write(&request) == 0) support::wait_for(request);
    });
    poor.join();
    aiocb request = support::block(file.get(), buffer, 4);
    ASSERT_EQ(0, aio_write(&request)) << strerror(errno);
    EXPECT_EQ(count(4), support::outcome_of(request));
  };
  EXPECT_EQ(0, support::in_child(body));
}

rlim_t mapped_bytes() {
  rlim_t pages = 0;
  FILE* file = fopen("/proc/self/statm", "re");
  EXPECT_EQ(1, fscanf(file, "%lu", &pages));
  fclose(file);
  return pages * 4096;
}

// When memory is exhausted, calls fail with EAGAIN, and what was accepted before ends as it should.
// glibc: serves no read of the socket any more, and hangs.
TEST_F(C05_Exhaustion, WithoutMemoryCallsFailAndAcceptedRequestsEnd) {
  if (support::kSanitized) GTEST_SKIP() << "the sanitizer needs memory of its own";
  const auto body = [] {
    constexpr size_t kMost = 100'000;
    SocketPair socket;
    std::vector<aiocb> requests(kMost);
    std::vector<char> bytes(kMost);
    const std::string sent(4096, 'x');
    rlimit limit{};
    getrlimit(RLIMIT_AS, &limit);
    const rlimit unlimited = limit;
    size_t accepted = 0;
    const auto submit = [&] {
      requests[accepted] = support::block(socket.one.get(), &bytes[accepted], 1);
      errno = 0;
      const bool good = aio_read(&requests[accepted]) == 0;
      accepted += good ? 1 : 0;
      return good;
    };
    ASSERT_TRUE(submit());  // helper threads have their stacks
    limit.rlim_cur = mapped_bytes() + (rlim_t{4} << 20);
    ASSERT_EQ(0, setrlimit(RLIMIT_AS, &limit));
    while (accepted < kMost && submit()) {
    }
    const int error = errno;
    EXPECT_GT(accepted, 1000U);
    if (accepted < kMost) {
      EXPECT_EQ(EAGAIN, error);
    }
    ASSERT_EQ(0, setrlimit(RLIMIT_AS, &unlimited));
    if (accepted < kMost) {
      EXPECT_TRUE(submit()) << "memory is there again: " << strerror(errno);
    }
    for (size_t next = 0; next < accepted; ++next) {
      if (next % sent.size() == 0) {
        const size_t size = std::min(sent.size(), accepted - next);
        ASSERT_EQ(static_cast<ssize_t>(size), write(socket.two.get(), sent.data(), size));
      }
      ASSERT_EQ(count(1), support::outcome_of(requests[next]));
    }
  };
  EXPECT_EQ(0, support::in_child(body));
}

}  // namespace
