// C11: aio_reqprio. That it matters among requests that wait, and that C9 and C10 come first.
//
// glibc: sorts all that waits by aio_reqprio, appending writes, streams and barriers too: it fails
// all of these but the first two.
#include <algorithm>

#include "support/kinds.h"
#include "support/outcome.h"
#include "support/support.h"
#include "support/threads.h"

namespace {

using support::count;
using support::Descriptor;
using support::Memory;
using support::NamedFile;
using support::Pipe;
using support::SocketPair;
using support::temporary_file;

constexpr int kLowest = 20;
constexpr size_t kMegabyte = size_t{1} << 20;

class C11_Priority : public support::Limited {
 protected:
  // Few threads, so that a crowd of requests has to wait for them. Read with the first request.
  static void SetUpTestSuite() { setenv("INFLIGHT_THREADS", "2", 1); }
};

// A crowd of buffered writes that keeps whoever carries them busy, then two single ones: the first
// of the lowest priority, the second of the highest. Signals of one number are taken in the order
// in which they were sent, so they tell which of the two finished first.
class Race {
 public:
  enum Runner { neither, low, high };

  // `neither` if the crowd had all but gone when the last came, because this thread was held up.
  Runner run() {
    const support::BlockedSignal signal(support::test_signal());
    std::vector<aiocb> crowd(kCrowd);
    for (size_t i = 0; i < crowd.size(); ++i) {
      crowd[i] = write_of(i % kFiles, kLowest / 2);
      EXPECT_EQ(0, aio_write(&crowd[i]));
    }
    aiocb last[] = {write_of(kFiles, kLowest), write_of(kFiles + 1, 0)};
    last[0].aio_sigevent = support::signal_event(support::test_signal(), low);
    last[1].aio_sigevent = support::signal_event(support::test_signal(), high);
    for (aiocb& request : last) EXPECT_EQ(0, aio_write(&request));
    size_t waiting = 0;
    for (const aiocb& request : crowd) waiting += aio_error(&request) == EINPROGRESS ? 1 : 0;
    siginfo_t first{}, second{};
    EXPECT_TRUE(signal.take(&first));
    EXPECT_TRUE(signal.take(&second));
    for (aiocb& request : crowd) EXPECT_EQ(0, support::wait_for(request));
    for (aiocb& request : last) EXPECT_EQ(0, support::wait_for(request));
    return waiting < kCrowd / 10 ? neither : static_cast<Runner>(first.si_value.sival_int);
  }

 private:
  aiocb write_of(size_t file, int priority) {
    aiocb made = support::block(files_[file].get(), memory_.get(), kLength);
    made.aio_reqprio = priority;
    return made;
  }
  static std::vector<Descriptor> make_files() {
    std::vector<Descriptor> files;
    for (size_t i = 0; i < kFiles + 2; ++i) {
      files.push_back(temporary_file(std::string(kLength, 'x')));
    }
    return files;
  }

