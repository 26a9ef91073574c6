#!/usr/bin/env python3
"""examples/aio_fsync.c writes with write(2) and synchronizes the file with aio_fsync."""

from example import GREETING, check_equal, main_of


def synchronizes(example):
    """The file holds what was written, and one fsync was served."""
    check_equal(example.check_run(), "", "output")
    check_equal(example.read_file(), GREETING, "content of file.txt")
    example.check_counts(fsyncs=1, succeeded=1, failed=0, reads=0, writes=0)


if __name__ == "__main__":
    raise SystemExit(main_of(__doc__, synchronizes))
