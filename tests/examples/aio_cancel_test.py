#!/usr/bin/env python3
"""examples/aio_cancel.c starts a read and tries at once to cancel it."""

import os

from example import check, check_equal, main_of

CANCELED = "Read operation was successfully canceled.\n"
NOT_CANCELED = "Read operation could not be canceled.\n"
ALL_DONE = "Read operation had already completed.\n"


def on_a_file(example):
    """Any of the three answers is right, and the counters must agree with it."""
    example.write_file()
    output = example.check_run()
    check(output in (CANCELED, NOT_CANCELED, ALL_DONE), f"output: {output!r}")
    example.check_counts(reads=1, cancels=1, failed=0, canceled=1 if output == CANCELED else 0)
    if output == ALL_DONE:
        example.check_counts(succeeded=1)


def on_a_fifo(example):
    """A read that waits is canceled for certain, and takes nothing that is written later."""
    with example.fifo() as ours:
        check_equal(example.check_run(), CANCELED, "output")
        os.write(ours, b"kept")
        check_equal(os.read(ours, 10), b"kept", "what was written after the program's end")
    example.check_counts(reads=1, cancels=1, succeeded=0, failed=0, canceled=1)


if __name__ == "__main__":
    raise SystemExit(main_of(__doc__, on_a_file, on_a_fifo))
