// What the kernel offers and allows here, found out by asking it. Leaves nothing behind.
#pragma once

#include <string>
#include <vector>

namespace tool {

// One way of carrying requests: whether it works, and a reason or a remark.
struct Way {
  const char* name;
  bool works;
  std::string remark;
};

std::vector<Way> probe_ways();

// What the file system of a directory offers, shown by a file made there without a name.
struct FileSystem {
  std::string path;
  std::string error;  // why nothing could be found out; empty if it could
  std::string type;
  bool cached_reads = false;     // a read that is in memory is answered without waiting
  bool buffered_writes = false;  // the same for a write into memory
  bool direct = false;           // O_DIRECT
  bool direct_aio = false;       // and io_submit takes it
};

FileSystem probe_file_system(const std::string& path);

// Limits that bound what a program can have in flight.
struct Limit {
  const char* name;
  std::string value;
};

std::vector<Limit> probe_limits();

}  // namespace tool
