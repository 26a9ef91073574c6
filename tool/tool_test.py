#!/usr/bin/env python3
"""Tests of the `inflight` command: what it prints, where it complains, and its exit codes.

The statistics pages are written here, byte by byte after include/inflight/stats.h, so that the
reader is checked against the format and not against the library that happens to be built.
"""

import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

TOOL = ""
MAGIC = 0x316C667461747369
READS, WRITES, BY_INLINE, BY_POOL, SUCCEEDED, THREADS = 0, 1, 6, 10, 11, 16
COUNTERS = 22


def page(values, magic=MAGIC, counters=COUNTERS, shards=16, pid=42, program=b"client"):
    """The bytes of a page; `values` maps (shard, counter) to a number."""
    rows = [0] * (shards * 32)
    for (shard, counter), value in values.items():
        rows[shard * 32 + counter] = value
    header = struct.pack("<QIIi28s16x", magic, counters, shards, pid, program)
    return header + struct.pack(f"<{len(rows)}Q", *rows)


def run(*arguments, **extra):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("INFLIGHT", "LD_"))}
    # Where the tool itself carries AddressSanitizer, a preloaded library would come before it.
    environment["ASAN_OPTIONS"] = "verify_asan_link_order=0"
    environment.update(extra.pop("env", {}))
    return subprocess.run([extra.pop("tool", TOOL), *arguments], capture_output=True, text=True,
                          timeout=30, env=environment, **extra)


class ToolTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="inflight-tool-")
        self.addCleanup(shutil.rmtree, self.directory)

    def write(self, name, content):
        path = os.path.join(self.directory, name)
        with open(path, "wb") as file:
            file.write(content)
        return path


class StatsTest(ToolTest):
    def test_sums_shards_and_pages(self):
        self.write("1-0.stats", page({(0, READS): 5, (15, READS): 7, (3, BY_INLINE): 12}, pid=1))
        self.write("2-0.stats", page({(1, WRITES): 1, (1, THREADS): 3}, pid=2, program=b"other"))
        result = run("stats", "--json", self.directory)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        document = json.loads(result.stdout)
        self.assertEqual(document["total"]["reads"], 12)
        self.assertEqual(document["total"]["writes"], 1)
        self.assertEqual(document["total"]["by_inline"], 12)
        self.assertEqual(document["total"]["threads_started"], 3)
        self.assertEqual(document["total"]["failed"], 0)
        self.assertEqual([(p["pid"], p["program"]) for p in document["pages"]],
                         [(1, "client"), (2, "other")])
        self.assertEqual(len(document["total"]), COUNTERS)

    def test_table_groups_digits_and_shows_shares(self):
        self.write("1-0.stats", page({(0, READS): 3000000, (1, WRITES): 1000000}))
        result = run("stats", self.directory)
        self.assertEqual(result.returncode, 0)
        self.assertIn("1 process: client", result.stdout)
        self.assertRegex(result.stdout, r"requests accepted +4,000,000\n")
        self.assertRegex(result.stdout, r"reads +3,000,000 +75\.0 %")

    def test_each_shows_every_process(self):
        paths = [self.write(f"{n}-0.stats", page({(0, READS): n}, pid=n)) for n in (7, 8)]
        result = run("stats", "--each", *paths)
        self.assertEqual(result.returncode, 0)
        self.assertIn("client, process 7", result.stdout)
        self.assertIn("client, process 8", result.stdout)
        self.assertEqual(run("stats", "--each", "--json", *paths).returncode, 2)

    def test_other_versions_of_the_format(self):
        self.write("old.stats", page({(0, READS): 1, (0, THREADS): 99}, counters=2, shards=4))
        self.write("new.stats", page({(31, READS): 2, (0, 30): 99}, counters=31, shards=32))
        total = json.loads(run("stats", "--json", self.directory).stdout)["total"]
        self.assertEqual(total["reads"], 3)
        self.assertEqual(total["threads_started"], 0)
        self.assertEqual(sum(total.values()), 3)

    def test_names_that_are_not_utf8(self):
        path = self.write("1-0.stats", page({(0, READS): 1}, program=b"\xff\xfe" + b"x" * 26))
        document = json.loads(run("stats", "--json", path).stdout)
        self.assertTrue(document["pages"][0]["program"].endswith("x" * 26))

    def test_damaged_pages_are_named_and_the_others_counted(self):
        good = page({(0, READS): 9})
        self.write("good.stats", good)
        self.write("short.stats", good[:40])
        self.write("cut.stats", good[:-8])
        self.write("alien.stats", b"\x7fELF" + good[4:])
        self.write("unborn.stats", bytes(len(good)))
        self.write("huge.stats", page({}, shards=16)[:12] + b"\xff\xff\xff\xff" + good[16:])
        self.write("zero.stats", good[:12] + bytes(4) + good[16:])
        self.write("readme.txt", b"not a page, and not named like one")
        result = run("stats", "--json", self.directory)
        self.assertEqual(result.returncode, 1)
        self.assertEqual(json.loads(result.stdout)["total"]["reads"], 9)
        for name in ("short", "cut", "alien", "unborn", "huge", "zero"):
            self.assertIn(f"{name}.stats", result.stderr)
        self.assertEqual(len(result.stderr.splitlines()), 6)
        self.assertNotIn("readme", result.stderr)

    def test_nothing_to_read(self):
        result = run("stats", self.directory)
        self.assertEqual(result.returncode, 1)
        self.assertIn("no pages", result.stderr)
        result = run("stats", os.path.join(self.directory, "missing"))
        self.assertEqual(result.returncode, 1)
        self.assertIn("No such file", result.stderr)
        self.assertEqual(run("stats").returncode, 2)


