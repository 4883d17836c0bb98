# SPDX-License-Identifier: GPL-2.0
"""Starts a guest and yields the lines that it reports. Knows QEMU; knows
nothing of what the lines mean but the two that frame them."""

import functools
import os
import re
import selectors
import subprocess
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
QEMU = os.path.join(TOP, "build/qemu/run")
PROBE = os.path.join(TOP, "build/vm/kvm")
SLOW = int(os.environ.get("SLOW", "1"))
BOOT_TIMEOUT = 180 * SLOW
BOOT_TRIES = 3
MEMORY = 2048       # MiB

# Who breaks out of a guest is nobody, and can start nothing.
NOBODY = 65534
SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"

# Under TCG rep movsb makes guest copies three times slower, and cmpxchg16b has
# been seen to go wrong.
ACCEL = {
    "kvm": ["-accel", "kvm", "-cpu", "host"],
    "tcg": ["-accel", "tcg,thread=multi", "-cpu", "max,-erms,-fsrm,-cx16"],
    # One instruction is one nanosecond and nothing is random: what runs when does
    # not depend on the machine.
    "count": ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off",
              "-rtc", "clock=vm,base=2026-01-01", "-seed", "1",
              "-cpu", "max,-erms,-fsrm,-cx16,-rdrand,-rdseed"],
}
CMDLINE = ("console=ttyS0 quiet loglevel=4 log_buf_len=4M panic=-1 oops=panic nokaslr "
           "mitigations=off no_timer_check tsc=reliable random.trust_cpu=on hugepages=64")
UML_CMDLINE = ("quiet loglevel=4 log_buf_len=4M panic=-1 oops=panic "
               "kasan.fault=panic kmemleak=on")


class Died(Exception):
    """The guest is gone, or silent for too long, without its last word."""


@functools.lru_cache(maxsize=None)
def sandbox():
    """What QEMU is told of it: nothing if it was built without."""
    words = ["-sandbox", SANDBOX]
    asked = subprocess.run([QEMU, *words, "-version"], capture_output=True, check=False)
    return [] if asked.returncode else words


def confine(command, accel):
    """It must not outlive this program, however that ends, and never be root."""
    how = ["setpriv", "--pdeathsig", "KILL", "--no-new-privs"]
    if not os.geteuid():
        groups = ["--clear-groups"]
        if accel == "kvm" and os.path.exists("/dev/kvm") and (group := os.stat("/dev/kvm").st_gid):
            groups = [f"--groups={group}"]
        how += [f"--reuid={NOBODY}", f"--regid={NOBODY}", *groups, "--inh-caps=-all"]
    return [*how, *command]


def folder_for_guests(path):
    """Makes a folder that they may write to."""
    os.mkdir(path)
    if not os.geteuid():
        os.chown(path, NOBODY, NOBODY)


