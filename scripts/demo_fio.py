"""Running fio for the demo: one job on one of the two implementations, and what came of it."""

import json
import os
import resource
import statistics
import subprocess
from dataclasses import dataclass, field

WAYS = {"by_inline": "inline", "by_kaio": "io_submit", "by_ring": "io_uring",
        "by_stream": "stream", "by_pool": "pool"}


class Trouble(Exception):
    """Something the user has to know about; `code` is the demo's exit status."""

    def __init__(self, message, code=1):
        super().__init__(message)
        self.code = code


@dataclass
class Job:
    """A fio job; `options` follow --name on its command line."""
    title: str
    options: list
    results: dict = field(default_factory=lambda: {"glibc": [], "inflight": []})
    counters: dict = field(default_factory=dict)  # of all inflight runs together
    issued: int = 0                               # by fio in those runs

    def median(self, side, figure):
        return statistics.median(getattr(result, figure) for result in self.results[side])

    def ratios(self, figure):
        """inflight to glibc, round by round."""
        pairs = zip(self.results["inflight"], self.results["glibc"])
        return [getattr(a, figure) / max(getattr(b, figure), 1e-9) for a, b in pairs]


@dataclass
class Result:
    rate: float      # operations per second
    p50: float       # microseconds from submission to completion
    p99: float
    cpu: float       # microseconds of processor time per operation, helper threads included
    operations: int
    verified: int    # reads, of which each was verified if the job asked for that


class Runner:
    def __init__(self, directory, library, tool):
        self.directory = directory
        self.library = library
        self.tool = tool
        self.idle_cpu = {}  # what fio costs on each side without doing anything, in seconds

    def environment(self, side, pages):
        environment = {k: v for k, v in os.environ.items()
                       if k != "LD_PRELOAD" and not k.startswith("INFLIGHT_")}
        environment["LC_ALL"] = "C"
        if side == "inflight":
            environment["LD_PRELOAD"] = self.library
            environment["INFLIGHT_STATS"] = pages
            for name in ("INFLIGHT_ENGINE", "INFLIGHT_THREADS", "INFLIGHT_INLINE"):
                if name in os.environ:
                    environment[name] = os.environ[name]
        return environment

    def counters(self, pages):
        """The counters the library kept, {} if it served nothing."""
        found = subprocess.run([self.tool, "stats", "--json", pages], capture_output=True,
                               text=True, check=False)
        document = json.loads(found.stdout) if found.stdout else {"pages": []}
        return document["total"] if document["pages"] else {}

    def cpu_of_an_idle_run(self, side):
        """fio's start and end: its own processor time, to be taken off that of the real runs."""
        before = cpu_of_children()
        subprocess.run(["fio", "--name=idle", f"--directory={self.directory}", "--filename=idle",
                        "--ioengine=posixaio", "--rw=read", "--bs=4k", "--size=4k",
                        "--output=/dev/null"],
                       env=self.environment(side, self.directory), capture_output=True,
                       timeout=60, check=False)
        return cpu_of_children() - before

    def run(self, job, side):
        """Runs the job once, checks who served it, and adds the result to the job."""
        pages = os.path.join(self.directory, "pages", str(len(os.listdir(
            os.path.join(self.directory, "pages")))))
        os.mkdir(pages)
        if side not in self.idle_cpu:
            self.idle_cpu[side] = 0.0
            self.idle_cpu[side] = self.cpu_of_an_idle_run(side)
        report = os.path.join(self.directory, "report.json")
        command = ["fio", "--output-format=json", f"--output={report}", "--name=demo",
                   f"--directory={self.directory}", "--ioengine=posixaio", *job.options,
                   "--verify_state_save=0",  # would leave a file in the caller's directory
                   "--lat_percentiles=1", "--clat_percentiles=0", "--percentile_list=50:99"]
        before = cpu_of_children()
        done = subprocess.run(command, env=self.environment(side, pages), capture_output=True,
                              text=True, errors="replace", timeout=120, check=False)
        cpu = max(cpu_of_children() - before - self.idle_cpu[side], 0.0)
        if done.returncode != 0:
            raise Trouble(f"fio failed on {side} ({job.title}), exit status {done.returncode}:\n"
                          f"{done.stderr}{done.stdout}")
        with open(report, encoding="utf-8") as file:
            text = file.read()
        result = summary(json.loads(text[text.index("{"):])["jobs"][0], cpu, job, side)
        self.check_who_served(job, side, result, self.counters(pages))
        job.results[side].append(result)
        return result

    def check_who_served(self, job, side, result, counters):
        accepted = sum(counters.get(name, 0) for name in ("reads", "writes", "fsyncs"))
        if side == "glibc":
            if accepted:
                raise Trouble(f"inflight served {accepted} requests of a run meant for glibc")
            return
        if accepted < result.operations:
            raise Trouble(f"fio issued {result.operations} requests ({job.title}), but inflight "
                          f"counted {accepted}: the others went to glibc")
        if counters["failed"] or counters["canceled"]:
            raise Trouble(f"{counters['failed']} requests failed and {counters['canceled']} were "
                          f"canceled on inflight ({job.title})")
        job.issued += result.operations
        for name, value in counters.items():
            job.counters[name] = job.counters.get(name, 0) + value


def cpu_of_children():
    """Seconds of all processes that have ended. fio's own figure leaves helper threads out."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def summary(report, cpu, job, side):
    """The figures of one fio job, over its reads and writes."""
    if report["error"]:
        raise Trouble(f"fio reports error {report['error']} on {side} ({job.title})")
    reads, writes = report["read"], report["write"]
    operations = reads["total_ios"] + writes["total_ios"]
    if operations == 0:
        raise Trouble(f"fio did nothing on {side} ({job.title})")
    main = reads if reads["total_ios"] else writes
    percentile = main["lat_ns"]["percentile"]
    return Result(rate=reads["iops"] + writes["iops"], p50=percentile["50.000000"] / 1000,
                  p99=percentile["99.000000"] / 1000, cpu=cpu * 1e6 / operations,
                  operations=operations, verified=reads["total_ios"])
