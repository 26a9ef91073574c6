#include "page_directory.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <system_error>

#include "failure.h"
#include "say.h"

namespace tool {

PageDirectory::PageDirectory() {
  std::error_code error;
  const std::filesystem::path place = std::filesystem::temp_directory_path(error);
  if (error) {
    throw Failure(kCannotPrepare,
                  fmt::format("no directory for temporary files (TMPDIR): {}", error.message()));
  }
  std::string name = (place / "inflight-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) {
    throw Failure(kCannotPrepare, fmt::format("cannot make {}: {}", name, std::strerror(errno)));
  }
  path_ = name;
}

PageDirectory::~PageDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::vector<Page> PageDirectory::read() const {
  std::vector<Page> pages;
  for (const std::string& file : find_pages({path()})) {
    try {
      pages.push_back(read_page(file));
    } catch (const Failure&) {
      // Not filled in yet.
    }
  }
  return pages;
}

int PageDirectory::count_without_room() const {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(path_)) {
    std::error_code error;
    const std::string kind = entry.path().extension();
    if (kind != ".stats" && kind != ".trace") continue;
    if (entry.file_size(error) == 0 && !error) ++count;
  }
  return count;
}

bool PageDirectory::tell_of_lack_of_room(const char* command) const {
  const int count = count_without_room();
  if (count == 0) return false;
  say("inflight {}: {} process{} found no room in {} (TMPDIR; ulimit -f) and {} missing here\n",
      command, count, count == 1 ? "" : "es", path_.parent_path().string(),
      count == 1 ? "is" : "are");
  return true;
}

}  // namespace tool
