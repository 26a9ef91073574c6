// The two forms in which counters are printed.
#pragma once

#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "stats_page.h"

namespace tool {

// 1234567 as 1,234,567.
std::string grouped(uint64_t number);

void print_counts(FILE* stream, const Counts& counts);

nlohmann::ordered_json json_of(const Counts& counts);

}  // namespace tool
