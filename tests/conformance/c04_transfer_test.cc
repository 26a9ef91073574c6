// C4: what a read or write does on files that seek: what pread and pwrite do, so most tests make
// the same call themselves and compare. The other files are in c04_streams_test.cc.
#include <random>

#include "support/kinds.h"
#include "support/outcome.h"
#include "support/support.h"
#include "support/threads.h"

namespace {

using support::count;
using support::Descriptor;
using support::drain;
using support::Memory;
using support::of_call;
using support::Outcome;
using support::Pipe;
using support::run;
using support::temporary_file;

constexpr size_t kMegabyte = size_t{1} << 20;
constexpr size_t kLongestTransfer = 0x7ffff000;

class C04_Transfer : public support::Limited {};

std::string noise(size_t size) {
  std::mt19937_64 random(size);
  std::string made(size, '\0');
  for (char& byte : made) byte = static_cast<char>(random());
  return made;
}

Outcome read_at(int descriptor, std::string& into, off_t offset) {
  return run(aio_read, support::block(descriptor, into.data(), into.size(), offset));
}

Outcome write_at(int descriptor, std::string from, off_t offset) {
  return run(aio_write, support::block(descriptor, from.data(), from.size(), offset));
}

std::string content_of(int descriptor) {
  std::string content(static_cast<size_t>(lseek(descriptor, 0, SEEK_END)), '\0');
  lseek(descriptor, 0, SEEK_SET);
  return drain(descriptor, content.size());
}

// Takes the file out of the page cache.
void evict(int descriptor) {
  EXPECT_EQ(0, fsync(descriptor));
  EXPECT_EQ(0, posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED));
}

// ---------------------------------------------------------------- files that seek

