// POSIX AIO as a program uses it: so many blocks outstanding, aio_suspend for all of them, and each
// that has finished is looked at and submitted again.
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "work.h"

namespace bench {
namespace {

template <class Function>
void find(void* library, const char* name, Function& function) {
  void* symbol = dlsym(library, name);
  if (symbol == nullptr) fail(std::string("no ") + name);
  function = reinterpret_cast<Function>(symbol);
}

Aio load(const char* library, int flags) {
  void* handle = dlopen(library, flags);
  if (handle == nullptr) fail(dlerror());
  Aio aio{};
  find(handle, "aio_read", aio.read);
  find(handle, "aio_write", aio.write);
  find(handle, "aio_error", aio.error);
  find(handle, "aio_return", aio.result);
  find(handle, "aio_suspend", aio.suspend);
  find(handle, "lio_listio", aio.list);
  find(handle, "aio_cancel", aio.cancel);
  return aio;
}

std::atomic<uint64_t> told{0};

void ask(aiocb& block, Notice notice) {
  block.aio_sigevent.sigev_notify = SIGEV_NONE;
  if (notice == Notice::signal) {
    block.aio_sigevent.sigev_notify = SIGEV_SIGNAL;
    block.aio_sigevent.sigev_signo = SIGUSR1;
  } else if (notice == Notice::thread) {
    block.aio_sigevent.sigev_notify = SIGEV_THREAD;
    block.aio_sigevent.sigev_notify_function = [](sigval) { ++told; };
  }
}

class Blocks {
 public:
  Blocks(const Work& work, int file)
      : blocks_(static_cast<size_t>(work.depth)), list_(static_cast<size_t>(work.depth)) {
    const size_t bytes = work.block * blocks_.size();
    memory_ = static_cast<char*>(aligned_alloc(4096, (bytes + 4095) / 4096 * 4096));
    memset(memory_, 'b', bytes);
    for (size_t i = 0; i < blocks_.size(); ++i) {
      aiocb& block = blocks_[i];
      block.aio_fildes = file;
      block.aio_buf = memory_ + i * work.block;
      block.aio_nbytes = work.block;
      block.aio_lio_opcode = LIO_READ;
      ask(block, work.notice);
      list_[i] = &block;
    }
  }
  ~Blocks() { free(memory_); }
  Blocks(const Blocks&) = delete;
  Blocks& operator=(const Blocks&) = delete;

  aiocb& operator[](int i) { return blocks_[static_cast<size_t>(i)]; }
  const aiocb** list() { return list_.data(); }

 private:
  std::vector<aiocb> blocks_;
  std::vector<const aiocb*> list_;
  char* memory_;
};

uint64_t transfers(const Aio& aio, const Work& work, int file, Course& course) {
  Blocks blocks(work, file);
  std::vector<Latencies::Clock::time_point> begins(static_cast<size_t>(work.depth));
  const auto submit = [&](int i) {
    aiocb& block = blocks[i];
    block.aio_offset = course.next();
    if (work.timed) begins[static_cast<size_t>(i)] = Latencies::Clock::now();
    if ((work.write ? aio.write : aio.read)(&block) != 0) fail("a submission failed");
  };
  for (int i = 0; i < work.depth; ++i) submit(i);
  uint64_t done = 0;
  for (int left = work.depth; left > 0;) {
    aio.suspend(blocks.list(), work.depth, nullptr);
    for (int i = 0; i < work.depth; ++i) {
      if (blocks.list()[i] == nullptr || aio.error(&blocks[i]) == EINPROGRESS) continue;
      if (aio.result(&blocks[i]) != static_cast<ssize_t>(work.block)) fail("a short transfer");
      if (work.timed) latencies.add(begins[static_cast<size_t>(i)]);
      ++done;
      if (course.over()) {
        blocks.list()[i] = nullptr;
        --left;
      } else {
        submit(i);
      }
    }
  }
  while (work.notice == Notice::thread && told < done) usleep(100);
  return done;
}

uint64_t lists(const Aio& aio, const Work& work, int file, Course& course) {
  Blocks blocks(work, file);
  uint64_t done = 0;
  while (!course.over()) {
    for (int i = 0; i < work.depth; ++i) blocks[i].aio_offset = course.next();
    if (aio.list(LIO_WAIT, const_cast<aiocb**>(blocks.list()), work.depth, nullptr) != 0) {
      fail("lio_listio failed");
    }
    for (int i = 0; i < work.depth; ++i) aio.result(&blocks[i]);
    done += static_cast<uint64_t>(work.depth);
  }
  return done;
}

uint64_t pipes(const Aio& aio, const Work& work, Course& course) {
  const auto count = static_cast<size_t>(work.depth);
  std::vector<int> readers(count), writers(count);
  Blocks blocks(work, -1);
  for (size_t i = 0; i < count; ++i) {
    int ends[2];
    if (pipe(ends) != 0) fail("pipe");
    readers[i] = ends[0];
    writers[i] = ends[1];
    aiocb& block = blocks[static_cast<int>(i)];
    block.aio_fildes = ends[0];
    block.aio_nbytes = 1;
    if (aio.read(&block) != 0) fail("a read of a pipe");
  }
  uint64_t done = 0;
  while (!course.over()) {
    const auto i = static_cast<size_t>(course.next()) / 4096 % count;
    aiocb& block = blocks[static_cast<int>(i)];
    const aiocb* list[] = {&block};
    const timespec longest{0, 200'000'000};
    if (write(writers[i], "x", 1) != 1) fail("write to a pipe");
    if (aio.suspend(list, 1, &longest) != 0) break;  // it starves
    aio.result(&block);
    ++done;
    if (aio.read(&block) != 0) fail("a read of a pipe");
  }
  const Measured measured{static_cast<double>(done), 0, 0};
  const ssize_t written = write(STDOUT_FILENO, &measured, sizeof measured);
  _Exit(written == sizeof measured ? 0 : 1);  // with a thousand reads waiting
}

}  // namespace

Aio aio_of_glibc() { return load("libc.so.6", RTLD_NOW | RTLD_NOLOAD); }
Aio aio_of(const std::string& library) { return load(library.c_str(), RTLD_NOW | RTLD_LOCAL); }

uint64_t work_with_aio(const Aio& aio, const Work& work, int file, Course course) {
  if (work.notice == Notice::signal) signal(SIGUSR1, [](int) { ++told; });
  switch (work.pattern) {
    case Pattern::list:
      return lists(aio, work, file, course);
    case Pattern::pipes:
      return pipes(aio, work, course);
    case Pattern::transfers:
      break;
  }
  return transfers(aio, work, file, course);
}

}  // namespace bench
