#include "page_directory.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <system_error>

#include "failure.h"

namespace tool {

PageDirectory::PageDirectory() {
  std::string name = (std::filesystem::temp_directory_path() / "inflight-XXXXXX").string();
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

}  // namespace tool
