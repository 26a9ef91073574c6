// A program that the tool waits for, instead of becoming it.
#pragma once

#include <functional>

#include "child_program.h"

namespace tool {

struct Supervision {
  Launch launch;
  std::function<void()> tick;  // called every tenth of a second
};

// Runs the program to its end, and hands on the signals that ask a program to end or to look up
// (HUP, INT, QUIT, TERM, USR1, USR2, WINCH); its status as of waitpid(2). A Failure when it cannot
// be started.
int run_supervised(const Supervision& supervision);

// Ends the tool as the program ended: by its exit status, or by the signal that ended it.
[[noreturn]] void end_like(int status);

}  // namespace tool
