#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""skipped.py LOG...: is there a case that each of these runs of the self-tests has
skipped, and that Documentation/matrix.md does not name? Prints KTAP."""

import fnmatch
import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LISTED = re.compile(r"^\| `(\w+_(?:test|fuzz): .+?)` \|")
CASE = re.compile(r" +(?:not )?ok \d+ (\w+): (.*)")
# What the runner says of a file, also of one that is skipped.
RUNNERS = {"no live objects", "modules load", "modules unload", "kernel log clean",
           "no memory leaked"}


def cases(path):
    """Of each case in a log: its file, its name, was it skipped."""
    with open(path, encoding="utf-8", errors="replace") as f:
        for file, text in (m.groups() for m in map(CASE.match, f) if m):
            name, skipped, _ = text.partition("# SKIP")
            if name not in RUNNERS:
                yield file, name.strip(), bool(skipped)


def skipped_by_all(paths):
    ran, skipped = set(), set()
    for path in paths:
        for file, name, skip in cases(path):
            (skipped if skip else ran).add((file, name))
    files = {file for file, _ in ran}
    # all of a file is skipped by one word
    return sorted(f"{file}: {name}" for file, name in skipped - ran
                  if name != "all" or file not in files)


def main():
    with open(os.path.join(TOP, "Documentation/matrix.md"), encoding="utf-8") as f:
        listed = [m[1] for m in map(LISTED.match, f) if m]
    skipped = skipped_by_all(sys.argv[1:])
    unknown = [case for case in skipped if not any(fnmatch.fnmatch(case, p) for p in listed)]
    for case in skipped:
        print(f"# skipped by all{', not listed' if case in unknown else ''}: {case}")
    word = "not ok" if unknown else "ok"
    print(f"1..1\n{word} 1 each case is run, or listed in Documentation/matrix.md")
    return bool(unknown)


if __name__ == "__main__":
    sys.exit(main())
