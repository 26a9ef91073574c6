// What the test programs share: small owners of files and blocks, and waiting for events.
//
// Tests wait for a condition with a generous deadline (eventually), never for a time to pass.
// Everything here is plain POSIX AIO as a user would write it: the same objects run against
// inflight and, for docs/conformance.md, against glibc.
#pragma once

#include <aio.h>
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace support {

using Clock = std::chrono::steady_clock;

inline constexpr std::chrono::seconds kPatience{30};

// INFLIGHT_TEST_LENGTH: how many times longer than in the usual run storms and forks go on; 1 if
// unset.
int length_factor();

// Looks at the condition until it holds or kPatience has passed; says whether it held.
bool eventually(const std::function<bool()>& condition);

// A directory on a real file system for test files (not tmpfs: O_DIRECT must work).
std::string scratch_directory();

// An open descriptor, closed at the end of its scope unless release()d.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~Descriptor() { reset(); }

  int get() const { return number_; }
  int release() { return std::exchange(number_, -1); }
  void reset(int number = -1) {
    if (number_ >= 0) ::close(number_);
    number_ = number;
  }

 private:
  int number_;
};

// A file in scratch_directory() that is unlinked at once; `content` is what it holds.
Descriptor temporary_file(const std::string& content = "", int flags = 0);

// A named file in scratch_directory(), removed at the end of its scope.
class NamedFile {
 public:
  explicit NamedFile(const std::string& content = "");
  ~NamedFile();
  NamedFile(const NamedFile&) = delete;
  NamedFile& operator=(const NamedFile&) = delete;
  const std::string& path() const { return path_; }
  Descriptor open(int flags) const;
  std::string content() const;

 private:
  std::string path_;
};

struct Pipe {
  Pipe();
  Descriptor reader, writer;
};

struct SocketPair {
  explicit SocketPair(int type = SOCK_STREAM);
  Descriptor one, two;
};

// Writes until the descriptor takes no more (it is left as it was: blocking or not); the bytes.
size_t fill(int descriptor);
// Reads `count` bytes, blocking; what came (shorter only at the end of the file).
std::string drain(int descriptor, size_t count);

// A block whose private members hold garbage, as C2 allows, with SIGEV_NONE.
struct aiocb block(int descriptor, void* buffer, size_t length, off_t offset = 0);

// aio_suspend until the block is finished (EINTR is retried); its final aio_error status.
// A test that would wait longer than kPatience fails and gets ETIMEDOUT.
int wait_for(const struct aiocb& request);

// wait_for, then aio_return.
ssize_t result_of(struct aiocb& request);

// Starts a thread-free watchdog: the process is killed by SIGALRM's default action if the test
// goes on for longer than this. ctest's own timeout stands behind it.
void limit_runtime(std::chrono::seconds limit);

// Runs `body` in a forked child and returns its exit status as of waitpid (0 when it returned
// normally without gtest failures; failures print and give exit code 1).
int in_child(const std::function<void()>& body);

// True when aio_read resolves to inflight's shared object in this process (not glibc's).
bool served_by_inflight();

// The engine this run forces (INFLIGHT_ENGINE, "auto" if unset), and whether the test's
// main program forbade io_uring / io_submit by seccomp (INFLIGHT_TEST_FORBID, see main.cc).
std::string engine();
bool forbidden(const std::string& what);

}  // namespace support
