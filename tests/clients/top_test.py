"""inflight top in a terminal of 80 columns and 24 lines (tmux), on a running fio: what the screen
shows, that q quits, and that the process stops noting times then; and the same as JSON."""

import glob
import json
import os
import re
import shutil
import struct
import subprocess

from harness import Skip, check, check_equal, eventually, main

WATCHERS = 48  # where the page says how many watch (include/inflight/stats.h)


def watchers(harness):
    pages = glob.glob(os.path.join(harness.pages, "*.stats"))
    found = []
    for page in pages:
        with open(page, "rb") as file:
            found.append(struct.unpack_from("I", file.read(64), WATCHERS)[0])
    return max(found, default=0)


def look_as_json(harness, pid):
    result = subprocess.run([harness.tool, "top", "--json", "-n", "1", str(pid)],
                            capture_output=True, text=True, timeout=60, check=False)
    return json.loads(result.stdout) if result.returncode == 0 else None


def client_of(harness):
    """The process that makes the requests: fio's job, not fio itself."""
    for page in harness.pages_now():
        if page["counters"]["reads"] > 0:
            return page["pid"]
    return None


def check_json(harness, pid):
    document = eventually(lambda: look_as_json(harness, pid), "a look at the process")
    check_equal(document["program"], "fio", "program")
    check(document["counters"]["reads"] > 0, f"no reads in a second: {document}")
    check(any(one["file"].endswith("/data") for one in document["descriptors"]),
          f"no descriptor with fio's file: {document}")


def check_screen(harness, pid):
    server = ["tmux", "-L", os.path.basename(harness.directory)]

    def screen():
        return subprocess.run([*server, "capture-pane", "-p"], capture_output=True, text=True,
                              check=False).stdout

    subprocess.run([*server, "-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24",
                    harness.tool, "top", str(pid)], check=True)
    try:
        shown = eventually(lambda: re.search(r"/s ended", screen()) and screen(), "the first screen")
        check(f"inflight top - fio, process {pid}" in shown, f"no title in:\n{shown}")
        check(re.search(r"^reads +[1-9]", shown, re.M), f"no reads in:\n{shown}")
        check(re.search(r"^ +\d+ .* \S*/data$", shown, re.M), f"no descriptor in:\n{shown}")
        check_equal(watchers(harness), 1, "watchers while top runs")
        subprocess.run([*server, "send-keys", "q"], check=True)
        eventually(lambda: subprocess.run([*server, "has-session"], capture_output=True,
                                          check=False).returncode != 0, "q quits")
        check_equal(watchers(harness), 0, "watchers after top")
    finally:
        subprocess.run([*server, "kill-server"], capture_output=True, check=False)


def test(harness):
    if shutil.which("tmux") is None:
        raise Skip("tmux is not installed")
    job = ["fio", "--name=job", "--ioengine=posixaio", "--rw=randread", "--filesize=4m",
           f"--filename={harness.path('data')}", "--iodepth=4", "--time_based", "--runtime=100", "--thread"]
    with harness.popen(job, stdout=subprocess.DEVNULL) as running:
        pid = eventually(lambda: client_of(harness), "fio's first request")
        check_json(harness, pid)
        check_screen(harness, pid)
        running.terminate()
        running.wait(60)
    result = subprocess.run([harness.tool, "top", str(os.getpid())], capture_output=True, text=True,
                            check=False)
    check_equal(result.returncode, 1, "exit status for a process without a page")
    check("has no statistics page" in result.stderr, f"the reason: {result.stderr}")


if __name__ == "__main__":
    raise SystemExit(main(test, __doc__))
