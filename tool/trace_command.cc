// Runs the program with INFLIGHT_TRACE set, and turns what the library left into files. The files
// are opened before the program starts, so that a mistake is not found out at the end.
#include "trace_command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

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
#include "say.h"
#include "supervised_run.h"
#include "trace_output.h"

namespace tool {

namespace {

// A file that is opened before the program starts and filled when it has ended. What it held stays
// until then; a file that was made for nothing is removed.
class Output {
 public:
  using Write = void (*)(std::FILE*, const std::vector<Trace>&);

  Output(const std::string& path, Write form) : path_(path), write_(form) {
    if (path.empty()) return;
    // Closed in the program: its numbers and its lifetime are not for us to change.
    int descriptor = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    is_new_ = descriptor >= 0;
    if (!is_new_) descriptor = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (descriptor >= 0) file_.reset(fdopen(descriptor, "w"));
    if (file_ == nullptr) fail();
  }
  ~Output() {
    if (is_new_ && !is_written_) unlink(path_.c_str());
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  void write(const std::vector<Trace>& traces) {
    if (file_ == nullptr) return;
    is_written_ = true;
    try {
      // What has no length, as a pipe, needs none.
      if (ftruncate(fileno(file_.get()), 0) != 0 && errno != EINVAL) return fail();
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
    say("inflight trace: cannot write {}: {}\n", path_, std::strerror(errno));
    failed_ = true;
  }

  std::string path_;
  Write write_;
  std::unique_ptr<std::FILE, Close> file_;
  bool is_new_ = false;
  bool is_written_ = false;
  bool failed_ = false;
};

void report(const std::vector<Trace>& traces, bool lacks) {
  uint64_t kept = 0, lost = 0;
  for (const Trace& trace : traces) {
    kept += trace.spans.size();
    lost += trace.lost;
  }
  if (kept == 0 && !lacks) say("inflight trace: the program made no asynchronous request\n");
  if (lost != 0) {
    say("inflight trace: {} requests are not in the trace (see --spans)\n", lost);
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
  const int status = run_supervised({std::move(launch)}).status;
  const std::vector<Trace> traces = read_traces(pages.path());
  json.write(traces);
  svg.write(traces);
  const bool lacks = pages.tell_of_lack_of_room("trace");
  report(traces, lacks);
  const bool failed = json.failed() || svg.failed() || lacks;
  return status == 0 && failed ? W_EXITCODE(kNothingRead, 0) : status;
}

}  // namespace

void trace_program(const TraceOptions& options) {
  if (options.output == options.svg) {
    throw Failure(kUsage, "--output and --svg name the same file");
  }
  const std::string preload = preload_list(options.library);
  demand_servable(options.command[0]);
  end_like(run_and_write(options, preload));
}

}  // namespace tool
