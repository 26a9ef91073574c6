#!/usr/bin/env python3
"""An XRootD server with asynchronous disk I/O, and xrdcp: files up and down, compared byte by byte.

The server takes the signals of its requests by sigwaitinfo on threads of its own. Its storage has
AIO code that it does not use by itself any more; xrootd_async.cc makes it.
"""

import filecmp
import glob
import os
import shutil
import socket
import subprocess
import tempfile

from harness import Failed, Skip, check, check_equal, eventually, main

SIZES = (1, 4096, 1 << 20, 9_000_001)
CONFIGURATION = """all.export /
oss.localroot {directory}/data
ofs.osslib ++ {plugin}
all.adminpath {directory}/admin
all.pidpath {directory}/admin
xrd.port {port}
xrootd.async force segsize 64k minsize 64k
"""


def add_arguments(parser):
    parser.add_argument("--plugin", required=True, help="xrootd_async, built as a shared object")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def copy(source, target):
    result = subprocess.run(["xrdcp", "-f", "--nopbar", source, target], capture_output=True,
                            text=True, timeout=60, check=False)
    check_equal(result.returncode, 0, f"xrdcp {source} {target}: {result.stderr}")


def test(harness):
    plugin = harness.options.plugin
    if not shutil.which("xrootd") or not shutil.which("xrdcp") or not os.path.exists(plugin):
        raise Skip("xrootd-server, xrootd-client or libxrootd-private-dev is not installed")
    # It refuses to run as root, and whom it becomes may not be able to come to the build tree.
    with tempfile.TemporaryDirectory(prefix="inflight-xrootd-") as place:
        let_its_name_lead_home(harness)
        serve_and_copy(harness, place, shutil.copy(plugin, place))
        check_counts(harness)


def let_its_name_lead_home(harness):
    """The server demands that the machine's own name has an address, as it may not in a sandbox."""
    try:
        socket.getaddrinfo(socket.gethostname(), None)
    except socket.gaierror:
        hosts = harness.path("hosts")
        with open(hosts, "w", encoding="utf-8") as file:
            file.write(f"127.0.0.1 localhost {socket.gethostname()}\n")
        os.chmod(harness.directory, 0o755)
        os.environ["NSS_WRAPPER_HOSTS"] = hosts
        harness.other_preloads = ["libnss_wrapper.so"]


def words_of(place):
    """The end of what the server said, on standard error and in its log."""
    said = ""
    for name in glob.glob(f"{place}/output") + glob.glob(f"{place}/admin/**/log", recursive=True):
        if os.path.isfile(name):
            with open(name, encoding="utf-8", errors="replace") as file:
                said += file.read()[-2000:]
    return said


def serve_and_copy(harness, place, plugin):
    as_user = ["-R", "nobody"] if os.geteuid() == 0 else []
    harness.pages = f"{place}/pages"
    for name in ("data", "admin", "pages"):
        os.mkdir(f"{place}/{name}")
        os.chmod(f"{place}/{name}", 0o777)
    os.chmod(place, 0o777)
    port = free_port()
    with open(f"{place}/configuration", "w", encoding="utf-8") as file:
        file.write(CONFIGURATION.format(directory=place, plugin=plugin, port=port))
    command = ["xrootd", *as_user, "-c", f"{place}/configuration", "-n", "test",
               "-l", f"{place}/admin/log"]
    with open(f"{place}/output", "w", encoding="utf-8") as output, \
            harness.popen(command, stderr=output, cwd=place) as server:
        def answers():
            if server.poll() is not None:
                raise Failed(f"the server did not start: {words_of(place)}")
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0
        eventually(answers, "the server does not answer")
        for size in SIZES:
            there = f"root://127.0.0.1:{port}//file{size}"
            out, back, disk = f"{place}/out", f"{place}/back", f"{place}/data/file{size}"
            with open(out, "wb") as file:
                file.write(os.urandom(size))
            copy(out, there)
            copy(there, back)
            check(filecmp.cmp(out, back, shallow=False), f"{size} bytes came back changed")
            check(filecmp.cmp(out, disk, shallow=False), f"{size} bytes lie changed on the disk")


def check_counts(harness):
    if harness.library:
        check(harness.stats()["signals_sent"] > 200, f"signals sent: {harness.stats()}")
    harness.check_served(reads=100, writes=100)


if __name__ == "__main__":
    raise SystemExit(main(test, __doc__, add_arguments))
