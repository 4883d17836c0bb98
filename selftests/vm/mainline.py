# SPDX-License-Identifier: GPL-2.0
"""What the guest needs for the kernel's own tests: their source tree, Python with
the modules they import, programs they call. Knows nothing of what they test."""

import glob
import os
import subprocess

import initramfs

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(os.path.dirname(HERE), "mainline")
PROGRAMS = "ping socat iperf3 bash tc devlink".split()
TREES = ("tools/net/ynl", "tools/testing/selftests/net/lib", "tools/testing/selftests/drivers/net",
         "tools/testing/selftests/net/lib.sh", "Documentation/netlink")
PYTHON = "/usr/bin/python3"
# A guest has no use for these parts of Python's library.
LEFT_OUT = {"__pycache__", "test", "idlelib", "lib2to3", "tkinter", "pydoc_data", "ensurepip",
            "distutils", "turtledemo"}

SUDO = "#!/bin/sh\nexec \"$@\"\n"
ETHTOOL = ("#!/bin/sh\nexec /opt/ethtool/ld-linux-x86-64.so.2 --library-path /opt/ethtool "
           "/opt/ethtool/ethtool \"$@\"\n")


def files():
    return sorted(glob.glob(os.path.join(FOLDER, "*")))


def choose(selection):
    have = [os.path.basename(f).removesuffix(".sh") for f in files()
            if f.endswith(".sh") and not f.endswith("/lib_mainline.sh")]
    unknown = set(selection.split()) - set(have)
    if unknown:
        raise SystemExit(f"no mainline test '{unknown.pop()}'; there are: {' '.join(have)}")
    return selection.split() or have


def python_says(code):
    return subprocess.run([PYTHON, "-c", code], capture_output=True, text=True,
                          check=True).stdout.split()


class Image:
    def __init__(self, built):
        self.built = os.path.abspath(built)

    def add(self, archive):
        self.add_python(archive)
        source = os.path.join(self.built, "src")
        for tree in TREES:
            self.add_tree(archive, os.path.join(source, tree), "src/" + tree)
        archive.program("src/tools/testing/selftests/net/lib/csum",
                        os.path.join(self.built, "csum"))
        archive.program("opt/kernel/ncdevmem", os.path.join(self.built, "ncdevmem"))
        archive.program("src/tools/testing/selftests/drivers/net/hw/ncdevmem",
                        os.path.join(self.built, "ncdevmem"))
        programs = os.path.join(self.built, "programs")
        for path in glob.glob(os.path.join(programs, "**/*"), recursive=True):
            if os.path.isfile(path):
                archive.program("src/tools/testing/selftests/" +
                                os.path.relpath(path, programs), path)
        for path in glob.glob(os.path.join(self.built, "ethtool/*")):
            archive.file("opt/ethtool/" + os.path.basename(path), path, 0o755)
        archive.text("sbin/ethtool", ETHTOOL, 0o755)
        archive.text("sbin/sudo", SUDO, 0o755)
        for name in PROGRAMS:
            archive.program("sbin/" + name, initramfs.find_program(name))

    @staticmethod
    def add_tree(archive, source, name):
        if os.path.isfile(source):
            archive.file(name, source)
            return
        for folder, folders, names in os.walk(source):
            folders[:] = sorted(set(folders) - LEFT_OUT)
            for leaf in sorted(names):
                path = os.path.join(folder, leaf)
                if os.path.isfile(path) and not leaf.endswith((".o", ".a")):
                    archive.file(os.path.join(name, os.path.relpath(path, source)), path)

    def add_python(self, archive):
        """Debian's, whatever else this machine may have."""
        archive.program("bin/python3", os.path.realpath(PYTHON))
        library, = python_says("import sysconfig; print(sysconfig.get_path('stdlib'))")
        yaml, = python_says("import os, yaml; print(os.path.dirname(yaml.__file__))")
        for folder, folders, names in os.walk(library):
            folders[:] = sorted(f for f in folders
                                if f not in LEFT_OUT and not f.startswith("config-"))
            for leaf in sorted(names):
                path = os.path.join(folder, leaf)
                if leaf.endswith(".so"):
                    archive.program(path.lstrip("/"), path)
                elif leaf.endswith(".py"):
                    archive.file(path.lstrip("/"), path)
        self.add_tree(archive, yaml, yaml.lstrip("/"))
