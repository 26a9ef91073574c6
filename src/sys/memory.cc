// Owns nothing; callers own what they map.
#include "sys/memory.h"

#include <errno.h>

namespace inflight::sys {
namespace {

void* map(size_t bytes, int flags, int fd) {
  const long result =
      call(SYS_mmap, 0L, static_cast<long>(bytes), static_cast<long>(PROT_READ | PROT_WRITE),
           static_cast<long>(flags), static_cast<long>(fd), 0L);
  const bool failed = result < 0 && result > -4096;
  return failed ? nullptr : reinterpret_cast<void*>(result);
}

}  // namespace

void* map_pages(size_t bytes, OnFork on_fork) {
  void* pages = map(bytes, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
  if (pages == nullptr) return nullptr;
  const long advice = on_fork == OnFork::wipe ? MADV_WIPEONFORK : MADV_DONTFORK;
  if (call(SYS_madvise, pages, static_cast<long>(bytes), advice) < 0) {
    unmap_pages(pages, bytes);
    return nullptr;
  }
  return pages;
}

void unmap_pages(void* address, size_t bytes) {
  call(SYS_munmap, address, static_cast<long>(bytes));
}

void* create_shared_file(const char* path, size_t bytes, bool& exists) {
  const long flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
  const long fd = call(SYS_openat, static_cast<long>(AT_FDCWD), path, flags, 0644L);
  exists = fd == -EEXIST;
  if (fd < 0) return nullptr;
  void* pages = nullptr;
  // With blocks: a page of a file that has none could not be written once the disk is full.
  long sized = bytes <= file_size_limit() ? 0 : -EFBIG;
  if (sized == 0) sized = call(SYS_fallocate, fd, 0L, 0L, static_cast<long>(bytes));
  if (sized == -EOPNOTSUPP) sized = call(SYS_ftruncate, fd, static_cast<long>(bytes));
  if (sized == 0) {
    pages = map(bytes, MAP_SHARED, static_cast<int>(fd));
  }
  if (pages == nullptr) call(SYS_ftruncate, fd, 0L);
  close(static_cast<int>(fd));
  return pages;
}

}  // namespace inflight::sys
