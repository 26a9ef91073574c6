// Goals come from measurements on a machine with four cores and a fast disk; docs/performance.md
// says which are beyond another one.
#include "rows.h"

#include <thread>

namespace bench {
namespace {

Work reads(size_t block, int depth, int threads = 1) {
  Work work;
  work.block = block;
  work.depth = depth;
  work.threads = threads;
  return work;
}

Work writes(size_t block, int depth) {
  Work work = reads(block, depth);
  work.write = true;
  return work;
}

Work direct(Work work) {
  work.direct = true;
  return work;
}

Work timed(Work work) {
  work.timed = true;
  return work;
}

Work told_by(Notice notice, Work work) {
  work.notice = notice;
  return work;
}

Work of_pattern(Pattern pattern, Work work) {
  work.pattern = pattern;
  return work;
}

constexpr size_t k4 = 4096;

// The caller may read what is in memory, and must not wait for the disk (C8).
Limit cached(int threads = 1) { return {Way::without_waiting, threads}; }
// As many threads as there are processors may copy.
Limit copied() { return cached(static_cast<int>(std::thread::hardware_concurrency())); }
// One writer at a time has the file's lock.
Limit written() { return {Way::loop}; }
// A thread for each request.
Limit blocked(int threads) { return {Way::loop, threads}; }

}  // namespace

const std::vector<Row>& rows() {
  static const std::vector<Row> all = {
      {"cached 4 KiB reads, depth 1", reads(k4, 1), Way::loop, 20, 0.85, cached()},
      {"the same from 4 threads", reads(k4, 1, 4), Way::loop, 45, 0.85, cached(4)},
      {"the same, depth 32", reads(k4, 32), Way::ring, 2.2, 0.9, cached()},
      {"cached 64 KiB reads, depth 32", reads(65536, 32), Way::ring, 2.8, 1.5, copied()},
      {"cached 1 MiB reads, depth 8", reads(1 << 20, 8), Way::ring, 2, 1.5, copied()},
      {"buffered 4 KiB writes, depth 1", writes(k4, 1), Way::loop, 8, 0.5},
      {"buffered 4 KiB writes, depth 32", writes(k4, 32), Way::ring, 1.9, 1.6, written()},
      {"O_DIRECT 4 KiB reads, depth 1", direct(reads(k4, 1)), Way::ring, 1.35, 0.97},
      {"O_DIRECT 4 KiB reads, depth 32", direct(reads(k4, 32)), Way::ring, 6, 1},
      {"O_DIRECT 4 KiB reads, depth 128", direct(reads(k4, 128)), Way::ring, 6, 1},
      {"O_DIRECT 4 KiB writes, depth 32", direct(writes(k4, 32)), Way::ring, 6, 1},
      {"O_DIRECT 4 KiB writes, depth 128", direct(writes(k4, 128)), Way::ring, 6, 1},
      {"O_DIRECT 4 KiB reads, depth 32, io_submit", direct(reads(k4, 32)), Way::kernel_aio, 0, 1},
      {"lio_listio of 32 cached reads", of_pattern(Pattern::list, reads(k4, 32)), Way::ring, 2.4,
       0.9, cached()},
      {"SIGEV_THREAD, depth 32", told_by(Notice::thread, reads(k4, 32)), Way::notices, 12, 0},
      {"SIGEV_SIGNAL, depth 1", told_by(Notice::signal, reads(k4, 1)), Way::notices, 12, 0},
      {"1000 reads on 1000 pipes",
       of_pattern(Pattern::pipes, reads(k4, 1000)),
       Way::ring,
       0,
       0.8,
       {Way::least_of_pipes}},
      {"threads engine: O_DIRECT reads, depth 32", direct(reads(k4, 32)), Way::ring, 5, 0.85,
       blocked(32), Way::threads_engine},
  };
  return all;
}

const std::vector<Row>& depth_rows() {
  static const std::vector<Row> all = [] {
    std::vector<Row> series;
    for (const int depth : {1, 2, 4, 8, 16, 32, 64, 128}) {
      series.push_back({"cached 4 KiB reads", timed(reads(k4, depth)), Way::ring, 0, 0});
      series.push_back({"buffered 4 KiB writes", timed(writes(k4, depth)), Way::ring, 0, 0});
      series.push_back({"O_DIRECT 4 KiB reads", timed(direct(reads(k4, depth))), Way::ring, 0, 0});
    }
    return series;
  }();
  return all;
}

}  // namespace bench