// "aio_read/aio_write behave as pread/pwrite at aio_offset": reads, wherever and however long.
TEST_F(C04_Transfer, ReadsAreWhatPreadReads) {
  const std::string content = noise(100'000);
  Descriptor file = temporary_file(content);
  std::mt19937 random(4);
  for (int round = 0; round < 300; ++round) {
    const off_t offset = random() % 110'000;
    const size_t length = random() % (round % 2 == 0 ? 100 : 40'000);
    std::string ours(length, '-'), theirs(length, '-');
    const Outcome outcome = read_at(file.get(), ours, offset);
    EXPECT_EQ(of_call(pread(file.get(), theirs.data(), length, offset)), outcome);
    EXPECT_TRUE(ours == theirs) << length << " bytes at " << offset;
  }
}

// Writes, over what is there, behind the end, and far behind it.
TEST_F(C04_Transfer, WritesAreWhatPwriteWrites) {
  Descriptor ours = temporary_file(noise(10'000)), theirs = temporary_file(noise(10'000));
  std::mt19937 random(4);
  for (int round = 0; round < 200; ++round) {
    const off_t offset = random() % 50'000;
    const std::string bytes = noise(random() % 9'000);
    EXPECT_EQ(of_call(pwrite(theirs.get(), bytes.data(), bytes.size(), offset)),
              write_at(ours.get(), bytes, offset));
  }
  EXPECT_TRUE(content_of(ours.get()) == content_of(theirs.get()));
}

// The same with O_DIRECT, aligned and not: what pread refuses is refused.
TEST_F(C04_Transfer, DirectReadsAndWritesAreAsPreadAndPwrite) {
  Descriptor file = temporary_file(noise(64 * 1024), O_DIRECT);
  Memory ours(65536), theirs(65536);
  const struct {
    size_t shift, length;
    off_t offset;
  } cases[] = {{0, 4096, 0},     {0, 4096, 8192},   {0, 65536, 0}, {0, 8192, 61440},
               {0, 4096, 65536}, {0, 4096, 131072}, {1, 4096, 0},  {0, 100, 0},
               {0, 4096, 100},   {512, 4096, 0},    {0, 512, 512}, {0, 0, 0}};
  for (const auto& c : cases) {
    SCOPED_TRACE(testing::Message() << c.length << " at " << c.offset << ", +" << c.shift);
    const size_t length = std::min(c.length, 65536 - c.shift);
    const Outcome reading =
        run(aio_read, support::block(file.get(), ours.get() + c.shift, length, c.offset));
    EXPECT_EQ(of_call(pread(file.get(), theirs.get() + c.shift, length, c.offset)), reading);
    EXPECT_EQ(0, memcmp(ours.get(), theirs.get(), 65536));
    EXPECT_EQ(of_call(pwrite(file.get(), theirs.get() + c.shift, length, c.offset)),
              run(aio_write, support::block(file.get(), ours.get() + c.shift, length, c.offset)));
  }
}

// "The file position of a seekable file is not moved."
TEST_F(C04_Transfer, TheFilePositionIsNotMoved) {
  for (const int flags : {0, O_APPEND, O_DIRECT}) {
    Descriptor file = temporary_file(noise(8192), flags);
    Memory page(4096);
    lseek(file.get(), 17, SEEK_SET);
    EXPECT_EQ(count(4096), run(aio_read, support::block(file.get(), page.get(), 4096, 4096)));
    EXPECT_EQ(17, lseek(file.get(), 0, SEEK_CUR)) << flags;
    EXPECT_EQ(count(4096), run(aio_write, support::block(file.get(), page.get(), 4096, 4096)));
    EXPECT_EQ(17, lseek(file.get(), 0, SEEK_CUR)) << flags;
  }
}

// A write behind the end leaves a hole that reads as zeros.
TEST_F(C04_Transfer, AWriteBehindTheEndLeavesAHole) {
  Descriptor file = temporary_file("ab");
  EXPECT_EQ(count(2), write_at(file.get(), "yz", 5));
  EXPECT_EQ(std::string("ab\0\0\0yz", 7), content_of(file.get()));
}

// Offsets have 64 bits.
TEST_F(C04_Transfer, OffsetsBeyondFourGigabytesAreMeant) {
  const off_t far = (off_t{5} << 30) + 12345;
  const Descriptor file = temporary_file("near"), direct = temporary_file("", O_DIRECT);
  EXPECT_EQ(count(3), write_at(file.get(), "far", far));
  std::string got(10, '-');
  EXPECT_EQ(count(3), read_at(file.get(), got, far));
  EXPECT_EQ("far-------", got);
  EXPECT_EQ(count(10), read_at(file.get(), got, 0));
  EXPECT_EQ(std::string("near\0\0\0\0\0\0", 10), got);
  Memory page(4096);
  EXPECT_EQ(count(4096), run(aio_write, support::block(direct.get(), page.get(), 4096, 5LL << 30)));
  EXPECT_EQ((5LL << 30) + 4096, lseek(direct.get(), 0, SEEK_END));
}

// "A regular file's read is short only at its end": in it, at it, behind it.
TEST_F(C04_Transfer, ReadsAreShortOnlyAtTheEnd) {
  const std::string content = noise(3 * kMegabyte + 123);
  Descriptor file = temporary_file(content);
  std::string all(content.size(), '\0');
  EXPECT_EQ(count(static_cast<ssize_t>(all.size())), read_at(file.get(), all, 0));
  EXPECT_TRUE(all == content);
  std::string tail(1000, '\0');
  EXPECT_EQ(count(123), read_at(file.get(), tail, 3 * kMegabyte));
  EXPECT_EQ(count(1), read_at(file.get(), tail, 3 * kMegabyte + 122));
  EXPECT_EQ(count(0), read_at(file.get(), tail, 3 * kMegabyte + 123));
  EXPECT_EQ(count(0), read_at(file.get(), tail, off_t{1} << 40));
  Descriptor empty = temporary_file();
  EXPECT_EQ(count(0), read_at(empty.get(), tail, 0));
}

// Not at the end of what happens to be in memory either: a file half of which is cached is read
// whole. (preadv2 with RWF_NOWAIT stops at the first page that is not.)
TEST_F(C04_Transfer, APartlyCachedFileIsReadWhole) {
  const std::string content = noise(256 * 1024);
  Descriptor file = temporary_file(content);
  EXPECT_EQ(0, posix_fadvise(file.get(), 0, 0, POSIX_FADV_RANDOM));  // no reading ahead
  for (const size_t length : {size_t{8192}, size_t{20'000}, size_t{65'536}, content.size()}) {
    for (int round = 0; round < 5; ++round) {
      SCOPED_TRACE(length);
      evict(file.get());
      char byte;
      EXPECT_EQ(1, pread(file.get(), &byte, 1, 0));
      std::string got(length, '\0');
      EXPECT_EQ(count(static_cast<ssize_t>(length)), read_at(file.get(), got, 0));
      EXPECT_TRUE(content.compare(0, length, got) == 0);
    }
  }
}

TEST_F(C04_Transfer, AColdFileIsReadWhole) {
  const std::string content = noise(kMegabyte);
  Descriptor file = temporary_file(content);
  for (const size_t length : {size_t{1}, size_t{4096}, size_t{100'000}, content.size()}) {
    evict(file.get());
    std::string got(length, '\0');
    EXPECT_EQ(count(static_cast<ssize_t>(length)), read_at(file.get(), got, 0));
    EXPECT_TRUE(content.compare(0, length, got) == 0);
  }
}

TEST_F(C04_Transfer, LargeWritesAreWrittenWhole) {
  const std::string content = noise(16 * kMegabyte + 1);
  Descriptor file = temporary_file();
  EXPECT_EQ(count(static_cast<ssize_t>(content.size())), write_at(file.get(), content, 0));
  EXPECT_TRUE(content == content_of(file.get()));
}

TEST_F(C04_Transfer, NothingIsTransferredForNoBytes) {
  Descriptor file = temporary_file("0123456789");
  EXPECT_EQ(count(0), run(aio_read, support::block(file.get(), nullptr, 0, 3)));
  EXPECT_EQ(count(0), run(aio_write, support::block(file.get(), nullptr, 0, 100)));
  EXPECT_EQ("0123456789", content_of(file.get()));
}

// "a larger-than-kernel-maximum length transfers what one read(2)/write(2) would (0x7ffff000
// bytes)": a file of holes in memory, and one on disk.
TEST_F(C04_Transfer, TheLongestTransferIsTheKernels) {
  const support::FoldedMemory memory(kLongestTransfer + 2 * kMegabyte);
  const Descriptor holes = support::memory_file(off_t{3} << 30);
  const Descriptor on_disk = temporary_file("", O_DIRECT);
  ASSERT_EQ(0, ftruncate(on_disk.get(), off_t{3} << 30));
  for (const size_t length : {kLongestTransfer, kLongestTransfer + kMegabyte}) {
    const auto most = count(static_cast<ssize_t>(kLongestTransfer));
    EXPECT_EQ(most, run(aio_read, support::block(holes.get(), memory.get(), length)));
    EXPECT_EQ(most, run(aio_read, support::block(on_disk.get(), memory.get(), length)));
  }
  const Descriptor null(open("/dev/null", O_WRONLY | O_CLOEXEC));
  EXPECT_EQ(count(static_cast<ssize_t>(kLongestTransfer)),
            run(aio_write, support::block(null.get(), memory.get(), kLongestTransfer + 1)));
}

// What is longer than the maximum, and ends earlier, ends there.
TEST_F(C04_Transfer, ALongReadOfAShortFileIsShort) {
  const Memory memory(size_t{3} << 30);
  const Descriptor file = temporary_file(noise(5000));
  EXPECT_EQ(count(5000), run(aio_read, support::block(file.get(), memory.get(), memory.size())));
  Pipe pipe;
  EXPECT_EQ(3, write(pipe.writer.get(), "abc", 3));
  EXPECT_EQ(count(3),
            run(aio_read, support::block(pipe.reader.get(), memory.get(), memory.size())));
}

}  // namespace
