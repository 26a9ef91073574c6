#!/usr/bin/env python3
"""Nonblocking MPI-IO with four ranks: mpi_io.c under MPICH's ROMIO and Open MPI's OMPIO and ROMIO.

The program checks its data across the ranks; what it says it requested is held against the counters
of all ranks' pages.
"""

import os
import re
import shutil

from harness import Skip, check, check_equal, main

RANKS = 4
ENVIRONMENTS = {
    "mpich": ("mpirun.mpich", ["-n", str(RANKS)]),
    "ompio": ("mpirun.openmpi", ["--allow-run-as-root", "--oversubscribe", "-n", str(RANKS),
                                 "--mca", "io", "ompio"]),
    "openmpi-romio": ("mpirun.openmpi", ["--allow-run-as-root", "--oversubscribe", "-n",
                                         str(RANKS), "--mca", "io", "romio321"]),
}


def add_arguments(parser):
    parser.add_argument("--program", required=True, help="mpi_io, built with this MPI")
    parser.add_argument("implementation", choices=ENVIRONMENTS)


def test(harness):
    options = harness.options
    launcher, arguments = ENVIRONMENTS[options.implementation]
    if not shutil.which(launcher) or not os.path.exists(options.program):
        raise Skip(f"{launcher} or its compiler is not installed")
    # MPI's own shared memory wants a short path of its own.
    result = harness.run([launcher, *arguments, options.program, harness.path("data")],
                         timeout=120)
    print(result.stdout, result.stderr)
    check_equal(result.returncode, 0, "exit status of mpirun")
    said = re.search(r"ranks (\d+) writes (\d+) reads (\d+) wrong (\d+)", result.stdout)
    check(said, "the program did not say what it did")
    check_equal(int(said[1]), RANKS, "ranks")
    check_equal(int(said[4]), 0, "blocks that were wrong")
    if options.implementation == "openmpi-romio":
        # Debian builds this ROMIO without AIO: the data is checked, and that nothing was asked.
        total = harness.total()
        print(f"this ROMIO asked for {total.get('reads', 0)} reads, {total.get('writes', 0)} writes")
        return
    harness.check_served(reads=int(said[3]), writes=int(said[2]))


if __name__ == "__main__":
    raise SystemExit(main(test, __doc__, add_arguments))
