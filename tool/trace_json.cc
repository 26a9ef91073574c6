// The trace event format that chrome://tracing and ui.perfetto.dev open. A request is an
// asynchronous span with two parts, since many run at a time.
#include <fmt/format.h>
#include <inflight/stats.h>

#include <iterator>
#include <nlohmann/json.hpp>

#include "stats_page.h"
#include "trace_output.h"

namespace tool {

namespace {

constexpr const char* kNames[] = {"read", "write", "sync"};

// Microseconds, as the format wants them.
std::string time_of(uint64_t nanoseconds, uint64_t origin) {
  const uint64_t since = nanoseconds - origin;
  return fmt::format("{}.{:03}", since / 1000, since % 1000);
}

class Writer {
 public:
  Writer(std::FILE* file, uint64_t origin) : file_(file), origin_(origin) {}

  void name_process(const Trace& trace) {
    event(fmt::format(R"("ph":"M","name":"process_name","pid":{},"args":{{"name":{}}})", trace.pid,
                      quoted(trace.program)));
  }

  void request(const Trace& trace, const inflight_span& span) {
    ++number_;
    const char* name = span.operation < std::size(kNames) ? kNames[span.operation] : "request";
    const auto carrier = counter_name(static_cast<inflight_counter>(span.carrier)).substr(3);
    begin(trace, name, span.submitted,
          fmt::format(R"("fd":{},"offset":{},"length":{},"result":{},"error":{},"by":"{}")",
                      span.descriptor, span.offset, span.length, span.result, span.error, carrier));
    part(trace, "waiting", span.submitted, span.started);
    part(trace, "service", span.started, span.finished);
    if (span.notified > span.finished) part(trace, "notifying", span.finished, span.notified);
    end(trace, name, span.notified > span.finished ? span.notified : span.finished);
  }

 private:
  static std::string quoted(const std::string& text);

  void event(const std::string& members) {
    fmt::print(file_, "{}{{{}}}", first_ ? "\n" : ",\n", members);
    first_ = false;
  }
  void begin(const Trace& trace, const char* name, uint64_t time, const std::string& arguments) {
    event(fmt::format(
        R"("ph":"b","cat":"request","name":"{}","id":{},"pid":{},"tid":{},"ts":{},"args":{{{}}})",
        name, number_, trace.pid, trace.pid, time_of(time, origin_), arguments));
  }
  void end(const Trace& trace, const char* name, uint64_t time) {
    event(fmt::format(R"("ph":"e","cat":"request","name":"{}","id":{},"pid":{},"tid":{},"ts":{})",
                      name, number_, trace.pid, trace.pid, time_of(time, origin_)));
  }
  void part(const Trace& trace, const char* name, uint64_t from, uint64_t to) {
    if (to <= from) return;
    begin(trace, name, from, "");
    end(trace, name, to);
  }

  std::FILE* file_;
  uint64_t origin_;
  uint64_t number_ = 0;
  bool first_ = true;
};

std::string Writer::quoted(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

}  // namespace

void write_trace_json(std::FILE* file, const std::vector<Trace>& traces) {
  fmt::print(file, R"({{"displayTimeUnit":"ns","traceEvents":[)");
  Writer writer(file, origin_of(traces));
  for (const Trace& trace : traces) {
    writer.name_process(trace);
    for (const inflight_span& span : trace.spans) writer.request(trace, span);
  }
  fmt::print(file, "\n]}}\n");
}

}  // namespace tool
