#!/usr/bin/env python3
"""examples/aio_read.c prints what file.txt holds, and polls aio_error until it has it."""

import os

from example import FILE, TEXT, check_equal, main_of


def reads_a_file(example):
    """The text comes out, by one request."""
    example.write_file()
    check_equal(example.check_run(), f"Data read: {TEXT}\n", "output")
    example.check_counts(reads=1, succeeded=1, failed=0, canceled=0, writes=0, suspends=0)


def reads_what_is_not_cached(example):
    """The same when the file must come from the disk first."""
    example.write_file()
    descriptor = os.open(example.file, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)
    check_equal(example.check_run(), f"Data read: {TEXT}\n", "output")
    example.check_counts(reads=1, succeeded=1)


def polls_while_nothing_comes(example):
    """A FIFO: the poll loop goes on until somebody writes, then sees the request finish."""
    with example.fifo() as ours, example.popen([example.program], stdout=-1, text=True) as running:
        example.wait_for_counts(reads=1)
        check_equal(running.poll(), None, "exit status while nothing has been written")
        os.write(ours, FILE[:100])
        output, _ = running.communicate(timeout=30)
    check_equal((running.returncode, output), (0, f"Data read: {TEXT}\n"), "status and output")
    example.check_counts(reads=1, succeeded=1)


if __name__ == "__main__":
    raise SystemExit(main_of(__doc__, reads_a_file, reads_what_is_not_cached,
                             polls_while_nothing_comes))
