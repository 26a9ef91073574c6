# Registers the tests of one GoogleTest program once for every way the library can carry requests.
#
# A mode is a name, one environment variable that brings it about, and what must not be touched
# otherwise: the same program runs in all of them. Test names read MODE.Suite.Test, so that
# `ctest -R uring.C05` works; labels are the mode, the folder and the part.
include(GoogleTest)

set(INFLIGHT_TEST_TIMEOUT 120)

set(inflight_mode_auto "INFLIGHT_ENGINE=auto")
set(inflight_mode_uring "INFLIGHT_ENGINE=uring")
set(inflight_mode_kaio "INFLIGHT_ENGINE=kaio")
set(inflight_mode_threads "INFLIGHT_ENGINE=threads")
# The test's main program forbids these system calls to itself, as a sandbox would.
set(inflight_mode_nouring "INFLIGHT_TEST_FORBID=io_uring")
set(inflight_mode_bare "INFLIGHT_TEST_FORBID=io_uring,io_submit")
# For the program that is not linked with the library.
set(inflight_mode_preload "LD_PRELOAD=${CMAKE_BINARY_DIR}/libinflight.so")
# For programs that are the same under every engine.
set(inflight_mode_unit "")

# What a process may do to the library, by part: `ctest -L descriptors`. A pattern of test names each.
set(inflight_parts signals cancellation program-threads descriptors processes credentials faults model)
set(inflight_part_signals "[.]C16_")
set(inflight_part_cancellation "[.]C17_")
set(inflight_part_program-threads "[.]C(18|19|20)_")
set(inflight_part_descriptors "[.]C(21|22)_")
set(inflight_part_processes "[.]C23_")
set(inflight_part_credentials "[.]C24_")
set(inflight_part_faults "Fault")
set(inflight_part_model "[.]Model")

# Tests that a sanitizer makes fail by what it is, with reasons: tests/support/PRESET.skip.
set(inflight_unfit_tests "")
if(INFLIGHT_SANITIZE MATCHES "address")
  set(inflight_skip_list ${PROJECT_SOURCE_DIR}/tests/support/asan-ubsan.skip)
elseif(INFLIGHT_SANITIZE MATCHES "thread")
  set(inflight_skip_list ${PROJECT_SOURCE_DIR}/tests/support/tsan.skip)
endif()
if(inflight_skip_list)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${inflight_skip_list})
  file(STRINGS ${inflight_skip_list} lines REGEX "^[^#]")
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "  .*" "" name "${line}")
    list(APPEND inflight_unfit_tests "${name}")
  endforeach()
  list(JOIN inflight_unfit_tests "|" inflight_unfit_tests)
endif()

# The properties are set by a script that ctest reads after the list of tests: gtest_discover_tests
# itself cannot pass on a property whose value is a list, as labels and environments are.
function(inflight_add_mode target mode label)
  set(list ${target}_${mode}_tests)
  gtest_discover_tests(
    ${target}
    TEST_PREFIX "${mode}."
    TEST_LIST ${list}
    DISCOVERY_MODE PRE_TEST
    DISCOVERY_TIMEOUT 60)
  set(environment ${inflight_mode_${mode}} ${INFLIGHT_SANITIZER_ENVIRONMENT})
  set(properties "TIMEOUT ${INFLIGHT_TEST_TIMEOUT} ENVIRONMENT \"${environment}\"")
  set(script ${CMAKE_CURRENT_BINARY_DIR}/${list}.cmake)
  file(WRITE ${script} "foreach(test IN LISTS ${list})\n"
                       "  set(labels ${mode} ${label})\n")
  foreach(part IN LISTS inflight_parts)
    file(APPEND ${script} "  if(test MATCHES [[${inflight_part_${part}}]])\n"
                          "    list(APPEND labels ${part})\n"
                          "  endif()\n")
  endforeach()
  file(APPEND ${script}
       "  set_tests_properties(\${test} PROPERTIES ${properties} LABELS \"\${labels}\")\n")
  if(inflight_unfit_tests)
    file(APPEND ${script} "  if(test MATCHES [[${inflight_unfit_tests}]])\n"
                          "    set_tests_properties(\${test} PROPERTIES DISABLED TRUE)\n"
                          "  endif()\n")
  endif()
  file(APPEND ${script} "endforeach()\n")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${script})
endfunction()
