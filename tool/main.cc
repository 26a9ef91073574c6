// The `inflight` command: reads the arguments, hands over to one file per subcommand.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "check_command.h"
#include "compare_command.h"
#include "failure.h"
#include "probe_command.h"
#include "run_command.h"
#include "say.h"
#include "stats_command.h"
#include "top_command.h"
#include "trace_command.h"

namespace {

constexpr const char* kStatsFooter =
    "Pages are left by programs that ran with INFLIGHT_STATS=DIRECTORY in their environment. They\n"
    "may be read while the program runs.\n\n"
    "Exit code: 0 all pages were read; 1 there was none, or one could not be read (the others are\n"
    "still printed); 2 the command line was wrong.\n\n"
    "Example: inflight run --pages /tmp/pages fio job.fio && inflight stats /tmp/pages";

constexpr const char* kRunFooter =
    "Everything from PROGRAM on belongs to the program. Statically linked and set-user-ID "
    "programs\n"
    "cannot be served: the dynamic linker does not preload into them.\n\n"
    "Exit code: the program's own; 125 the library or the statistics directory is missing, or the\n"
    "program cannot be served; 126 the program cannot be executed; 127 there is no such program; 2 "
    "the command line was wrong.\n\n"
    "Example: inflight run --engine threads --stats fio --ioengine=posixaio job.fio";

constexpr const char* kCompareFooter =
    "Everything from PROGRAM on belongs to the program, whose output is dropped. Every round must\n"
    "end with exit status 0.\n\n"
    "Exit code: 0 compared; 1 the program failed in a round; 125 the library is missing or\n"
    "cannot serve the program; 126 the program cannot be executed; 127 there is no such program; 2 "
    "the command line was wrong.\n\n"
    "Example: inflight compare -n 7 fio --ioengine=posixaio job.fio";

constexpr const char* kTraceFooter =
    "Everything from PROGRAM on belongs to the program. The trace can be opened by "
    "ui.perfetto.dev\n"
    "and chrome://tracing. A file that cannot be written is reported before the program starts.\n\n"
    "Exit code: the program's own, or 1 if that is 0 and a file could not be written or a process\n"
    "found no room for its trace in TMPDIR; 125 the library is missing or cannot serve the\n"
    "program; 126 the program cannot be executed; 127 there is no such program; 2 the command "
    "line\n"
    "was wrong.\n\n"
    "Example: inflight trace -o trace.json --svg trace.svg fio --ioengine=posixaio job.fio";

constexpr const char* kCheckFooter =
    "Found are: blocks moved, freed, changed or used again while their request is in progress, "
    "blocks\n"
    "and buffers in a function that has returned, aio_return too early or twice, results that "
    "nobody\n"
    "asked for, requests that nobody waited for. Compile with -g for the names of lines.\n\n"
    "Exit code: the program's own, or 1 if that is 0 and something was found or a process found "
    "no\n"
    "room for what it writes down in TMPDIR; 125 a library is missing or cannot serve the "
    "program;\n"
    "126 the program cannot be executed; 127 there is no such program; 2 the command line was\n"
    "wrong.\n\n"
    "Example: inflight check ./program";

constexpr const char* kTopFooter =
    "The process must have a statistics page: one that was started by inflight run --stats, or "
    "with\n"
    "INFLIGHT_STATS=DIRECTORY in its environment. Watching makes it note times, which costs it "
    "some\n"
    "fifty nanoseconds a request. On a terminal, q quits; elsewhere one look follows the other.\n\n"
    "Exit code: 0 the user quit, or the process ended; 1 there is no such process, or it has no\n"
    "page; 2 the command line was wrong.\n\n"
    "Example: inflight top $(pidof fio)";

constexpr const char* kProbeFooter =
    "Exit code: 0 everything could be found out; 1 no file could be made in one of the\n"
    "directories; 2 the command line was wrong.\n\n"
    "Example: inflight probe /var/lib/postgresql /tmp";

CLI::App* add_stats(CLI::App& app, tool::StatsOptions& options) {
  CLI::App* stats = app.add_subcommand("stats", "Add up what programs on inflight counted");
  stats->add_option("paths", options.paths, "directories of pages, or single pages (*.stats)")
      ->required()
      ->type_name("DIRECTORY|FILE");
  CLI::Option* json = stats->add_flag("--json", options.json, "print JSON: each page, and the sum");
  stats->add_flag("--each", options.each, "print one table per process instead of the sum")
      ->excludes(json);
  stats->footer(kStatsFooter);
  return stats;
}

void add_engine(CLI::App& subcommand, std::string& engine) {
  subcommand.add_option("--engine", engine, "sets INFLIGHT_ENGINE")
      ->type_name("ENGINE")
      ->check(CLI::IsMember({"auto", "uring", "kaio", "threads"}));
}

void add_library(CLI::App& subcommand, std::string& library) {
  subcommand.add_option("--library", library, "preload this library, not the one next to the tool")
      ->type_name("FILE");
}

// PROGRAM is cut off before CLI11 sees it, so its own usage line would not name it.
class RunFormatter : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App* app, std::string) const override {
    return fmt::format("Usage: inflight {} [OPTIONS] PROGRAM [ARGUMENTS...]\n", app->get_name());
  }
};

