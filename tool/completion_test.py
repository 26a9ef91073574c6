#!/usr/bin/env python3
"""Completion knows every subcommand and option that the command's --help tells, in bash by asking
it, in zsh by reading its file (and its syntax by zsh, where that is installed)."""

import os
import re
import shutil
import subprocess
import sys
import unittest

TOOL = ""
HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "completion")
BASH, ZSH = os.path.join(HERE, "inflight.bash"), os.path.join(HERE, "_inflight")


def words_of_help(*arguments):
    text = subprocess.run([TOOL, *arguments, "--help"], capture_output=True, text=True,
                          check=True).stdout
    return [word for words in re.findall(r"^  (-[^\s:]*|[a-z]+) ", text, re.M)
            for word in words.split(",")]


def bash_completes(*words):
    """What bash offers for the last of the words."""
    script = (f'source "{BASH}"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _inflight; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    result = subprocess.run(["bash", "-c", script, "bash", "inflight", *words], capture_output=True,
                            text=True, check=True)
    return result.stdout.split()


class CompletionTest(unittest.TestCase):
    subcommands = []

    @classmethod
    def setUpClass(cls):
        cls.subcommands = [word for word in words_of_help() if not word.startswith("-")]

    def test_bash_knows_everything(self):
        self.assertGreater(len(self.subcommands), 4)
        self.assertEqual(set(self.subcommands) - set(bash_completes("")), set())
        for subcommand in self.subcommands:
            options = {word for word in words_of_help(subcommand) if word.startswith("--")}
            self.assertEqual(set(bash_completes(subcommand, "--")), options, subcommand)

    def test_bash_completes_values(self):
        self.assertEqual(bash_completes("run", "--engine", "u"), ["uring"])
        self.assertEqual(bash_completes("run", "--threads", "1"), [])
        self.assertIn("/usr", bash_completes("run", "--pages", "/us"))
        self.assertIn("true", bash_completes("run", "tru"))
        self.assertIn(str(os.getpid()), bash_completes("top", str(os.getpid())))

    def test_zsh_knows_everything(self):
        with open(ZSH, encoding="utf-8") as file:
            text = file.read()
        for subcommand in self.subcommands:
            self.assertIn(f"'{subcommand}:", text)
            part = re.search(rf"^    {subcommand}\)\n(.*?);;", text, re.M | re.S).group(1)
            part += text[:text.index("case")]
            for option in (word for word in words_of_help(subcommand) if word.startswith("--")):
                self.assertTrue(re.search(rf"{option}\b", part), f"{subcommand} {option}")

    def test_zsh_can_read_it(self):
        if shutil.which("zsh") is None:
            self.skipTest("zsh is not installed")
        subprocess.run(["zsh", "-n", ZSH], check=True)


if __name__ == "__main__":
    TOOL = sys.argv.pop(1)
    unittest.main()
