// Comparing a thread with a new one. Owns nothing; runs on the thread in question.
#include "sys/newness.h"

#include <errno.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <string.h>

#include <atomic>

#include "sys/signals.h"
#include "sys/thread.h"

namespace inflight::sys {
namespace {

constexpr pthread_key_t kFreeInARow = 32;

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

// One more than the highest key that was ever seen in use.
std::atomic<pthread_key_t> known_keys{0};

void get_to_know(pthread_key_t key) {
  pthread_key_t known = known_keys.load(std::memory_order_relaxed);
  while (known <= key && !known_keys.compare_exchange_weak(known, key + 1)) {
  }
}

// A thread's values can only be asked for key by key, and all possible keys take longer than many a
// callback. glibc gives the lowest free key to who asks for one: so behind the known ones, and as
// many in a row that are free, none is looked for.
bool has_specific_data(pthread_key_t free_in_a_row) {
  void* (*const get)(pthread_key_t) = pthread_getspecific;  // without the PLT
  int (*const set)(pthread_key_t, const void*) = pthread_setspecific;
  const pthread_key_t known = known_keys.load(std::memory_order_relaxed);
  pthread_key_t end = known + free_in_a_row;
  for (pthread_key_t key = 0; key < end && key < PTHREAD_KEYS_MAX; ++key) {
    if (get(key) != nullptr && !is_end_watch(key)) return true;
    if (key < known || (!is_end_watch(key) && set(key, nullptr) != 0)) continue;
    get_to_know(key);
    end = key + 1 + free_in_a_row;
  }
  return false;
}

}  // namespace

Newness::Newness() : scheduling_(scheduling()) {
  read_affinity(affinity_);
  has_specific_data(PTHREAD_KEYS_MAX);  // gets to know the keys that exist
}

bool Newness::restore() const {
  if (has_specific_data(kFreeInARow) || dl_iterate_phdr(differs, nullptr) != 0) return false;
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
