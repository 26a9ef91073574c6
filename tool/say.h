// Telling the user something on standard error, which may be closed, full or a broken pipe: that
// nobody can read it must not change how the program, or the tool, ends.
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <system_error>
#include <utility>

namespace tool {

// Does what prints; what can no longer be printed is dropped.
template <class Print>
void if_anybody_reads(Print print) noexcept {
  try {
    print();
  } catch (const std::system_error&) {  // fmt's, for what stdio reports
  }
}

template <class... Arguments>
void say(fmt::format_string<Arguments...> format, Arguments&&... arguments) noexcept {
  if_anybody_reads([&] { fmt::print(stderr, format, std::forward<Arguments>(arguments)...); });
}

}  // namespace tool
