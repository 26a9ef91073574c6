// C3: what the library brings into a process: libc only, and nothing at all before the first
// request.
//
// glibc: the plain program, run without the library, skips these.
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "support/loaded.h"
#include "support/outcome.h"
#include "support/support.h"
#include "support/threads.h"

namespace {

namespace fs = std::filesystem;
using support::Descriptor;
using support::temporary_file;

class C03_Footprint : public support::Limited {
 protected:
  void SetUp() override {
    Limited::SetUp();
    if (!support::served_by_inflight()) GTEST_SKIP() << "aio_read is not the library's here";
  }
};

template <class Type>
Type* find(void* library, const char* name) {
  void* address = dlsym(library, name);
  EXPECT_NE(nullptr, address) << name;
  return reinterpret_cast<Type*>(address);
}

size_t entries_in(const char* directory) {
  const fs::directory_iterator all(directory);
  return static_cast<size_t>(std::distance(begin(all), end(all)));
}

// A copy of the library under another name, which the dynamic linker loads like a new one.
class FreshCopy {
 public:
  FreshCopy() : path_(support::scratch_directory() + "/libinflight-copy-XXXXXX") {
    Descriptor(mkstemp(path_.data()));
    const support::LoadedLibrary library;
    fs::copy_file(library.path(), path_, fs::copy_options::overwrite_existing);
  }
  ~FreshCopy() { fs::remove(path_); }
  FreshCopy(const FreshCopy&) = delete;
  FreshCopy& operator=(const FreshCopy&) = delete;

  const std::string& path() const { return path_; }
  void* load() const { return dlopen(path_.c_str(), RTLD_NOW | RTLD_LOCAL); }

 private:
  std::string path_;
};

struct Range {
  uintptr_t start = 0, end = 0;
};

// Where a shared object lies, its zeroed data included; empty while it is not loaded.
Range place_of(const std::string& path) {
  struct Search {
    const std::string& path;
    Range found;
  } search{path, {}};
  const auto look = [](dl_phdr_info* object, size_t, void* argument) {
    auto& wanted = *static_cast<Search*>(argument);
    if (wanted.path != object->dlpi_name) return 0;
    uintptr_t end = 0;
    for (int i = 0; i < object->dlpi_phnum; ++i) {
      const auto& part = object->dlpi_phdr[i];
      if (part.p_type == PT_LOAD) end = std::max<uintptr_t>(end, part.p_vaddr + part.p_memsz);
    }
    wanted.found = {object->dlpi_addr, object->dlpi_addr + (end + 4095) / 4096 * 4096};
    return 1;
  };
  dl_iterate_phdr(look, &search);
  return search.found;
}

// The process's mapped memory without that place and without malloc's heap, which the dynamic
// linker uses for its own notes.
size_t bytes_outside(Range place) {
  size_t sum = 0;
  std::ifstream file("/proc/self/maps");
  for (std::string line; std::getline(file, line);) {
    uintptr_t start = 0, end = 0;
    sscanf(line.c_str(), "%lx-%lx", &start, &end);
    if (line.find("[heap]") != std::string::npos) continue;
    sum += end - start;
    const uintptr_t low = std::max(start, place.start), high = std::min(end, place.end);
    if (low < high) sum -= high - low;
  }
  return sum;
}

// "At run time it needs libc only: no libstdc++, no liburing.so."
TEST_F(C03_Footprint, NeedsLibcOnly) {
  if (support::kSanitized) GTEST_SKIP() << "the sanitizer's library is needed too";
  const support::LoadedLibrary library;
  for (const std::string& needed : library.needed()) {
    EXPECT_TRUE(needed == "libc.so.6" || needed == "ld-linux-x86-64.so.2") << needed;
  }
  EXPECT_TRUE(library.needed().contains("libc.so.6"));
}

// A child looks: it has one thread, and no helper of an earlier test ends in it meanwhile.

// "Loading it starts no thread, opens no descriptor and allocates nothing"
TEST_F(C03_Footprint, LoadingItTakesNothing) {
  if (support::kSanitized) GTEST_SKIP() << "the sanitizer maps memory at any time";
  const FreshCopy copy;
  const int status = support::in_child([&] {
    bytes_outside({});  // what reading the list needs is there afterwards
    const size_t threads = entries_in("/proc/self/task");
    const size_t descriptors = entries_in("/proc/self/fd");
    const size_t mapped = bytes_outside({});
    ASSERT_NE(nullptr, copy.load()) << dlerror();
    const Range place = place_of(copy.path());
    ASSERT_LT(place.start, place.end);
    EXPECT_EQ(threads, entries_in("/proc/self/task"));
    EXPECT_EQ(descriptors, entries_in("/proc/self/fd"));
    EXPECT_EQ(mapped, bytes_outside(place));
  });
  EXPECT_EQ(0, status);
}

// "until the first request": asking about requests when there are none is not one, nor is a call
// that is refused.
TEST_F(C03_Footprint, CallsThatMakeNoRequestTakeNothing) {
  const FreshCopy copy;
  const int status = support::in_child([&] {
    void* library = copy.load();
    ASSERT_NE(nullptr, library) << dlerror();
    const auto init = find<void(const aioinit*)>(library, "aio_init");
    const auto error = find<int(const aiocb*)>(library, "aio_error");
    const auto cancel = find<int(int, aiocb*)>(library, "aio_cancel");
    const auto read = find<int(aiocb*)>(library, "aio_read");
    const size_t threads = entries_in("/proc/self/task");
    const size_t descriptors = entries_in("/proc/self/fd");
    const aioinit hints{};
    init(&hints);
    const aiocb never{};
    EXPECT_EQ(0, error(&never));
    EXPECT_EQ(AIO_ALLDONE, cancel(0, nullptr));
    aiocb refused = support::block(0, nullptr, 0);
    refused.aio_reqprio = -1;
    EXPECT_EQ(-1, read(&refused));
    EXPECT_EQ(threads, entries_in("/proc/self/task"));
    EXPECT_EQ(descriptors, entries_in("/proc/self/fd"));
  });
  EXPECT_EQ(0, status);
}

}  // namespace
