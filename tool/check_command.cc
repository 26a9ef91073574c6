// The findings are lines of JSON in a file (tool/check); here they become text, with the names of
// functions and lines where addr2line(1) is there to tell them.
#include "check_command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "failure.h"
#include "library.h"
#include "page_directory.h"
#include "program.h"
#include "say.h"
#include "supervised_run.h"

namespace tool {

namespace {

using Json = nlohmann::ordered_json;

constexpr off_t kLogRoom = off_t{1} << 20;

std::string quoted_for_shell(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? "'\\''" : std::string(1, c);
  return result + "'";
}

// "function at file:line", or an empty string.
std::string line_of(const std::string& module, uint64_t offset) {
  static std::map<std::pair<std::string, uint64_t>, std::string> known;
  const auto [place, is_new] = known.try_emplace({module, offset});
  if (!is_new) return place->second;
  const std::string command =
      fmt::format("addr2line -Cfpe {} {:#x} 2>/dev/null", quoted_for_shell(module), offset);
  std::FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return {};
  char line[1024] = {};
  const bool answered = std::fgets(line, sizeof line, pipe) != nullptr;
  pclose(pipe);
  std::string text = answered ? line : "";
  while (!text.empty() && text.back() == '\n') text.pop_back();
  if (text.find("??") != std::string::npos) text.clear();
  return place->second = text;
}

void name_frames(Json& stack) {
  for (Json& frame : stack) {
    const std::string line = line_of(frame["module"], frame["offset"]);
    if (!line.empty()) frame["source"] = line;
  }
}

std::vector<Json> read_findings(const std::string& path) {
  std::vector<Json> findings;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    Json entry = Json::parse(line, nullptr, false);
    if (entry.is_discarded()) continue;
    if (entry.contains("repeated")) {
      for (Json& finding : findings) {
        const bool same = finding["finding"] == entry["finding"] && finding["pid"] == entry["pid"];
        if (same) finding["repeated"] = entry["repeated"];
      }
      continue;
    }
    name_frames(entry["submitted"]);
    name_frames(entry["found"]);
    findings.push_back(std::move(entry));
  }
  return findings;
}

void print_stack(const char* title, const Json& stack) {
  if (stack.empty()) return;
  say("   {}\n", title);
  for (const Json& frame : stack) {
    const auto module = frame["module"].get<std::string>();
    const auto function = frame["function"].get<std::string>();
    const std::string name = frame.contains("source")
                                 ? frame["source"].get<std::string>()
                                 : fmt::format("{} at {}+{:#x}", function.empty() ? "?" : function,
                                               module, frame["offset"].get<uint64_t>());
    say("     {}\n", name);
  }
}

void print_findings(const std::vector<Json>& findings) {
  for (const Json& finding : findings) {
    say("{}: {}\n", finding["kind"].get<std::string>(), finding["what"].get<std::string>());
    say("   process {}, descriptor {}, {} bytes at {}\n", finding["pid"].get<int>(),
        finding["descriptor"].get<int>(), finding["length"].get<uint64_t>(),
        finding["offset"].get<int64_t>());
    print_stack("submitted by", finding["submitted"]);
    print_stack("found at", finding["found"]);
    if (finding.contains("repeated")) {
      say("   and {} more times\n", finding["repeated"].get<uint64_t>());
    }
    say("\n");
  }
  say("inflight check: {} finding{}\n", findings.size(), findings.size() == 1 ? "" : "s");
}

// Under ulimit -f. Some file systems then raise SIGXFSZ even for room that is only set aside.
bool files_are_limited() {
  rlimit limit{};
  return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

bool set_room_aside(int file) {
  if (files_are_limited()) return true;
  return fallocate(file, FALLOC_FL_KEEP_SIZE, 0, kLogRoom) == 0 || errno == EOPNOTSUPP;
}

// With room, so that a finding is not lost to a full disk.
void make_log(const std::string& path) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  const bool made = file >= 0 && set_room_aside(file);
  const int error = errno;
  if (file >= 0) close(file);
  if (made) return;
  throw Failure(kCannotPrepare,
                fmt::format("no room for findings in {}: {}", path, std::strerror(error)));
}

int run_and_print(const CheckOptions& options, const std::string& preload) {
  const PageDirectory pages;
  const std::string log = pages.path() + "/findings";
  make_log(log);
  Launch launch{
      options.command,
      {{"LD_PRELOAD", preload}, {"INFLIGHT_CHECK_LOG", log}, {"INFLIGHT_STATS", pages.path()}}};
  if (!options.engine.empty()) launch.variables.emplace_back("INFLIGHT_ENGINE", options.engine);
  const int status = run_supervised({std::move(launch)}).status;
  const std::vector<Json> findings = read_findings(log);
  const bool lacks = pages.tell_of_lack_of_room("check");
  if (options.json) {
    const auto replace = Json::error_handler_t::replace;
    say("{}\n", Json{{"findings", findings}}.dump(2, ' ', false, replace));
  } else {
    print_findings(findings);
    if (pages.read().empty() && !lacks) {
      say("inflight check: the program made no asynchronous request\n");
    }
  }
  return status == 0 && (lacks || !findings.empty()) ? W_EXITCODE(kNothingRead, 0) : status;
}

}  // namespace

void check_program(const CheckOptions& options) {
  const std::string preload = check_library() + ":" + preload_list(options.library);
  demand_servable(options.command[0]);
  end_like(run_and_print(options, preload));
}

}  // namespace tool
