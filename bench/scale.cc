// Every point is measured by a process of its own, which ends with its requests still waiting.
#include "scale.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <deque>
#include <functional>

namespace bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kTimes = 2000;

struct Pipe {
  int reader = -1;
  int writer = -1;
  Pipe() {
    int ends[2];
    if (pipe(ends) != 0) fail("pipe");
    reader = ends[0];
    writer = ends[1];
  }
};

// Reads of one byte that wait, on `files` pipes by turns.
class Waiting {
 public:
  Waiting(const Aio& aio, int requests, int files) : aio_(aio), pipes_(static_cast<size_t>(files)) {
    for (int i = 0; i < requests; ++i) submit(pipes_[static_cast<size_t>(i % files)].reader);
  }
  aiocb& submit(int reader) {
    aiocb& block = blocks_.emplace_back();
    block.aio_fildes = reader;
    block.aio_buf = &byte_;
    block.aio_nbytes = 1;
    if (aio_.read(&block) != 0) fail("a read of a pipe");
    return block;
  }
  std::vector<const aiocb*> list() const {
    std::vector<const aiocb*> all;
    for (const aiocb& block : blocks_) all.push_back(&block);
    return all;
  }

 private:
  const Aio& aio_;
  std::deque<Pipe> pipes_;
  std::deque<aiocb> blocks_;
  char byte_ = 0;
};

double nanoseconds_since(Clock::time_point begin) {
  return static_cast<double>(std::chrono::nanoseconds(Clock::now() - begin).count());
}

// A read of a pipe from submission to result, while others wait.
double cost_of_one_more(const Aio& aio, int requests, int files) {
  const Waiting others(aio, requests, files);
  const Pipe own;
  char byte = 0;
  const auto begin = Clock::now();
  for (int i = 0; i < kTimes; ++i) {
    aiocb block{};
    block.aio_fildes = own.reader;
    block.aio_buf = &byte;
    block.aio_nbytes = 1;
    const aiocb* list[] = {&block};
    if (aio.read(&block) != 0 || write(own.writer, "x", 1) != 1) fail("a read of a pipe");
    while (aio.error(&block) == EINPROGRESS) aio.suspend(list, 1, nullptr);
    aio.result(&block);
  }
  return nanoseconds_since(begin) / kTimes;
}

// aio_suspend on a list of which one has finished while it waited, for each entry of the list.
double cost_of_suspend(const Aio& aio, int entries) {
  Waiting waiting(aio, entries - 1, 1);
  const Pipe own;
  double sum = 0;
  const int times = std::max(3, kTimes / entries);
  for (int i = 0; i < times; ++i) {
    auto list = waiting.list();
    list.push_back(&waiting.submit(own.reader));
    const auto begin = Clock::now();
    const timespec moment{0, 1};
    aio.suspend(list.data(), static_cast<int>(list.size()), &moment);
    sum += nanoseconds_since(begin);
    if (write(own.writer, "x", 1) != 1) fail("write to a pipe");
    while (aio.error(list.back()) == EINPROGRESS) aio.suspend(&list.back(), 1, nullptr);
  }
  return sum / times / entries;
}

// aio_cancel of one descriptor's ten requests, while others wait elsewhere.
double cost_of_cancel(const Aio& aio, int requests) {
  Waiting waiting(aio, requests, 1);
  double sum = 0;
  constexpr int kCancels = 100;
  for (int i = 0; i < kCancels; ++i) {
    const Pipe own;
    for (int j = 0; j < 10; ++j) waiting.submit(own.reader);
    const auto begin = Clock::now();
    if (aio.cancel(own.reader, nullptr) != AIO_CANCELED) fail("aio_cancel");
    sum += nanoseconds_since(begin);
    close(own.reader);
    close(own.writer);
  }
  return sum / kCancels;
}

long resident_bytes() {
  long pages = 0;
  FILE* file = fopen("/proc/self/statm", "r");
  if (file == nullptr || fscanf(file, "%*s %ld", &pages) != 1) fail("/proc/self/statm");
  fclose(file);
  return pages * sysconf(_SC_PAGESIZE);
}

