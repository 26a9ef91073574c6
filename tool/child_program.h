// Starting a program, in the tool's place or in a child.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace tool {

struct Launch {
  std::vector<std::string> command;
  std::vector<std::pair<std::string, std::string>> variables;  // set on top of ours
};

// Becomes the program; the errno when that fails.
int become(const Launch& launch);

// Starts it in a child, in which `prepare` runs first. A Failure when the program cannot be
// started.
pid_t start(const Launch& launch, const std::function<void()>& prepare);

// That the program could not be started, with the exit code that this has.
[[noreturn]] void fail_to_start(const std::string& program, int error);

}  // namespace tool
