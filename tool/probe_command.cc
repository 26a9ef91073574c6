// The two forms in which the findings are printed.
#include "probe_command.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <nlohmann/json.hpp>

#include "failure.h"
#include "kernel_probe.h"

namespace tool {

namespace {

struct Findings {
  std::string kernel;
  std::vector<Way> ways;
  std::vector<FileSystem> file_systems;
  std::vector<Limit> limits;
};

const char* yes(bool is) { return is ? "yes" : "no"; }

void print_table(const Findings& findings) {
  fmt::print("Linux {}\n\nWays of carrying requests\n", findings.kernel);
  for (const Way& way : findings.ways) {
    fmt::print("  {:<12}{:<5}{}\n", way.name, yes(way.works), way.remark);
  }
  fmt::print("\nFile systems\n");
  for (const FileSystem& system : findings.file_systems) {
    fmt::print("  {} ({})\n", system.path, system.type);
    if (!system.error.empty()) {
      fmt::print("    {}\n", system.error);
      continue;
    }
    fmt::print("    {:<44}{}\n", "cached reads answered without waiting", yes(system.cached_reads));
    fmt::print("    {:<44}{}\n", "buffered writes accepted without waiting",
               yes(system.buffered_writes));
    fmt::print("    {:<44}{}\n", "O_DIRECT", yes(system.direct));
    fmt::print("    {:<44}{}\n", "O_DIRECT through kernel AIO", yes(system.direct_aio));
  }
  fmt::print("\nLimits\n");
  for (const Limit& limit : findings.limits) fmt::print("  {:<46}{}\n", limit.name, limit.value);
}

void print_json(const Findings& findings) {
  nlohmann::ordered_json document = {{"kernel", findings.kernel}};
  for (const Way& way : findings.ways) {
    document["ways"][way.name] = {{"works", way.works}, {"remark", way.remark}};
  }
  document["file_systems"] = nlohmann::ordered_json::array();
  for (const FileSystem& system : findings.file_systems) {
    nlohmann::ordered_json entry = {{"path", system.path}, {"type", system.type}};
    if (!system.error.empty()) {
      entry["error"] = system.error;
    } else {
      entry["cached_reads"] = system.cached_reads;
      entry["buffered_writes"] = system.buffered_writes;
      entry["direct"] = system.direct;
      entry["direct_aio"] = system.direct_aio;
    }
    document["file_systems"].push_back(entry);
  }
  for (const Limit& limit : findings.limits) document["limits"][limit.name] = limit.value;
  const auto replace = nlohmann::ordered_json::error_handler_t::replace;
  fmt::print("{}\n", document.dump(2, ' ', false, replace));
}

}  // namespace

int probe(const ProbeOptions& options) {
  Findings findings;
  utsname name{};
  uname(&name);
  findings.kernel = name.release;
  findings.ways = probe_ways();
  findings.limits = probe_limits();
  bool complete = true;
  for (const std::string& path : options.paths) {
    findings.file_systems.push_back(probe_file_system(path));
    complete = complete && findings.file_systems.back().error.empty();
  }
  if (options.json) {
    print_json(findings);
  } else {
    print_table(findings);
  }
  return complete ? kSuccess : kNothingRead;
}

}  // namespace tool