class Guest:
    """It runs in `folder` and names all files from there: those above may be closed
    to its user."""

    def __init__(self, kernel, initramfs, folder, accel, extra=()):
        self.folder = folder
        self.accel = accel
        self.stderr = open(os.path.join(folder, "host.log"), "wb")
        start = self.uml if accel == "uml" else self.qemu
        command = start(self.near(kernel), self.near(initramfs), accel) + list(extra)
        self.process = subprocess.Popen(confine(command, accel), cwd=folder,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.stderr)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ)
        self.pending = b""
        self.status = None      # the plan's exit status, once it is known

    def near(self, path):
        return os.path.relpath(path, self.folder)

    def qemu(self, kernel, initramfs, accel):
        self.console_path = os.path.join(self.folder, "console.log")
        return [self.near(QEMU), *sandbox(), *ACCEL[accel],
                "-smp", os.environ.get("CPUS", "2"), "-m", str(MEMORY),
                "-nodefaults", "-display", "none", "-no-reboot",
                "-kernel", kernel, "-initrd", initramfs,
                "-append", f"{CMDLINE} SLOW={SLOW}", "-serial", "file:console.log",
                "-device", "virtio-serial-pci",
                "-chardev", "stdio,id=report,signal=off",
                "-device", "virtserialport,chardev=report,name=report"]

    def uml(self, kernel, initramfs, _):
        """User Mode Linux: a program. What it reports is on a serial line, its
        console is what it says as a program. Its hostfs wants an absolute path."""
        self.console_path = self.stderr.name
        return [kernel, f"mem={MEMORY}M", f"initrd={initramfs}", "uml_dir=./",
                "hostfs=/proc/self/cwd", "console=tty0", "con=null", "con0=null,fd:2",
                "ssl=null", "ssl0=fd:0,fd:1", f"SLOW={SLOW}", *UML_CMDLINE.split()]

    def say(self, line):
        """To who reads the port in the guest. One that is gone hears nothing."""
        try:
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass

    def confined(self):
        """Has it no privileges on this machine, and no way to any?"""
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as f:
            status = {name: words.split() for name, _, words in (s.partition(":") for s in f)}
        groups = status["Gid"] + status["Groups"] if not os.geteuid() else []
        return "0" not in status["Uid"] + groups and status["NoNewPrivs"] == ["1"] and \
            not int(status["CapEff"][0], 16)

    def read_line(self, deadline):
        while b"\n" not in self.pending:
            wait = deadline - time.monotonic()
            if wait <= 0 or not self.selector.select(wait):
                raise Died("the guest hangs")
            got = os.read(self.process.stdout.fileno(), 65536)
            if not got:
                raise Died("the guest died")
            self.pending += got
        line, _, self.pending = self.pending.partition(b"\n")
        return line.decode(errors="replace").rstrip("\r")

    def wait_up(self):
        """The kernel and PID 1 run. Returns what they say of themselves."""
        deadline = time.monotonic() + BOOT_TIMEOUT
        while True:
            line = self.read_line(deadline)
            if line.startswith("#@ up"):
                return line[6:]

    def lines(self, silence):
        """Yields lines until the guest says that it is done; at most `silence`
        seconds between two of them."""
        while True:
            line = self.read_line(time.monotonic() + silence)
            if line.startswith("#@ end "):
                self.status = int(line.split()[2])
                return
            yield line

    def console(self, count=60):
        text = ""
        for path in dict.fromkeys((self.console_path, self.stderr.name)):
            if os.path.exists(path):    # not if it never started
                with open(path, "rb") as f:
                    text += f.read().decode(errors="replace")
        return [line.rstrip() for line in text.splitlines() if line.strip()][-count:]

    def close(self):
        if self.process.poll() is None:
            try:
                self.process.wait(0 if self.status is None else 5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.stdout.close()
        self.stderr.close()
        self.selector.close()


def shell(kernel, initramfs, folder, accel):
    """On this terminal."""
    near = {name: os.path.relpath(name, folder) for name in (QEMU, kernel, initramfs)}
    return subprocess.call(
        confine([near[QEMU], *sandbox(), *ACCEL[accel], "-smp", "2", "-m", str(MEMORY),
                  "-nographic", "-no-reboot", "-nic", "none", "-kernel", near[kernel],
                  "-initrd", near[initramfs], "-append", CMDLINE], accel), cwd=folder)


def emulator_fault(console):
    """Why the guest's death was TCG's fault, or None. Its one known fault that
    can be proved: it runs a breakpoint that the kernel has taken away again
    (self-modifying code: static keys). The register dump shows it: the trap is
    in the kernel's own text, and the byte before RIP is no int3 (0xcc)."""
    if not any("Oops: int3" in line for line in console):
        return None
    text = "\n".join(console)
    where = re.search(r"RIP: 0010:(\S+)$", text, re.MULTILINE)
    code = re.search(r"Code: (.*)", text)
    if not where or not code:
        return None
    at, code = where[1], code[1].split()
    rip = next((i for i, byte in enumerate(code) if byte.startswith("<")), 0)
    if rip and code[rip - 1] != "cc":
        return f"the emulator ran a breakpoint at {at} where there is none (byte {code[rip - 1]})"
    return None


def boot(kernel, initramfs, folder, accel, note, extra=()):
    """A guest that is up. One that dies before that is tried again: nothing of
    ours ran in it."""
    for attempt in range(1, BOOT_TRIES + 1):
        guest = Guest(kernel, initramfs, folder, accel, extra)
        try:
            note(f"{os.path.basename(folder)} up: {guest.wait_up()}, {accel}")
            return guest
        except Died as why:
            guest.close()
            if attempt == BOOT_TRIES:
                said = " ".join(guest.console(1))
                raise Died(f"{why} while booting, {attempt} times: {said}") from why
            note(f"{why} while booting, trying again")
    raise AssertionError("unreachable")


def choose_accel(kernel, initramfs, folder, note):
    """KVM if a guest really comes up under it, else TCG. Asked once a machine:
    /dev/kvm can be there and not run this kernel."""
    if forced := os.environ.get("ACCEL"):
        return forced
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as f:
        key = f.read().strip()
    try:
        with open(PROBE, encoding="utf-8") as f:
            cached, accel = f.read().split()
            if cached == key:
                return accel
    except (OSError, ValueError):
        pass
    accel = probe_kvm(kernel, initramfs, folder)
    note("KVM works here" if accel == "kvm" else "KVM is there but no guest starts under it: TCG")
    with open(PROBE, "w", encoding="utf-8") as f:
        f.write(f"{key} {accel}\n")
    return accel


def probe_kvm(kernel, initramfs, folder, seconds=10):
    guest = Guest(kernel, initramfs, folder, "kvm")
    try:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if guest.selector.select(0.2):
                guest.wait_up()
                return "kvm"
            if any("KVM" in line for line in guest.console()):
                return "tcg"
        return "tcg"
    except Died:
        return "tcg"
    finally:
        guest.close()
