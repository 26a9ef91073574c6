"""A manual page: mandoc finds nothing wrong, its example does what the page says, and the page of
the command knows every subcommand and option.

What an example prints stands in the page's source, before it: `.\\" prints: REGULAR EXPRESSION`.
"""

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "clients"))

# pylint: disable=wrong-import-position
from harness import check, check_equal, main  # noqa: E402

EXAMPLE = re.compile(r'^\.\\" prints: (.*)\n\.Bd [^\n]*\n(.*?)^\.Ed$', re.S | re.M)


def check_form(page):
    result = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True,
                            text=True, check=False)
    check_equal((result.returncode, result.stdout), (0, ""), "what mandoc says of the page")


def check_example(harness, text):
    examples = EXAMPLE.findall(text)
    check_equal(len(examples), 1, "complete examples on a page of section 3")
    expected, code = examples[0]
    source, program = harness.path("example.c"), harness.path("example")
    with open(source, "w", encoding="utf-8") as file:
        file.write(code.replace("\\e", "\\"))
    subprocess.run([harness.options.compiler, "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-pthread",
                    source, "-o", program], check=True)
    result = harness.run([program], timeout=60)
    check_equal((result.returncode, result.stderr), (0, ""), "the example's end")
    check(re.fullmatch(expected + r"\n", result.stdout),
          f"the example printed {result.stdout!r} and not {expected!r}")
    total = harness.stats()
    check(total["reads"] + total["writes"] > 0, f"the library served nothing: {total}")


def words_of_help(harness, *arguments):
    """The words that begin a line of a --help text: subcommands and options."""
    text = subprocess.run([harness.tool, *arguments, "--help"], capture_output=True, text=True,
                          check=True).stdout
    return re.findall(r"^  (-[^\s:]*|[a-z]+) ", text, re.M)


def check_command(harness, text):
    subcommands = [word for word in words_of_help(harness) if not word.startswith("-")]
    check("run" in subcommands, f"no subcommands found: {subcommands}")
    for subcommand in subcommands:
        check(f".It Cm {subcommand}\n" in text, f"inflight {subcommand} is not described")
        for word in words_of_help(harness, subcommand):
            for option in filter(lambda one: one.startswith("-"), word.split(",")):
                if option not in ("-h", "--help"):
                    check(re.search(rf"\bFl (\S+ \| )?{option[1:]}\b", text),
                          f"{subcommand} {option} is not described")


def test(harness):
    page = harness.options.page
    check_form(page)
    with open(page, encoding="utf-8") as file:
        text = file.read()
    if page.endswith(".3"):
        check_example(harness, text)
    if page.endswith(".1"):
        check_command(harness, text)


def arguments(parser):
    parser.add_argument("--page", required=True)
    parser.add_argument("--compiler", required=True)


if __name__ == "__main__":
    raise SystemExit(main(test, __doc__, arguments))
