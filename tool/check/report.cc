#include "report.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <list>

namespace check {

namespace {

struct Finding {
  std::string kind;
  Stack submitted;
  Stack found;
  uint64_t repeated = 0;
  uint64_t number = 0;
};

std::list<Finding>& findings() {
  static std::list<Finding>& all = *new std::list<Finding>;  // outlives the program's destructors
  return all;
}

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    if (static_cast<unsigned char>(c) >= ' ') result += c;
  }
  return result + '"';
}

std::string json_of(const Stack& stack) {
  std::string result;
  for (int i = 0; i < stack.depth; ++i) {
    // A return address belongs to the line after the call.
    auto* address = static_cast<char*>(stack.frames[i]) - 1;
    Dl_info info{};
    const bool known = dladdr(address, &info) != 0 && info.dli_fname != nullptr;
    // What addr2line(1) wants: an address of the file, which may be one that cannot be moved.
    const auto* base = static_cast<char*>(info.dli_fbase);
    if (known && reinterpret_cast<const Elf64_Ehdr*>(base)->e_type == ET_EXEC) base = nullptr;
    result += fmt::format(R"({}{{"module":{},"offset":{},"function":{}}})", i == 0 ? "" : ",",
                          quoted(known ? info.dli_fname : "?"),
                          known ? static_cast<uint64_t>(address - base) : 0,
                          quoted(info.dli_sname != nullptr ? info.dli_sname : ""));
  }
  return "[" + result + "]";
}

// A write beyond RLIMIT_FSIZE raises SIGXFSZ in the thread that makes it, which is the program's.
void write_unharmed(int file, const std::string& line) {
  sigset_t excess, before;
  sigemptyset(&excess);
  sigaddset(&excess, SIGXFSZ);
  pthread_sigmask(SIG_BLOCK, &excess, &before);
  if (write(file, line.data(), line.size()) < 0 && errno == EFBIG) {
    const timespec at_once{0, 0};
    sigtimedwait(&excess, nullptr, &at_once);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

// Opened for each line: the program may close whatever it likes.
void write_line(const std::string& line) {
  const char* path = getenv("INFLIGHT_CHECK_LOG");
  if (path == nullptr) return;
  const int file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return;
  write_unharmed(file, line);
  close(file);
}

}  // namespace

Stack Stack::here() {
  Stack stack;
  void* frames[kMost + 8];
  const int all = backtrace(frames, kMost + 8);
  Dl_info ours{};
  dladdr(reinterpret_cast<void*>(&report_repetitions), &ours);
  int first = 0;
  Dl_info info{};
  while (first < all && dladdr(frames[first], &info) != 0 && info.dli_fbase == ours.dli_fbase) {
    ++first;
  }
  stack.depth = std::min(all - first, kMost);
  std::copy_n(frames + first, stack.depth, stack.frames);
  return stack;
}

bool Stack::operator==(const Stack& other) const {
  return depth == other.depth && std::equal(frames, frames + depth, other.frames);
}

void report(const char* kind, const std::string& what, const aiocb& block, const Stack& submitted,
            const Stack& found) {
  for (Finding& finding : findings()) {
    if (finding.kind == kind && finding.submitted == submitted && finding.found == found) {
      ++finding.repeated;
      return;
    }
  }
  Finding finding{kind, submitted, found, 0, findings().size() + 1};
  findings().push_back(finding);
  write_line(fmt::format(
      R"({{"finding":{},"pid":{},"kind":{},"what":{},"descriptor":{},"offset":{},"length":{},)"
      R"("block":{},"submitted":{},"found":{}}})"
      "\n",
      finding.number, getpid(), quoted(kind), quoted(what), block.aio_fildes, block.aio_offset,
      block.aio_nbytes, reinterpret_cast<uint64_t>(&block), json_of(submitted), json_of(found)));
}

void report_repetitions() {
  for (const Finding& finding : findings()) {
    if (finding.repeated == 0) continue;
    write_line(fmt::format("{{\"finding\":{},\"pid\":{},\"repeated\":{}}}\n", finding.number,
                           getpid(), finding.repeated));
  }
}

}  // namespace check
