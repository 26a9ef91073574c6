// C1: the names. That each one exists, and that it is the library, not glibc, that answers.
//
// glibc: the plain program, run without the library, fails all of these but the first: that is
// what they are for.
#include <dlfcn.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>

#include "inflight/stats.h"
#include "support/outcome.h"
#include "support/support.h"
#include "support/threads.h"

// References to the versions that programs built on older systems hold (C1: "serves programs
// bound to aio_*@GLIBC_2.2.5, @2.4 and @2.34").
extern "C" {
int old_aio_read(struct aiocb* request);
int old_aio_write(struct aiocb* request);
int old_aio_error(const struct aiocb* request);
ssize_t old_aio_return(struct aiocb* request);
int old_lio_listio(int mode, struct aiocb* const* list, int count, struct sigevent* event);
int less_old_lio_listio(int mode, struct aiocb* const* list, int count, struct sigevent* event);
}
__asm__(".symver old_aio_read, aio_read@GLIBC_2.2.5");
__asm__(".symver old_aio_write, aio_write@GLIBC_2.2.5");
__asm__(".symver old_aio_error, aio_error@GLIBC_2.2.5");
__asm__(".symver old_aio_return, aio_return@GLIBC_2.2.5");
__asm__(".symver old_lio_listio, lio_listio@GLIBC_2.2.5");
__asm__(".symver less_old_lio_listio, lio_listio@GLIBC_2.4");

namespace {

using support::Descriptor;
using support::temporary_file;

class C01_Surface : public support::Limited {};

struct Name {
  const char* name;
  void* bound;  // what this program's own call of it goes to
};

template <class Function>
void* address_of(Function* function) {
  return reinterpret_cast<void*>(function);
}

const Name kNames[] = {
    {"aio_read", address_of(aio_read)},       {"aio_read64", address_of(aio_read64)},
    {"aio_write", address_of(aio_write)},     {"aio_write64", address_of(aio_write64)},
    {"aio_fsync", address_of(aio_fsync)},     {"aio_fsync64", address_of(aio_fsync64)},
    {"aio_error", address_of(aio_error)},     {"aio_error64", address_of(aio_error64)},
    {"aio_return", address_of(aio_return)},   {"aio_return64", address_of(aio_return64)},
    {"aio_suspend", address_of(aio_suspend)}, {"aio_suspend64", address_of(aio_suspend64)},
    {"aio_cancel", address_of(aio_cancel)},   {"aio_cancel64", address_of(aio_cancel64)},
    {"lio_listio", address_of(lio_listio)},   {"lio_listio64", address_of(lio_listio64)},
    {"aio_init", address_of(aio_init)},
};

std::string object_of(void* address) {
  Dl_info info;
  if (address == nullptr || dladdr(address, &info) == 0) return "nothing";
  return info.dli_fname;
}

bool is_inflight(const std::string& object) {
  return object.find("libinflight") != std::string::npos;
}

// Runs this test again in a process of its own, where it finds INFLIGHT_TEST_ROLE set, with
// counters published in `directory`.
int run_again_counted(const std::string& directory) {
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
  environment.push_back("INFLIGHT_STATS=" + directory);
  environment.emplace_back("INFLIGHT_TEST_ROLE=counted");
  std::vector<char*> pointers;
  for (std::string& entry : environment) pointers.push_back(entry.data());
  pointers.push_back(nullptr);
  const testing::TestInfo* test = testing::UnitTest::GetInstance()->current_test_info();
  std::string program = "/proc/self/exe";
  std::string filter =
      std::string("--gtest_filter=") + test->test_suite_name() + "." + test->name();
  char* arguments[] = {program.data(), filter.data(), nullptr};
  pid_t child = -1;
  EXPECT_EQ(0, posix_spawn(&child, program.c_str(), nullptr, nullptr, arguments, pointers.data()));
  int status = -1;
  EXPECT_EQ(child, waitpid(child, &status, 0));
  return status;
}

// Adds up the counters of the one page in the directory.
std::vector<uint64_t> counters_in(const std::string& directory) {
  std::vector<uint64_t> sums(INFLIGHT_COUNTERS);
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    std::ifstream file(entry.path(), std::ios::binary);
    inflight_stats page{};
    file.read(reinterpret_cast<char*>(&page), sizeof page);
    EXPECT_EQ(static_cast<std::streamsize>(sizeof page), file.gcount());
    EXPECT_EQ(INFLIGHT_STATS_MAGIC, page.magic);
    for (const auto& shard : page.value) {
      for (size_t i = 0; i < sums.size(); ++i) sums[i] += shard[i];
    }
  }
  return sums;
}

// Two requests by each of the names that make requests: one plain, one ...64.
void one_of_each_by_both_names() {
  Descriptor file = temporary_file("0123456789");
  char buffer[4] = {};
  const aiocb request = support::block(file.get(), buffer, 4);
  EXPECT_EQ(support::count(4), support::run(aio_read, request));
  EXPECT_EQ(support::count(4), support::run(aio_write, request));
  EXPECT_EQ(support::count(0), support::run(support::sync_all, request));

  aiocb64 wide{};
  memcpy(&wide, &request, sizeof wide);
  const aiocb64* const wides[] = {&wide};
  const auto finish = [&] {
    while (aio_error64(&wide) == EINPROGRESS) aio_suspend64(wides, 1, nullptr);
    EXPECT_EQ(0, aio_error64(&wide));
    return aio_return64(&wide);
  };
  EXPECT_EQ(0, aio_read64(&wide));
  EXPECT_EQ(4, finish());
  EXPECT_EQ(0, aio_write64(&wide));
  EXPECT_EQ(4, finish());
  EXPECT_EQ(0, aio_fsync64(O_SYNC, &wide));
  EXPECT_EQ(0, finish());
  EXPECT_EQ(AIO_ALLDONE, aio_cancel64(file.get(), &wide));

  aiocb64* const list[] = {&wide};
  wide.aio_lio_opcode = LIO_READ;
  EXPECT_EQ(0, lio_listio64(LIO_WAIT, list, 1, nullptr));
  EXPECT_EQ(4, finish());
}

