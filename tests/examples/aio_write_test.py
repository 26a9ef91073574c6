#!/usr/bin/env python3
"""examples/aio_write.c writes its greeting and 87 zero bytes to file.txt."""

from example import GREETING, check_equal, main_of


def makes_the_file(example):
    """There was no file.txt before."""
    check_equal(example.check_run(), "", "output")
    check_equal(example.read_file(), GREETING, "content of file.txt")
    example.check_counts(writes=1, succeeded=1, failed=0, canceled=0, reads=0)


def replaces_the_file(example):
    """What file.txt held is gone, however long it was."""
    example.write_file(b"x" * 5000)
    check_equal(example.check_run(), "", "output")
    check_equal(example.read_file(), GREETING, "content of file.txt")
    example.check_counts(writes=1, succeeded=1)


if __name__ == "__main__":
    raise SystemExit(main_of(__doc__, makes_the_file, replaces_the_file))
