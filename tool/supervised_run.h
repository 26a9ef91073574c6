// A program that the tool waits for, instead of becoming it.
#pragma once

#include <sys/resource.h>

#include <functional>

#include "child_program.h"

namespace tool {

struct Supervision {
  Launch launch;
  std::function<void()> tick = {};     // called every tenth of a second
  std::function<void()> prepare = {};  // called in the child before it becomes the program
};

struct Ended {
  int status;  // as of waitpid(2)
  rusage usage;
  int asked_to_end;  // the last signal that asked for it; 0: none did
};

// Runs the program to its end, and hands on every signal that the tool gets, stopping and going on
// with it; only SIGKILL and SIGSTOP cannot be. A Failure when the program cannot be started.
Ended run_supervised(const Supervision& supervision);

// Ends the tool as the program ended: by its exit status, or by the signal that ended it.
[[noreturn]] void end_like(int status);

}  // namespace tool
