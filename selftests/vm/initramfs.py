# SPDX-License-Identifier: GPL-2.0
"""Packs the guest's root file system: programs of the machine with the shared
libraries they need, modules, self-tests. Knows nothing of how it is booted."""

import glob
import lzma
import os
import re
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
DIRS = ("bin dev dev/pts etc modules proc root run sbin selftests sys tmp tools "
        "usr usr/bin usr/sbin lib lib64 var var/run").split()
PROGRAMS = "ip ss tc ethtool nft".split()
ETC = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
}


class Archive:
    """An initramfs in the kernel's 'newc' cpio format."""

    def __init__(self, path):
        self.out = open(path, "wb")
        self.ino = 0
        self.names = set()

    def add(self, name, mode, data=b""):
        if name in self.names:
            return
        self.names.add(name)
        self.ino += 1
        raw = name.encode() + b"\0"
        fields = (self.ino, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0)
        head = b"070701" + b"".join(b"%08x" % f for f in fields) + raw
        self.out.write(head + b"\0" * (-len(head) % 4))
        self.out.write(data + b"\0" * (-len(data) % 4))

    def parents(self, name):
        parts = name.split("/")[:-1]
        for i in range(1, len(parts) + 1):
            self.directory("/".join(parts[:i]))

    def directory(self, name):
        self.add(name, 0o040755)

    def link(self, name, target):
        self.parents(name)
        self.add(name, 0o120777, target.encode())

    def text(self, name, text, mode=0o644):
        self.parents(name)
        self.add(name, 0o100000 | mode, text.encode())

    def file(self, name, source, mode=None):
        self.parents(name)
        mode = mode or (0o755 if os.access(source, os.X_OK) else 0o644)
        with open(source, "rb") as f:
            self.add(name, 0o100000 | mode, f.read())

    def program(self, name, source):
        """A program and the shared libraries that it is linked with."""
        self.file(name, source, 0o755)
        ldd = subprocess.run(["ldd", source], capture_output=True, text=True, check=False)
        for lib in re.findall(r"(/\S+) \(0x", ldd.stdout):
            self.file(lib.lstrip("/"), lib, 0o755)
        missing = re.findall(r"(\S+) => not found", ldd.stdout)
        if missing:
            raise SystemExit(f"initramfs: {source} needs {', '.join(missing)}")

    def close(self):
        self.add("TRAILER!!!", 0)
        self.out.close()


def find_program(name):
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not found:
        raise SystemExit(f"initramfs: this machine has no program '{name}'")
    return os.path.realpath(found)


def add_programs(archive, extra):
    busybox = find_program("busybox")
    archive.program("bin/busybox", busybox)
    for name in PROGRAMS + extra:
        archive.program("sbin/" + name, find_program(name))
    # A busybox shell prefers its own "ip" to the one in PATH.
    archive.program("bin/sh", find_program("dash"))
    listed = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
    for applet in listed.stdout.split():
        archive.link("bin/" + applet, "busybox")
    for applet in ("modprobe", "insmod", "rmmod", "depmod"):
        archive.link("sbin/" + applet, "/bin/busybox")
    archive.link("usr/bin/env", "/bin/busybox")


def with_dependencies(wanted, kernel):
    """Paths of the named modules and of all they need, below modules/."""
    needs, by_name = {}, {}
    with open(os.path.join(kernel, "modules.dep"), encoding="utf-8") as f:
        for line in f:
            path, _, deps = line.partition(":")
            needs[path] = deps.split()
            by_name[os.path.basename(path).split(".")[0].replace("-", "_")] = path
    paths = set()
    for name in wanted:
        path = by_name.get(name.replace("-", "_"))
        if path:        # not there: built in, or this kernel lacks it
            paths.update([path], needs[path])
    return sorted(paths)


def add_modules(archive, kernel, built, work):
    """Ours under /modules, and all under /lib/modules for modprobe."""
    with open(os.path.join(kernel, "version"), encoding="utf-8") as f:
        version = f.read().strip()
    with open(os.path.join(HERE, "modules"), encoding="utf-8") as f:
        wanted = [line.strip() for line in f if line.strip() and line[0] != "#"]
    stage = os.path.join(work, "stage")
    tree = os.path.join(stage, "lib/modules", version)
    stock = os.path.join(kernel, "modules")
    for path in with_dependencies(wanted, kernel):
        target = os.path.join(tree, path.removesuffix(".xz"))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        opener = lzma.open if path.endswith(".xz") else open
        with opener(os.path.join(stock, path), "rb") as f, open(target, "wb") as g:
            g.write(f.read())
    os.makedirs(os.path.join(tree, "extra"), exist_ok=True)
    for source in glob.glob(os.path.join(stock, "modules.*")):
        shutil.copy(source, tree)
    for path in built:
        shutil.copyfile(path, os.path.join(tree, "extra", os.path.basename(path)))
        archive.file("modules/" + os.path.basename(path), path)
    subprocess.run(["depmod", "-b", stage, version], check=True)
    for folder, _, names in os.walk(stage):
        for name in names:
            source = os.path.join(folder, name)
            archive.file(os.path.relpath(source, stage), source)
    shutil.rmtree(stage)


def pack(path, work, kernel, built, tools, tests, plan, extra=(), shell=False, first=None):
    """What `first` adds takes precedence over what would have the same name."""
    archive = Archive(path)
    for name in DIRS:
        archive.directory(name)
    archive.file("init", os.path.join(HERE, "init"), 0o755)
    if first:
        first(archive)
    for name, text in ETC.items():
        archive.text(name, text)
    add_programs(archive, list(extra))
    add_modules(archive, kernel, built, work)
    for source in tools:
        archive.program("tools/" + os.path.basename(source), source)
    for source in tests:
        archive.program("selftests/" + os.path.basename(source), source)
    for name in ("run-tests", "demo.sh"):
        source = os.path.join(HERE, name)
        if os.path.exists(source):
            archive.file("vm/" + name, source, 0o755)
    archive.text("plan", plan)
    if shell:
        archive.text("shell", "")
    archive.close()
