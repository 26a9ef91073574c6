// The rows of the table, each with what it should reach.
#pragma once

#include <string>
#include <vector>

#include "measure.h"

namespace bench {

// What bounds every implementation of the interface, if that is not the peer itself.
struct Limit {
  Way way = Way::glibc;  // glibc: none is known
  int threads = 1;
  bool known() const { return way != Way::glibc; }
};

struct Row {
  std::string name;
  Work work;
  Way peer;              // the best of the others
  double against_glibc;  // goals; 0: none
  double against_peer;
  Limit limit = {};
  Way own = Way::inflight;
};

const std::vector<Row>& rows();
// The same work at rising depth, for the plots.
const std::vector<Row>& depth_rows();

}  // namespace bench
