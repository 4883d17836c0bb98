# SPDX-License-Identifier: GPL-2.0
"""Turns what run-tests prints into KTAP and into numbers. Knows no guest."""

import re
import threading

RESULT = re.compile(r"(ok|not ok)\s+(\d+)\s*(?:-\s*)?(.*)")
PLAN = re.compile(r"1\.\.(\d+)(.*)")
SKIP = re.compile(r"(.*?)\s*#\s*(?:SKIP|XFAIL)\b\s*(.*)", re.IGNORECASE)


class File:
    """The results of one file of the self-tests."""

    def __init__(self, name):
        self.name = name
        self.cases = []         # (word, text)
        self.plan = None
        self.seen = 0
        self.skipped_whole = None
        self.timeout = None
        self.bail = None

    def case(self, word, text):
        self.cases.append((word, text))

    def output(self, line):
        """One line that the file itself printed."""
        if m := RESULT.match(line):
            self.seen += 1
            text, word = m[3], "pass" if m[1] == "ok" else "fail"
            if word == "pass" and (s := SKIP.match(text)):
                word, text = "skip", f"{s[1]} # SKIP {s[2]}".strip()
            self.case(word, f"{self.name}: {text}")
        elif (m := PLAN.match(line)) and self.plan is None:
            self.plan = int(m[1])
            if self.plan == 0:
                self.skipped_whole = m[2].strip(" #")
        elif line.startswith("Bail out!"):
            self.bail = line

    def exited(self, status):
        """The file is over: is its story consistent?"""
        if self.timeout:
            self.case("fail", f"{self.name}: finishes within {self.timeout} s")
        elif self.bail:
            self.case("fail", f"{self.name}: {self.bail}")
        elif self.skipped_whole is not None or (status == 4 and not self.seen):
            self.case("skip", f"{self.name}: all # {self.skipped_whole or 'SKIP'}")
        elif not self.seen:
            self.case("fail", f"{self.name}: runs a case (exit status {status})")
        elif self.plan is not None and self.plan != self.seen:
            self.case("fail", f"{self.name}: runs the {self.plan} cases it planned, "
                              f"ran {self.seen}")
        elif self.plan is None:
            self.case("fail", f"{self.name}: prints a plan (exit status {status})")
        elif status not in (0, 4) and not any(w == "fail" for w, _ in self.cases):
            self.case("fail", f"{self.name}: exits with 0, not {status}")

    def died(self, why):
        self.case("fail", f"{self.name}: {why}")

    def count(self, word):
        return sum(1 for w, _ in self.cases if w == word)

    def failed(self):
        return self.count("fail") > 0


class Report:
    """KTAP of all files, each as it is finished, whoever ran it."""

    def __init__(self, out, total):
        self.out = out
        self.lock = threading.Lock()
        self.files = []
        self.complaints = []    # about no file
        out(f"KTAP version 1\n1..{total}")

    def add(self, file, lines):
        """`lines`: what is to be printed of it yet."""
        with self.lock:
            self.files.append(file)
            word = "not ok" if file.failed() else "ok"
            self.out("\n".join([*lines, f"{word} {len(self.files)} {file.name}"]))

    def complain(self, text):
        self.out(f"# {text}")
        self.complaints.append(text)

    def failed(self):
        return any(f.failed() for f in self.files) or bool(self.complaints)

    def summary(self):
        """What failed, the last line, and whether all is well."""
        bad = [t for f in self.files for w, t in f.cases if w == "fail"] + self.complaints
        for text in bad:
            self.out(f"# failed: {text}")
        passed, skipped = (sum(f.count(w) for f in self.files) for w in ("pass", "skip"))
        self.out(f"{passed} passed, {len(bad)} failed, {skipped} skipped")
        return not bad and passed > 0


class Stream:
    """What one guest's run-tests prints, line by line, as the files of a report.
    Shown at once if it is the only one: `live`."""

    def __init__(self, report, live=True):
        self.report = report
        self.live = live
        self.current = None
        self.inside = False     # the file's own output is coming
        self.printed = 0
        self.lines = []         # of the file, not shown yet

    def show(self, line):
        if self.live or not self.current:
            self.report.out(line)
        else:
            self.lines.append(line)

    def flush_cases(self):
        for word, text in self.current.cases[self.printed:]:
            self.printed += 1
            ok = "not ok" if word == "fail" else "ok"
            self.show(f"    {ok} {self.printed} {text}")

    def start(self, name):
        self.current = File(name)
        self.printed = 0
        self.inside = True
        self.show("    KTAP version 1")

    def finish(self):
        self.flush_cases()
        self.show(f"    1..{len(self.current.cases)}")
        self.report.add(self.current, self.lines)
        self.forget()

    def forget(self):
        self.current = None
        self.inside = False
        self.lines = []

    def feed(self, line):
        """One line from run-tests."""
        m = re.match(r"#@ (\w+) ?(.*)", line)
        if m and m[1] == "file":
            self.start(m[2])
        elif self.current is None:
            self.show(f"# {line}" if line[:1] != "#" else line)
        elif m:
            self.control(m[1], m[2])
        else:
            if self.inside:
                self.current.output(line)
            if not re.match(r"(not )?ok |1\.\.\d|(KTAP|TAP) version", line):
                self.show("    " + (line if line[:1] == "#" else "# " + line))
        if self.current:
            self.flush_cases()

    def control(self, word, rest):
        if word == "timeout":
            self.current.timeout = rest
        elif word == "exit":
            self.inside = False
            self.current.exited(int(rest))
        elif word == "check":
            ok = not rest.startswith("not ok ")
            self.current.case("pass" if ok else "fail", rest.split("ok ", 1)[1])
        elif word == "done":
            self.finish()

    def died(self, name, why, details):
        """The guest is gone: the file that ran, or was about to, failed."""
        if self.current is None:
            self.start(name.partition(":")[0])
        for line in details:
            self.show("    # " + line)
        self.current.died(why)
        self.finish()

    def again(self, why):
        """The guest is gone for no fault of the file: its results do not count."""
        self.forget()
        self.show(f"# {why}: once more")
