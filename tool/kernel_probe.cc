// Asks by the system calls themselves, as the library does: a list of kernel versions would know
// nothing of sandboxes. Nothing is kept open.
#include "kernel_probe.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>

namespace tool {

namespace {

constexpr size_t kBlock = 4096;

std::string first_line(const char* file) {
  std::ifstream stream(file);
  std::string line;
  std::getline(stream, line);
  return line;
}

std::string why(int error, const char* call) {
  std::string text = fmt::format("{}: {}", call, std::strerror(error));
  if (error == EPERM) {
    const std::string disabled = first_line("/proc/sys/kernel/io_uring_disabled");
    text += disabled == "1" || disabled == "2"
                ? fmt::format("; kernel.io_uring_disabled is {}", disabled)
                : "; a seccomp filter forbids it, as container defaults do";
  }
  if (error == ENOSYS) text += "; the kernel is built without it, or a filter hides it";
  if (error == ENOMEM) text += "; RLIMIT_MEMLOCK may be too small";
  return text;
}

Way probe_ring() {
  io_uring_params parameters{};
  const long ring = syscall(SYS_io_uring_setup, 1, &parameters);
  if (ring < 0) return {"io_uring", false, why(errno, "io_uring_setup")};
  close(static_cast<int>(ring));
  // The library wants a ring that has no descriptor: memory of its own, and an index instead.
  constexpr unsigned kNoDescriptor = 1U << 14 | 1U << 15;
  std::unique_ptr<char, decltype(&free)> memory(
      static_cast<char*>(aligned_alloc(kBlock, 2 * kBlock)), free);
  std::memset(memory.get(), 0, 2 * kBlock);
  parameters = {};
  parameters.flags = kNoDescriptor;
  parameters.cq_off.resv2 = reinterpret_cast<uint64_t>(memory.get());
  parameters.sq_off.resv2 = reinterpret_cast<uint64_t>(memory.get() + kBlock);
  // Given back when this process ends; until then the memory must stay.
  if (syscall(SYS_io_uring_setup, 1, &parameters) < 0) {
    return {"io_uring", false,
            "works, but not without a descriptor (Linux 6.5), which inflight needs"};
  }
  static_cast<void>(memory.release());
  return {"io_uring", true, "without a descriptor"};
}

Way probe_kernel_aio() {
  aio_context_t context = 0;
  if (syscall(SYS_io_setup, 32, &context) != 0) {
    const int error = errno;
    std::string remark = why(error, "io_setup");
    if (error == EAGAIN) remark += "; fs.aio-max-nr is used up";
    return {"kernel AIO", false, remark};
  }
  syscall(SYS_io_destroy, context);
  return {"kernel AIO", true,
          fmt::format("{} of {} events in use in the system", first_line("/proc/sys/fs/aio-nr"),
                      first_line("/proc/sys/fs/aio-max-nr"))};
}

std::string name_of_type(long type) {
  static const std::map<long, const char*> names = {
      {0xef53, "ext2/3/4"}, {0x58465342, "xfs"},     {0x9123683e, "btrfs"},   {0x01021994, "tmpfs"},
      {0x6969, "nfs"},      {0x794c7630, "overlay"}, {0xf2f52010, "f2fs"},    {0x2fc12fc1, "zfs"},
      {0xff534d42, "cifs"}, {0x65735546, "fuse"},    {0xca451a4e, "bcachefs"}};
  const auto found = names.find(type);
  return found != names.end() ? found->second : fmt::format("type {:#x}", type);
}

// A file that has a block of data in memory, seen through a descriptor with O_DIRECT too if that
// is possible.
class ProbeFile {
 public:
  explicit ProbeFile(const std::string& directory) : block_(aligned_alloc(kBlock, kBlock), free) {
    std::memset(block_.get(), 'p', kBlock);
    file_ = open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (file_ < 0) {
      name_ = directory + "/inflight-probe-XXXXXX";
      file_ = mkostemp(name_.data(), O_CLOEXEC);
    }
    error_ = file_ < 0 || write(file_, block_.get(), kBlock) != ssize_t{kBlock} ? errno : 0;
    const std::string path = fmt::format("/proc/self/fd/{}", file_);
    direct_ = file_ < 0 ? -1 : open(path.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC);
  }
  ~ProbeFile() {
    if (!name_.empty()) unlink(name_.c_str());
    if (direct_ >= 0) close(direct_);
    if (file_ >= 0) close(file_);
  }
  ProbeFile(const ProbeFile&) = delete;
  ProbeFile& operator=(const ProbeFile&) = delete;

