"""inflight run --stats and inflight trace, with fio as the program: what they print and write agrees
with what fio says it did, and whatever goes wrong with them, the program runs to its end."""

import json
import os
import re
import signal
import subprocess
import sys
import xml.etree.ElementTree

from harness import check, check_equal, main

JOB = ["--name=job", "--ioengine=posixaio", "--rw=randrw", "--filesize=4m", "--iodepth=8", "--bs=4k",
       "--output-format=json"]

# A read from a descriptor that is not open; a block of zeros asks for no notification.
BAD_READ = """
import ctypes, struct, time
libc = ctypes.CDLL(None)
block = ctypes.create_string_buffer(168)
struct.pack_into("i", block, 0, 987)
libc.aio_read(block)
while libc.aio_error(block) == 115: time.sleep(0.001)
"""


def tool(harness, *arguments, **extra):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("LD_", "INFLIGHT_"))}
    extra.setdefault("cwd", harness.directory)
    return subprocess.run([harness.tool, *arguments], capture_output=True, text=True, timeout=120,
                          env=environment, check=False, **extra)


def fio(harness, *arguments, status=0):
    """Runs the job with the tool's arguments before it: fio's job, and the tool's standard error."""
    result = tool(harness, *arguments, "fio", *JOB)
    check_equal(result.returncode, status, f"exit status ({result.stderr})")
    job = json.loads(result.stdout)["jobs"][0]
    check_equal(job["read"]["io_bytes"] + job["write"]["io_bytes"], 4 << 20, "bytes that fio moved")
    return job, result.stderr


def summary_as_json(harness):
    job, text = fio(harness, "run", "--stats", "--json")
    document = json.loads(text)
    counters, times = document["counters"], document["times"]
    for way in ("read", "write"):
        check_equal(counters[f"{way}s"], job[way]["total_ios"], f"{way}s")
        for phase in ("waiting", "service"):
            entry = times[way][phase]
            check_equal(entry["requests"], counters[f"{way}s"], f"times of {way}s, {phase}")
            check(entry["p50_ns"] <= entry["p90_ns"] <= entry["p99_ns"] <= entry["max_ns"],
                  f"shares in order: {entry}")
    check_equal(counters["bytes_read"], job["read"]["io_bytes"], "bytes read")
    check_equal(counters["bytes_written"], job["write"]["io_bytes"], "bytes written")
    check_equal(counters["on_files"], 1024, "requests on files")
    check_equal(document["errors"], {}, "errors")


def summary_as_table(harness):
    _, text = fio(harness, "run", "--stats")
    check(re.search(r"requests accepted +1,024\n", text), f"no total in:\n{text}")
    check(re.search(r"  read, service +\d+ +[\d.]+ [num]?s", text), f"no times in:\n{text}")


def errors_are_named(harness):
    result = tool(harness, "run", "--stats", "--json", sys.executable, "-c", BAD_READ)
    check_equal((result.returncode, json.loads(result.stderr)["errors"]), (0, {"EBADF": 1}), "errors")


def it_ends_as_the_program_ends(harness):
    check_equal(tool(harness, "run", "--stats", "sh", "-c", "exit 7").returncode, 7, "exit status")
    result = tool(harness, "run", "--stats", "sh", "-c", "kill -USR1 $$")
    check_equal(result.returncode, -signal.SIGUSR1, "end by a signal")
    check("no asynchronous request" in result.stderr, f"it says that nothing was asynchronous: {result}")
    check_equal(tool(harness, "run", "--stats", "/no/such/program").returncode, 127, "no program")


def signals_are_handed_on(harness):
    script = "trap 'echo caught; exit 3' TERM; echo ready; while :; do sleep 0.05; done"
    with subprocess.Popen([harness.tool, "run", "--stats", "sh", "-c", script], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as running:
        check_equal(running.stdout.readline(), "ready\n", "first line")
        running.terminate()
        check_equal((running.stdout.read(), running.wait(30)), ("caught\n", 3), "the program's end")


def trace_as_json(harness):
    path = harness.path("trace.json")
    job, _ = fio(harness, "trace", "-o", path, "--svg", harness.path("trace.svg"))
    with open(path, encoding="utf-8") as file:
        events = json.load(file)["traceEvents"]
    requests = [e for e in events if e["ph"] == "b" and e["name"] in ("read", "write")]
    check_equal(len(requests), 1024, "requests in the trace")
    for way in ("read", "write"):
        check_equal(sum(e["name"] == way for e in requests), job[way]["total_ios"], way)
    check(all(e["args"]["length"] == e["args"]["result"] == 4096 for e in requests), "results")
    opened = {}
    for event in events:
        key = (event.get("id"), event["name"])
        if event["ph"] == "b":
            opened[key] = event["ts"]
        elif event["ph"] == "e":
            check(opened.pop(key) <= event["ts"], f"{event} ends before it begins")
    check_equal(opened, {}, "spans that do not end")
    drawing = xml.etree.ElementTree.parse(harness.path("trace.svg")).getroot()
    groups = drawing.findall("{http://www.w3.org/2000/svg}g")
    check_equal(len(groups), 1024, "requests in the drawing")


def a_short_trace_says_what_is_missing(harness):
    _, text = fio(harness, "trace", "--spans", "100", "--svg", harness.path("short.svg"))
    check("924 requests are not in the trace" in text, f"what is missing: {text}")


def unwritable_files_are_reported_and_the_program_runs(harness):
    for path, reason in (("/no/such/place/t.json", "No such file"), ("/dev/full", "No space left")):
        _, text = fio(harness, "trace", "-o", path, status=1)
        check(path in text and reason in text, f"the reason: {text}")


def test(harness):
    for case in (summary_as_json, summary_as_table, errors_are_named, it_ends_as_the_program_ends,
                 signals_are_handed_on, trace_as_json, a_short_trace_says_what_is_missing,
                 unwritable_files_are_reported_and_the_program_runs):
        print(case.__name__)
        case(harness)


if __name__ == "__main__":
    raise SystemExit(main(test, __doc__))
