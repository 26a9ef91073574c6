"""The inflight command where the surroundings are against it: nobody reads what it says, there is no
room, signals come, parents ignore SIGCHLD. The program runs as it would alone, its end is handed on,
and what is missing is said."""

import contextlib
import ctypes
import json
import os
import pty
import resource
import signal
import subprocess
import sys
import time

from harness import check, check_equal, eventually, main

OBSERVERS = {
    "run": ["run", "--stats"],
    "check": ["check"],
    "trace": ["trace", "-o", "t.json"],
}
JOB = ["fio", "--name=job", "--ioengine=posixaio", "--rw=randread", "--filesize=1m", "--iodepth=4",
       "--bs=4k", "--thread", "--output-format=json"]


def environment(**extra):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LD_", "INFLIGHT_"))}
    return {**kept, **extra}


def tool(harness, *arguments, **extra):
    extra.setdefault("env", environment())
    return subprocess.run([harness.tool, *arguments], capture_output="stderr" not in extra, text=True,
                          timeout=100, cwd=harness.directory, check=False, **extra)


def a_parent_that_ignores_its_children(harness):
    def ignore():
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)

    for name, words in OBSERVERS.items():
        result = tool(harness, *words, "sh", "-c", "exit 3", preexec_fn=ignore)
        check_equal(result.returncode, 3, f"{name}'s exit status")
    # In the program it is as it was.
    ignored = "import signal; raise SystemExit(signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN)"
    result = tool(harness, "run", "--stats", sys.executable, "-c", ignored, preexec_fn=ignore)
    check_equal(result.returncode, 1, "SIGCHLD is ignored in the program")
    result = tool(harness, "compare", "-n", "1", "false", preexec_fn=ignore)
    check_equal(result.returncode, 1, "compare of a program that fails")


def nobody_reads(harness):
    with open("/dev/full", "w", encoding="utf-8") as full:
        for name, words in OBSERVERS.items():
            result = tool(harness, *words, "sh", "-c", "exit 3", stdout=full, stderr=full)
            check_equal(result.returncode, 3, f"{name}'s exit status")
            result = tool(harness, *words, *JOB, stdout=subprocess.DEVNULL, stderr=full)
            check_equal(result.returncode, 0, f"{name}'s exit status with fio")
        result = tool(harness, "run", "no-such-program", stdout=full, stderr=full)
        check_equal(result.returncode, 127, "exit status without a program")
        for words in (["probe"], ["probe", "--json"], ["--help"], ["compare", "-n", "1", "true"]):
            result = tool(harness, *words, stdout=full, stderr=subprocess.PIPE)
            check_equal(result.returncode, 1, f"exit status of {words} on a full device")
            check("cannot write to standard output" in result.stderr, result.stderr)


def files_may_not_grow(harness):
    """ulimit -f: the pages cannot be made, and nobody is killed for it."""
    tool(harness, "run", *JOB)  # makes its file
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limit[1]))

    for place in filter(os.path.isdir, (harness.directory, "/dev/shm")):
        for name, words in OBSERVERS.items():
            result = tool(harness, *words, *JOB, preexec_fn=limit_files,
                          env=environment(TMPDIR=place))
            check_equal(result.returncode, 0 if name == "run" else 1, f"{name}: {result.stderr}")
            check("found no room" in result.stderr, f"{name} says nothing: {result.stderr}")
            check("made no asynchronous request" not in result.stderr, result.stderr)


