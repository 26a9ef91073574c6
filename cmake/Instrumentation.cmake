# Sanitizers and coverage.
#
# inflight_instrumentation is for the library, inflight_test_instrumentation for what tests it: the
# undefined behaviour sanitizer looks at the library only, because it makes test code, which is
# mostly templates, five times slower to compile. The tool and the example programs are left as
# they are.
#
# INFLIGHT_SANITIZER_ENVIRONMENT is a list of NAME=value for the tests, so that a plain
# `ctest --preset tsan` has the same settings as `./dev test tsan`.
add_library(inflight_instrumentation INTERFACE)
add_library(inflight_test_instrumentation INTERFACE)
set(INFLIGHT_SANITIZER_ENVIRONMENT "")
set(suppressions ${PROJECT_SOURCE_DIR}/tests/support)

if(INFLIGHT_SANITIZE)
  set(common -fno-omit-frame-pointer -fno-sanitize-recover=all)
  string(REGEX REPLACE ",?undefined" "" for_tests "${INFLIGHT_SANITIZE}")
  target_compile_options(inflight_instrumentation INTERFACE -fsanitize=${INFLIGHT_SANITIZE} ${common})
  target_link_options(inflight_instrumentation INTERFACE -fsanitize=${INFLIGHT_SANITIZE})
  target_compile_options(inflight_test_instrumentation INTERFACE -fsanitize=${for_tests} ${common})
  target_link_options(inflight_test_instrumentation INTERFACE -fsanitize=${INFLIGHT_SANITIZE})
  if(INFLIGHT_SANITIZE MATCHES "undefined")
    # The library has no type information to check virtual tables with.
    target_compile_options(inflight_instrumentation INTERFACE -fno-sanitize=vptr)
  endif()
endif()

if(INFLIGHT_SANITIZE MATCHES "address")
  # detect_stack_use_after_return finds a request that writes to the frame of a finished call.
  # use_sigaltstack=0: an alternate stack in every thread is what tests of callbacks look for.
  list(
    APPEND
    INFLIGHT_SANITIZER_ENVIRONMENT
    "ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1:use_sigaltstack=0"
    "LSAN_OPTIONS=suppressions=${suppressions}/lsan.supp:print_suppressions=0"
    "UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1")
elseif(INFLIGHT_SANITIZE MATCHES "thread")
  # die_after_fork=0: the children of threaded tests start threads of their own (C23).
  # atexit_sleep_ms=0: the library's threads never end, and would make every test a second longer.
  list(
    APPEND
    INFLIGHT_SANITIZER_ENVIRONMENT
    "TSAN_OPTIONS=halt_on_error=1:die_after_fork=0:atexit_sleep_ms=0:suppressions=${suppressions}/tsan.supp:print_suppressions=0"
  )
endif()

if(INFLIGHT_COVERAGE)
  add_compile_options(--coverage -fprofile-update=atomic)
  add_link_options(--coverage)
endif()
