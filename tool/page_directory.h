// A directory for the pages of one program, which the tool makes and removes.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "stats_page.h"

namespace tool {

class PageDirectory {
 public:
  PageDirectory();  // a Failure where none can be made
  ~PageDirectory();
  PageDirectory(const PageDirectory&) = delete;
  PageDirectory& operator=(const PageDirectory&) = delete;

  std::string path() const { return path_.string(); }

  // Those that are complete; processes may be starting at this moment.
  std::vector<Page> read() const;

  // Processes that found no room for their page or trace and have left an empty file instead.
  int count_without_room() const;

  // Says how many, if there are any; true then.
  bool tell_of_lack_of_room(const char* command) const;

 private:
  std::filesystem::path path_;
};

}  // namespace tool
