# SPDX-License-Identifier: GPL-2.0
"""Starts a guest and yields the lines that it reports. Knows QEMU; knows
nothing of what the lines mean but the two that frame them."""

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


class Guest:
    def __init__(self, kernel, initramfs, work, accel, extra=(), memory=2048):
        self.console_path = os.path.join(work, "console.log")
        self.work = work
        self.stderr = open(os.path.join(work, "host.log"), "wb")
        if accel == "uml":
            command = self.uml(kernel, initramfs, memory)
        else:
            command = self.qemu(kernel, initramfs, accel, memory) + list(extra)
        # It must not outlive this program, however that ends.
        command = ["setpriv", "--pdeathsig", "KILL", *command]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=self.stderr)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ)
        self.pending = b""
        self.status = None      # the plan's exit status, once it is known

    def qemu(self, kernel, initramfs, accel, memory):
        return [QEMU, *ACCEL[accel],
                "-smp", os.environ.get("CPUS", "2"), "-m", str(memory),
                "-nodefaults", "-display", "none", "-no-reboot",
                "-kernel", os.path.join(kernel, "vmlinuz"), "-initrd", initramfs,
                "-append", f"{CMDLINE} SLOW={SLOW}", "-serial", f"file:{self.console_path}",
                "-device", "virtio-serial-pci",
                "-chardev", "file,id=report,path=/dev/stdout",
                "-device", "virtserialport,chardev=report,name=report"]

    def uml(self, kernel, initramfs, memory):
        """User Mode Linux: a program. What it reports is on a serial line, its
        console is what it says as a program."""
        self.console_path = self.stderr.name
        return [os.path.join(kernel, "linux"), f"mem={memory}M", f"initrd={initramfs}",
                f"uml_dir={self.work}", f"hostfs={self.work}", "console=tty0",
                "con=null", "con0=null,fd:2", "ssl=null", "ssl0=null,fd:1", f"SLOW={SLOW}",
                *UML_CMDLINE.split()]

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
        with open(self.console_path, "rb") as f:
            text = f.read().decode(errors="replace")
        if self.stderr.name != self.console_path:
            with open(self.stderr.name, "rb") as f:
                text += f.read().decode(errors="replace")
        return [line.rstrip() for line in text.splitlines() if line.strip()][-count:]

    def close(self):
        if self.process.poll() is None:
            try:
                self.process.wait(0 if self.status is None else 5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()
        self.stderr.close()
        self.selector.close()


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


def boot(kernel, initramfs, work, accel, note, extra=()):
    """A guest that is up. One that dies before that is tried again: nothing of
    ours ran in it."""
    for attempt in range(1, BOOT_TRIES + 1):
        guest = Guest(kernel, initramfs, work, accel, extra)
        try:
            note("guest up: " + guest.wait_up() + f", {accel}")
            return guest
        except Died as why:
            guest.close()
            if attempt == BOOT_TRIES:
                raise Died(f"{why} while booting, {attempt} times") from why
            note(f"{why} while booting, trying again")
    raise AssertionError("unreachable")


def choose_accel(kernel, initramfs, work, note):
    """KVM if a guest really comes up under it, else TCG. Asked once a machine:
    /dev/kvm can be there and not run this kernel."""
    if os.path.exists(os.path.join(kernel, "linux")):
        return "uml"
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
    accel = probe_kvm(kernel, initramfs, work)
    note("KVM works here" if accel == "kvm" else "KVM is there but no guest starts under it: TCG")
    with open(PROBE, "w", encoding="utf-8") as f:
        f.write(f"{key} {accel}\n")
    return accel


def probe_kvm(kernel, initramfs, work, seconds=10):
    guest = Guest(kernel, initramfs, work, "kvm")
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
