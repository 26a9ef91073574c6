#!/usr/bin/env python3
"""Open vSwitch's asynchronous log: ovs-vswitchd appends each message by aio_write to a file opened
with O_APPEND. Its messages are numbered, so a missing one, or two in the wrong order, shows.
"""

import collections
import re
import shutil
import tempfile

from harness import Skip, check, check_equal, eventually, main

QUESTIONS = 60


def run(harness, *command):
    result = harness.run(list(command), timeout=30)
    check_equal(result.returncode, 0, f"{command[0]}: {result.stderr}")
    return result.stdout


def check_log(path):
    """Numbers count from 1 for each thread, whose name stands in brackets behind the module's. A
    message may go on for some lines."""
    last = collections.Counter()
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n")
    check_equal(lines.pop(), "", "the last line's end")
    check(lines, "the log is empty")
    for line in lines:
        match = re.match(r"\d{4}-\d\d-\d\dT\S+Z\|(\d+)\|[^|(]*(\([^)]*\))?\|", line)
        if not match:
            continue
        number, thread = int(match[1]), match[2] or "main"
        check_equal(number, last[thread] + 1, f"the number after {last[thread]} of {thread}")
        last[thread] = number
    return sum(last.values())


def test(harness):
    switch = shutil.which("ovs-vswitchd")
    schema = "/usr/share/openvswitch/vswitch.ovsschema"
    if not switch:
        raise Skip("openvswitch-switch is not installed")
    # The names of its sockets must be short.
    with tempfile.TemporaryDirectory(prefix="ovs-") as place:
        database, socket, control = f"{place}/db", f"{place}/sock", f"{place}/ctl"
        log = harness.path("log")
        run(harness, "ovsdb-tool", "create", database, schema)
        server = ["ovsdb-server", f"--unixctl={place}/dbctl", f"--remote=punix:{socket}", database]
        vswitchd = [switch, "--enable-dummy=override", "--disable-system", f"--log-file={log}",
                    "-vfile:dbg", "-vconsole:off", f"--unixctl={control}", f"unix:{socket}"]
        with harness.popen(server), harness.popen(vswitchd) as process:
            eventually(lambda: harness.run(["ovs-appctl", "-t", control, "version"]).returncode == 0,
                       "ovs-vswitchd does not answer")
            for _ in range(QUESTIONS):
                run(harness, "ovs-appctl", "-t", control, "version")
            run(harness, "ovs-appctl", "-t", control, "exit")
            eventually(lambda: process.poll() is not None, "ovs-vswitchd does not end")
        lines = check_log(log)
        check(lines > QUESTIONS, f"only {lines} messages in the log")
        print(f"{lines} messages in order")
    if harness.library:
        total = harness.stats()
        check(total["writes"] > QUESTIONS, f"the log was not written by AIO: {total}")
        harness.check_served(writes=QUESTIONS)


if __name__ == "__main__":
    raise SystemExit(main(test, __doc__))
