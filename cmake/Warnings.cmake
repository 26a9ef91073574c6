# The warnings that the project's code must not give. Interface libraries, because the example
# programs and generated code are compiled without them.

# Everything that is ours: tests and tools too.
add_library(inflight_warnings INTERFACE)
target_compile_options(
  inflight_warnings
  INTERFACE -Wall
            -Wextra
            -Wshadow
            -Wcast-qual
            -Wformat=2
            -Wimplicit-fallthrough
            -Wundef
            -Wvla
            $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor>
            $<$<COMPILE_LANGUAGE:CXX>:-Woverloaded-virtual>
            $<$<BOOL:${INFLIGHT_WERROR}>:-Werror>)

# The library runs inside other people's processes, so it is held to more.
add_library(inflight_strict_warnings INTERFACE)
target_link_libraries(inflight_strict_warnings INTERFACE inflight_warnings)
target_compile_options(
  inflight_strict_warnings
  INTERFACE -Wconversion
            -Wcast-align
            -Wold-style-cast
            -Wextra-semi
            -Wredundant-decls
            $<$<CXX_COMPILER_ID:GNU>:-Wduplicated-cond>
            $<$<CXX_COMPILER_ID:GNU>:-Wduplicated-branches>
            $<$<CXX_COMPILER_ID:GNU>:-Wlogical-op>)
