// C20: the library's helper threads. They block every signal, carry a name, use small stacks,
// never take the program's signals, and use no CPU while nothing is in flight.
//
// A thread counts as a helper when /proc/self/task did not list it before the first request.
#include <dirent.h>
#include <sys/eventfd.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "support/support.h"
#include "support/threads.h"

namespace {

using support::Descriptor;
using support::eventually;
using support::Pipe;
using support::wait_for;

std::set<pid_t> threads_now() {
  std::set<pid_t> found;
  DIR* directory = opendir("/proc/self/task");
  while (const dirent* one = readdir(directory)) {
    const int id = atoi(one->d_name);
    if (id > 0) found.insert(id);
  }
  closedir(directory);
  return found;
}

std::string thread_file(pid_t id, const char* name) {
  std::ifstream file("/proc/self/task/" + std::to_string(id) + "/" + name);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

// The value behind "name:" in a thread's status file; empty when the thread is gone.
std::string status_value(pid_t id, const std::string& name) {
  std::istringstream lines(thread_file(id, "status"));
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(name + ":", 0) == 0)
      return line.substr(line.find_first_not_of(" \t", name.size() + 1));
  }
  return "";
}

class C20_Helpers : public support::Limited {
 protected:
  void SetUp() override {
    Limited::SetUp();
    before_ = threads_now();
  }
  void TearDown() override {
    // What still waits in the pipe points into the test object.
    if (waiting_) {
      EXPECT_EQ(1, write(pipe_.writer.get(), "x", 1));
      EXPECT_EQ(0, wait_for(pipe_read_));
    }
    Limited::TearDown();
  }

  std::set<pid_t> helpers() const {
    std::set<pid_t> now = threads_now();
    for (const pid_t id : before_) now.erase(id);
    return now;
  }

  // Name and mask of a helper with a signal open; empty if there is none.
  std::string unblocked_helper() const {
    // 9 and 19 cannot be blocked, 32 and 33 are glibc's own.
    constexpr uint64_t kExempt = 1ULL << 8 | 1ULL << 18 | 1ULL << 31 | 1ULL << 32;
    for (const pid_t id : helpers()) {
      const std::string mask = status_value(id, "SigBlk");
      if (!mask.empty() && (strtoull(mask.c_str(), nullptr, 16) | kExempt) != ~0ULL) {
        return thread_file(id, "comm") + mask;
      }
    }
    return "";
  }

  // One request of each kind that some helper may carry, but for callbacks.
  void use_helpers() {
    constexpr size_t kLarge = size_t{4} << 20;
    std::vector<char> large(kLarge, 'l');
    Descriptor file = support::temporary_file();
    std::vector<aiocb> blocks;
    for (size_t i = 0; i < 16; ++i) {
      blocks.push_back(support::block(file.get(), &large[i * kLarge / 16], kLarge / 16,
                                      static_cast<off_t>(i * kLarge / 16)));
    }
    for (aiocb& block : blocks) ASSERT_EQ(0, aio_write(&block));
    for (aiocb& block : blocks) EXPECT_EQ(0, wait_for(block));
    for (aiocb& block : blocks) ASSERT_EQ(0, aio_read(&block));
    for (aiocb& block : blocks) EXPECT_EQ(0, wait_for(block));
    ASSERT_EQ(0, aio_fsync(O_SYNC, &blocks[0]));
    EXPECT_EQ(0, wait_for(blocks[0]));

    Descriptor direct = support::temporary_file("", O_DIRECT);
    void* aligned = aligned_alloc(4096, 4096);
    memset(aligned, 'd', 4096);
    aiocb direct_write = support::block(direct.get(), aligned, 4096);
    ASSERT_EQ(0, aio_write(&direct_write));
    wait_for(direct_write);
    free(aligned);

    Pipe pipe;
    char byte;
    aiocb streaming = support::block(pipe.reader.get(), &byte, 1);
    ASSERT_EQ(0, aio_read(&streaming));
    EXPECT_EQ(1, write(pipe.writer.get(), "x", 1));
    EXPECT_EQ(0, wait_for(streaming));
  }

  // Those, and a callback. Leaves a read waiting if wanted.
  void use_everything(bool leave_one_waiting) {
    use_helpers();
    Pipe pipe;
    char byte;
    static std::atomic<bool> called;
    called = false;
    aiocb waiting = support::block(pipe.reader.get(), &byte, 1);
    waiting.aio_sigevent = support::callback_event([](sigval) { called = true; }, nullptr);
    ASSERT_EQ(0, aio_read(&waiting));
    EXPECT_EQ(1, write(pipe.writer.get(), "x", 1));
    EXPECT_EQ(0, wait_for(waiting));
    EXPECT_TRUE(eventually([] { return called.load(); }));

    if (leave_one_waiting) {
      pipe_read_ = support::block(pipe_.reader.get(), &pipe_byte_, 1);
      ASSERT_EQ(0, aio_read(&pipe_read_));
      waiting_ = true;
    }
  }

  std::set<pid_t> before_;
  Pipe pipe_;
  aiocb pipe_read_{};
  char pipe_byte_ = 0;
  bool waiting_ = false;
};

