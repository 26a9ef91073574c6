// The functions behind support.h. Nothing here uses asynchronous I/O except wait_for and
// result_of, so that a test that does without them sees only its own requests.
#include "support/support.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <algorithm>
#include <thread>

namespace support {

namespace {

// A new file, open for reading and writing, and its path.
Descriptor create_file(std::string& path) {
  path = scratch_directory() + "/inflight-test-XXXXXX";
  Descriptor file(mkostemp(path.data(), O_CLOEXEC));
  EXPECT_GE(file.get(), 0) << path << ": " << strerror(errno);
  return file;
}

void write_all(int descriptor, const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t count = ::write(descriptor, text.data() + done, text.size() - done);
    if (count < 0 && errno == EINTR) continue;
    ASSERT_GT(count, 0) << strerror(errno);
    done += static_cast<size_t>(count);
  }
}

std::string environment(const char* name, const char* otherwise) {
  const char* value = getenv(name);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

// The number of failed checks of the running test so far.
int failures() {
  const testing::TestInfo* test = testing::UnitTest::GetInstance()->current_test_info();
  if (test == nullptr) return 0;
  int count = 0;
  for (int part = 0; part < test->result()->total_part_count(); ++part) {
    count += test->result()->GetTestPartResult(part).failed() ? 1 : 0;
  }
  return count;
}

}  // namespace

bool eventually(const std::function<bool()>& condition) {
  const Clock::time_point end = Clock::now() + kPatience;
  // Most conditions hold at once or very soon; the others must not take a core from what is
  // being waited for.
  for (int look = 0; !condition(); ++look) {
    if (Clock::now() > end) return condition();
    if (look < 100) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(std::min(look, 1000)));
    }
  }
  return true;
}

std::string scratch_directory() { return environment("INFLIGHT_TEST_DIR", "/var/tmp"); }

Descriptor temporary_file(const std::string& content, int flags) {
  std::string path;
  Descriptor file = create_file(path);
  write_all(file.get(), content);
  const int mode = (flags & O_ACCMODE) == 0 ? O_RDWR : 0;
  Descriptor opened(::open(path.c_str(), mode | flags | O_CLOEXEC));
  EXPECT_GE(opened.get(), 0) << path << ": " << strerror(errno);
  unlink(path.c_str());
  return opened;
}

NamedFile::NamedFile(const std::string& content) {
  Descriptor file = create_file(path_);
  write_all(file.get(), content);
}

NamedFile::~NamedFile() { unlink(path_.c_str()); }

Descriptor NamedFile::open(int flags) const {
  Descriptor opened(::open(path_.c_str(), flags | O_CLOEXEC, 0600));
  EXPECT_GE(opened.get(), 0) << path_ << ": " << strerror(errno);
  return opened;
}

std::string NamedFile::content() const {
  Descriptor file = open(O_RDONLY);
  return drain(file.get(), SIZE_MAX);
}

Pipe::Pipe() {
  int ends[2] = {-1, -1};
  EXPECT_EQ(0, pipe2(ends, O_CLOEXEC)) << strerror(errno);
  reader.reset(ends[0]);
  writer.reset(ends[1]);
}

SocketPair::SocketPair(int type) {
  int ends[2] = {-1, -1};
  EXPECT_EQ(0, socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends)) << strerror(errno);
  one.reset(ends[0]);
  two.reset(ends[1]);
}

size_t fill(int descriptor) {
  const std::string bytes(65536, 'f');
  const int flags = fcntl(descriptor, F_GETFL);
  EXPECT_EQ(0, fcntl(descriptor, F_SETFL, flags | O_NONBLOCK)) << strerror(errno);
  size_t written = 0;
  // What is left of the room may be smaller than a piece.
  for (size_t piece = bytes.size(); piece > 0;) {
    const ssize_t count = ::write(descriptor, bytes.data(), piece);
    if (count > 0) {
      written += static_cast<size_t>(count);
    } else if (count < 0 && errno == EINTR) {
      continue;
    } else {
      EXPECT_EQ(EAGAIN, errno);
      piece /= 2;
    }
  }
  fcntl(descriptor, F_SETFL, flags);
  return written;
}

std::string drain(int descriptor, size_t count) {
  std::string bytes;
  char piece[65536];
  while (bytes.size() < count) {
    const ssize_t got = ::read(descriptor, piece, std::min(sizeof piece, count - bytes.size()));
    if (got < 0 && errno == EINTR) continue;
    EXPECT_GE(got, 0) << strerror(errno);
    if (got <= 0) break;
    bytes.append(piece, static_cast<size_t>(got));
  }
  return bytes;
}

struct aiocb block(int descriptor, void* buffer, size_t length, off_t offset) {
  struct aiocb made;
  memset(static_cast<void*>(&made), 0xa5, sizeof made);
  made.aio_fildes = descriptor;
  made.aio_lio_opcode = LIO_NOP;
  made.aio_reqprio = 0;
  made.aio_buf = buffer;
  made.aio_nbytes = length;
  made.aio_offset = offset;
  memset(&made.aio_sigevent, 0, sizeof made.aio_sigevent);
  made.aio_sigevent.sigev_notify = SIGEV_NONE;
  return made;
}

int wait_for(const struct aiocb& request) {
  const Clock::time_point end = Clock::now() + kPatience;
  const struct aiocb* const list[] = {&request};
  int status;
  while ((status = aio_error(&request)) == EINPROGRESS) {
    if (Clock::now() > end) {
      ADD_FAILURE() << "a request did not finish";
      return ETIMEDOUT;
    }
    const timespec second = {1, 0};
    if (aio_suspend(list, 1, &second) != 0 && errno != EINTR && errno != EAGAIN) {
      ADD_FAILURE() << "aio_suspend: " << strerror(errno);
      return errno;
    }
  }
  return status;
}

ssize_t result_of(struct aiocb& request) {
  const int status = wait_for(request);
  if (status == ETIMEDOUT && aio_error(&request) == EINPROGRESS) return -1;
  return aio_return(&request);
}

void limit_runtime(std::chrono::seconds limit) {
  signal(SIGALRM, SIG_DFL);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGALRM);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  alarm(static_cast<unsigned>(limit.count()));
}

int in_child(const std::function<void()>& body) {
  fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    // A child that hangs must not outlive the test.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    limit_runtime(2 * kPatience);
    const int before = failures();
    body();
    fflush(nullptr);
    _exit(failures() == before ? 0 : 1);
  }
  EXPECT_GT(child, 0) << strerror(errno);
  int status = -1;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

int length_factor() { return std::max(1, atoi(environment("INFLIGHT_TEST_LENGTH", "1").c_str())); }

bool served_by_inflight() {
  Dl_info info;
  void* address = dlsym(RTLD_DEFAULT, "aio_read");
  return address != nullptr && dladdr(address, &info) != 0 &&
         strstr(info.dli_fname, "libinflight") != nullptr;
}

std::string engine() { return environment("INFLIGHT_ENGINE", "auto"); }

bool forbidden(const std::string& what) {
  const std::string list = "," + environment("INFLIGHT_TEST_FORBID", "") + ",";
  return list.find("," + what + ",") != std::string::npos;
}

}  // namespace support
