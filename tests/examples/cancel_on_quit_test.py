#!/usr/bin/env python3
"""examples/cancel_on_quit.c: reads several files, is told by signal, cancels on SIGQUIT.

The program runs on a terminal of its own, as its author ran it: /dev/stdin is one of its files,
and Ctrl-\\ is what sends SIGQUIT to it.
"""

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import time

from example import check, check_equal, main_of

QUIT_KEY = b"\x1c"  # Ctrl-\, the terminal's default for SIGQUIT
SIGNAL_LINE = "I/O completion signal received"


class Session:
    """The program on a terminal: what it has printed, typing to it, waiting for its end."""

    def __init__(self, example, arguments):
        self.output = ""
        environment = example.environment()
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            try:
                os.chdir(example.directory)
                os.execve(example.program, [example.program, *arguments], environment)
            finally:
                os._exit(127)

    def type(self, keys):
        os.write(self.terminal, keys)

    def read_some(self, deadline):
        """Takes what the program prints next; False at the end of its output."""
        left = deadline - time.monotonic()
        check(left > 0, f"the program printed nothing more; so far:\n{self.output}")
        if not select.select([self.terminal], [], [], left)[0]:
            return True
        try:
            data = os.read(self.terminal, 4096)
        except OSError:  # EIO: the program has closed its side
            return False
        self.output += data.decode("ascii", "replace").replace("\r\n", "\n")
        return bool(data)

    def read_until(self, text, seconds=30):
        deadline = time.monotonic() + seconds
        while text not in self.output:
            check(self.read_some(deadline), f"no {text!r} in the output:\n{self.output}")

    def finish(self, seconds=30):
        """Reads to the end, and gives the exit status."""
        deadline = time.monotonic() + seconds
        while self.read_some(deadline):
            pass
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    def close(self):
        os.close(self.terminal)
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


def start(example, *arguments):
    return contextlib.closing(Session(example, arguments))


def make(example, name, content):
    with open(example.path(name), "wb") as file:
        file.write(content)


def check_end(session, returns):
    """The program's last words: what aio_return gave for each request, in order."""
    check_equal(session.finish(), 0, f"exit status, after\n{session.output}\n")
    check("All I/O requests completed\naio_return():\n" in session.output, session.output)
    last = session.output[session.output.index("aio_return():"):]
    found = re.findall(r"for request (\d+) \(descriptor \d+\): (-?\d+)\n", last)
    check_equal(found, [(str(n), str(v)) for n, v in enumerate(returns)], "results")


def check_signals(example, most):
    """One signal per request, but for those that the program's end was faster than: a request's
    status can be seen, and the program end on it, before the signal is sent."""
    if example.library:
        sent = example.stats()["signals_sent"]
        check(1 <= sent <= most, f"{sent} signals for {most} requests")


def several_files(example):
    """Long, short and empty files: everything succeeds, and signals tell of it."""
    make(example, "long", b"x" * 100)
    make(example, "short", b"seven b")
    make(example, "empty", b"")
    with start(example, "long", "short", "empty") as session:
        check_end(session, [20, 7, 0])
        for number in range(3):
            check(re.search(rf"for request {number} \(descriptor \d+\): I/O succeeded",
                            session.output), session.output)
        check(SIGNAL_LINE in session.output, session.output)
        check("Canceled" not in session.output, session.output)
    example.check_counts(reads=3, succeeded=3, failed=0, canceled=0, cancels=0)
    check_signals(example, 3)


def canceled_by_the_quit_key(example):
    """A terminal and a FIFO that wait are canceled while they run; the file is done."""
    make(example, "long", b"x" * 100)
    with example.fifo("waiting") as ours, \
            start(example, "/dev/stdin", "long", "waiting") as session:
        session.read_until("opened waiting")
        example.wait_for_counts(reads=3, succeeded=1, signals_sent=1)
        session.type(QUIT_KEY)
        check_end(session, [-1, 20, -1])
        check("got SIGQUIT; canceling I/O requests" in session.output, session.output)
        for number in (0, 2):
            check(re.search(rf"Request {number} on descriptor \d+:I/O canceled\n", session.output),
                  f"request {number} was not canceled:\n{session.output}")
            check(re.search(rf"for request {number} \(descriptor \d+\): Canceled\n",
                            session.output), session.output)
        os.write(ours, b"kept")
        check_equal(os.read(ours, 10), b"kept", "what was written to the FIFO afterwards")
    example.check_counts(reads=3, succeeded=1, failed=0, canceled=2)
    check_signals(example, 3)


def served_by_typing(example):
    """A terminal's line and what comes through a FIFO end the requests; SIGQUIT finds no work."""
    with example.fifo("waiting") as ours, start(example, "/dev/stdin", "waiting") as session:
        session.read_until("opened waiting")
        example.wait_for_counts(reads=2)
        session.type(b"a line\n")
        example.wait_for_counts(succeeded=1, signals_sent=1)
        sent = b"through a pipe, and more than twenty bytes"
        os.write(ours, sent)
        # Its signal may come too late: any look at the status, and the program ends.
        example.wait_for_counts(succeeded=2)
        session.type(QUIT_KEY)
        check_end(session, [7, 20])
        check("I/O canceled" not in session.output, session.output)
        check_equal(os.read(ours, 100), sent[20:], "what the FIFO still holds")
    example.check_counts(reads=2, succeeded=2, failed=0, canceled=0)
    check_signals(example, 2)


def without_arguments(example):
    """It explains itself."""
    result = subprocess.run([example.program], env=example.environment(), capture_output=True,
                            text=True, check=False)
    check_equal(result.returncode, 1, "exit status")
    check("Usage:" in result.stderr, result.stderr)
    check_equal(example.pages_now(), [], "pages of a process that made no request")


if __name__ == "__main__":
    raise SystemExit(main_of(__doc__, several_files, canceled_by_the_quit_key, served_by_typing,
                             without_arguments))
