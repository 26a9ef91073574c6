// Thread-specific data of the calling thread (pthread_setspecific).
#pragma once

namespace inflight::sys {

// True when the calling thread has a value for any key but the library's own. Not
// async-signal-safe: the first call asks the dynamic linker.
bool has_specific_data();

// True where that takes a look at the blocks that the thread has, false where it takes one at every
// possible key.
bool knows_blocks_of_specific_data();

}  // namespace inflight::sys
