"""inflight check: what it finds in programs that use AIO wrongly (misuse.c), each by its kind and with
the lines of the calls; and that it finds nothing in fio and in a program that is right."""

import json
import os
import re
import subprocess

from harness import check, check_equal, main

# What each program does, the kind that is found, and the functions at the top of the two stacks.
PROGRAMS = (
    ("moved", "moved", "start_kept", "moved"),
    ("freed", "freed", "freed", "freed"),
    ("freed_buffer", "freed", "freed_buffer", "freed_buffer"),
    ("resubmitted", "resubmitted", "start_kept", "resubmitted"),
    ("changed", "changed", "start_kept", "finish"),
    ("twice", "twice", "start_kept", "twice"),
    ("early", "early", "start_kept", "early"),
    ("ignored", "ignored", "start_kept", None),
    ("unfinished", "unfinished", "start_kept", None),
    ("unknown", "unknown", None, "unknown"),
    ("stack", "stack", "start_on_stack", "start_kept"),
    ("stack_of_a_thread", "stack", "start_on_stack", None),
)


def run(harness, *arguments):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("LD_", "INFLIGHT_"))}
    return subprocess.run([harness.tool, "check", *arguments], capture_output=True, text=True,
                          timeout=120, env=environment, check=False, cwd=harness.directory)


def top_of(stack):
    """The innermost function, by addr2line."""
    return stack[0].get("source", "").split(" at ")[0] if stack else None


def check_program(harness, name, kind, submitted, found):
    result = run(harness, "--json", harness.options.program, name)
    findings = json.loads(result.stderr)["findings"]
    check_equal((result.returncode, [f["kind"] for f in findings]), (1, [kind]), name)
    finding = findings[0]
    check_equal((top_of(finding["submitted"]), top_of(finding["found"])), (submitted, found),
                f"{name}: the calls")
    sources = [f.get("source", "") for f in finding["submitted"] + finding["found"]]
    check(any(re.search(r"misuse\.c:\d+", source) for source in sources), f"{name}: no line: {sources}")


def test(harness):
    result = run(harness, harness.options.program, "nothing_wrong")
    check_equal((result.returncode, result.stderr), (0, "inflight check: 0 findings\n"), "a good program")
    result = run(harness, "fio", "--name=job", "--ioengine=posixaio", "--rw=randrw", "--filesize=4m",
                 "--iodepth=8", "--bs=4k", "--minimal")
    check_equal((result.returncode, result.stderr), (0, "inflight check: 0 findings\n"), "fio")
    for name, kind, submitted, found in PROGRAMS:
        check_program(harness, name, kind, submitted, found)
    result = run(harness, harness.options.program, "twice")
    check(re.search(r"^twice: aio_return is called a second time.*\n.*\n   submitted by\n     start_kept at "
                    r"\S+misuse\.c:\d+\n", result.stderr, re.M), f"the text: {result.stderr}")
    check_equal(run(harness, harness.options.program, "no such case").returncode, 2, "exit status")


if __name__ == "__main__":
    raise SystemExit(main(test, __doc__, lambda parser: parser.add_argument("--program", required=True)))
