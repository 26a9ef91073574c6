// Objects of one type in chunks of pages that are never given back: an index stays valid memory
// for as long as the process lives, so a stale one can be looked at and found stale. Taking and
// giving is guarded by the process lock. Valid as zeros; a forked child starts with an empty slab
// and without the parent's chunks.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sys/memory.h"

namespace inflight::core {

template <class T, size_t kPerChunk, size_t kMaxChunks>
class Slab {
 public:
  // A zeroed object, or null when memory is exhausted. T has members `uint32_t index` and
  // `T* next_free`, which the slab owns while the object is free; `index` stays for ever.
  T* take() {
    if (free_ == nullptr && !grow()) return nullptr;
    T* object = free_;
    free_ = object->next_free;
    object->next_free = nullptr;
    ++in_use_;
    return object;
  }

  void give(T& object) {
    object.next_free = free_;
    free_ = &object;
    --in_use_;
  }

  // Null for an index never handed out.
  T* at(uint32_t index) const {
    const size_t chunk = index / kPerChunk;
    return chunk < chunk_count_ ? &chunks_[chunk][index % kPerChunk] : nullptr;
  }

  size_t in_use() const { return in_use_; }

 private:
  bool grow() {
    if (chunk_count_ == kMaxChunks) return false;
    auto* chunk = static_cast<T*>(sys::map_pages(kPerChunk * sizeof(T), sys::OnFork::unmap));
    if (chunk == nullptr) return false;
    chunks_[chunk_count_] = chunk;
    for (size_t i = kPerChunk; i-- > 0;) {
      chunk[i].index = static_cast<uint32_t>(chunk_count_ * kPerChunk + i);
      chunk[i].next_free = free_;
      free_ = &chunk[i];
    }
    ++chunk_count_;
    return true;
  }

  T* free_;
  size_t in_use_;
  size_t chunk_count_;
  T* chunks_[kMaxChunks];
};

}  // namespace inflight::core