class RunTest(ToolTest):
    """Runs copies of the tool beside a library of our choice: any loadable one will do."""

    def setUp(self):
        super().setUp()
        self.tool = os.path.join(self.directory, "bin", "inflight")
        os.mkdir(os.path.dirname(self.tool))
        shutil.copy(TOOL, self.tool)
        with open("/proc/self/maps", encoding="utf-8") as file:
            maps = file.read().split()
        self.some_library = next(word for word in maps if "/libc.so" in word or "/libc-" in word)
        self.library = os.path.join(self.directory, "bin", "libinflight.so.0")
        os.symlink(self.some_library, self.library)

    def test_sets_the_environment_and_becomes_the_program(self):
        stats = os.path.join(self.directory, "made", "here")
        result = run("run", "--engine", "threads", "--threads=3", "--pages", stats, "sh", "-c",
                     'echo "$LD_PRELOAD|$INFLIGHT_ENGINE|$INFLIGHT_THREADS|$INFLIGHT_STATS"; '
                     "exit 7", tool=self.tool)
        self.assertEqual(result.returncode, 7)
        self.assertEqual(result.stdout.strip(), f"{self.library}|threads|3|{stats}")
        self.assertTrue(os.path.isdir(stats))

    def test_keeps_what_was_preloaded_before(self):
        result = run("run", "sh", "-c", 'echo "$LD_PRELOAD"', tool=self.tool,
                     env={"LD_PRELOAD": self.some_library})
        self.assertEqual(result.stdout.strip(), f"{self.library}:{self.some_library}")

    def test_leaves_the_programs_arguments_alone(self):
        for separator in ([], ["--"]):
            result = run("run", *separator, "printf", "%s|", "--stats", "--help", "--", "-x",
                         tool=self.tool)
            self.assertEqual((result.returncode, result.stdout), (0, "--stats|--help|--|-x|"))

    def test_finds_an_installed_library(self):
        os.mkdir(os.path.join(self.directory, "lib"))
        os.rename(self.library, os.path.join(self.directory, "lib", "libinflight.so.0"))
        result = run("run", "sh", "-c", 'echo "$LD_PRELOAD"', tool=self.tool)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertTrue(result.stdout.strip().endswith("/lib/libinflight.so.0"))

    def test_programs_that_cannot_be_served(self):
        # The head of a program is enough: it is refused before it would be run.
        def elf(name, kind, machine, interpreter):
            part = struct.pack("<IIQQQQQQ", 3 if interpreter else 1, 5, 0, 0, 0, 0, 0, 0)
            head = struct.pack("<4sBBBB8sHHIQQQIHHHHHH", b"\x7fELF", kind, 1, 1, 0, b"", 2, machine,
                               1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
            path = self.write(name, head + part)
            os.chmod(path, 0o755)
            return path
        for words, path in (("statically linked", elf("static", 2, 62, False)),
                            ("another architecture", elf("arm", 2, 183, True)),
                            ("another architecture", elf("small", 1, 3, True))):
            for command in ("run", "compare"):
                with self.subTest(path=path, command=command):
                    library = ["--library", self.library]
                    result = run(command, *library, path, tool=self.tool)
                    self.assertEqual(result.returncode, 125, result.stderr)
                    self.assertIn(words, result.stderr)
        # One with an interpreter is not refused; that it cannot run is another matter.
        result = run("run", elf("dynamic", 2, 62, True), tool=self.tool)
        self.assertNotIn("linked", result.stderr)
        if os.geteuid() != 0:
            return
        path = shutil.copy("/bin/true", os.path.join(self.directory, "setuid"))
        os.chown(path, 65534, 65534)
        os.chmod(path, 0o4755)
        result = run("run", path, tool=self.tool)
        self.assertEqual(result.returncode, 125)
        self.assertIn("set-user-ID", result.stderr)

    def test_failures(self):
        plain = os.path.join(self.directory, "plain")
        open(plain, "w", encoding="utf-8").close()
        spaced = os.path.join(self.directory, "a b.so")
        os.symlink(self.some_library, spaced)
        for code, words, arguments in (
                (127, "No such file", ["no-such-program-anywhere"]),
                (126, "Permission denied", [plain]),
                (125, "cannot be read", ["--library", "/no/such.so", "true"]),
                (125, "space or a colon", ["--library", spaced, "true"]),
                (125, "cannot make", ["--pages", plain, "true"]),
                (2, "which program", []),
                (2, "--bogus", ["--bogus", "true"]),
                (2, "fast", ["--engine", "fast", "true"]),
                (2, "--engine", ["--engine"])):
            with self.subTest(arguments=arguments):
                result = run("run", *arguments, tool=self.tool)
                self.assertEqual(result.returncode, code, result.stderr)
                self.assertIn(words, result.stderr)
                self.assertTrue(result.stderr.startswith("inflight: "), result.stderr)
                self.assertEqual(result.stdout, "")
        os.unlink(self.library)
        result = run("run", "true", tool=self.tool)
        self.assertEqual(result.returncode, 125)
        self.assertIn("no libinflight.so.0", result.stderr)


class CompareTest(ToolTest):
    """The tool lies beside the library that was built with it, which is what it compares."""

    def test_alternates_and_measures(self):
        log = os.path.join(self.directory, "log")
        result = run("compare", "-n", "2", "--json", "--", "sh", "-c",
                     f'echo "${{LD_PRELOAD##*/}}" >> {log}; echo noise')
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        document = json.loads(result.stdout)
        self.assertEqual(document["rounds"], 2)
        self.assertEqual(document["requests_served"], 0)
        for figure in document["figures"].values():
            for side in ("glibc", "inflight"):
                values = figure[side]
                self.assertLessEqual(values["least"], values["median"])
                self.assertLessEqual(values["median"], values["most"])
        self.assertGreater(document["figures"]["wall_seconds"]["glibc"]["least"], 0)
        with open(log, encoding="utf-8") as file:
            preloaded = file.read().splitlines()
        self.assertEqual(len(preloaded), 4)
        self.assertEqual(preloaded[0::2], ["", ""])
        for name in preloaded[1::2]:
            self.assertTrue(name.startswith("libinflight.so"), preloaded)

    def test_says_that_no_request_was_made(self):
        result = run("compare", "-n", "1", "true")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertIn("made no AIO call", result.stdout)
        self.assertRegex(result.stdout, r"wall time, s +0\.\d+ \(")

    def test_failures(self):
        for code, words, arguments in (
                (127, "No such file", ["no-such-program-anywhere"]),
                (126, "Permission denied", [self.directory]),
                (125, "cannot be read", ["--library", "/no/such.so", "true"]),
                (1, "exit status 3", ["sh", "-c", "exit 3"]),
                (1, "signal 9", ["sh", "-c", "kill -9 $$"]),
                (2, "which program", []),
                (2, "rounds", ["-n", "0", "true"])):
            with self.subTest(arguments=arguments):
                result = run("compare", *arguments)
                self.assertEqual(result.returncode, code, result.stderr)
                self.assertIn(words, result.stderr)
                self.assertEqual(result.stdout, "")


class ProbeTest(ToolTest):
    def test_tells_what_works(self):
        result = run("probe", "--json", self.directory)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        document = json.loads(result.stdout)
        self.assertEqual(list(document["ways"]), ["inline", "kernel AIO", "io_uring", "threads"])
        self.assertTrue(document["ways"]["threads"]["works"])
        for way in document["ways"].values():
            self.assertTrue(way["remark"])
        (system,) = document["file_systems"]
        self.assertEqual(system["path"], self.directory)
        self.assertIn("cached_reads", system)
        self.assertEqual(os.listdir(self.directory), [], "the probe leaves nothing behind")

    def test_table(self):
        result = run("probe", self.directory)
        self.assertEqual(result.returncode, 0)
        self.assertRegex(result.stdout, r"threads +yes ")
        self.assertRegex(result.stdout, r"processors +\d+")

    def test_a_place_without_files(self):
        result = run("probe", "--json", os.path.join(self.directory, "missing"))
        self.assertEqual(result.returncode, 1)
        self.assertIn("No such file", json.loads(result.stdout)["file_systems"][0]["error"])


class HelpTest(ToolTest):
    def test_version_and_help(self):
        self.assertRegex(run("--version").stdout, r"^inflight \d+\.\d+\.\d+")
        for arguments in (["stats", "--help"], ["run", "--help"], ["compare", "--help"],
                          ["probe", "--help"]):
            result = run(*arguments)
            self.assertEqual(result.returncode, 0)
            self.assertIn("Exit code", result.stdout)
        result = run()
        self.assertEqual(result.returncode, 2)
        self.assertIn("subcommand", result.stderr)


if __name__ == "__main__":
    TOOL = os.path.abspath(sys.argv.pop(1))
    unittest.main()
