// C2: what happens to a block at the end of its request, namely nothing after the end can be seen;
// and that the library makes its system calls itself.
#include <dlfcn.h>

#include "support/kinds.h"
#include "support/loaded.h"
#include "support/outcome.h"
#include "support/support.h"
#include "support/threads.h"

// The program's own pread and pwrite stand in front of libc's, as those of an interposer do that
// counts a program's transfers.
namespace {
std::atomic<int> interposed_calls{0};

template <class Function>
Function next(Function, const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}
}  // namespace

extern "C" {
ssize_t pread(int file, void* buffer, size_t count, off_t offset) {
  ++interposed_calls;
  return next(pread, "pread")(file, buffer, count, offset);
}
ssize_t pread64(int file, void* buffer, size_t count, off64_t offset) {
  ++interposed_calls;
  return next(pread64, "pread64")(file, buffer, count, offset);
}
ssize_t pwrite(int file, const void* buffer, size_t count, off_t offset) {
  ++interposed_calls;
  return next(pwrite, "pwrite")(file, buffer, count, offset);
}
ssize_t pwrite64(int file, const void* buffer, size_t count, off64_t offset) {
  ++interposed_calls;
  return next(pwrite64, "pwrite64")(file, buffer, count, offset);
}
}

namespace {

using support::callback_event;
using support::Descriptor;
using support::eventually;
using support::Handler;
using support::Memory;
using support::OwnPage;
using support::Pipe;
using support::signal_event;
using support::temporary_file;
using support::test_signal;
using support::wait_for;

class C02_Completion : public support::Limited {};

// ---------------------------------------------------------------- given back at completion

// The kinds of requests that take different ways to their end.
struct Way {
  const char* name;
  std::function<int(aiocb&)> submit;
};

class Ways {
 public:
  Ways() : cached_(temporary_file(std::string(4096, 'x'))), pages_(8192) {
    direct_ = temporary_file(std::string(4096, 'x'), O_DIRECT);
    feed(ready_);
  }
  std::vector<Way> all() {
    return {
        {"cached read", [this](aiocb& b) { return start(b, cached_.get(), aio_read); }},
        {"cached write", [this](aiocb& b) { return start(b, cached_.get(), aio_write); }},
        {"direct read", [this](aiocb& b) { return start(b, direct_.get(), aio_read); }},
        {"direct write", [this](aiocb& b) { return start(b, direct_.get(), aio_write); }},
        {"fsync", [this](aiocb& b) { return start(b, cached_.get(), support::sync_data); }},
        {"waiting pipe read",
         [this](aiocb& b) {
           const int result = start(b, waiting_.reader.get(), aio_read);
           feed(waiting_);
           return result;
         }},
        {"ready pipe read",
         [this](aiocb& b) {
           feed(ready_);
           return start(b, ready_.reader.get(), aio_read);
         }},
        {"failing read", [this](aiocb& b) { return start(b, -1, aio_read); }},
    };
  }

 private:
  int start(aiocb& block, int descriptor, support::Submit submit) {
    // The sigevent is the caller's.
    const sigevent event = block.aio_sigevent;
    block = support::block(descriptor, pages_.get(), 4096);
    block.aio_sigevent = event;
    return submit(&block);
  }
  static void feed(Pipe& pipe) { EXPECT_EQ(1, write(pipe.writer.get(), "x", 1)); }

