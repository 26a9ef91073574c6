// The main program of every GoogleTest program here. INFLIGHT_TEST_FORBID (io_uring, io_submit,
// or both with a comma between) makes those system calls fail with EPERM for the whole process,
// as container sandboxes do, before anything else can have used them.
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>

#include <initializer_list>

#include "support/support.h"

namespace {

bool forbid(scmp_filter_ctx filter, std::initializer_list<int> calls) {
  for (const int call : calls) {
    if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), call, 0) != 0) return false;
  }
  return true;
}

bool install_filter() {
  const bool ring = support::forbidden("io_uring");
  const bool submit = support::forbidden("io_submit");
  if (!ring && !submit) return true;
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
  if (filter == nullptr) return false;
  // Root can do without no_new_privs, which would change what tests of exec see.
  if (geteuid() == 0) seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0);
  bool good = true;
  if (ring) {
    good = good && forbid(filter, {SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter),
                                   SCMP_SYS(io_uring_register)});
  }
  if (submit) good = good && forbid(filter, {SCMP_SYS(io_setup), SCMP_SYS(io_submit)});
  good = good && seccomp_load(filter) == 0;
  seccomp_release(filter);
  return good;
}

}  // namespace

int main(int argc, char** argv) {
  if (!install_filter()) {
    fprintf(stderr, "INFLIGHT_TEST_FORBID: the seccomp filter cannot be installed\n");
    return 2;
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
