// A process per measurement: no way inherits the threads, the queues or the memory of another, and
// the environment can differ. The first tenth of the time warms it up and does not count.
#include "measure.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

namespace bench {
namespace {

using std::chrono::steady_clock;

std::string path_of(const Bench& bench) { return bench.directory + "/inflight-bench.data"; }

uint64_t do_work(Way way, const Aio& aio, const Work& work, int file, const Course& course) {
  switch (way) {
    case Way::loop:
      return work_in_a_loop(work, file, course);
    case Way::notices:
      return work_with_notices(work, file, course);
    case Way::ring:
      return work_with_ring(work, file, course);
    case Way::kernel_aio:
      return work_with_kernel_aio(work, file, course);
    case Way::without_waiting:
      return work_without_waiting(work, file, course);
    case Way::least_of_pipes:
      return work_with_pipes_at_least(work, course);
    default:
      return work_with_aio(aio, work, file, course);
  }
}

// In the child: the requests done by all threads.
uint64_t work_in_threads(const Bench& bench, const Work& work, Way way, double seconds) {
  const int file = open(path_of(bench).c_str(), O_RDWR | (work.direct ? O_DIRECT : 0));
  if (file < 0) fail("cannot open the file");
  Aio aio{};
  if (way == Way::glibc) aio = aio_of_glibc();
  if (way == Way::inflight || way == Way::threads_engine) aio = aio_of(bench.library);
  const auto end = steady_clock::now() + std::chrono::duration_cast<steady_clock::duration>(
                                             std::chrono::duration<double>(seconds));
  if (work.threads == 1) return do_work(way, aio, work, file, Course(work, 1, end));
  std::vector<std::thread> threads;
  std::vector<uint64_t> done(static_cast<size_t>(work.threads));
  for (int i = 0; i < work.threads; ++i) {
    threads.emplace_back([&, i] {
      done[static_cast<size_t>(i)] =
          do_work(way, aio, work, file, Course(work, static_cast<unsigned>(i) + 1, end));
    });
  }
  uint64_t sum = 0;
  for (int i = 0; i < work.threads; ++i) {
    threads[static_cast<size_t>(i)].join();
    sum += done[static_cast<size_t>(i)];
  }
  return sum;
}

[[noreturn]] void be_child(const Bench& bench, const Work& work, Way way, int result) {
  dup2(result, STDOUT_FILENO);
  setenv("INFLIGHT_ENGINE", way == Way::threads_engine ? "threads" : "auto", 1);
  // A work that ends with its process cannot warm up in it.
  if (work.pattern != Pattern::pipes) work_in_threads(bench, work, way, bench.seconds / 10);
  latencies.clear();
  const auto begin = steady_clock::now();
  const uint64_t done = work_in_threads(bench, work, way, bench.seconds);
  const std::chrono::duration<double> taken = steady_clock::now() - begin;
  const Measured measured{static_cast<double>(done), taken.count(), latencies.percentile(0.99)};
  const ssize_t written = write(STDOUT_FILENO, &measured, sizeof measured);
  _exit(written == sizeof measured ? 0 : 1);
}

// What one measurement has left to be written must not disturb the next.
void write_back(const Bench& bench) {
  const int file = open(path_of(bench).c_str(), O_RDWR);
  if (file < 0 || fdatasync(file) != 0) fail("cannot write the file back");
  close(file);
}

}  // namespace

void fail(const std::string& what) {
  static_cast<void>(!write(STDERR_FILENO, (what + "\n").c_str(), what.size() + 1));
  _exit(3);
}

const char* name_of(Way way) {
  static const char* const names[] = {"glibc",     "inflight",          "inflight (threads)",
                                      "loop",      "loop that is told", "io_uring",
                                      "io_submit", "loop of preadv2",   "least system calls"};
  return names[static_cast<size_t>(way)];
}

void prepare_file(const Bench& bench) {
  const int file = open(path_of(bench).c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
  const std::vector<char> piece(size_t{1} << 20, 'f');
  for (size_t at = 0; at < kFileSize; at += piece.size()) {
    if (pwrite(file, piece.data(), piece.size(), static_cast<off_t>(at)) !=
        static_cast<ssize_t>(piece.size())) {
      fail("cannot write the file");
    }
  }
  fsync(file);
  close(file);
}

void remove_file(const Bench& bench) { unlink(path_of(bench).c_str()); }

Latencies latencies;

Speed measure(const Bench& bench, const Work& work, Way way) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) fail("pipe2");
  const pid_t child = fork();
  if (child == 0) be_child(bench, work, way, ends[1]);
  close(ends[1]);
  Measured measured;
  const ssize_t got = read(ends[0], &measured, sizeof measured);
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (got != sizeof measured || status != 0)
    fail(std::string("a measurement failed: ") + name_of(way));
  if (work.write && !work.direct) write_back(bench);
  const double seconds = measured.seconds > 0 ? measured.seconds : bench.seconds;
  return {measured.done / seconds, measured.p99};
}

}  // namespace bench
