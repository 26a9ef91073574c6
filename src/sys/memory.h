// Pages from the kernel: malloc may not be called in a signal handler (C16).
#pragma once

#include <sys/mman.h>

#include "sys/call.h"

namespace inflight::sys {

enum class OnFork {
  wipe,   // the child finds zeros at the same address
  unmap,  // the child does not have the mapping
};

// Zeroed pages, or null when memory is exhausted.
void* map_pages(size_t bytes, OnFork on_fork);
void unmap_pages(void* address, size_t bytes);

// A new file's pages, with blocks for all of them, shared with every other process that maps it,
// forked children too; and the descriptor closed again. Null when that fails; `exists` says whether
// it was because the file is there already.
void* create_shared_file(const char* path, size_t bytes, bool& exists);

}  // namespace inflight::sys
