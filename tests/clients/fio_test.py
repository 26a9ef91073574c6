#!/usr/bin/env python3
"""fio, the I/O tester, with --ioengine=posixaio: what it wrote it reads back and verifies by crc32c.

fio's own account of what it issued (its JSON output) is held against the library's counters.
"""

import json
import os
import shutil
import subprocess

from harness import Skip, check, check_equal, main

MIB = 1 << 20

# Options of each case beyond COMMON, one fio job line each. Sizes are small and fixed, so the time
# depends on the machine only; --verify makes each job read its file again after writing it.
COMMON = ["--ioengine=posixaio", "--verify=crc32c", "--verify_fatal=1", "--do_verify=1",
          "--group_reporting=0", "--randrepeat=1", "--fallocate=none"]
CASES = {
    "buffered": [
        ["--name=depth1", "--rw=randwrite", "--bs=4k", "--size=4m", "--iodepth=1"],
        ["--name=mixed16", "--rw=randrw", "--bs=4k", "--size=16m", "--iodepth=16"],
        ["--name=sizes", "--rw=randrw", "--bsrange=512-64k", "--bs_unaligned=1", "--size=16m",
         "--iodepth=8"],
    ],
    "direct": [
        ["--name=depth1", "--direct=1", "--rw=randwrite", "--bs=4k", "--size=2m", "--iodepth=1"],
        ["--name=mixed16", "--direct=1", "--rw=randrw", "--bs=4k", "--size=8m", "--iodepth=16"],
        ["--name=large4", "--direct=1", "--rw=write", "--bs=1m", "--size=32m", "--iodepth=4"],
    ],
    "deep": [
        ["--name=buffered256", "--rw=randrw", "--bs=4k", "--size=16m", "--iodepth=256"],
        ["--name=direct128", "--direct=1", "--rw=randwrite", "--bs=4k", "--size=8m",
         "--iodepth=128"],
    ],
    "threads": [
        ["--name=buffered", "--thread", "--numjobs=4", "--rw=randrw", "--bs=4k", "--size=4m",
         "--iodepth=8"],
        ["--name=direct", "--thread", "--numjobs=4", "--direct=1", "--rw=randwrite", "--bs=4k",
         "--size=2m", "--iodepth=8"],
    ],
    "processes": [
        ["--name=buffered", "--numjobs=4", "--rw=randrw", "--bs=4k", "--size=4m", "--iodepth=8"],
        ["--name=direct", "--numjobs=4", "--direct=1", "--rw=randwrite", "--bs=4k", "--size=2m",
         "--iodepth=8"],
    ],
    "backlog": [  # verifying reads among the writes, on a file opened with O_SYNC
        ["--name=backlog", "--sync=1", "--rw=randwrite", "--bs=4k", "--size=2m", "--iodepth=16",
         "--verify_backlog=64"],
    ],
    "synced": [
        ["--name=synced", "--rw=randwrite", "--bs=4k", "--size=1m", "--iodepth=4", "--fsync=16"],
        ["--name=datasynced", "--rw=randwrite", "--bs=4k", "--size=1m", "--iodepth=4",
         "--fdatasync=16"],
    ],
}


def need_fio():
    if shutil.which("fio") is None:
        raise Skip("fio is not installed (apt-get install fio)")
    # Without the library: a library that breaks fio must fail the test, not skip it.
    engines = subprocess.run(["fio", "--enghelp"], capture_output=True, text=True, check=False)
    if "posixaio" not in engines.stdout:
        raise Skip("this fio has no posixaio engine")


def need_direct_io(directory):
    path = os.path.join(directory, "probe")
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_DIRECT, 0o600))
    except OSError as error:
        raise Skip(f"no O_DIRECT in {directory}: {error.strerror}") from error
    os.unlink(path)


def run_fio(harness, jobs):
    """Runs the jobs one after the other; fio's exit status, its jobs' results, what it printed."""
    report = harness.path("fio.json")
    command = ["fio", f"--directory={harness.directory}", "--output-format=json",
               f"--output={report}"]
    for number, job in enumerate(jobs):
        command += [*job, *COMMON] + (["--stonewall"] if number else [])
    result = harness.run(command)
    complaint = f"{result.stderr}{result.stdout}".strip()
    if complaint:
        print(complaint)
    try:
        with open(report, encoding="utf-8") as file:
            text = file.read()
        # fio may print notes before the document.
        return result.returncode, json.loads(text[text.index("{"):])["jobs"], complaint
    except (OSError, ValueError):
        return result.returncode or -1, [], complaint


def run_case(harness, jobs):
    status, results, _ = run_fio(harness, jobs)
    check_equal(status, 0, "fio's exit status (verification included)")
    issued = {"read": 0, "write": 0, "sync": 0}
    for result in results:
        check_equal(result["error"], 0, f"error of job {result['jobname']}")
        counts = {kind: result[kind]["total_ios"] for kind in issued}
        print(f"{result['jobname']}: fio says {counts}")
        check(counts["write"] > 0, f"job {result['jobname']} wrote nothing")
        check(counts["read"] > 0, f"job {result['jobname']} verified nothing")
        for kind, count in counts.items():
            issued[kind] += count
    harness.check_served(reads=issued["read"], writes=issued["write"], fsyncs=issued["sync"])


def run_corrupted(harness):
    """Writes, damages one byte behind fio's back, and lets fio verify: it has to notice."""
    job = ["--name=victim", "--rw=write", "--bs=4k", "--size=2m", "--iodepth=8"]
    status, _, _ = run_fio(harness, [job])
    check_equal(status, 0, "fio's exit status before the damage")
    with open(harness.path("victim.0.0"), "r+b") as file:
        file.seek(MIB + 2000)
        byte = file.read(1)[0]
        file.seek(MIB + 2000)
        file.write(bytes([byte ^ 0x40]))
    status, _, complaint = run_fio(harness, [job + ["--verify_only"]])
    check(status != 0 and f"offset {MIB}" in complaint,
          "fio did not notice a damaged byte, so its verification proves nothing")
    print("fio noticed the damaged byte")
    # fio gives up at the first bad block and cancels what it then has in flight.
    harness.check_served(reads=2 * 512 - 256, writes=512, may_cancel=True)


def test(harness):
    need_fio()
    case = harness.options.case
    if case == "corrupted":
        run_corrupted(harness)
        return
    direct = any("--direct=1" in job for job in CASES[case])
    if direct:
        need_direct_io(harness.directory)
    run_case(harness, CASES[case])
    if direct:
        harness.check_kaio()


if __name__ == "__main__":
    raise SystemExit(main(test, __doc__.splitlines()[0],
                          lambda parser: parser.add_argument("case",
                                                             choices=[*CASES, "corrupted"])))
