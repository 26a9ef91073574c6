// The two forms in which a trace is written.
#pragma once

#include <cstdio>
#include <vector>

#include "trace_file.h"

namespace tool {

// When the first request was made, in the spans' own time; 0 if there is none.
uint64_t origin_of(const std::vector<Trace>& traces);

void write_trace_json(std::FILE* file, const std::vector<Trace>& traces);

// A drawing for a page: each request a bar, light while it waits and dark while it is served, on
// the first line that is free. Of a long trace only the beginning is drawn, and the drawing says
// so.
void write_trace_svg(std::FILE* file, const std::vector<Trace>& traces);

}  // namespace tool
