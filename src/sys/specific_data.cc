// Looking for thread-specific data. Owns nothing but what it has learnt about libc, once; runs on
// the thread in question.
//
// A thread's values can only be asked for key by key, and all 1,024 keys take longer than many a
// callback. But glibc keeps them in blocks of which all but the first are made when a value of
// theirs is first set, and the array of blocks is among what it tells debuggers (libthread_db reads
// the same words). A block that was never made holds no value. Where that cannot be learnt, or does
// not look as expected, every key is asked for.
#include "sys/specific_data.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>

#include <atomic>

#include "sys/thread.h"

namespace inflight::sys {
namespace {

// How glibc describes a field of its thread descriptor, the object that a pthread_t points to.
struct FieldDescription {
  uint32_t bits;   // of one element
  uint32_t count;  // of elements; an array may be described as one
  uint32_t offset;

  pthread_key_t block_count() const { return bits * count / (CHAR_BIT * sizeof(void*)); }
};

constexpr FieldDescription kUnknown{};  // no blocks

std::atomic<const FieldDescription*> learnt{nullptr};

const char* descriptor() { return reinterpret_cast<const char*>(pthread_self()); }

void* const* blocks_of_this_thread(const FieldDescription& field) {
  return reinterpret_cast<void* const*>(descriptor() + field.offset);
}

// The first block is a part of the descriptor itself, which the array must show.
bool is_plausible(const FieldDescription& field, uint32_t descriptor_size) {
  const pthread_key_t count = field.block_count();
  if (count == 0 || PTHREAD_KEYS_MAX % count != 0 || field.offset % sizeof(void*) != 0)
    return false;
  if (field.offset + (count * sizeof(void*)) > descriptor_size) return false;
  const auto* first = static_cast<const char*>(blocks_of_this_thread(field)[0]);
  return first >= descriptor() && first < descriptor() + descriptor_size;
}

const FieldDescription& learn() {
  const auto* field =
      static_cast<const FieldDescription*>(dlsym(RTLD_DEFAULT, "_thread_db_pthread_specific"));
  const auto* size = static_cast<const uint32_t*>(dlsym(RTLD_DEFAULT, "_thread_db_sizeof_pthread"));
  if (field == nullptr || size == nullptr || !is_plausible(*field, *size)) field = &kUnknown;
  learnt.store(field, std::memory_order_release);
  return *field;
}

bool has_value(pthread_key_t first_key, pthread_key_t end) {
  void* (*const get)(pthread_key_t) = pthread_getspecific;  // without the PLT
  for (pthread_key_t key = first_key; key < end; ++key) {
    if (get(key) != nullptr && !is_end_watch(key)) return true;
  }
  return false;
}

}  // namespace

bool knows_blocks_of_specific_data() {
  const FieldDescription* known = learnt.load(std::memory_order_acquire);
  return (known != nullptr ? *known : learn()).block_count() != 0;
}

bool has_specific_data() {
  if (!knows_blocks_of_specific_data()) return has_value(0, PTHREAD_KEYS_MAX);
  const FieldDescription& field = *learnt.load(std::memory_order_acquire);
  const pthread_key_t keys = PTHREAD_KEYS_MAX / field.block_count();
  for (pthread_key_t block = 0; block < field.block_count(); ++block) {
    const bool exists = blocks_of_this_thread(field)[block] != nullptr;
    if (exists && has_value(block * keys, (block + 1) * keys)) return true;
  }
  return false;
}

}  // namespace inflight::sys
