// Finds the library beside the tool and writes LD_PRELOAD lists.
#include "library.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <initializer_list>
#include <system_error>

#include "failure.h"
#include "program.h"

namespace tool {

namespace {

namespace fs = std::filesystem;

// In a build tree the libraries lie beside the tool; installed they lie in lib beside bin, what
// only the tool uses one folder deeper.
std::string beside_tool(std::initializer_list<const char*> names, const char* folder) {
  std::error_code error;
  const fs::path tool = fs::read_symlink("/proc/self/exe", error);
  if (error) {
    throw Failure(kCannotPrepare, fmt::format("cannot tell where this tool lies: {}; name the "
                                              "library with --library",
                                              error.message()));
  }
  const fs::path here = tool.parent_path();
  const fs::path installed = here.parent_path() / INFLIGHT_TOOL_LIBDIR / folder;
  for (const fs::path& directory : {here, installed}) {
    for (const char* name : names) {
      if (fs::exists(directory / name, error)) return (directory / name).string();
    }
  }
  throw Failure(kCannotPrepare,
                fmt::format("no {} in {} or {}; build it, or name it with --library",
                            *names.begin(), here.string(), installed.string()));
}

}  // namespace

// LD_PRELOAD is a list: what is in it already stays, behind our library. ld.so splits it at spaces
// and colons and knows no quoting, and says little when a library is missing; so that is told here.
std::string preload_list(const std::string& wanted) {
  const std::string library =
      wanted.empty() ? beside_tool({"libinflight.so.0", "libinflight.so"}, "") : wanted;
  std::error_code error;
  const std::string path = fs::absolute(library, error).string();
  if (access(path.c_str(), R_OK) != 0) {
    throw Failure(kCannotPrepare,
                  fmt::format("the library {} cannot be read: {}", path, std::strerror(errno)));
  }
  if (!is_shared_object(path)) {
    throw Failure(kCannotPrepare, fmt::format("{} is no shared library for this machine", path));
  }
  if (path.find_first_of(" :") != std::string::npos) {
    throw Failure(kCannotPrepare, fmt::format("the library's path '{}' holds a space or a colon, "
                                              "which LD_PRELOAD cannot express",
                                              path));
  }
  const char* before = std::getenv("LD_PRELOAD");
  return before == nullptr || *before == '\0' ? path : path + ":" + before;
}

std::string check_library() { return beside_tool({"libinflight-check.so"}, "inflight"); }

}  // namespace tool
