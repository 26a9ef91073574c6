// C22 under load: one thread gives a number to one file after the other, by every call that can,
// while another submits to it. A request acts on a file that the number meant at some moment of its
// submission; never on one that came after it.
#include <fcntl.h>
#include <unistd.h>

#include "support/support.h"
#include "support/threads.h"

namespace {

using support::Descriptor;
using support::Thread;

constexpr int kFiles = 64;
constexpr int kNumber = 200;
constexpr int kDepth = 32;
constexpr int kChecked = 4000;  // requests of which can be told whether they are right
constexpr size_t kBlockSize = 4096;

// How the swapping thread puts a file to the number.
using Install = void (*)(int file);

// The swaps that were begun and done so far; the number's file is that of one in between.
struct Range {
  long first;
  long last;
  bool tells_apart() const { return last - first < kFiles - 1; }
  bool holds(int file) const {
    for (long swap = first; swap <= last; ++swap) {
      if (swap % kFiles == file) return true;
    }
    return false;
  }
};

class C22_Swaps : public support::Limited {
 protected:
  void SetUp() override {
    Limited::SetUp();
    for (int i = 0; i < kFiles; ++i) {
      files_.push_back(support::temporary_file(std::string(kBlockSize, static_cast<char>(i + 1))));
    }
    dup2(files_[0].get(), kNumber);
    for (auto& bytes : bytes_) bytes.resize(kBlockSize);
  }
  void TearDown() override {
    close(kNumber);
    Limited::TearDown();
  }

  // Submits and checks in rounds while the number's file changes.
  void under_swaps(Install install, const std::function<void()>& round) {
    std::atomic<bool> stop{false};
    Thread swapping([&] {
      for (long swap = 1; !stop; ++swap) {
        begun_ = swap;
        install(files_[static_cast<size_t>(swap % kFiles)].get());
        done_ = swap;
        for (long pause = swap * 7919 % 2000; pause > 0; --pause) __builtin_ia32_pause();
      }
    });
    while (checked_ < kChecked * support::length_factor() && !HasFailure()) round();
    stop = true;
    swapping.join();
  }

  void read_one_by_one() {
    for (size_t i = 0; i < kDepth; ++i) {
      blocks_[i] = support::block(kNumber, bytes_[i].data(), kBlockSize, 0);
      ranges_[i].first = done_;
      ASSERT_EQ(0, aio_read(&blocks_[i]));
      ranges_[i].last = begun_;
    }
    check_reads();
  }

  void read_in_a_list() {
    aiocb* list[kDepth];
    for (size_t i = 0; i < kDepth; ++i) {
      blocks_[i] = support::block(kNumber, bytes_[i].data(), kBlockSize, 0);
      blocks_[i].aio_lio_opcode = LIO_READ;
      list[i] = &blocks_[i];
    }
    const long first = done_;
    ASSERT_EQ(0, lio_listio(LIO_NOWAIT, list, kDepth, nullptr));
    const long last = begun_;
    for (Range& range : ranges_) range = {first, last};
    check_reads();
  }

  // Each request has a place of its own in every file, behind the first block.
  void write_one_by_one() {
    const long first_mark = next_mark_;
    for (size_t i = 0; i < kDepth; ++i) {
      marks_[i] = next_mark_++;
      blocks_[i] = support::block(kNumber, &marks_[i], sizeof marks_[i], place_of(marks_[i]));
      ranges_[i].first = done_;
      ASSERT_EQ(0, aio_write(&blocks_[i]));
      ranges_[i].last = begun_;
    }
    for (size_t i = 0; i < kDepth; ++i) {
      const int status = support::wait_for(blocks_[i]);
      if (status == EBADF) continue;  // it came while there was none
      ASSERT_EQ(0, status) << strerror(status);
      check_place(first_mark + static_cast<long>(i), ranges_[i]);
    }
  }

 private:
  static off_t place_of(long mark) {
    return static_cast<off_t>(kBlockSize) + mark * static_cast<off_t>(sizeof mark);
  }

  void check_place(long mark, const Range& range) {
    int holders = 0;
    for (int file = 0; file < kFiles; ++file) {
      long found = -1;
      const ssize_t length =
          pread(files_[static_cast<size_t>(file)].get(), &found, sizeof found, place_of(mark));
      if (length != sizeof found || found != mark) continue;
      ++holders;
      if (!range.tells_apart()) continue;
      ++checked_;
      EXPECT_TRUE(range.holds(file)) << "written to a file that came after its submission";
    }
    EXPECT_EQ(1, holders);
  }

  void check_reads() {
    for (size_t i = 0; i < kDepth; ++i) {
      const int status = support::wait_for(blocks_[i]);
      if (status == EBADF) continue;  // it came while there was none
      ASSERT_EQ(0, status) << strerror(status);
      ASSERT_EQ(static_cast<ssize_t>(kBlockSize), aio_return(&blocks_[i]));
      EXPECT_EQ(std::string(kBlockSize, bytes_[i][0]), bytes_[i]) << "of two files";
      if (!ranges_[i].tells_apart()) continue;
      ++checked_;
      EXPECT_TRUE(ranges_[i].holds(bytes_[i][0] - 1)) << "of a file that came after its submission";
    }
  }

  std::vector<Descriptor> files_;
  std::atomic<long> begun_{0};
  std::atomic<long> done_{0};
  aiocb blocks_[kDepth]{};
  std::string bytes_[kDepth];
  long marks_[kDepth]{};
  Range ranges_[kDepth]{};
  long next_mark_ = 1;
  int checked_ = 0;
};

void by_dup2(int file) { dup2(file, kNumber); }
void by_dup3(int file) { dup3(file, kNumber, O_CLOEXEC); }
void by_close(int file) {
  close(kNumber);
  fcntl(file, F_DUPFD, kNumber);
}
void by_close_range(int file) {
  close_range(kNumber, kNumber + 9, 0);
  fcntl(file, F_DUPFD, kNumber);
}

TEST_F(C22_Swaps, ReadsUnderDup2) {
  under_swaps(by_dup2, [this] { read_one_by_one(); });
}
TEST_F(C22_Swaps, ReadsUnderDup3) {
  under_swaps(by_dup3, [this] { read_one_by_one(); });
}
TEST_F(C22_Swaps, ReadsUnderClose) {
  under_swaps(by_close, [this] { read_one_by_one(); });
}
TEST_F(C22_Swaps, ReadsUnderCloseRange) {
  under_swaps(by_close_range, [this] { read_one_by_one(); });
}
TEST_F(C22_Swaps, ListsUnderDup2) {
  under_swaps(by_dup2, [this] { read_in_a_list(); });
}
TEST_F(C22_Swaps, ListsUnderCloseRange) {
  under_swaps(by_close_range, [this] { read_in_a_list(); });
}
TEST_F(C22_Swaps, WritesUnderDup2) {
  under_swaps(by_dup2, [this] { write_one_by_one(); });
}
TEST_F(C22_Swaps, WritesUnderClose) {
  under_swaps(by_close, [this] { write_one_by_one(); });
}

}  // namespace
