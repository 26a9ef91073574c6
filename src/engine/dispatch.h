// From submission to an engine, and from an engine's result to the end of the request.
#pragma once

#include "core/core.h"
#include "engine/process.h"

namespace inflight::engine {

// How long a helper thread waits for work before it ends.
inline constexpr long kIdleMilliseconds = 1000;

// First thing on a helper thread: its signal mask (C20) and its name.
void begin_helper(const char* name);
// Last thing on a helper thread but the spawner. Lock held.
void helper_ends(Process& process);

// Starts a request in State::moving on the engine that suits it. Without the lock, signals
// blocked. The request may be finished afterwards. `own`: by the thread that submits it, which may
// spend time on it; others' streams it leaves to the stream thread.
void launch(Process& process, core::Request& request, bool own, core::Effects& effects);

// Ends a request with what a system call answered: a count or a negative errno. Lock held.
void end_request(Process& process, core::Request& request, long result, core::Effects& effects);

// The same for a transfer that may have been cut short; the pool then carries the rest (C4).
void end_or_continue(Process& process, core::Request& request, long result, core::Effects& effects);

// Does what the changes under the lock asked for: wakes, starts, notifies; until nothing is left.
// Without the lock, signals blocked.
void carry_out(Process& process, core::Effects& effects);

// Stops a request if the contract lets it be stopped. Lock held.
enum class Stopped : uint8_t { yes, no, not_yet };
Stopped stop(Process& process, core::Request& request, bool closing, core::Effects& effects);

}  // namespace inflight::engine
