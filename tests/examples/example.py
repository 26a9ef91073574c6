"""What the tests of the example programs share: file.txt in its forms, and running one program.

Each test is one file per program with one function per situation; main_of() runs the functions one
after the other, each with a directory and statistics pages of its own.
"""

import contextlib
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "clients"))

# pylint: disable=wrong-import-position,unused-import
from harness import Harness, check, check_equal, eventually, main  # noqa: E402,F401

GREETING = b"Hello, world!" + bytes(87)  # what the writing examples write: a buffer of 100 bytes

# Printed as a C string the content ends at its NUL; the examples read 100 bytes and add none.
TEXT = "A line that somebody saved.\nAnd a second one.\n"
FILE = TEXT.encode() + bytes(100)


class Example(Harness):
    """A Harness for one situation of one example program."""

    @property
    def program(self):
        return os.path.abspath(self.options.program)

    @property
    def file(self):
        return self.path("file.txt")

    def write_file(self, content=FILE):
        with open(self.file, "wb") as file:
            file.write(content)

    def read_file(self):
        with open(self.file, "rb") as file:
            return file.read()

    @contextlib.contextmanager
    def fifo(self, name="file.txt"):
        """A FIFO that stays open, so that a read from it waits; gives our end, for both ways."""
        path = self.path(name)
        os.mkfifo(path)
        ours = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        try:
            yield ours
        finally:
            os.close(ours)

    def check_run(self, status=0):
        """Runs the program to its end; its output."""
        result = self.run([self.program], timeout=60)
        check_equal((result.returncode, result.stderr), (status, ""), "exit status and errors")
        return result.stdout


def main_of(description, *situations):
    """Runs each situation with a fresh Example; the test's exit code."""
    def test(outer):
        for situation in situations:
            example = Example(outer.options)
            try:
                print(f"{situation.__name__}: {situation.__doc__}")
                situation(example)
            finally:
                example.close()

    return main(test, description,
                lambda parser: parser.add_argument("--program", required=True))