// "17 names": eight, their twins, and aio_init, as a program finds them.
TEST_F(C01_Surface, SeventeenNamesAreThere) {
  EXPECT_EQ(17U, std::size(kNames));
  for (const Name& name : kNames) {
    EXPECT_NE(nullptr, dlsym(RTLD_DEFAULT, name.name)) << name.name;
  }
}

// "test that the library, not glibc, answered"
TEST_F(C01_Surface, EachNameIsFoundInTheLibraryFirst) {
  for (const Name& name : kNames) {
    const std::string object = object_of(dlsym(RTLD_DEFAULT, name.name));
    EXPECT_TRUE(is_inflight(object)) << name.name << " is found in " << object;
  }
}

// "Preloaded, or linked ahead of libc, it serves programs bound to ... @2.34": this program's own
// references are of that version.
TEST_F(C01_Surface, EachCallOfThisProgramIsBoundToTheLibrary) {
  for (const Name& name : kNames) {
    const std::string object = object_of(name.bound);
    EXPECT_TRUE(is_inflight(object)) << name.name << " is bound to " << object;
  }
}

// "... bound to aio_*@GLIBC_2.2.5, @2.4": references as older programs hold them.
TEST_F(C01_Surface, CallsBoundToOldVersionsReachTheLibrary) {
  void* const bound[] = {address_of(old_aio_read),   address_of(old_aio_write),
                         address_of(old_aio_error),  address_of(old_aio_return),
                         address_of(old_lio_listio), address_of(less_old_lio_listio)};
  for (void* address : bound) {
    EXPECT_TRUE(is_inflight(object_of(address))) << object_of(address);
  }
  Descriptor file = temporary_file("0123456789");
  char buffer[4] = {};
  aiocb request = support::block(file.get(), buffer, 4, 3);
  ASSERT_EQ(0, old_aio_read(&request));
  EXPECT_EQ(0, support::wait_for(request));
  EXPECT_EQ(0, old_aio_error(&request));
  EXPECT_EQ(4, old_aio_return(&request));
  EXPECT_EQ("3456", std::string(buffer, 4));
}

// "unversioned": each definition is one the dynamic linker gives to a reference of any version,
// and the library defines no version of its own to tie new programs to.
TEST_F(C01_Surface, NamesHaveNoVersion) {
  for (const Name& name : kNames) {
    for (const char* version : {"INFLIGHT_0", "INFLIGHT_1", "INFLIGHT_0.1", "Base", "inflight"}) {
      void* found = dlvsym(RTLD_DEFAULT, name.name, version);
      EXPECT_FALSE(is_inflight(object_of(found))) << name.name << "@" << version;
    }
    EXPECT_EQ(name.bound, dlsym(RTLD_DEFAULT, name.name)) << name.name;
  }
}

// The counters of the library's own statistics say who served the calls.
TEST_F(C01_Surface, EveryRequestIsCountedByTheLibrary) {
  if (getenv("INFLIGHT_TEST_ROLE") != nullptr) {
    one_of_each_by_both_names();
    return;
  }
  std::string directory = support::scratch_directory() + "/inflight-stats-XXXXXX";
  ASSERT_NE(nullptr, mkdtemp(directory.data()));
  EXPECT_EQ(0, run_again_counted(directory));
  const std::vector<uint64_t> sums = counters_in(directory);
  std::filesystem::remove_all(directory);
  EXPECT_EQ(3U, sums[INFLIGHT_READS]);  // one of them from the list
  EXPECT_EQ(2U, sums[INFLIGHT_WRITES]);
  EXPECT_EQ(2U, sums[INFLIGHT_FSYNCS]);
  EXPECT_EQ(1U, sums[INFLIGHT_LISTS]);
  EXPECT_EQ(1U, sums[INFLIGHT_CANCELS]);
  EXPECT_EQ(7U, sums[INFLIGHT_SUCCEEDED]);
}

// aio_init is a hint: any of its members may be anything.
// glibc: believes them; aio_read then fails with EAGAIN.
TEST_F(C01_Surface, RequestsWorkAfterAioInit) {
  aioinit hints{};
  aio_init(&hints);
  hints.aio_threads = 1;
  hints.aio_num = 1;
  hints.aio_idle_time = 1;
  aio_init(&hints);
  hints.aio_threads = -5;
  hints.aio_num = 1 << 30;
  hints.aio_idle_time = -1;
  aio_init(&hints);
  Descriptor file = temporary_file("0123456789");
  char buffer[4] = {};
  EXPECT_EQ(support::count(4), support::run(aio_read, support::block(file.get(), buffer, 4, 6)));
  EXPECT_EQ("6789", std::string(buffer, 4));
}

}  // namespace
