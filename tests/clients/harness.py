"""What the tests that run whole programs share: preloading the library, and proof that it served.

A test makes one Harness, runs its program with harness.run() or harness.popen(), and then compares
what the program says it did with harness.stats(), the counters that the library itself kept for
the program (include/inflight/stats.h, read by the `inflight` command). When the C library had
answered instead, there would be no page at all.

With --glibc nothing is preloaded and the counters are not looked at: for trying a test out, and
for seeing what the C library does on it.
"""

import argparse
import contextlib
import ctypes
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SKIPPED = 77  # SKIP_RETURN_CODE in the CMake files
PATIENCE = 30.0
WAYS = ("by_inline", "by_kaio", "by_ring", "by_stream", "by_pool")


class Failed(Exception):
    """A check did not hold; the message says which and what was seen instead."""


class Skip(Exception):
    """This machine cannot run the test; the message says why."""


def check(condition, message):
    if not condition:
        raise Failed(message)


def check_equal(seen, expected, what):
    check(seen == expected, f"{what}: expected {expected!r}, got {seen!r}")


def eventually(condition, what, patience=PATIENCE):
    """Looks until the condition gives something true, and returns that."""
    deadline = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed(f"waited {patience:.0f} s in vain: {what}")
        time.sleep(0.01)


def sanitizer_runtimes(library):
    """The sanitizer runtimes the library needs; they must be preloaded before it."""
    listing = subprocess.run(["ldd", library], capture_output=True, text=True, check=False).stdout
    return [line.split()[2] for line in listing.splitlines()
            if "=> /" in line and any(n in line for n in ("libasan", "libtsan"))]


def kernel_offers(what):
    """Whether io_uring or io_submit exists and is allowed here; asks the kernel itself."""
    if platform.machine() != "x86_64":
        return False  # the system call's number is another; then nothing is demanded
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    if what == "io_uring":
        descriptor = syscall(425, 1, ctypes.create_string_buffer(120))
        if descriptor >= 0:
            os.close(descriptor)
        return descriptor >= 0
    context = ctypes.c_ulong(0)
    if syscall(206, 1, ctypes.byref(context)) != 0:
        return False
    syscall(207, context)
    return True


