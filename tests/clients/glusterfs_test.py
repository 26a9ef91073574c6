#!/usr/bin/env python3
"""A GlusterFS brick's health check: every second it writes a time stamp by aio_write and reads it
back by aio_read. A brick that is healthy stays up; one whose directory goes away says so.
"""

import os
import shutil

from harness import Skip, check, eventually, main

VOLUME = """volume brick
  type storage/posix
  option directory {directory}
  option health-check-interval 1
  option health-check-timeout 10
end-volume
"""


def log_of(path):
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def test(harness):
    daemon = shutil.which("glusterfsd")
    if not daemon:
        raise Skip("glusterfs-server is not installed")
    if os.geteuid() != 0:
        raise Skip("a brick needs root")
    brick, log = harness.path("brick"), harness.path("log")
    os.mkdir(brick)
    with open(harness.path("volume"), "w", encoding="utf-8") as file:
        file.write(VOLUME.format(directory=brick))
    command = [daemon, "-N", "-f", harness.path("volume"), "-l", log, "-p", harness.path("pid")]
    with harness.popen(command) as process:
        harness.wait_for_counts(writes=3, reads=2)
        check(process.poll() is None, f"the brick went down:\n{log_of(log)}")
        check("health-check failed" not in log_of(log), log_of(log))
        # The check must be able to fail.
        shutil.rmtree(brick)
        eventually(lambda: "health-check failed" in log_of(log) or process.poll() is not None,
                   "the brick did not notice that its directory is gone")
    if harness.library:
        total = harness.stats()
        print(f"served by inflight: {total['reads']} reads, {total['writes']} writes; "
              f"{harness.shown_ways(total)}")
        harness.check_ways(total)


if __name__ == "__main__":
    raise SystemExit(main(test, __doc__))