  Descriptor cached_, direct_;
  Memory pages_;
  Pipe waiting_, ready_;
};

// "Once completion can be seen, the block is never written again": it may be gone.
TEST_F(C02_Completion, MayBeUnmappedOnceItsEndIsSeen) {
  Ways ways;
  for (const Way& way : ways.all()) {
    SCOPED_TRACE(way.name);
    for (int round = 0; round < 50; ++round) {
      OwnPage<aiocb> block;
      block->aio_sigevent.sigev_notify = SIGEV_NONE;
      ASSERT_EQ(0, way.submit(*block));
      ASSERT_TRUE(eventually([&] { return aio_error(block.get()) != EINPROGRESS; }));
      block.give_back();
      // The next round's request passes the same places, after this one's.
    }
  }
}

// The same seen from the other side: what the program writes into its block then stays there.
TEST_F(C02_Completion, MayBeUsedForSomethingElseOnceItsEndIsSeen) {
  Ways ways;
  for (const Way& way : ways.all()) {
    SCOPED_TRACE(way.name);
    std::vector<aiocb> blocks(50);
    aiocb pattern;
    memset(&pattern, 0x3c, sizeof pattern);
    for (aiocb& block : blocks) {
      block.aio_sigevent.sigev_notify = SIGEV_NONE;
      ASSERT_EQ(0, way.submit(block));
      ASSERT_TRUE(eventually([&] { return aio_error(&block) != EINPROGRESS; }));
      block = pattern;
    }
    // A later request's end, by then, is a sign that the earlier ones are done with.
    aiocb last{};
    last.aio_sigevent.sigev_notify = SIGEV_NONE;
    ASSERT_EQ(0, way.submit(last));
    wait_for(last);
    for (const aiocb& block : blocks) EXPECT_EQ(0, memcmp(&pattern, &block, sizeof block));
  }
}

// "XRootD frees it in the callback."
struct Freed {
  OwnPage<aiocb> block;
  std::atomic<bool> gone{false};
  std::atomic<int> status{-1};
};

void free_in_callback(sigval value) {
  auto* freed = static_cast<Freed*>(value.sival_ptr);
  freed->status = aio_error(freed->block.get());
  freed->block.give_back();
  freed->gone = true;
}

TEST_F(C02_Completion, MayBeFreedInItsCallback) {
  Ways ways;
  for (const Way& way : ways.all()) {
    SCOPED_TRACE(way.name);
    for (int round = 0; round < 20; ++round) {
      Freed freed;
      freed.block->aio_sigevent = callback_event(free_in_callback, &freed);
      ASSERT_EQ(0, way.submit(*freed.block));
      ASSERT_TRUE(eventually([&] { return freed.gone.load(); }));
      EXPECT_EQ(std::string(way.name) == "failing read" ? EBADF : 0, freed.status);
    }
  }
}

// PostgreSQL reuses it in the signal handler.
void free_in_handler(int, siginfo_t* info, void*) { free_in_callback(info->si_value); }

TEST_F(C02_Completion, MayBeFreedInItsSignalHandler) {
  Handler handler(test_signal(), free_in_handler, SA_RESTART);
  Ways ways;
  for (const Way& way : ways.all()) {
    SCOPED_TRACE(way.name);
    for (int round = 0; round < 20; ++round) {
      Freed freed;
      freed.block->aio_sigevent = signal_event(test_signal());
      freed.block->aio_sigevent.sigev_value.sival_ptr = &freed;
      ASSERT_EQ(0, way.submit(*freed.block));
      ASSERT_TRUE(eventually([&] { return freed.gone.load(); }));
      EXPECT_EQ(std::string(way.name) == "failing read" ? EBADF : 0, freed.status);
    }
  }
}

// ---------------------------------------------------------------- its system calls

// "an interposer in front (Darshan) would count every transfer twice"
TEST_F(C02_Completion, TransfersDoNotPassThroughPreadAndPwrite) {
  Descriptor file = temporary_file("0123456789");
  char buffer[16];
  const int before = interposed_calls;
  EXPECT_EQ(4, pread(file.get(), buffer, 4, 0));
  EXPECT_EQ(before + 1, interposed_calls) << "the test's own interposer is not in front of libc";

  Ways ways;
  interposed_calls = 0;
  for (const Way& way : ways.all()) {
    SCOPED_TRACE(way.name);
    aiocb block{};
    block.aio_sigevent.sigev_notify = SIGEV_NONE;
    EXPECT_EQ(0, way.submit(block));
    wait_for(block);
    EXPECT_EQ(0, interposed_calls);
  }
}

// "The library makes its system calls itself": it does not even import the functions.
// glibc: no question of importing; its own aio calls its own pread.
TEST_F(C02_Completion, TheLibraryImportsNoTransferFunctions) {
  if (!support::served_by_inflight()) GTEST_SKIP() << "libc imports nothing";
  const support::LoadedLibrary library;
  ASSERT_FALSE(library.imports().empty()) << library.path();
  for (const char* name :
       {"read",       "write",       "readv",         "writev",      "pread",     "pwrite",
        "pread64",    "pwrite64",    "preadv",        "pwritev",     "preadv2",   "pwritev2",
        "preadv64",   "pwritev64",   "preadv64v2",    "pwritev64v2", "recv",      "send",
        "recvmsg",    "sendmsg",     "recvfrom",      "sendto",      "fsync",     "fdatasync",
        "__read_chk", "__pread_chk", "__pread64_chk", "__recv_chk",  "open",      "open64",
        "close",      "dup",         "dup2",          "poll",        "epoll_wait"}) {
    EXPECT_FALSE(library.imports().contains(name)) << name;
  }
}

}  // namespace