class Harness:
    def __init__(self, options):
        self.options = options
        self.library = None if options.glibc else os.path.abspath(options.library)
        self.tool = os.path.abspath(options.tool) if options.tool else None
        self.engine = options.engine
        self.other_preloads = []
        self.directory = tempfile.mkdtemp(prefix="inflight-test-", dir=options.scratch)
        self.pages = os.path.join(self.directory, "pages")
        os.mkdir(self.pages)

    def close(self):
        shutil.rmtree(self.directory, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.directory, name)

    def environment(self):
        environment = {k: v for k, v in os.environ.items()
                       if k != "LD_PRELOAD" and not k.startswith("INFLIGHT_")}
        environment["LC_ALL"] = "C"
        preload = self.other_preloads
        if self.library:
            preload = sanitizer_runtimes(self.library) + [self.library] + preload
            environment["INFLIGHT_ENGINE"] = self.engine
            environment["INFLIGHT_STATS"] = self.pages
            # The programs' own leaks are not ours to judge.
            environment["ASAN_OPTIONS"] = ":".join(
                filter(None, [os.environ.get("ASAN_OPTIONS"), "detect_leaks=0"]))
        if preload:
            environment["LD_PRELOAD"] = ":".join(preload)
        return environment

    def run(self, command, timeout=120, **extra):
        extra.setdefault("cwd", self.directory)
        extra.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run(command, env=self.environment(), capture_output=True, text=True,
                              timeout=timeout, errors="replace", check=False, **extra)

    @contextlib.contextmanager
    def popen(self, command, **extra):
        """A running program; at the end of the scope it is killed if it still runs."""
        extra.setdefault("cwd", self.directory)
        process = subprocess.Popen(command, env=self.environment(), **extra)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()

    def pages_now(self):
        """The pages as the tool reads them, [] while there is none."""
        result = subprocess.run([self.tool, "stats", "--json", self.pages], capture_output=True,
                                text=True, check=False)
        return json.loads(result.stdout)["pages"] if result.stdout else []

    def total(self):
        total = {}
        for page in self.pages_now():
            for name, value in page["counters"].items():
                total[name] = total.get(name, 0) + value
        return total

    def stats(self):
        """The counters of all processes so far; fails when none was served by the library."""
        total = self.total()
        check(total, "the library served no request: there is no statistics page")
        return total

    def wait_for_counts(self, **expected):
        """Waits until the counters have reached these values, while the program runs."""
        if not self.library:
            return
        eventually(lambda: all(self.total().get(k, 0) >= v for k, v in expected.items()),
                   f"counters {expected}; they are {self.total()}")

    def check_counts(self, **expected):
        """The named counters have exactly these values."""
        if not self.library:
            return
        total = self.stats()
        for name, value in expected.items():
            check_equal(total[name], value, f"counter {name} (all: {total})")

    def check_served(self, reads=0, writes=0, fsyncs=0, may_cancel=False):
        """At least these requests were accepted, all ended well, and the right engines did them."""
        if not self.library:
            print("served by glibc: no counters")
            return
        total = self.stats()
        for name, issued in (("reads", reads), ("writes", writes), ("fsyncs", fsyncs)):
            check(total[name] >= issued,
                  f"the client issued {issued} {name}, the library saw {total[name]}")
        accepted = total["reads"] + total["writes"] + total["fsyncs"]
        canceled = total["canceled"] if may_cancel else 0
        check_equal(total["succeeded"] + canceled, accepted, f"requests that ended well ({total})")
        check_equal(sum(total[way] for way in WAYS), accepted,
                    f"requests that some engine finished ({total})")
        self.check_ways(total)
        print(f"served by inflight: {total['reads']} reads, {total['writes']} writes, "
              f"{total['fsyncs']} fsyncs (the client says {reads}, {writes}, {fsyncs}); "
              f"{self.shown_ways(total)}")

    def check_ways(self, total):
        """The engine that was forced did work, if this kernel has it, and no other engine did."""
        others = {"uring": ["by_kaio"], "kaio": ["by_ring"], "threads": ["by_kaio", "by_ring"]}
        for way in others.get(self.engine, []):
            check_equal(total[way], 0, f"requests {way} though the engine is {self.engine}")
        if self.engine == "threads":
            check(total["by_pool"] > 0, f"the thread pool did nothing: {total}")
        if self.engine == "uring":
            if kernel_offers("io_uring"):
                check(total["by_ring"] > 0, f"io_uring did nothing: {total}")
            else:
                print("note: this kernel or sandbox has no io_uring, so another engine served")

    def check_kaio(self):
        """Files opened with O_DIRECT went to the kernel's own AIO, where that is the choice."""
        if not self.library or self.engine not in ("auto", "kaio"):
            return
        if kernel_offers("io_submit"):
            total = self.stats()
            check(total["by_kaio"] > 0, f"io_submit did nothing for O_DIRECT files: {total}")
        else:
            print("note: this kernel or sandbox has no io_submit, so another engine served")

    @staticmethod
    def shown_ways(total):
        return ", ".join(f"{way[3:]} {total[way]}" for way in WAYS if total[way])


def main(test, description, add_arguments=None):
    """Parses the command line that the CMake files give, runs test(harness), sets the exit code."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--library", help="libinflight.so")
    parser.add_argument("--tool", help="the inflight command")
    parser.add_argument("--engine", default="auto", help="INFLIGHT_ENGINE for the program")
    parser.add_argument("--glibc", action="store_true", help="preload nothing, check no counters")
    parser.add_argument("--scratch", help="directory for files, on a real file system")
    if add_arguments:
        add_arguments(parser)
    options = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)
    if not options.glibc and not (options.library and options.tool):
        parser.error("--library and --tool, or --glibc")
    for path in [] if options.glibc else [options.library, options.tool]:
        if not os.path.exists(path):
            parser.error(f"{path} does not exist")
    harness = Harness(options)
    try:
        test(harness)
    except Skip as reason:
        print(f"skipped: {reason}")
        return SKIPPED
    except (Failed, subprocess.TimeoutExpired) as reason:
        print(f"FAILED: {reason}", file=sys.stderr)
        return 1
    finally:
        harness.close()
    print("passed")
    return 0
