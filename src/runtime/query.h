// What the library tells about itself (include/inflight/inflight.h). Both are async-signal-safe.
#pragma once

#include "inflight/inflight.h"

namespace inflight::runtime {

// 0 or -ENOMEM.
int describe(inflight_info& info);

// 0 or -ENODATA.
int add_up(inflight_counts& counts);

}  // namespace inflight::runtime
