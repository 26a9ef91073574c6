// Where the library lies that programs are run on.
#pragma once

#include <string>

namespace tool {

// The value of LD_PRELOAD for a program on the library: what it holds already stays, behind ours.
// `wanted` empty: the library beside this tool or in ../lib. A Failure when there is none.
std::string preload_list(const std::string& wanted);

// The library of `inflight check`, which is preloaded before the other. A Failure when it is
// missing.
std::string check_library();

}  // namespace tool