def no_room(harness):
    """A small file system for temporary files, in a mount namespace of its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    small = harness.path("small")
    os.mkdir(small)

    def mount_small():
        clone_newns, ms_private_rec = 0x20000, 0x44000
        if libc.unshare(clone_newns) or libc.mount(b"none", b"/", None, ms_private_rec, None):
            os._exit(77)
        if libc.mount(b"small", small.encode(), b"tmpfs", 0, b"size=4k"):
            os._exit(77)

    expected = {"run": 0, "trace": 1, "check": 125}
    for name, words in OBSERVERS.items():
        result = tool(harness, *words, *JOB, preexec_fn=mount_small, env=environment(TMPDIR=small))
        if result.returncode == 77:
            print("note: no mount namespaces here")
            return
        check_equal(result.returncode, expected[name], f"{name}: {result.stderr}")
        check("no room" in result.stderr, f"{name} says nothing: {result.stderr}")
    result = tool(harness, "run", "--stats", "true", env=environment(TMPDIR="/no/such/place"))
    check_equal(result.returncode, 125, f"without a place for temporary files: {result.stderr}")


def descriptors_are_the_programs_own(harness):
    for words in (*OBSERVERS.values(), ["trace", "-o", "t.json", "--svg", "t.svg"]):
        result = tool(harness, *words, "ls", "/proc/self/fd")
        check_equal(result.stdout.split(), ["0", "1", "2", "3"], f"descriptors under {words}")


def files_of_the_trace(harness):
    kept = harness.path("kept.json")
    with open(kept, "w", encoding="utf-8") as file:
        file.write("precious" * 10000)
    check_equal(tool(harness, "trace", "-o", kept, "no-such-program").returncode, 127, "no program")
    check_equal(os.path.getsize(kept), 80000, "bytes of the old trace, as nothing ran")
    check_equal(tool(harness, "trace", "-o", "new.json", "no-such-program").returncode, 127,
                "no program")
    check(not os.path.exists(harness.path("new.json")), "an empty trace was left")
    check_equal(tool(harness, "trace", "-o", kept, *JOB).returncode, 0, "exit status")
    with open(kept, encoding="utf-8") as file:
        check(json.load(file)["traceEvents"], "the new trace, whole")
    check_equal(tool(harness, "trace", "-o", "a", "--svg", "a", "true").returncode, 2, "one file twice")
    check_equal(tool(harness, "trace", "-o", "", "true").returncode, 2, "a file without a name")


def cannot_be_served(harness):
    static = harness.path("static")
    with open(static, "wb") as file:  # the head of a program without an interpreter
        file.write(b"\x7fELF\2\1\1" + bytes(9) + b"\2\0\x3e\0\1\0\0\0" + bytes(8) + b"\x40" + bytes(7) +
                   bytes(12) + b"\x40\0\x38\0\1\0\0\0\0\0\0\0" + b"\1\0\0\0" + bytes(52))
    script = harness.path("script")
    with open(script, "w", encoding="utf-8") as file:
        file.write(f"#! {static} -x\n")
    os.chmod(static, 0o755)
    os.chmod(script, 0o755)
    for words in (*OBSERVERS.values(), ["run"], ["compare"]):
        result = tool(harness, *words, script)
        check_equal(result.returncode, 125, f"{words} of a script for a static program")
        check("statically linked" in result.stderr, result.stderr)
        result = tool(harness, *words, "--library", "/etc/passwd", "true")
        check_equal(result.returncode, 125, f"{words} with something else for a library")
        check("no shared library" in result.stderr, result.stderr)
    result = tool(harness, "bogus")
    check_equal((result.returncode, "'bogus'" in result.stderr), (2, True), "an unknown subcommand")


def stat_of(pid):
    """State, parent and so on; nothing when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return ["", ""]


def state_of(pid):
    return stat_of(pid)[0]


def child_of(pid):
    for entry in os.listdir("/proc"):
        if entry.isdigit() and stat_of(entry)[1] == str(pid):
            return int(entry)
    return None


def ends(pid):
    return eventually(lambda: state_of(pid) in ("", "Z"), f"the end of process {pid}")


def all_signals_are_handed_on(harness):
    for number in (signal.SIGTERM, signal.SIGALRM, signal.SIGPIPE, signal.SIGIO, signal.SIGRTMIN + 3):
        for words in (["run", "--stats"], ["compare", "-n", "1"]):
            with subprocess.Popen([harness.tool, *words, "sleep", "1000"], cwd=harness.directory,
                                  env=environment(), stderr=subprocess.DEVNULL) as process:
                program = eventually(lambda p=process: child_of(p.pid), "the program")
                eventually(lambda p=program: "sleep" in os.readlink(f"/proc/{p}/exe"), "its beginning")
                process.send_signal(number)
                process.wait(30)
                expected = -number if words[0] == "run" or number == signal.SIGTERM else 1
                check_equal(process.returncode, expected, f"{words} after signal {number}")
                ends(program)


def stopping_and_going_on(harness):
    # In a process group that this one could bring back, as a shell's; others cannot be stopped so.
    with subprocess.Popen([harness.tool, "run", "--stats", "sleep", "1000"], cwd=harness.directory,
                          env=environment(), stderr=subprocess.DEVNULL, process_group=0) as process:
        try:
            program = eventually(lambda: child_of(process.pid), "the program")
            eventually(lambda: "sleep" in os.readlink(f"/proc/{program}/exe"), "its beginning")
            process.send_signal(signal.SIGTSTP)
            eventually(lambda: state_of(program) == state_of(process.pid) == "T", "both stopped")
            process.send_signal(signal.SIGCONT)
            eventually(lambda: state_of(program) == "S", "both going on")
            process.terminate()
            check_equal(process.wait(30), -signal.SIGTERM, "the end")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def a_hangup_reaches_the_program(harness):
    for words in OBSERVERS.values():
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(harness.directory)
            os.execve(harness.tool, [harness.tool, *words, "sleep", "1000"], environment())
        program = eventually(lambda p=pid: child_of(p), "the program")
        eventually(lambda p=program: "sleep" in os.readlink(f"/proc/{p}/exe"), "its beginning")
        os.close(terminal)
        ends(program)
        os.waitpid(pid, 0)


def test(harness):
    for case in (a_parent_that_ignores_its_children, nobody_reads, files_may_not_grow, no_room,
                 descriptors_are_the_programs_own, files_of_the_trace, cannot_be_served,
                 all_signals_are_handed_on, stopping_and_going_on, a_hangup_reaches_the_program):
        begin = time.monotonic()
        case(harness)
        print(f"{case.__name__}: {time.monotonic() - begin:.1f} s")


if __name__ == "__main__":
    raise SystemExit(main(test, __doc__))
