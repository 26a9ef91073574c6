// What is measured: one kind of work, and the ways to do it. Every way moves the same blocks of the
// same file, chosen at random, and keeps the same number of requests outstanding.
#pragma once

#include <aio.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <string>

namespace bench {

enum class Pattern : uint8_t {
  transfers,  // reads or writes of a file, `depth` outstanding
  list,       // lio_listio(LIO_WAIT) of `depth` reads at a time
  pipes,      // `depth` reads waiting, on a pipe each; one fed at a time
};

enum class Notice : uint8_t { none, signal, thread };

struct Work {
  Pattern pattern = Pattern::transfers;
  bool write = false;
  bool direct = false;
  size_t block = 4096;
  int depth = 1;
  int threads = 1;
  Notice notice = Notice::none;
  bool timed = false;  // the time from each request's submission to its result is kept
};

// How long requests took, in classes that are an eighth of their size wide. One per process.
class Latencies {
 public:
  using Clock = std::chrono::steady_clock;
  void add(Clock::time_point begin) {
    const auto taken = std::chrono::nanoseconds(Clock::now() - begin).count();
    ++counts_[class_of(static_cast<uint64_t>(taken))];
    ++total_;
  }
  void clear() { *this = {}; }
  // In microseconds; 0 if none was kept.
  double percentile(double part) const {
    const auto wanted = static_cast<uint64_t>(part * static_cast<double>(total_));
    uint64_t seen = 0;
    for (size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen > wanted) return static_cast<double>(bound_of(i)) / 1000;
    }
    return 0;
  }

 private:
  static size_t class_of(uint64_t value) {
    const auto power = static_cast<size_t>(63 - __builtin_clzll(value | 8));
    return power * 8 + (value >> (power - 3) & 7);
  }
  static uint64_t bound_of(size_t number) { return (8 + number % 8) << (number / 8 - 3); }

  std::array<uint32_t, 512> counts_{};
  uint64_t total_ = 0;
};
extern Latencies latencies;

// What a measurement's process tells.
struct Measured {
  double done = 0;     // requests
  double seconds = 0;  // in which; 0: those that were given
  double p99 = 0;      // microseconds, if timed
};

// POSIX AIO as one implementation of it provides it.
struct Aio {
  int (*read)(aiocb*);
  int (*write)(aiocb*);
  int (*error)(const aiocb*);
  ssize_t (*result)(aiocb*);
  int (*suspend)(const aiocb* const[], int, const timespec*);
  int (*list)(int, aiocb* const[], int, sigevent*);
  int (*cancel)(int, aiocb*);
};

Aio aio_of_glibc();
Aio aio_of(const std::string& library);

inline constexpr size_t kFileSize = size_t{128} << 20;

// The next place in the file, and a counter of how long it goes on.
class Course {
 public:
  Course(const Work& work, unsigned seed, std::chrono::steady_clock::time_point end)
      : block_(work.block),
        blocks_(kFileSize / work.block),
        state_(seed * 2654435761U + 1),
        end_(end) {}

  off_t next() {
    state_ = state_ * 1103515245U + 12345U;
    return static_cast<off_t>((state_ >> 8) % blocks_ * block_);
  }
  // Looks at the clock now and then only.
  bool over() {
    if (++asked_ % 16 != 0) return over_;
    over_ = over_ || std::chrono::steady_clock::now() >= end_;
    return over_;
  }

 private:
  size_t block_, blocks_;
  uint32_t state_;
  std::chrono::steady_clock::time_point end_;
  uint32_t asked_ = 0;
  bool over_ = false;
};

// Each does the work on the open file until the course is over, and returns the requests done.
uint64_t work_with_aio(const Aio& aio, const Work& work, int file, Course course);
uint64_t work_in_a_loop(const Work& work, int file, Course course);        // pread, pwrite
uint64_t work_with_notices(const Work& work, int file, Course course);     // pread, and be told
uint64_t work_with_ring(const Work& work, int file, Course course);        // liburing, batched
uint64_t work_with_kernel_aio(const Work& work, int file, Course course);  // io_submit, batched
uint64_t work_without_waiting(const Work& work, int file, Course course);  // preadv2(RWF_NOWAIT)
uint64_t work_with_pipes_at_least(const Work& work, Course course);        // see there

[[noreturn]] void fail(const std::string& what);

}  // namespace bench
