// Starts a program in a child and waits for it.
#include "measured_run.h"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>

#include "supervised_run.h"

namespace tool {

namespace {

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

void drop_output() {
  const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  dup2(nowhere, STDOUT_FILENO);
  dup2(nowhere, STDERR_FILENO);
}

}  // namespace

Run run_measured(const Launch& launch, bool show_output) {
  const auto begin = std::chrono::steady_clock::now();
  const auto [status, usage, asked_to_end] = run_supervised({launch, {}, [show_output] {
                                                               if (!show_output) drop_output();
                                                             }});
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
  Run run;
  run.status = status;
  run.asked_to_end = asked_to_end;
  run.seconds = taken.count();
  run.cpu_seconds = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  run.megabytes = static_cast<double>(usage.ru_maxrss) / 1024;
  run.switches = static_cast<double>(usage.ru_nvcsw + usage.ru_nivcsw);
  return run;
}

}  // namespace tool
