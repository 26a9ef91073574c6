// Exit codes of the `inflight` command, and the exception that carries one to main.
//
// The numbers of `run` are those of env(1), nohup(1) and timeout(1), so that scripts can tell "the
// program said so" from "the program never started".
#pragma once

#include <stdexcept>
#include <string>

namespace tool {

enum ExitCode {
  kSuccess = 0,
  kNothingRead = 1,      // stats: a page could not be read, or there was none
  kUsage = 2,            // the command line made no sense
  kCannotPrepare = 125,  // run: no library, no directory for the pages
  kCannotExecute = 126,  // run: the program exists but cannot be executed
  kNotFound = 127,       // run: there is no such program
};

class Failure : public std::runtime_error {
 public:
  Failure(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

}  // namespace tool
