#!/usr/bin/env python3
"""examples/aio_return.c writes to file.txt and prints how many bytes went."""

import os

from example import GREETING, check, check_equal, main_of


def counts_the_bytes(example):
    """All 100 bytes are written and counted."""
    check_equal(example.check_run(), "Write operation completed successfully, 100 bytes written\n",
                "output")
    check_equal(example.read_file(), GREETING, "content of file.txt")
    example.check_counts(writes=1, succeeded=1, failed=0)


def tells_of_a_failure(example):
    """On a full device aio_return gives -1."""
    os.symlink("/dev/full", example.file)
    output = example.check_run()
    check(output.startswith("Write operation failed with error: "), f"output: {output!r}")
    example.check_counts(writes=1, succeeded=0, failed=1)


if __name__ == "__main__":
    raise SystemExit(main_of(__doc__, counts_the_bytes, tells_of_a_failure))
