# SPDX-License-Identifier: GPL-2.0
"""Plays guests, to see what the runner makes of two at a time: who dies does so while
the other is in the midst of a file, whatever the machine."""

import threading

import guest
import jobs
import ktap

# Each file is what it says.
FILES = "dies lives dies_after_asking excused_once excused_twice dies_at_the_end".split()
FAIL = {"dies": 1, "dies_after_asking": 1, "excused_twice": 1}
RUN = {**dict.fromkeys(FILES, 1), "excused_once": 2, "excused_twice": 2}
DEATHS = 6
PATIENCE = 60


class Stage:
    def __init__(self, dump):
        self.dump = dump.splitlines()   # of a death that is not the file's fault
        self.lives, self.died = threading.Event(), threading.Event()
        self.runs = dict.fromkeys(FILES, 0)
        self.guests = 0
        self.beside = False             # one lived while the other died
        self.printed = []

    def boot(self):
        self.guests += 1
        return Player(self)

    def run(self):
        report = ktap.Report(lambda text: self.printed.extend(text.split("\n")), len(FILES))
        jobs.run(FILES, report, self.boot, 0, most=2)
        return report

    def in_order(self):
        """A file's lines are together and numbered, and so are the files."""
        files, case = 0, None
        for line in self.printed[2:]:
            number = [int(word) for word in line.split() if word.isdigit()][:1]
            if line == "    KTAP version 1" and case is None:
                case = 0
            elif line.startswith(("    ok ", "    not ok ")) and number == [case + 1]:
                case += 1
            elif line.startswith(("ok ", "not ok ")) and number == [files + 1]:
                files, case = files + 1, None
            elif not line.startswith(("#", "    #", "    1..")):
                return False
        return files == len(FILES)


class Player:
    accel = "tcg"

    def __init__(self, stage):
        self.stage = stage
        self.told = None
        self.ran = []
        self.dump = []

    def say(self, line):
        self.told = line

    def console(self):
        return self.dump

    def close(self):
        self.stage.died.set()

    def lines(self, _):
        yield jobs.ASKS
        while name := self.told:
            self.stage.runs[name] += 1
            self.ran.append(name)
            yield from ("#@ file " + name, "1..1", "ok 1 - works")
            self.act(name)
            yield "#@ exit 0"
            yield jobs.ASKS
            if name == "dies_after_asking":
                raise guest.Died("the guest died")
            yield "#@ done " + name
        if "dies_at_the_end" in self.ran:
            raise guest.Died("the guest died")

    def act(self, name):
        stage = self.stage
        if name == "lives":
            stage.lives.set()
            died = stage.died.wait(PATIENCE)
            stage.beside = stage.beside and died
        elif name == "dies":
            stage.beside = stage.lives.wait(PATIENCE)
            raise guest.Died("the guest died")
        elif name.startswith("excused") and stage.runs[name] <= 1 + (name == "excused_twice"):
            self.dump = stage.dump
            raise guest.Died("the guest died")


def played(dump):
    """What must be true of that, in words, and whether it is."""
    stage = Stage(dump)
    report = stage.run()
    failed = {f.name: f.count("fail") for f in report.files if f.failed()}
    yield "one guest dies while another runs a file", stage.beside
    yield "who dies fails its own file, once, and no other", failed == FAIL
    yield "all files are run, each once", sorted(f.name for f in report.files) == sorted(FILES)
    yield "what the emulator spoils is run once more, not twice", stage.runs == RUN
    yield "who dies after its last file fails the run", len(report.complaints) == 1
    yield "each guest that dies is replaced", DEATHS - 1 <= stage.guests <= DEATHS + 1
    yield "files are printed one after the other", stage.in_order()
