// Comparing a thread with a new one. Owns nothing; runs on the thread in question.
#include "sys/newness.h"

#include <errno.h>
#include <link.h>
#include <string.h>

#include "sys/signals.h"
#include "sys/specific_data.h"

namespace inflight::sys {
namespace {

Scheduling scheduling() {
  Scheduling answer{};
  call(SYS_sched_getattr, 0L, &answer, static_cast<long>(sizeof answer), 0L);
  return answer;
}

void read_affinity(cpu_set_t& set) {
  CPU_ZERO(&set);
  call(SYS_sched_getaffinity, 0L, static_cast<long>(sizeof set), &set);
}

bool contains(const dl_phdr_info& object, const void* address) {
  const auto target = reinterpret_cast<uintptr_t>(address);
  for (int i = 0; i < object.dlpi_phnum; ++i) {
    const auto& part = object.dlpi_phdr[i];
    const uintptr_t start = object.dlpi_addr + part.p_vaddr;
    if (part.p_type == PT_LOAD && target >= start && target < start + part.p_memsz) return true;
  }
  return false;
}

bool all_zero(const char* bytes, size_t count) {
  return count == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, count - 1) == 0);
}

// Stops at an object whose thread-local data differs from how every thread's begins: from the
// image in its file, and zeros. libc's own (errno, malloc's cache) is nobody's business, and this
// library's says only that the thread has been seen.
int differs(dl_phdr_info* object, size_t, void*) {
  if (object->dlpi_tls_modid == 0 || object->dlpi_tls_data == nullptr) return 0;
  if (contains(*object, reinterpret_cast<const void*>(&getpid)) ||
      contains(*object, reinterpret_cast<const void*>(&all_zero))) {
    return 0;
  }
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const auto& part = object->dlpi_phdr[i];
    if (part.p_type != PT_TLS) continue;
    const auto* data = static_cast<const char*>(object->dlpi_tls_data);
    const auto* image = reinterpret_cast<const char*>(object->dlpi_addr + part.p_vaddr);
    if (memcmp(data, image, part.p_filesz) != 0) return 1;
    if (!all_zero(data + part.p_filesz, part.p_memsz - part.p_filesz)) return 1;
  }
  return 0;
}

}  // namespace

Newness::Newness() : scheduling_(scheduling()) { read_affinity(affinity_); }

bool Newness::restore() const {
  if (has_specific_data() || dl_iterate_phdr(differs, nullptr) != 0) return false;
  cpu_set_t affinity;
  read_affinity(affinity);
  if (!CPU_EQUAL(&affinity, &affinity_)) return false;
  const Scheduling now = scheduling();
  if (memcmp(&now, &scheduling_, sizeof now) != 0) return false;
  stack_t none{};
  none.ss_flags = SS_DISABLE;
  call(SYS_sigaltstack, &none, 0L);
  errno = 0;
  return true;
}

}  // namespace inflight::sys
