// The public headers must be good C++ as well.
#include <inflight/inflight.h>
#include <inflight/trace.h>

static_assert(sizeof(inflight_span) == 72, "the format of traces");
static_assert(sizeof(inflight_info) == 48, "grows at its end only");
