"""inflight compare and inflight probe, with fio as the program: both libraries run it in turns and
what inflight served is what fio asked for; and what the probe promises of a directory is what fio's
requests meet there."""

import ctypes
import json
import os
import pty
import re
import struct
import subprocess

from harness import WAYS, check, check_equal, main

ROUNDS = 2
REQUESTS = 1024  # 4 MiB of 4 KiB
JOB = ["fio", "--name=job", "--ioengine=posixaio", "--rw=randrw", "--filesize=4m", "--iodepth=8",
       "--bs=4k", "--verify=crc32c", "--verify_fatal=1", "--output-format=json"]


def tool(harness, *arguments, **extra):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("LD_", "INFLIGHT_"))}
    return subprocess.run([harness.tool, *arguments], capture_output=True, text=True, timeout=170,
                          env=environment, cwd=harness.directory, check=False, **extra)


def compared_as_json(harness):
    result = tool(harness, "compare", "-n", str(ROUNDS), "--json", "--", *JOB)
    check_equal((result.returncode, result.stderr), (0, ""), "exit status and errors")
    document = json.loads(result.stdout)
    check_equal((document["command"], document["rounds"]), (JOB, ROUNDS), "what was compared")
    # Written blocks are read back for their checksums.
    served = document["requests_served"]
    check(ROUNDS * REQUESTS < served <= 2 * ROUNDS * REQUESTS, f"{served} requests served")
    check_equal(set(document["figures"]),
                {"wall_seconds", "cpu_seconds", "peak_megabytes", "context_switches"}, "figures")
    for name, figure in document["figures"].items():
        for side in ("glibc", "inflight"):
            values = figure[side]
            check(0 < values["least"] <= values["median"] <= values["most"], f"{name}: {figure}")
        expected = figure["glibc"]["median"] / figure["inflight"]["median"]
        check(abs(figure["ratio"] / expected - 1) < 1e-6, f"ratio of {name}: {figure}")


def compared_as_table(harness):
    result = tool(harness, "compare", "-n", "1", "--engine", "threads", "--", *JOB)
    check_equal((result.returncode, result.stderr), (0, ""), "exit status and errors")
    for label in ("wall time, s", "CPU time, s", "peak memory, MiB", "context switches"):
        check(re.search(rf"^{label}( +[\d.]+ \([\d.]+ - [\d.]+\)){{2}} +[\d.]+$", result.stdout, re.M),
              f"no line {label!r} in:\n{result.stdout}")
    check(re.search(r"Requests that inflight served: [1-9]\d+ in all its rounds", result.stdout),
          result.stdout)


def progress_on_a_terminal(harness):
    ours, theirs = pty.openpty()
    with subprocess.Popen([harness.tool, "compare", "-n", "1", *JOB], cwd=harness.directory,
                          stdout=subprocess.DEVNULL, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        try:
            while data := os.read(ours, 4096):
                shown += data
        except OSError:  # EIO: the other side is closed
            pass
    os.close(ours)
    check_equal(process.returncode, 0, f"exit status, after {shown}")
    for step in (rb"\[\.{40}\] 0 of 2 runs", rb"\[#{20}\.{20}\] 1 of 2 runs", rb"2 of 2 runs"):
        check(re.search(step, shown), f"no {step} in {shown}")


def a_failing_round_is_told(harness):
    result = tool(harness, "compare", "-n", "1", *JOB, "--ioengine=none-such")
    check_equal((result.returncode, result.stdout), (1, ""), "exit status and output")
    check("exit status 1 on glibc" in result.stderr, result.stderr)


def requests_of(harness, *options):
    """How fio's reads of a file that is in memory were served; runs with the engine `auto`."""
    before = harness.total()
    result = harness.run([*JOB[:3], "--rw=randread", "--filesize=4m", "--iodepth=8", "--bs=4k",
                          "--pre_read=1", "--filename=data", *options])
    check_equal(result.returncode, 0, f"exit status ({result.stderr})")
    after = harness.total()
    return {way: after[way] - before.get(way, 0) for way in WAYS}


def the_probe_is_right(harness):
    result = tool(harness, "probe", "--json", harness.directory)
    check_equal((result.returncode, result.stderr), (0, ""), "exit status and errors")
    document = json.loads(result.stdout)
    ways, (system,) = document["ways"], document["file_systems"]
    cached = requests_of(harness)
    check_equal(sum(cached.values()), REQUESTS, "cached reads")
    inline = ways["inline"]["works"] and system["cached_reads"]
    check_equal(cached["by_inline"] > 0, inline, f"answered in the call: {cached}; {system}")
    if not system["direct"]:
        print("note: this file system has no O_DIRECT")
        return
    direct = requests_of(harness, "--direct=1", "--pre_read=0")
    check_equal(sum(direct.values()), REQUESTS, "direct reads")
    by_kernel = ways["kernel AIO"]["works"] and system["direct_aio"]
    check_equal(direct["by_kaio"] > 0, by_kernel, f"by the kernel's AIO: {direct}; {system}")


def forbid_io_uring():
    """A seccomp filter that answers io_uring_setup with EPERM, as container runtimes do."""
    def instruction(code, jump_true, jump_false, value):
        return struct.pack("HBBI", code, jump_true, jump_false, value)
    load, equal, answer, allow, eperm = 0x20, 0x15, 0x06, 0x7FFF0000, 0x00050001
    filters = (instruction(load, 0, 0, 0) + instruction(equal, 0, 1, 425) +
               instruction(answer, 0, 0, eperm) + instruction(answer, 0, 0, allow))
    buffer = ctypes.create_string_buffer(filters)
    program = struct.pack("HxxxxxxP", 4, ctypes.addressof(buffer))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(38, 1, 0, 0, 0) != 0 or prctl(22, 2, program, 0, 0) != 0:
        os._exit(77)


def the_probe_tells_what_is_forbidden(harness):
    result = tool(harness, "probe", "--json", preexec_fn=forbid_io_uring)
    if result.returncode == 77:
        print("note: no seccomp filters here")
        return
    way = json.loads(result.stdout)["ways"]["io_uring"]
    check_equal(way["works"], False, "io_uring works")
    check("seccomp" in way["remark"] or "not permitted" in way["remark"], f"why not: {way}")
    table = tool(harness, "probe", preexec_fn=forbid_io_uring).stdout
    check(re.search(r"io_uring +no ", table), f"no such line in:\n{table}")
    result = harness.run(["fio", "--name=job", "--ioengine=posixaio", "--rw=randread", "--filesize=1m",
                          "--iodepth=8"], preexec_fn=forbid_io_uring)
    check_equal(result.returncode, 0, f"fio's exit status without io_uring ({result.stderr})")


def test(harness):
    for case in (compared_as_json, compared_as_table, progress_on_a_terminal,
                 a_failing_round_is_told, the_probe_is_right, the_probe_tells_what_is_forbidden):
        print(case.__name__)
        case(harness)


if __name__ == "__main__":
    raise SystemExit(main(test, __doc__))