  static constexpr size_t kCrowd = 100;
  static constexpr size_t kFiles = 10;
  static constexpr size_t kLength = kMegabyte;
  Memory memory_{kLength};
  std::vector<Descriptor> files_ = make_files();
};

// "aio_reqprio lowers a request's priority against others that wait": the one that was submitted
// last overtakes the one whose priority was lowered; if not each time, then nearly so, as both may
// have found a free thread at once.
TEST_F(C11_Priority, ALoweredRequestIsOvertaken) {
  Race race;
  int rounds = 0, high = 0;
  for (int tries = 0; tries < 200 && rounds < 20; ++tries) {
    const Race::Runner first = race.run();
    rounds += first != Race::neither ? 1 : 0;
    high += first == Race::high ? 1 : 0;
  }
  ASSERT_EQ(20, rounds) << "no crowd to overtake in";
  EXPECT_GE(high, 15) << "of 20";
}

// Lowered is not forgotten: it is served though others keep coming.
TEST_F(C11_Priority, ALoweredRequestIsServed) {
  const Descriptor file = temporary_file(), other = temporary_file();
  Memory memory(kMegabyte);
  aiocb low = support::block(file.get(), memory.get(), kMegabyte);
  low.aio_reqprio = kLowest;
  ASSERT_EQ(0, aio_write(&low));
  std::vector<aiocb> others(8);
  for (aiocb& request : others) {
    request = support::block(other.get(), memory.get(), kMegabyte);
    ASSERT_EQ(0, aio_write(&request));
  }
  for (aiocb& request : others) {
    EXPECT_EQ(count(kMegabyte), support::outcome_of(request));
  }
  EXPECT_EQ(count(kMegabyte), support::outcome_of(low));
}

// ---------------------------------------------------------------- what it never reorders

// Priorities from the lowest to the highest, over and over, so that each wants to overtake.
int rising(int i) { return kLowest - i % (kLowest + 1); }

// "it never reorders C9": appending writes.
TEST_F(C11_Priority, AppendingWritesStayInCallOrder) {
  NamedFile file;
  const Descriptor one = file.open(O_WRONLY | O_APPEND), two = file.open(O_WRONLY | O_APPEND);
  std::vector<std::string> lines(500);
  std::vector<aiocb> requests(lines.size());
  std::string expected;
  for (size_t i = 0; i < lines.size(); ++i) {
    lines[i] = std::to_string(i) + "\n";
    expected += lines[i];
    requests[i] =
        support::block(i % 2 == 0 ? one.get() : two.get(), lines[i].data(), lines[i].size());
    requests[i].aio_reqprio = rising(static_cast<int>(i));
    ASSERT_EQ(0, aio_write(&requests[i]));
  }
  for (const aiocb& request : requests) EXPECT_EQ(0, support::wait_for(request));
  EXPECT_EQ(expected, file.content());
}

// Reads and writes of streams.
TEST_F(C11_Priority, StreamReadsAndWritesStayInCallOrder) {
  Pipe pipe;
  SocketPair socket;
  const std::pair<int, int> ways[] = {{pipe.writer.get(), pipe.reader.get()},
                                      {socket.one.get(), socket.two.get()}};
  for (const auto& [in, out] : ways) {
    std::vector<char> got(500, '-');
    std::vector<std::string> sent;
    std::vector<aiocb> reads(got.size()), writes(100);
    std::string expected;
    for (size_t i = 0; i < reads.size(); ++i) {
      reads[i] = support::block(out, &got[i], 1);
      reads[i].aio_reqprio = rising(static_cast<int>(i));
      ASSERT_EQ(0, aio_read(&reads[i]));
    }
    for (size_t i = 0; i < writes.size(); ++i)
      sent.emplace_back(5, static_cast<char>(' ' + i % 90));
    for (size_t i = 0; i < writes.size(); ++i) {
      expected += sent[i];
      writes[i] = support::block(in, sent[i].data(), sent[i].size());
      writes[i].aio_reqprio = rising(static_cast<int>(i));
      ASSERT_EQ(0, aio_write(&writes[i]));
    }
    for (aiocb& request : writes) ASSERT_EQ(count(5), support::outcome_of(request));
    for (aiocb& request : reads) ASSERT_EQ(count(1), support::outcome_of(request));
    EXPECT_EQ(expected, std::string(got.data(), got.size()));
  }
}

// "or C10": a barrier of the highest priority behind writes of the lowest; and one of the lowest,
// which still follows writes of every priority.
TEST_F(C11_Priority, FsyncStaysBehindTheWritesBeforeIt) {
  const Descriptor file = temporary_file();
  Memory memory(65536);
  for (const int priority : {0, kLowest}) {
    for (int round = 0; round < 5; ++round) {
      std::vector<aiocb> requests(200);
      for (size_t i = 0; i < requests.size(); ++i) {
        requests[i] = support::block(file.get(), memory.get(), 65536, static_cast<off_t>(i) * 4096);
        requests[i].aio_reqprio = priority == 0 ? kLowest : rising(static_cast<int>(i));
        ASSERT_EQ(0, aio_write(&requests[i]));
      }
      aiocb barrier = support::block(file.get(), nullptr, 0);
      barrier.aio_reqprio = priority;
      ASSERT_EQ(0, aio_fsync(O_DSYNC, &barrier));
      ASSERT_TRUE(support::eventually([&] { return aio_error(&barrier) != EINPROGRESS; }));
      for (const aiocb& request : requests) ASSERT_NE(EINPROGRESS, aio_error(&request));
      EXPECT_EQ(count(0), support::outcome_of(barrier));
    }
  }
}

}  // namespace