  int error() const { return error_; }

  bool transfers_without_waiting(bool write) const {
    const iovec piece{block_.get(), kBlock};
    const ssize_t moved = write ? pwritev2(file_, &piece, 1, 0, RWF_NOWAIT)
                                : preadv2(file_, &piece, 1, 0, RWF_NOWAIT);
    return moved == ssize_t{kBlock};
  }

  bool reads_directly() const {
    return direct_ >= 0 && pread(direct_, block_.get(), kBlock, 0) == ssize_t{kBlock};
  }

  bool reads_directly_by_aio() const {
    aio_context_t context = 0;
    if (direct_ < 0 || syscall(SYS_io_setup, 1, &context) != 0) return false;
    iocb control{};
    control.aio_lio_opcode = IOCB_CMD_PREAD;
    control.aio_fildes = static_cast<uint32_t>(direct_);
    control.aio_buf = reinterpret_cast<uint64_t>(block_.get());
    control.aio_nbytes = kBlock;
    iocb* list[] = {&control};
    io_event event{};
    const bool done = syscall(SYS_io_submit, context, 1, list) == 1 &&
                      syscall(SYS_io_getevents, context, 1, 1, &event, nullptr) == 1 &&
                      event.res == int64_t{kBlock};
    syscall(SYS_io_destroy, context);
    return done;
  }

 private:
  std::unique_ptr<void, decltype(&free)> block_;
  std::string name_;
  int file_ = -1;
  int direct_ = -1;
  int error_ = 0;
};

std::string limit_of(int resource) {
  rlimit limit{};
  getrlimit(static_cast<__rlimit_resource>(resource), &limit);
  return limit.rlim_cur == RLIM_INFINITY ? "unlimited" : std::to_string(limit.rlim_cur);
}

}  // namespace

std::vector<Way> probe_ways() {
  return {{"inline", true, "reads that are in memory, where the file system can tell (below)"},
          probe_kernel_aio(),
          probe_ring(),
          {"threads", true, "carries everything that nothing else can"}};
}

FileSystem probe_file_system(const std::string& path) {
  FileSystem found;
  found.path = path;
  struct statfs info {};
  if (statfs(path.c_str(), &info) == 0) found.type = name_of_type(static_cast<long>(info.f_type));
  const ProbeFile file(path);
  if (file.error() != 0) {
    found.error = fmt::format("cannot write a file there: {}", std::strerror(file.error()));
    return found;
  }
  found.cached_reads = file.transfers_without_waiting(false);
  found.buffered_writes = file.transfers_without_waiting(true);
  found.direct = file.reads_directly();
  found.direct_aio = found.direct && file.reads_directly_by_aio();
  return found;
}

std::vector<Limit> probe_limits() {
  return {{"descriptors (RLIMIT_NOFILE)", limit_of(RLIMIT_NOFILE)},
          {"threads (RLIMIT_NPROC)", limit_of(RLIMIT_NPROC)},
          {"queued signals (RLIMIT_SIGPENDING)", limit_of(RLIMIT_SIGPENDING)},
          {"locked memory (RLIMIT_MEMLOCK)", limit_of(RLIMIT_MEMLOCK)},
          {"processors", std::to_string(sysconf(_SC_NPROCESSORS_ONLN))}};
}

}  // namespace tool
