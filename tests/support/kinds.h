// Files of the kinds that support.h has not: terminals, event counters, TCP connections, memory
// files, memory that cannot be touched.
#pragma once

#include <netinet/in.h>
#include <pty.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <termios.h>

#include <cstdint>

#include "support/support.h"

namespace support {

// A pseudoterminal; the slave is in canonical mode (whole lines) without echo or output changes.
struct Terminal {
  Terminal() {
    int ends[2] = {-1, -1};
    EXPECT_EQ(0, openpty(&ends[0], &ends[1], nullptr, nullptr, nullptr)) << strerror(errno);
    master.reset(ends[0]);
    slave.reset(ends[1]);
    termios settings{};
    tcgetattr(slave.get(), &settings);
    settings.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    settings.c_oflag &= ~static_cast<tcflag_t>(OPOST);
    tcsetattr(slave.get(), TCSANOW, &settings);
  }
  Descriptor master, slave;
};

inline Descriptor event_counter(unsigned value = 0, int flags = 0) {
  Descriptor made(eventfd(value, EFD_CLOEXEC | flags));
  EXPECT_GE(made.get(), 0) << strerror(errno);
  return made;
}

inline Descriptor memory_file(off_t size) {
  Descriptor made(memfd_create("test", MFD_CLOEXEC));
  EXPECT_GE(made.get(), 0) << strerror(errno);
  EXPECT_EQ(0, ftruncate(made.get(), size)) << strerror(errno);
  return made;
}

// A TCP connection over the loopback interface.
struct Connection {
  Connection() {
    const sockaddr_in any = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {}};
    sockaddr_in bound = any;
    socklen_t length = sizeof bound;
    const auto* address = reinterpret_cast<const sockaddr*>(&bound);
    Descriptor listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(0, bind(listener.get(), address, sizeof bound)) << strerror(errno);
    EXPECT_EQ(0, getsockname(listener.get(), reinterpret_cast<sockaddr*>(&bound), &length));
    EXPECT_EQ(0, listen(listener.get(), 1)) << strerror(errno);
    one.reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(0, connect(one.get(), address, sizeof bound)) << strerror(errno);
    two.reset(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    EXPECT_GE(two.get(), 0) << strerror(errno);
  }
  // The other side sees the connection reset, not ended.
  void reset_by_two() {
    const linger now = {1, 0};
    setsockopt(two.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    two.reset();
  }
  Descriptor one, two;
};

// Pages of memory, given back at the end of the scope.
class Memory {
 public:
  explicit Memory(size_t size, int protection = PROT_READ | PROT_WRITE) : size_(size) {
    start_ = mmap(nullptr, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    EXPECT_NE(MAP_FAILED, start_) << strerror(errno);
  }
  ~Memory() { munmap(start_, size_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  char* get() const { return static_cast<char*>(start_); }
  size_t size() const { return size_; }

 private:
  void* start_;
  size_t size_;
};

// A large range of addresses that shows the same two megabytes again and again, so that a
// transfer of gigabytes needs no gigabytes of memory.
class FoldedMemory {
 public:
  explicit FoldedMemory(size_t size) : range_((size + kFold - 1) / kFold * kFold, PROT_NONE) {
    const Descriptor fold = memory_file(kFold);
    for (size_t at = 0; at < range_.size(); at += kFold) {
      void* place = mmap(range_.get() + at, kFold, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                         fold.get(), 0);
      EXPECT_NE(MAP_FAILED, place) << strerror(errno);
    }
  }
  char* get() const { return range_.get(); }

 private:
  static constexpr size_t kFold = size_t{2} << 20;
  Memory range_;
};

}  // namespace support
