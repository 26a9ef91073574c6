// Finds the library, sets the environment and calls exec.
#include "run_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "failure.h"

namespace tool {

namespace {

namespace fs = std::filesystem;

// In a build tree the library lies beside the tool, installed it lies in lib beside bin.
std::string library_beside_tool() {
  std::error_code error;
  const fs::path tool = fs::read_symlink("/proc/self/exe", error);
  if (error) {
    throw Failure(kCannotPrepare, fmt::format("cannot tell where this tool lies: {}; name the "
                                              "library with --library",
                                              error.message()));
  }
  const fs::path here = tool.parent_path();
  const fs::path installed = here.parent_path() / INFLIGHT_TOOL_LIBDIR;
  for (const fs::path& directory : {here, installed}) {
    for (const char* name : {"libinflight.so.0", "libinflight.so"}) {
      if (fs::exists(directory / name, error)) return (directory / name).string();
    }
  }
  throw Failure(kCannotPrepare, fmt::format("no libinflight.so.0 in {} or {}; build it, or name it "
                                            "with --library",
                                            here.string(), installed.string()));
}

// LD_PRELOAD is a list: what is in it already stays, behind our library. ld.so splits it at spaces
// and colons and knows no quoting, and says little when a library is missing; so that is told here.
std::string preload_list(const std::string& library) {
  std::error_code error;
  const std::string path = fs::absolute(library, error).string();
  if (access(path.c_str(), R_OK) != 0) {
    throw Failure(kCannotPrepare,
                  fmt::format("the library {} cannot be read: {}", path, std::strerror(errno)));
  }
  if (path.find_first_of(" :") != std::string::npos) {
    throw Failure(kCannotPrepare, fmt::format("the library's path '{}' holds a space or a colon, "
                                              "which LD_PRELOAD cannot express",
                                              path));
  }
  const char* before = std::getenv("LD_PRELOAD");
  return before == nullptr || *before == '\0' ? path : path + ":" + before;
}

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

void set_variable(const char* name, const std::string& value) {
  if (setenv(name, value.c_str(), 1) != 0) {
    throw Failure(kCannotPrepare, fmt::format("cannot set {}: {}", name, std::strerror(errno)));
  }
}

}  // namespace

void run_program(const RunOptions& options) {
  const std::string library = options.library.empty() ? library_beside_tool() : options.library;
  const std::string preload = preload_list(library);
  if (!options.stats.empty()) set_variable("INFLIGHT_STATS", stats_directory(options.stats));
  if (!options.engine.empty()) set_variable("INFLIGHT_ENGINE", options.engine);
  if (!options.threads.empty()) set_variable("INFLIGHT_THREADS", options.threads);
  set_variable("LD_PRELOAD", preload);

  std::vector<char*> arguments;
  for (const std::string& argument : options.command) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  const int error = errno;
  throw Failure(error == ENOENT ? kNotFound : kCannotExecute,
                fmt::format("cannot run {}: {}", options.command[0], std::strerror(error)));
}

}  // namespace tool
