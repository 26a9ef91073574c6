// C12: lio_listio(LIO_NOWAIT). The list's own notification: once, after the last entry has finished
// and after the entries' own notifications, also when there was nothing to do.
//
// "glibc:" comments say how glibc 2.36 answers a test that it fails.
#include <signal.h>

#include "conformance/c12_lists.h"
#include "support/support.h"
#include "support/threads.h"

namespace {

using lists::entry;
using lists::list_io;
using lists::pointers_to;
using support::BlockedSignal;
using support::callback_event;
using support::CaughtSignal;
using support::Descriptor;
using support::eventually;
using support::Handler;
using support::Pipe;
using support::signal_event;
using support::temporary_file;
using support::test_signal;
using support::wait_for;

class C12_Nowait : public support::Limited {};

// What callbacks of a test leave behind.
struct Tally {
  std::atomic<int> entries{0};
  std::atomic<int> groups{0};
  std::atomic<int> entries_at_group{-1};
};
Tally tally;

void entry_callback(sigval) { ++tally.entries; }
void group_callback(sigval) {
  tally.entries_at_group = tally.entries.load();
  ++tally.groups;
}
void reset_tally() {
  tally.entries = 0;
  tally.groups = 0;
  tally.entries_at_group = -1;
}

TEST_F(C12_Nowait, EachEntrySendsItsOwnNotification) {
  CaughtSignal signal(test_signal());
  reset_tally();
  Descriptor file = temporary_file("0123456789");
  char buffer[3];
  std::vector<aiocb> blocks(3, entry(LIO_READ, file.get(), buffer, 1));
  blocks[0].aio_sigevent = signal_event(test_signal(), 77);
  blocks[1].aio_sigevent = callback_event(entry_callback, nullptr);
  EXPECT_EQ(0, list_io(LIO_NOWAIT, pointers_to(blocks)));
  ASSERT_TRUE(signal.reaches(1));
  EXPECT_EQ(77, signal.sum());
  EXPECT_TRUE(eventually([] { return tally.entries == 1; }));
  EXPECT_EQ(0, wait_for(blocks[2]));
  EXPECT_EQ(1, signal.count());
}

TEST_F(C12_Nowait, NotifiesOnceAfterTheLastHasFinished) {
  BlockedSignal signal(test_signal());
  std::vector<Pipe> pipes(8);
  char buffer[8];
  std::vector<aiocb> blocks;
  for (size_t i = 0; i < pipes.size(); ++i) {
    blocks.push_back(entry(LIO_READ, pipes[i].reader.get(), &buffer[i], 1));
  }
  for (int round = 0; round < 50; ++round) {
    sigevent event = signal_event(test_signal(), round);
    ASSERT_EQ(0, list_io(LIO_NOWAIT, pointers_to(blocks), &event));
    for (size_t i = pipes.size(); i-- > 0;) {
      EXPECT_FALSE(signal.take_now()) << "sent while " << i + 1 << " entries wait";
      EXPECT_EQ(1, write(pipes[i].writer.get(), "x", 1));
      EXPECT_EQ(0, wait_for(blocks[i]));
    }
    siginfo_t info;
    ASSERT_TRUE(signal.take(&info));
    EXPECT_EQ(round, info.si_value.sival_int) << "an earlier list's notification came again";
  }
  EXPECT_FALSE(signal.take_now());
}

TEST_F(C12_Nowait, NotifiesExactlyOncePerListUnderLoad) {
  reset_tally();
  Descriptor file = temporary_file(std::string(65536, 'f'));
  std::vector<char> buffer(65536);
  std::vector<aiocb> blocks;
  for (size_t i = 0; i < 16; ++i) {
    blocks.push_back(
        entry(LIO_READ, file.get(), &buffer[i * 4096], 4096, static_cast<off_t>(i * 4096)));
  }
  constexpr int kRounds = 300;
  for (int round = 0; round < kRounds; ++round) {
    sigevent event = callback_event(group_callback, nullptr);
    ASSERT_EQ(0, list_io(LIO_NOWAIT, pointers_to(blocks), &event));
    ASSERT_TRUE(eventually([&] { return tally.groups > round; }));
    EXPECT_EQ(round + 1, tally.groups);
    for (const aiocb& block : blocks) EXPECT_EQ(0, aio_error(&block));
  }
}

// The signals of one number are queued in the order in which they are sent.
TEST_F(C12_Nowait, NotifiesAfterTheEntriesOwnSignals) {
  BlockedSignal signal(test_signal());
  Descriptor file = temporary_file(std::string(65536, 'f'));
  std::vector<char> buffer(32 * 512);
  std::vector<aiocb> blocks;
  for (size_t i = 0; i < 32; ++i) {
    blocks.push_back(entry(LIO_READ, file.get(), &buffer[i * 512], 512, 0));
    blocks.back().aio_sigevent = signal_event(test_signal(), static_cast<int>(i));
  }
  for (int round = 0; round < 50; ++round) {
    sigevent event = signal_event(test_signal(), 1000);
    ASSERT_EQ(0, list_io(LIO_NOWAIT, pointers_to(blocks), &event));
    std::vector<bool> seen(32, false);
    siginfo_t info{};
    for (int i = 0; i < 32; ++i) {
      ASSERT_TRUE(signal.take(&info));
      ASSERT_LT(info.si_value.sival_int, 32) << "the list's came before " << 32 - i << " others";
      seen[static_cast<size_t>(info.si_value.sival_int)] = true;
    }
    EXPECT_EQ(32, std::count(seen.begin(), seen.end(), true));
    ASSERT_TRUE(signal.take(&info));
    EXPECT_EQ(1000, info.si_value.sival_int);
  }
}

std::atomic<int> signals_seen{0};
std::atomic<int> signals_at_mark{-1};
constexpr int kMark = 1000;
void note_signal(int, siginfo_t* info, void*) {
  if (info->si_value.sival_int == kMark) {
    signals_at_mark = signals_seen.load();
  } else {
    ++signals_seen;
  }
}

// The callback sends a mark of the same signal number: what was sent before it arrives before it.
TEST_F(C12_Nowait, CallbackComesAfterTheEntriesOwnSignals) {
  Handler handler(test_signal(), note_signal, SA_RESTART);
  Descriptor file = temporary_file("0123456789");
  char buffer[16];
  std::vector<aiocb> blocks(8, entry(LIO_READ, file.get(), buffer, 1));
  for (aiocb& block : blocks) block.aio_sigevent = signal_event(test_signal());
  for (int round = 0; round < 50; ++round) {
    signals_seen = 0;
    signals_at_mark = -1;
    sigevent event = callback_event(
        [](sigval) {
          sigset_t set;
          sigemptyset(&set);
          sigaddset(&set, test_signal());
          pthread_sigmask(SIG_BLOCK, &set, nullptr);
          sigval mark{};
          mark.sival_int = kMark;
          sigqueue(getpid(), test_signal(), mark);
        },
        nullptr);
    ASSERT_EQ(0, list_io(LIO_NOWAIT, pointers_to(blocks), &event));
    ASSERT_TRUE(eventually([] { return signals_at_mark != -1; }));
    EXPECT_EQ(8, signals_at_mark);
  }
}

std::atomic<int> entries_at_signal{-1};
void note_entries(int, siginfo_t*, void*) { entries_at_signal = tally.entries.load(); }

// glibc: starts a thread for each and does not wait until it runs.
TEST_F(C12_Nowait, NotifiesAfterTheEntriesOwnCallbacks) {
  Handler handler(test_signal(), note_entries, SA_RESTART);
  Descriptor file = temporary_file("0123456789");
  char buffer[16];
  std::vector<aiocb> blocks(8, entry(LIO_READ, file.get(), buffer, 1));
  for (aiocb& block : blocks) block.aio_sigevent = callback_event(entry_callback, nullptr);
  for (int round = 0; round < 50; ++round) {
    reset_tally();
    entries_at_signal = -1;
    sigevent event = signal_event(test_signal());
    ASSERT_EQ(0, list_io(LIO_NOWAIT, pointers_to(blocks), &event));
    ASSERT_TRUE(eventually([] { return entries_at_signal != -1; }));
    EXPECT_EQ(8, entries_at_signal);

    reset_tally();
    event = callback_event(group_callback, nullptr);
    ASSERT_EQ(0, list_io(LIO_NOWAIT, pointers_to(blocks), &event));
    ASSERT_TRUE(eventually([&] { return tally.groups == 1; }));
    EXPECT_EQ(8, tally.entries_at_group);
  }
}

TEST_F(C12_Nowait, NotifiesWhenTheLastEntryIsCancelled) {
  BlockedSignal signal(test_signal());
  Pipe pipe;
  char buffer[3];
  std::vector<aiocb> blocks(3, entry(LIO_READ, pipe.reader.get(), buffer, 1));
  sigevent event = signal_event(test_signal());
  ASSERT_EQ(0, list_io(LIO_NOWAIT, pointers_to(blocks), &event));
  EXPECT_EQ(AIO_CANCELED, aio_cancel(pipe.reader.get(), &blocks[2]));
  EXPECT_EQ(AIO_CANCELED, aio_cancel(pipe.reader.get(), &blocks[0]));
  EXPECT_FALSE(signal.take_now());
  EXPECT_EQ(AIO_CANCELED, aio_cancel(pipe.reader.get(), nullptr));
  EXPECT_TRUE(signal.take());
  EXPECT_FALSE(signal.take_now());
  for (const aiocb& block : blocks) EXPECT_EQ(ECANCELED, aio_error(&block));
}

TEST_F(C12_Nowait, NotifiesAlsoWhenThereWasNothingToDo) {
  reset_tally();
  aiocb nop = entry(LIO_NOP, 0, nullptr, 0);
  const std::vector<std::vector<aiocb*>> lists = {{}, {nullptr}, {&nop}, {&nop, nullptr, &nop}};
  {
    BlockedSignal signal(test_signal());
    for (const auto& list : lists) {
      sigevent event = signal_event(test_signal(), 9);
      EXPECT_EQ(0, list_io(LIO_NOWAIT, list, &event));
      siginfo_t info;
      ASSERT_TRUE(signal.take(&info));
      EXPECT_EQ(9, info.si_value.sival_int);
      EXPECT_EQ(SI_ASYNCIO, info.si_code);
      EXPECT_FALSE(signal.take_now());
    }
  }
  for (const auto& list : lists) {
    const int before = tally.groups;
    sigevent event = callback_event(group_callback, nullptr);
    EXPECT_EQ(0, list_io(LIO_NOWAIT, list, &event));
    EXPECT_TRUE(eventually([&] { return tally.groups == before + 1; }));
  }
}

TEST_F(C12_Nowait, CopiesTheListAndItsSigevent) {
  BlockedSignal signal(test_signal());
  Pipe pipe;
  char buffer[2];
  std::vector<aiocb> blocks(2, entry(LIO_READ, pipe.reader.get(), buffer, 1));
  {
    auto event = std::make_unique<sigevent>(signal_event(test_signal(), 31));
    std::vector<aiocb*> list = pointers_to(blocks);
    ASSERT_EQ(0, list_io(LIO_NOWAIT, list, event.get()));
    event->sigev_value.sival_int = 32;
    event->sigev_signo = SIGKILL;
    std::fill(list.begin(), list.end(), nullptr);
  }
  EXPECT_EQ(2, write(pipe.writer.get(), "ab", 2));
  siginfo_t info;
  ASSERT_TRUE(signal.take(&info));
  EXPECT_EQ(31, info.si_value.sival_int);
}

TEST_F(C12_Nowait, WithoutSigeventSendsNothing) {
  BlockedSignal signal(test_signal());
  Descriptor file = temporary_file("0123456789");
  char buffer[4];
  std::vector<aiocb> blocks(4, entry(LIO_READ, file.get(), buffer, 1));
  ASSERT_EQ(0, list_io(LIO_NOWAIT, pointers_to(blocks), nullptr));
  for (const aiocb& block : blocks) EXPECT_EQ(0, wait_for(block));
  sigevent none{};
  none.sigev_notify = SIGEV_NONE;
  none.sigev_signo = test_signal();
  ASSERT_EQ(0, list_io(LIO_NOWAIT, pointers_to(blocks), &none));
  for (const aiocb& block : blocks) EXPECT_EQ(0, wait_for(block));
  EXPECT_FALSE(signal.take_now());
}

}  // namespace