CLI::App* add_run(CLI::App& app, tool::RunOptions& options) {
  CLI::App* run = app.add_subcommand("run", "Run a program on inflight (by LD_PRELOAD)");
  add_engine(*run, options.engine);
  run->add_flag("--stats", options.stats, "print a summary to standard error at the end");
  run->add_flag("--json", options.json, "with --stats: as JSON")->needs("--stats");
  run->add_option("--pages", options.pages, "leave the counters there, for inflight stats")
      ->type_name("DIRECTORY")
      ->excludes("--stats");
  run->add_option("--threads", options.threads, "sets INFLIGHT_THREADS")
      ->type_name("N")
      ->check(CLI::Range(1, 1024));
  add_library(*run, options.library);
  run->formatter(std::make_shared<RunFormatter>());
  run->footer(kRunFooter);
  return run;
}

CLI::App* add_compare(CLI::App& app, tool::CompareOptions& options) {
  CLI::App* compare =
      app.add_subcommand("compare", "Run a program on glibc and on inflight, in turns");
  compare->add_option("-n,--rounds", options.rounds, "runs on each, 5 if not given")
      ->type_name("N")
      ->check(CLI::Range(1, 1000));
  add_engine(*compare, options.engine);
  add_library(*compare, options.library);
  compare->add_flag("--json", options.json, "print JSON");
  compare->add_flag("--show-output", options.show_output, "do not drop the program's output");
  compare->formatter(std::make_shared<RunFormatter>());
  compare->footer(kCompareFooter);
  return compare;
}

CLI::App* add_trace(CLI::App& app, tool::TraceOptions& options) {
  CLI::App* trace = app.add_subcommand("trace", "Record every request of a program");
  CLI::Option* output =
      trace->add_option("-o,--output", options.output, "write Chrome's and Perfetto's trace format")
          ->type_name("FILE");
  trace->add_option("--svg", options.svg, "draw the requests over time")->type_name("FILE");
  trace
      ->add_option("--spans", options.spans,
                   "requests to keep of each process, 262144 if not given")
      ->type_name("N")
      ->check(CLI::Range(1, 1 << 24));
  add_engine(*trace, options.engine);
  add_library(*trace, options.library);
  trace->callback([output, trace] {
    if (output->empty() && trace->get_option("--svg")->empty()) {
      throw CLI::RequiredError("--output or --svg");
    }
  });
  trace->formatter(std::make_shared<RunFormatter>());
  trace->footer(kTraceFooter);
  return trace;
}

CLI::App* add_check(CLI::App& app, tool::CheckOptions& options) {
  CLI::App* check = app.add_subcommand("check", "Find out what a program does wrong with AIO");
  add_engine(*check, options.engine);
  add_library(*check, options.library);
  check->add_flag("--json", options.json, "print JSON");
  check->formatter(std::make_shared<RunFormatter>());
  check->footer(kCheckFooter);
  return check;
}

CLI::App* add_top(CLI::App& app, tool::TopOptions& options) {
  CLI::App* top = app.add_subcommand("top", "Watch a running process, once a second");
  top->add_option("pid", options.pid, "the process")->required()->type_name("PID");
  top->add_option("-n,--looks", options.looks, "end after so many seconds")
      ->type_name("N")
      ->check(CLI::Range(1, 1'000'000));
  top->add_flag("--json", options.json, "print one JSON document a line for each second");
  top->footer(kTopFooter);
  return top;
}

CLI::App* add_probe(CLI::App& app, tool::ProbeOptions& options) {
  CLI::App* probe = app.add_subcommand("probe", "Tell which engines work here, and why not");
  options.paths = {"."};
  probe->add_option("paths", options.paths, "directories whose file systems to look at; . if none")
      ->type_name("DIRECTORY");
  probe->add_flag("--json", options.json, "print JSON");
  probe->footer(kProbeFooter);
  return probe;
}