TEST_F(C20_Helpers, EverySignalIsBlocked) {
  use_everything(true);
  // A callback's thread has an empty mask, and may be on its way out.
  EXPECT_TRUE(eventually([&] { return unblocked_helper().empty(); })) << unblocked_helper();
}

TEST_F(C20_Helpers, TheyCarryANameOfTheirOwn) {
  use_everything(true);
  const std::string program = thread_file(getpid(), "comm");
  for (const pid_t id : helpers()) {
    const std::string name = thread_file(id, "comm");
    if (name.empty()) continue;  // ended meanwhile
    EXPECT_NE(program, name) << "nobody could tell whose thread that is";
    EXPECT_GT(name.size(), 3U);
  }
}

// The length of the mapping that a thread's stack pointer is in.
size_t stack_mapping_of(pid_t id) {
  // "number arguments... stack-pointer program-counter", or "running".
  std::istringstream call(thread_file(id, "syscall"));
  std::vector<std::string> words;
  for (std::string word; call >> word;) words.push_back(word);
  if (words.size() < 3) return 0;
  const uint64_t pointer = strtoull(words[words.size() - 2].c_str(), nullptr, 16);
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    unsigned long from = 0;
    unsigned long to = 0;
    if (sscanf(line.c_str(), "%lx-%lx", &from, &to) == 2 && pointer >= from && pointer < to) {
      return to - from;
    }
  }
  return 0;
}

TEST_F(C20_Helpers, TheirStacksAreSmall) {
  use_everything(true);
  int measured = 0;
  EXPECT_TRUE(eventually([&] {
    measured = 0;
    for (const pid_t id : helpers()) {
      // The kernel's own workers have no stack here.
      if (thread_file(id, "comm").rfind("iou-", 0) == 0) continue;
      const size_t length = stack_mapping_of(id);
      if (length == 0) continue;
      ++measured;
      if (length > size_t{1} << 20) return false;
    }
    return measured > 0;
  })) << "a stack of more than 1 MiB, or no helper could be measured: "
      << measured;
}

std::atomic<int> handled_elsewhere{0};
pid_t handling_thread = 0;
void note_thread(int, siginfo_t*, void*) {
  if (support::this_thread() != handling_thread) ++handled_elsewhere;
}

TEST_F(C20_Helpers, TheyTakeNoneOfTheProgramsSignals) {
  handling_thread = support::this_thread();
  handled_elsewhere = 0;
  std::vector<std::unique_ptr<support::Handler>> handlers;
  std::vector<int> signals = {SIGUSR1, SIGUSR2, SIGHUP, SIGCHLD, SIGIO, SIGTERM, SIGINT, SIGPIPE};
  for (int number = SIGRTMIN; number <= SIGRTMAX; ++number) signals.push_back(number);
  sigset_t set;
  sigset_t before;
  sigemptyset(&set);
  for (const int number : signals) {
    handlers.push_back(std::make_unique<support::Handler>(number, note_thread, SA_RESTART));
    sigaddset(&set, number);
  }
  pthread_sigmask(SIG_BLOCK, &set, &before);
  use_everything(true);
  // A callback's thread blocks nothing while the callback runs; wait until that is over.
  ASSERT_TRUE(eventually([&] { return unblocked_helper().empty(); }));
  for (const int number : signals) kill(getpid(), number);
  // A thread with one of them open has it at once: they are sent to the process. Some work makes
  // sure that each helper has run since.
  use_helpers();
  for (const int number : signals) {
    sigset_t pending;
    sigpending(&pending);
    EXPECT_EQ(1, sigismember(&pending, number)) << "signal " << number << " was taken";
  }
  EXPECT_EQ(0, handled_elsewhere);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  EXPECT_EQ(0, handled_elsewhere);
}

// A write to a pipe that nobody reads raises SIGPIPE in the thread that writes; the program's
// thread has not written and must not see it.
TEST_F(C20_Helpers, AHelpersSigpipeDoesNotReachTheProgram) {
  handling_thread = 0;
  handled_elsewhere = 0;
  support::Handler handler(SIGPIPE, note_thread, SA_RESTART);
  Pipe pipe;
  support::SocketPair sockets;
  pipe.reader.reset();
  sockets.two.reset();
  for (const int descriptor : {pipe.writer.get(), sockets.one.get()}) {
    aiocb writing = support::block(descriptor, &pipe_byte_, 1);
    ASSERT_EQ(0, aio_write(&writing));
    EXPECT_EQ(EPIPE, wait_for(writing));
  }
  EXPECT_EQ(0, handled_elsewhere);
}

// Waking up now and then counts as CPU: the context switches of the helpers must come to a stop.
TEST_F(C20_Helpers, TheyUseNoCpuWhileNothingIsInFlight) {
  use_everything(false);
  const auto activity = [&] {
    std::map<pid_t, std::string> seen;
    for (const pid_t id : helpers()) {
      seen[id] = status_value(id, "voluntary_ctxt_switches") + "/" +
                 status_value(id, "nonvoluntary_ctxt_switches");
    }
    return seen;
  };
  int looks = 0;
  EXPECT_TRUE(eventually([&] {
    const auto before = activity();
    usleep(300000);
    ++looks;
    return before == activity();
  })) << "never quiet for 0.3 s, looked "
      << looks << " times";
}

}  // namespace
