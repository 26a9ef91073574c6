// The property: every random program ends, and every answer it gets is one that the contract
// permits.
//
// Each program runs in a process of its own, from its first request on, so that a crash or a hang
// is an answer like any other and the program can be shrunk. A failure tells
// how to run its seed again.
#include <rapidcheck.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <iostream>
#include <random>
#include <thread>

#include "model/executor.h"
#include "model/notices.h"
#include "support/support.h"

namespace model {
namespace {

constexpr unsigned kDeadline = 60;  // seconds for one program, which takes milliseconds
int report = -1;                    // where a child says what was wrong

void check_notices() {
  const bool all = support::eventually([] {
    for (int number = 0; number < Notices::asked(); ++number) {
      if (Notices::count(number) == 0) return false;
    }
    return true;
  });
  if (!all) wrong("a notification never came");
  for (int number = 0; number < Notices::asked(); ++number) {
    if (Notices::count(number) != 1) wrong("a notification came twice");
  }
}

void run_here(const Program& program) {
  Notices::install();
  std::vector<std::thread> threads;
  for (int number = 0; number < kThreads; ++number) {
    threads.emplace_back([&program, number] {
      Executor executor;
      for (const Command& command : program) {
        if (command.thread % kThreads == number) executor.run(command);
      }
      executor.finish();
    });
  }
  for (std::thread& thread : threads) thread.join();
  check_notices();
}

// What was wrong; empty if nothing.
std::string run_apart(const Program& program) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return "pipe2";
  fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    report = ends[1];
    alarm(kDeadline);
    run_here(program);
    _exit(0);
  }
  close(ends[1]);
  char text[200] = {};
  const ssize_t length = read(ends[0], text, sizeof text - 1);
  close(ends[0]);
  int status = -1;
  waitpid(child, &status, 0);
  if (length > 0) return text;
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) return "the program hung";
  if (status != 0) return "the program ended with wait status " + std::to_string(status);
  return "";
}

long from_environment(const char* name, long otherwise) {
  const char* text = getenv(name);
  return text != nullptr ? atol(text) : otherwise;
}

TEST(Model, RandomProgramsGetOnlyAnswersThatTheContractPermits) {
  ASSERT_TRUE(support::served_by_inflight()) << "the library, not glibc, must answer";
  const auto end =
      support::Clock::now() + std::chrono::seconds(from_environment("INFLIGHT_MODEL_SECONDS", 3));
  const auto first = static_cast<uint64_t>(
      from_environment("INFLIGHT_MODEL_SEED", static_cast<long>(std::random_device()() >> 1)));
  rc::detail::TestParams parameters;
  parameters.maxSuccess = 20;
  parameters.maxSize = 120;
  uint64_t batch = 0;
  for (; support::Clock::now() < end; ++batch) {
    parameters.seed = first + batch;
    const auto result = rc::detail::checkTestable(
        [](const Program& program) {
          const std::string wrong = run_apart(program);
          if (!wrong.empty()) RC_FAIL(wrong);
        },
        rc::detail::TestMetadata(), parameters);
    if (result.is<rc::detail::SuccessResult>()) continue;
    rc::detail::printResultMessage(result, std::cerr);
    FAIL() << "\nto run it again: INFLIGHT_MODEL_SEED=" << parameters.seed;
  }
  std::cout << batch * 20 << " programs from seed " << first << "\n";
}

}  // namespace

void wrong(const std::string& what) {
  const ssize_t written = write(report, what.data(), what.size());
  _exit(written > 0 ? 1 : 2);
}

}  // namespace model
