// The rows of the table, each with what it should reach.
#pragma once

#include <string>
#include <vector>

#include "measure.h"

namespace bench {

struct Row {
  std::string name;
  Work work;
  Way peer;              // the best of the others
  double against_glibc;  // goals; 0: none
  double against_peer;
  Way own = Way::inflight;
};

const std::vector<Row>& rows();
// The same work at rising depth, for the plots.
const std::vector<Row>& depth_rows();

}  // namespace bench