// Where the program's own command line begins, which CLI11 must not look at: at the first word
// after `run` or `compare` that is neither an option of ours nor an option's value, or behind `--`.
size_t find_program(const CLI::App& run, std::vector<std::string>& words) {
  for (size_t place = 1; place < words.size(); ++place) {
    const std::string& word = words[place];
    if (word == "--") {
      words.erase(words.begin() + static_cast<ptrdiff_t>(place));
      return place;
    }
    if (word.size() < 2 || word[0] != '-') return place;
    const CLI::Option* option = run.get_option_no_throw(word);
    if (option != nullptr && option->get_items_expected_max() > 0) ++place;
  }
  return words.size();
}

// Cuts the program's own command line off the words, for the subcommands that run one.
std::vector<std::string> cut_program(const CLI::App& app, std::vector<std::string>& words) {
  for (const char* name : {"run", "compare", "trace", "check"}) {
    if (words.empty() || words[0] != name) continue;
    const auto program =
        words.begin() + static_cast<ptrdiff_t>(find_program(*app.get_subcommand(name), words));
    std::vector<std::string> command(program, words.end());
    words.erase(program, words.end());
    return command;
  }
  return {};
}

bool has_subcommand(CLI::App& app, const std::string& name) {
  const auto is_it = [&name](const CLI::App* one) { return one->get_name() == name; };
  return !app.get_subcommands(is_it).empty();
}

int run_tool(int argc, char** argv) {
  CLI::App app{"inflight: POSIX asynchronous I/O that is served well"};
  app.name("inflight");
  app.require_subcommand(1);
  app.set_version_flag("--version", "inflight " INFLIGHT_TOOL_VERSION);
  app.failure_message([](const CLI::App*, const CLI::Error& error) {
    return fmt::format("inflight: {} (see inflight --help)\n", error.what());
  });
  app.footer("inflight SUBCOMMAND --help tells more, exit codes too.");
  tool::StatsOptions stats_options;
  tool::RunOptions run_options;
  tool::CompareOptions compare_options;
  tool::ProbeOptions probe_options;
  tool::TraceOptions trace_options;
  tool::TopOptions top_options;
  tool::CheckOptions check_options;
  add_run(app, run_options);
  const CLI::App* compare = add_compare(app, compare_options);
  const CLI::App* trace = add_trace(app, trace_options);
  const CLI::App* check = add_check(app, check_options);
  const CLI::App* top = add_top(app, top_options);
  const CLI::App* stats = add_stats(app, stats_options);
  const CLI::App* probe = add_probe(app, probe_options);
  std::vector<std::string> words(argv + 1, argv + argc);
  const std::vector<std::string> command = cut_program(app, words);
  if (!words.empty() && words[0][0] != '-' && !has_subcommand(app, words[0])) {
    throw tool::Failure(tool::kUsage,
                        fmt::format("no subcommand '{}' (see inflight --help)", words[0]));
  }
  try {
    std::reverse(words.begin(), words.end());  // as CLI11 wants a vector
    app.parse(words);
  } catch (const CLI::ParseError& error) {
    return app.exit(error, std::cout, std::cerr) == 0 ? tool::kSuccess : tool::kUsage;
  }
  if (stats->parsed()) return tool::print_stats(stats_options);
  if (probe->parsed()) return tool::probe(probe_options);
  if (top->parsed()) return tool::show_top(top_options);
  if (command.empty()) {
    for (const CLI::App* asked : app.get_subcommands()) {
      throw tool::Failure(
          tool::kUsage, fmt::format("which program? (see inflight {} --help)", asked->get_name()));
    }
  }
  run_options.command = compare_options.command = command;
  trace_options.command = check_options.command = command;
  if (compare->parsed()) return tool::compare_program(compare_options);
  if (trace->parsed()) tool::trace_program(trace_options);
  if (check->parsed()) tool::check_program(check_options);
  tool::run_program(run_options);
}

}  // namespace

// What was printed must have arrived, or the exit code would lie.
int finish(int code) {
  std::cout.flush();
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0 && std::cout.good()) return code;
  tool::say("inflight: cannot write to standard output\n");
  return code == tool::kSuccess ? tool::kNothingRead : code;
}

int main(int argc, char** argv) {
  try {
    return finish(run_tool(argc, argv));
  } catch (const tool::Failure& failure) {
    tool::say("inflight: {}\n", failure.what());
    return failure.code();
  } catch (const std::exception& error) {
    tool::say("inflight: {}\n", error.what());
    return tool::kNothingRead;
  }
}
