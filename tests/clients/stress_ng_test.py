#!/usr/bin/env python3
"""stress-ng --aio --verify: many requests in flight that notify by signal and are never returned.

stress-ng never calls aio_return, submits again from the main loop while signals arrive, and checks
the data it reads. Its bogus operations count finished requests, which the library counted too.
"""

import re
import shutil

from harness import Skip, check, check_equal, main

# Requests in flight per process, and operations in all.
RUNS = [(16, 20000), (256, 10000)]


def run_once(harness, requests, operations):
    report = harness.path("metrics.yaml")
    result = harness.run(
        ["stress-ng", "--aio", "2", "--aio-ops", str(operations), "--aio-requests", str(requests),
         "--verify", "--metrics", "--timeout", "60", "--temp-path", harness.directory,
         "--yaml", report])
    output = result.stdout + result.stderr
    check_equal(result.returncode, 0, f"stress-ng's exit status; it said:\n{output}\n")
    check("successful run completed" in output, f"stress-ng reports no success:\n{output}")
    check("fail:" not in output, f"stress-ng complains:\n{output}")
    with open(report, encoding="utf-8") as file:
        found = re.search(r"bogo-ops: (\d+)", file.read())
    check(found, "stress-ng wrote no metrics")
    done = int(found.group(1))
    check(done >= operations, f"stress-ng did {done} of {operations} operations in its time")
    print(f"{requests} in flight: stress-ng says {done} operations, verified")
    return done


def test(harness):
    if shutil.which("stress-ng") is None:
        raise Skip("stress-ng is not installed (apt-get install stress-ng)")
    done = sum(run_once(harness, *run) for run in RUNS)
    if not harness.library:
        return
    total = harness.stats()
    accepted = total["reads"] + total["writes"] + total["fsyncs"]
    check(accepted >= done, f"stress-ng did {done} operations, the library saw {accepted}")
    check(total["succeeded"] >= done, f"only {total['succeeded']} of {done} succeeded: {total}")
    check_equal(total["failed"], 0, f"requests that failed ({total})")
    check(total["signals_sent"] >= done, f"too few signals for {done} operations: {total}")
    harness.check_ways(total)
    print(f"served by inflight: {accepted} requests, {total['signals_sent']} signals; "
          f"{harness.shown_ways(total)}")


if __name__ == "__main__":
    raise SystemExit(main(test, __doc__.splitlines()[0]))
