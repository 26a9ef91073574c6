// Whether a program can be run on the library at all.
#pragma once

#include <string>

namespace tool {

// Looks at the file that execvp(3) would run. A Failure with the reason when the dynamic linker
// will not preload into it: static, for another architecture, set-user-ID; of a script, its
// interpreter. Whatever cannot be read is left to be found out by running it.
void demand_servable(const std::string& program);

// Whether the file is what ld.so can preload on this machine.
bool is_shared_object(const std::string& path);

}  // namespace tool
