// Static probes (USDT) for perf, bpftrace and SystemTap: a no-operation instruction each, described
// by a note of the ELF file. docs/usage.md has an example. Without <sys/sdt.h> at build time there
// are none.
//
// clang-format off
//   inflight:submit    block, descriptor, operation, length, offset    accepted
//   inflight:start     block, descriptor                  an engine or a worker begins with it
//   inflight:complete  block, descriptor, error, result   its status is about to be final
//   inflight:notify    value, kind, signal                signal sent, callback called
//   inflight:cancel    descriptor, block, answer          aio_cancel returns
// clang-format on
//
// operation: 0 read, 1 write, 2 fsync, 3 fdatasync. kind: as core::Notification::Kind; value: its
// sigev_value. After `complete` the block's memory is the program's again.
#pragma once

#if __has_include(<sys/sdt.h>) && !defined(INFLIGHT_UNOBSERVED)
#include <sys/sdt.h>
#define INFLIGHT_PROBE2(name, a, b) DTRACE_PROBE2(inflight, name, a, b)
#define INFLIGHT_PROBE3(name, a, b, c) DTRACE_PROBE3(inflight, name, a, b, c)
#define INFLIGHT_PROBE4(name, a, b, c, d) DTRACE_PROBE4(inflight, name, a, b, c, d)
#define INFLIGHT_PROBE5(name, a, b, c, d, e) DTRACE_PROBE5(inflight, name, a, b, c, d, e)
#else
namespace inflight::engine {
template <class... Arguments>
constexpr void no_probe(const Arguments&...) {}
}  // namespace inflight::engine
#define INFLIGHT_PROBE2(name, a, b) inflight::engine::no_probe(a, b)
#define INFLIGHT_PROBE3(name, a, b, c) inflight::engine::no_probe(a, b, c)
#define INFLIGHT_PROBE4(name, a, b, c, d) inflight::engine::no_probe(a, b, c, d)
#define INFLIGHT_PROBE5(name, a, b, c, d, e) inflight::engine::no_probe(a, b, c, d, e)
#endif
