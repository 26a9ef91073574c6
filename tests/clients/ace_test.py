#!/usr/bin/env python3
"""ACE's Proactor over POSIX AIO (ace_proactor.cc), with completions by polling and by signals.

On glibc the polling kind aborts: ACE changes the list of blocks while other threads wait for it.
"""

import os
import re

from harness import Skip, check, check_equal, main


def add_arguments(parser):
    parser.add_argument("--program", required=True, help="ace_proactor")
    parser.add_argument("kind", choices=["aiocb", "signals"])


def test(harness):
    options = harness.options
    if not os.path.exists(options.program):
        raise Skip("libace-dev is not installed")
    result = harness.run([options.program, harness.path("data"), options.kind])
    print(result.stdout, result.stderr)
    check_equal(result.returncode, 0, "exit status")
    said = re.search(r"writes (\d+) reads (\d+) wrong (\d+)", result.stdout)
    check(said, "the program did not say what it did")
    check_equal(int(said[3]), 0, "operations that were wrong")
    if not harness.library:
        return
    # Besides these, one kind keeps a read of a pipe of its own waiting, by which it wakes itself.
    total = harness.stats()
    check(total["writes"] == int(said[1]) and total["reads"] >= int(said[2]),
          f"the program made {said[0]}, the library saw {total}")
    check(total["succeeded"] >= int(said[1]) + int(said[2]), f"requests that succeeded: {total}")
    check_equal(total["failed"], 0, f"requests that failed ({total})")
    harness.check_ways(total)
    print(f"served by inflight: {total['reads']} reads, {total['writes']} writes; "
          f"{harness.shown_ways(total)}")


if __name__ == "__main__":
    raise SystemExit(main(test, __doc__, add_arguments))
