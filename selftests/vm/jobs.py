# SPDX-License-Identifier: GPL-2.0
"""Runs files of the self-tests, several at a time: each job has a guest, which asks
for the next file when it is through with one. Knows nothing of how a guest is
started, nor what its lines mean but those that ask."""

import collections
import os
import threading

import guest as vm
import ktap

ASKS = "#@ next"


def number(files):
    """How many guests: JOBS=, or one for each CPU if there is memory for all."""
    if wanted := os.environ.get("JOBS"):
        return max(1, int(wanted))
    with open("/proc/meminfo", encoding="utf-8") as f:
        free = next(int(line.split()[1]) for line in f if line.startswith("MemAvailable"))
    return max(1, min(len(os.sched_getaffinity(0)), free // 1024 // vm.MEMORY, files))


class Queue:
    """The files that nobody has run yet."""

    def __init__(self, names):
        self.names = collections.deque(names)
        self.lock = threading.Lock()

    def take(self):
        with self.lock:
            return self.names.popleft() if self.names else None

    def put_back(self, name):
        with self.lock:
            self.names.appendleft(name)


class Job:
    """One guest at a time, and a new one after each that a file kills. Where the
    emulator itself is to blame, and the register dump proves it, the file runs once
    more."""

    def __init__(self, boot, queue, stream, silence, excused):
        self.boot = boot
        self.queue = queue
        self.stream = stream
        self.silence = silence
        self.excused = excused
        self.running = None
        self.given = None       # what the guest runs next
        self.finished = 0       # files, in this guest

    def run(self):
        while self.next():
            try:
                guest = self.boot()
            except vm.Died as why:
                self.give_up(why)
                return
            try:
                self.converse(guest)
            except vm.Died as why:
                self.lost(guest, why)
            finally:
                guest.close()

    def next(self):
        self.given = self.given or self.queue.take()
        return self.given

    def give_up(self, why):
        while self.next():
            self.stream.died(self.given, f"not run: {why}", [])
            self.given = None

    def converse(self, guest):
        self.finished = 0
        for line in guest.lines(self.silence):
            if line == ASKS:
                guest.say(self.next() or "")
                continue
            self.stream.feed(line)
            if line.startswith("#@ file "):
                self.running, self.given = self.given, None
            elif line.startswith("#@ done "):
                self.running = None
                self.finished += 1
        if self.running or not self.finished:
            raise vm.Died("the runner stopped")

    def lost(self, guest, why):
        name, self.running = self.running, None
        if not name:
            name, self.given = self.given, None
        console = guest.console()
        fault = vm.emulator_fault(console) if guest.accel == "tcg" else None
        if not name:
            self.stream.report.complain(f"{why} after its last file")
        elif fault and name not in self.excused:
            self.excused.add(name)
            self.stream.again(fault)
            self.queue.put_back(name)
        else:
            self.stream.died(name, str(why), console)


def run(names, report, boot, silence, most=None):
    """`boot`: starts a guest. `most`: guests at a time."""
    count = min(most or number(len(names)), len(names))
    queue, excused, broken = Queue(names), set(), []

    def work():
        try:
            Job(boot, queue, ktap.Stream(report, live=count == 1), silence, excused).run()
        except BaseException as why:    # pylint: disable=broad-except
            broken.append(why)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if broken:
        raise broken[0]
