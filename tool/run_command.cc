// Sets the environment and calls exec, or starts the program and looks at its pages until it ends.
#include "run_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "failure.h"
#include "library.h"
#include "page_directory.h"
#include "program.h"
#include "say.h"
#include "summary.h"
#include "supervised_run.h"

namespace tool {

namespace {

namespace fs = std::filesystem;

// The library writes pages only into a directory that exists. It would say so itself, but then the
// program would be running already.
std::string stats_directory(const std::string& name) {
  std::error_code error;
  fs::create_directories(name, error);
  if (error) {
    throw Failure(kCannotPrepare, fmt::format("cannot make the directory {} for the statistics: {}",
                                              name, error.message()));
  }
  std::string path = fs::absolute(name, error).string();
  if (access(path.c_str(), W_OK | X_OK) != 0) {
    throw Failure(kCannotPrepare,
                  fmt::format("cannot write statistics into {}: {}", path, std::strerror(errno)));
  }
  return path;
}

// The program's status. The summary goes to standard error: standard output is the program's.
int run_with_summary(const RunOptions& options, Launch launch) {
  const PageDirectory pages;
  launch.variables.emplace_back("INFLIGHT_STATS", pages.path());
  launch.variables.emplace_back("INFLIGHT_STATS_TIMES", "1");
  std::vector<Sample> samples;
  const auto look = [&] { samples.push_back(sample_of(add_up(pages.read()).counts)); };
  const int status = run_supervised({std::move(launch), look}).status;
  const std::vector<Page> last = pages.read();
  const bool lacks = pages.tell_of_lack_of_room("run");
  if_anybody_reads([&] {
    if (options.json) {
      print_summary_json(stderr, add_up(last), samples);
    } else if (!last.empty()) {
      print_summary(stderr, add_up(last), samples);
    } else if (!lacks) {
      fmt::print(stderr, "inflight: the program made no asynchronous request\n");
    }
  });
  return status;
}

}  // namespace

void run_program(const RunOptions& options) {
  Launch launch{options.command, {{"LD_PRELOAD", preload_list(options.library)}}};
  demand_servable(options.command[0]);
  if (!options.engine.empty()) launch.variables.emplace_back("INFLIGHT_ENGINE", options.engine);
  if (!options.threads.empty()) launch.variables.emplace_back("INFLIGHT_THREADS", options.threads);
  if (options.stats) end_like(run_with_summary(options, std::move(launch)));
  if (!options.pages.empty()) {
    launch.variables.emplace_back("INFLIGHT_STATS", stats_directory(options.pages));
  }
  fail_to_start(options.command[0], become(launch));
}

}  // namespace tool
