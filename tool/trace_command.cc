// Runs the program with INFLIGHT_TRACE set, and turns what the library left into files. The files
// are opened before the program starts, so that a mistake is not found out at the end.
#include "trace_command.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <system_error>
#include <utility>

#include "failure.h"
#include "library.h"
#include "page_directory.h"
#include "program.h"
#include "supervised_run.h"
#include "trace_output.h"

namespace tool {

namespace {

class Output {
 public:
  using Write = void (*)(std::FILE*, const std::vector<Trace>&);

  Output(const std::string& path, Write form)
      : path_(path), write_(form), file_(path.empty() ? nullptr : std::fopen(path.c_str(), "w")) {
    if (file_ == nullptr && !path.empty()) fail();
  }

  void write(const std::vector<Trace>& traces) {
    if (file_ == nullptr) return;
    try {
      write_(file_.get(), traces);
    } catch (const std::system_error& error) {  // fmt's, for what stdio reports
      errno = error.code().value();
      return fail();
    }
    if (std::fflush(file_.get()) != 0) fail();
  }

  bool failed() const { return failed_; }

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  void fail() {
    fmt::print(stderr, "inflight trace: cannot write {}: {}\n", path_, std::strerror(errno));
    failed_ = true;
  }

  std::string path_;
  Write write_;
  std::unique_ptr<std::FILE, Close> file_;
  bool failed_ = false;
};

void report(const std::vector<Trace>& traces) {
  uint64_t kept = 0, lost = 0;
  for (const Trace& trace : traces) {
    kept += trace.spans.size();
    lost += trace.lost;
  }
  if (kept == 0) fmt::print(stderr, "inflight trace: the program made no asynchronous request\n");
  if (lost != 0) {
    fmt::print(stderr, "inflight trace: {} requests are not in the trace (see --spans)\n", lost);
  }
}

int run_and_write(const TraceOptions& options, const std::string& preload) {
  Output json(options.output, write_trace_json);
  Output svg(options.svg, write_trace_svg);
  const PageDirectory pages;
  Launch launch{options.command,
                {{"LD_PRELOAD", preload},
                 {"INFLIGHT_TRACE", pages.path()},
                 {"INFLIGHT_TRACE_SPANS", options.spans}}};
  if (!options.engine.empty()) launch.variables.emplace_back("INFLIGHT_ENGINE", options.engine);
  const int status = run_supervised({std::move(launch), {}});
  const std::vector<Trace> traces = read_traces(pages.path());
  json.write(traces);
  svg.write(traces);
  report(traces);
  return status == 0 && (json.failed() || svg.failed()) ? W_EXITCODE(kNothingRead, 0) : status;
}

}  // namespace

void trace_program(const TraceOptions& options) {
  const std::string preload = preload_list(options.library);
  demand_servable(options.command[0]);
  end_like(run_and_write(options, preload));
}

}  // namespace tool