// Resident memory that the library adds for each request; the blocks are the program's own.
double memory_of_one(const Aio& aio, int requests) {
  const Waiting one(aio, 1, 1);
  std::vector<aiocb> blocks(static_cast<size_t>(requests));
  const Pipe pipe;
  char byte = 0;
  for (aiocb& block : blocks) {
    block.aio_fildes = pipe.reader;
    block.aio_buf = &byte;
    block.aio_nbytes = 1;
  }
  const long before = resident_bytes();
  for (aiocb& block : blocks) {
    if (aio.read(&block) != 0) fail("a read of a pipe");
  }
  return static_cast<double>(resident_bytes() - before) / requests;
}

double median_in_children(int rounds, const std::function<double()>& body) {
  std::vector<double> figures;
  for (int round = 0; round < rounds; ++round) {
    int ends[2];
    if (pipe(ends) != 0) fail("pipe");
    if (fork() == 0) {
      rlimit limit{};
      getrlimit(RLIMIT_NOFILE, &limit);
      limit.rlim_cur = limit.rlim_max;
      setrlimit(RLIMIT_NOFILE, &limit);
      const double figure = body();
      _exit(write(ends[1], &figure, sizeof figure) == sizeof figure ? 0 : 1);
    }
    close(ends[1]);
    double figure = 0;
    if (read(ends[0], &figure, sizeof figure) != sizeof figure) fail("a measurement failed");
    close(ends[0]);
    wait(nullptr);
    figures.push_back(figure);
  }
  std::sort(figures.begin(), figures.end());
  return figures[figures.size() / 2];
}

}  // namespace

std::vector<Curve> measure_scale(const Bench& bench, int rounds) {
  std::vector<Curve> curves;
  const auto add = [&](const char* name, const char* over, const char* unit,
                       const std::vector<int>& numbers,
                       const std::function<double(const Aio&, int)>& body) {
    Curve curve{name, over, unit, {}};
    for (const int number : numbers) {
      fprintf(stderr, "\r%-60s %d", name, number);
      curve.points.emplace_back(
          number, median_in_children(rounds, [&] { return body(aio_of(bench.library), number); }));
    }
    fprintf(stderr, "\r%79s\r", "");
    curves.push_back(curve);
  };
  add("a pipe read, from submission to result", "requests that wait on one other pipe", "ns",
      {1, 100, 1000, 10'000, 100'000},
      [](const Aio& aio, int n) { return cost_of_one_more(aio, n, 1); });
  add("a pipe read, from submission to result", "other pipes with a waiting read each", "ns",
      {1, 100, 1000, 9'000}, [](const Aio& aio, int n) { return cost_of_one_more(aio, n, n); });
  add("aio_suspend that has to wait, per entry", "entries of its list", "ns",
      {10, 100, 1000, 10'000, 100'000}, cost_of_suspend);
  add("aio_cancel of a descriptor with 10 requests", "requests that wait elsewhere", "ns",
      {1, 100, 1000, 10'000, 100'000}, cost_of_cancel);
  add("memory of an outstanding request", "outstanding requests", "bytes", {1000, 10'000, 100'000},
      memory_of_one);
  Curve curve{"a cached 4 KiB read, processor time", "threads that submit", "ns", {}};
  for (const int number : {1, 2, 4, 8, 16, 32, 64}) {
    Work work;
    work.threads = number;
    std::vector<double> figures;
    for (int round = 0; round < rounds; ++round) {
      figures.push_back(
          1e9 / measure(bench, work, Way::inflight).rate *
          std::min<double>(number, static_cast<double>(sysconf(_SC_NPROCESSORS_ONLN))));
    }
    std::sort(figures.begin(), figures.end());
    curve.points.emplace_back(number, figures[figures.size() / 2]);
  }
  curves.push_back(curve);
  return curves;
}

}  // namespace bench
