#!/usr/bin/env python3
"""examples/aio_error.c prints the status of a read that it has just started, and ends."""

import errno
import os

from example import check, check_equal, main_of

SUCCESS = "Read operation completed successfully.\n"
PROGRESS = "Read operation is still in progress.\n"


def on_a_file(example):
    """Finished or still in progress: both are right, an error is not."""
    example.write_file()
    output = example.check_run()
    check(output in (SUCCESS, PROGRESS), f"output: {output!r}")
    if output == SUCCESS:
        example.check_counts(succeeded=1)
    example.check_counts(reads=1, failed=0, canceled=0)


def on_a_fifo(example):
    """Nothing to read: still in progress; the program ends at once, with its request pending."""
    with example.fifo() as ours:
        check_equal(example.check_run(), PROGRESS, "output")
        os.write(ours, b"kept")
        check_equal(os.read(ours, 10), b"kept", "what was written after the program's end")
    example.check_counts(reads=1, succeeded=0, failed=0)


def on_a_directory(example):
    """A directory cannot be read: EISDIR, now or later."""
    os.mkdir(example.file)
    output = example.check_run()
    failure = f"Read operation failed with error: {errno.EISDIR}\n"
    check(output in (failure, PROGRESS), f"output: {output!r}")
    if output == failure:
        example.check_counts(failed=1)
    example.check_counts(reads=1, succeeded=0)


if __name__ == "__main__":
    raise SystemExit(main_of(__doc__, on_a_file, on_a_fifo, on_a_directory))
