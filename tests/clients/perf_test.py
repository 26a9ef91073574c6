#!/usr/bin/env python3
"""perf record --aio writes its data file by POSIX AIO, several buffers at a time."""

import shutil

from harness import Skip, check, check_equal, main

LOOP = "i=0; while [ $i -lt 150000 ]; do i=$((i+1)); done"


def test(harness):
    if not shutil.which("perf"):
        raise Skip("linux-perf is not installed")
    data = harness.path("perf.data")
    # A small buffer, so that it is written many times; a clock in software works everywhere.
    record = ["perf", "record", "--aio=4", "-m", "1", "-F", "20000", "-e", "cpu-clock", "-o", data]
    result = harness.run([*record, "--", "sh", "-c", LOOP])
    print(result.stderr)
    if result.returncode != 0 and ("ermission" in result.stderr or "not supported" in result.stderr):
        raise Skip("perf events are forbidden here")
    check_equal(result.returncode, 0, "exit status of perf record")
    script = harness.run(["perf", "script", "-i", data, "-F", "comm"])
    check_equal(script.returncode, 0, f"exit status of perf script: {script.stderr}")
    samples = script.stdout.split()
    check(len(samples) > 100, f"only {len(samples)} samples can be read back")
    # Before it becomes the program, perf's child is called perf-exec.
    strange = [name for name in samples if name != "sh" and not name.startswith("perf")]
    check(not strange, f"programs that were not there: {strange}")
    check("Captured and wrote" in result.stderr, "perf did not say that it wrote")
    harness.check_served(writes=2)


if __name__ == "__main__":
    raise SystemExit(main(test, __doc__))
