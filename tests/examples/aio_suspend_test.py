#!/usr/bin/env python3
"""examples/aio_suspend.c waits for its read with aio_suspend and prints what came."""

import os

from example import FILE, TEXT, check_equal, main_of


def on_a_file(example):
    """The text comes out; the wait went through the library, too."""
    example.write_file()
    check_equal(example.check_run(), f"Data read: {TEXT}\n", "output")
    example.check_counts(reads=1, suspends=1, succeeded=1, failed=0)


def on_a_fifo(example):
    """The program waits in aio_suspend until something is written."""
    with example.fifo() as ours, example.popen([example.program], stdout=-1, text=True) as running:
        example.wait_for_counts(reads=1, suspends=1)
        check_equal(running.poll(), None, "exit status while nothing has been written")
        os.write(ours, FILE[:100])
        output, _ = running.communicate(timeout=30)
    check_equal((running.returncode, output), (0, f"Data read: {TEXT}\n"), "status and output")
    example.check_counts(reads=1, suspends=1, succeeded=1)


if __name__ == "__main__":
    raise SystemExit(main_of(__doc__, on_a_file, on_a_fifo))
