# SPDX-License-Identifier: GPL-2.0
"""What "make bench" measures, and what it makes of it: a table, results.json and a
plot. Knows neither how a guest is started nor how anything is counted in it."""

import itertools
import json
import os
import subprocess

import bench_lines
import bench_profile

REPEATS = 2
AGREE = 0.03
OUT = "build/bench"
# What every measurement has unless it says otherwise.
DEFAULT = {"what": "stream", "segment": 65536, "mss": 0, "page": 4096, "chunk": 65536,
           "buffer": 64 << 20, "flows": 1, "lowat": 1 << 20, "held": 0, "give": "collected",
           "mib": 256, "usecs": 100, "family": 4, "gro": 0, "beside": ""}
KERNEL = {"who": "kernel devmem", "chunk": 4096}
OURS = {"who": "net/devmem"}
RING = {"who": "net/devmem io_uring"}


def sizes():
    for segment, mib in ((65536, 256), (8948, 128), (1448, 64)):
        stream = {"segment": segment, "mib": mib}
        for who in ("recv", "recv+copy"):
            for page in (4096, 65536):
                yield {"who": who, "page": page, **stream}
        yield {**KERNEL, **stream}
        for chunk in (4096, 65536, 2 << 20):
            yield {**OURS, "chunk": chunk, **stream}
    for who, chunk in (("net/devmem io_uring", 65536), ("net/devmem io_uring", 2 << 20),
                       ("io_uring zcrx", 4096), ("io_uring zcrx", 65536),
                       ("io_uring zcrx", 2 << 20), ("io_uring zcrx user", 4096)):
        yield {"who": who, "chunk": chunk}


def raised():
    for segment, mib in ((65536, 256), (8948, 128), (1448, 64)):
        for case in ({"who": "recv+copy"}, {"who": "recv+copy", "page": 65536}, KERNEL, OURS,
                     {**OURS, "chunk": 2 << 20}):
            yield {**case, "segment": segment, "mib": mib, "gro": 524280}


def zerocopy():
    for case in ({"who": "recv+copy"}, {"who": "zerocopy+copy"}, KERNEL, OURS):
        yield {**case, "mss": 4096}


def ipv6():
    for case in ({"who": "recv+copy"}, KERNEL, OURS):
        yield {**case, "family": 6}


def big():
    for family in (4, 6):
        stream = {"segment": 262144, "family": family}
        for page in (4096, 65536):
            yield {"who": "recv+copy", "page": page, **stream}
        for chunk in (65536, 2 << 20):
            yield {**OURS, "chunk": chunk, **stream}


def flows():
    for case in ({"who": "recv+copy"}, KERNEL, OURS, RING):
        for number in (1, 64, 1024):
            yield {**case, "flows": number, "buffer": 256 << 20,
                   "mib": 256 if number == 1024 else 64}


def held():
    for case in (KERNEL, OURS):
        for percent in (0, 50, 90):
            yield {**case, "held": percent}


def tokens():
    for case in (KERNEL, {**OURS, "chunk": 4096}, OURS):
        # the kernel's tokens of one reader have gaps: he cannot know a range of them
        for give in ("ranges",)[case is KERNEL:] + ("collected", "128", "single"):
            yield {**case, "what": "tokens", "give": give, "held": 60, "mib": 32}


def queues():
    # The clock counts instructions of all CPUs, so an interrupt comes after fewer
    # packets the more of them are busy. Not if it waits for all that TCP lets out.
    for beside in ("nobody", "shares", "own"):
        yield {**OURS, "beside": beside, "buffer": 128 << 20, "usecs": 4000, "mib": 128}


def library():
    for segment, mib in ((65536, 256), (1448, 64)):
        stream = {"segment": segment, "mib": mib}
        for who in ("net/devmem", "library", "recv", "recv+copy", "library copy"):
            yield {"who": who, **stream}
        for case in (KERNEL, {**KERNEL, "who": "library kernel"}):
            yield {**case, **stream}


def setup():
    yield {**KERNEL, "what": "bind"}
    for chunk in (4096, 65536, 2 << 20):
        yield {**OURS, "what": "bind", "chunk": chunk}
    yield {**OURS, "what": "attach"}


GROUPS = {
    "sizes": ("by size of segment", sizes),
    "raised": ("by size of segment, gro_max_size of the device raised to 524280", raised),
    "zerocopy": ("segments of 4,096 bytes, in super-packets of whole pages", zerocopy),
    "ipv6": ("super-packets, IPv6", ipv6),
    "big": ("super-packets of up to 256 KiB", big),
    "flows": ("by number of connections, a buffer of 256 MiB", flows),
    "queues": ("beside a connection on another queue and CPU: nobody, one that shares the binding "
               "or has\nits own; the NIC interrupts after 4 ms", queues),
    "held": ("by percentage of a buffer of 64 MiB that the reader keeps", held),
    "tokens": ("giving tokens back, alone", tokens),
    "library": ("what the library costs on its paths, beside the bare calls, by size of segment",
                library),
    "setup": ("bind 512 MiB, attach a connection", setup),
}


def choose(selection):
    """Of parts, or of "part:text" those rows that have the text in their label or name."""
    cases = []
    for word in selection.split() or list(GROUPS):
        name, _, text = word.partition(":")
        if name not in GROUPS:
            raise SystemExit(f"no part '{name}'; there are: {' '.join(GROUPS)}")
        rows = [{"group": name, "params": {**DEFAULT, **case}} for case in GROUPS[name][1]()]
        chosen = [row for row in rows if text in label(row)]
        if not chosen:
            raise SystemExit(f"no row of '{name}' has '{text}'; there are:\n" +
                             "\n".join(f"  {label(row)}" for row in rows))
        cases += chosen
    for i, case in enumerate(cases):
        case.update(number=REPEATS * i + 1, repeats=[])
    return cases


def plan(cases):
    """For the guest's shell."""
    lines = ["insmod /modules/netdev-devmem.ko", "insmod /modules/netdevsim-devmem.ko",
             "echo \"@@ flags $(grep -m1 ^flags /proc/cpuinfo)\"",
             # 1,024 connections must not be short of memory
             "echo 262144 327680 393216 > /proc/sys/net/ipv4/tcp_mem",
             "/selftests/bench announce || exit 1", "cat /proc/kallsyms > /tmp/kallsyms"]
    for case in cases:
        words = [f"{name}={value}" for name, value in case["params"].items()]
        words += [f"number={case['number']}", f"repeats={REPEATS}"]
        lines.append("echo '@@ case %d'; /selftests/bench %s" %
                     (case["number"], " ".join(f"'{word}'" for word in words)))
    lines.append("awk '$4 ~ /netdev/ { print \"@@ own \" $1 \" \" $2 \" \" $3 }' /tmp/kallsyms")
    if os.environ.get("PROFILE"):
        lines.append("awk '$2 ~ /[tTwW]/ { print \"@@ symbol \" $1 \" \" $3 }' /tmp/kallsyms")
    return "\n".join(lines) + "\n"


class Results:
    """What the guest says, line by line; then what the plugin has counted."""

    def __init__(self, cases):
        self.cases = {case["number"]: case for case in cases}
        self.flags = ""
        self.own = []           # the modules' symbols in the guest of four CPUs
        self.now = None
        self.said = {}
        self.symbols = {}       # of each guest, by its number of CPUs

    def feed(self, line):
        """Returns the case that begins."""
        if line.startswith("@@ case "):
            self.now = self.cases[int(line.split()[2])]
            return self.now
        if line.startswith("@@ flags "):
            self.flags = line.partition(": ")[2]
        elif line.startswith("@@ own ") and cpus(self.now) > 2:
            _, _, address, _, name = line.split()
            self.own.append((int(address, 16), name))
        elif line.startswith("@@ symbol "):
            _, _, address, name = line.split()
            self.symbols.setdefault(cpus(self.now), []).append((int(address, 16), name))
        elif line.startswith("@ "):
            said = json.loads(line[2:])
            if "number" in said:
                self.said.setdefault(said["number"], {}).update(said)
        elif self.now and line.startswith("# ") and not line.startswith("# measure: "):
            self.now["error"] = line[2:]
        return None

    def read_counts(self, paths):
        counts = {}
        for path in paths:
            with open(path, encoding="utf-8") as f:
                counts.update((count["number"], count) for count in map(json.loads, f))
        for case in self.cases.values():
            for number in range(case["number"], case["number"] + REPEATS):
                said = self.said.get(number)
                if said and "missing" in said:
                    case["missing"] = said["missing"]
                elif said and not paths and "cycles" in said:
                    case["repeats"].append(figures(said, clocked(said)))
                elif said and number in counts:
                    case["repeats"].append(figures(said, counts[number]))
            summarize(case)


def clocked(said):
    """As if the plugin had counted what the guest's clock says."""
    return {"cpu": 0, "cpus": [{"user": 0, "kernel": said["cycles"], "device": 0}],
            "clock": said["clock"], "ns": said["ns"]}


def figures(said, count):
    """Of one repeat: of the CPU that received, but for the hardware's work."""
    cpu = count["cpus"][count["cpu"]]
    total = cpu["user"] + cpu["kernel"]
    result = {"instructions": total, "user": cpu["user"], "kernel": cpu["kernel"],
              "device": cpu["device"], "error": count.get("error"),
              "clock": count.get("clock"),
              "lines": count.get("lines"), "lines_touched": count.get("lines_touched"),
              "sender": sum(c["user"] + c["kernel"] for i, c in enumerate(count["cpus"])
                            if i != count["cpu"])}
    if "bytes" not in said:
        result["operations"] = said["operations"]
        result["per_operation"] = total / said["operations"]
        if "host_kib" in said:
            result["host_kib_per_gib"] = said["host_kib"]
        return result
    mib = said["bytes"] / (1 << 20)
    if "ns" in count:
        result["mb_per_s"] = said["bytes"] * 1000 / count["ns"]
    result.update(mib=mib, per_mib=total / mib, per_packet=total / max(said["packets"], 1),
                  packets=said["packets"], calls_per_mib=said["calls"] / mib,
                  touched_per_mib=said["touched"] / mib, placed=said["placed"] / said["bytes"],
                  beside=said["beside"] / said["bytes"],
                  pieces_per_mib=said["pieces"] / mib, user_per_mib=cpu["user"] / mib)
    return result


def summarize(case):
    """The mean of the repeats, and by how much they differ."""
    if len(case["repeats"]) < REPEATS:
        return
    key = "per_mib" if "per_mib" in case["repeats"][0] else "per_operation"
    values = [repeat[key] for repeat in case["repeats"]]
    case["figures"] = {name: sum(r[name] for r in case["repeats"]) / REPEATS
                       for name, value in case["repeats"][0].items()
                       if isinstance(value, (int, float)) and name != "lines_touched"}
    case["spread"] = (max(values) - min(values)) / min(values)
    case["agree"] = case["spread"] <= AGREE


def size(number):
    for unit, name in ((1 << 20, "M"), (1 << 10, "K")):
        if number >= unit and number % unit == 0:
            return f"{number // unit}{name}"
    return f"{number:,}"


def name_of(case):
    params = case["params"]
    host = params["who"] in ("recv", "recv+copy", "zerocopy+copy", "library copy")
    return f"{params['who']} {size(params['page' if host else 'chunk'])}"


def variable(case):
    """What a row has that others of its group have not."""
    params = case["params"]
    return {"sizes": size(params["segment"]), "library": size(params["segment"]),
            "raised": size(params["segment"]), "zerocopy": size(params["mss"]),
            "ipv6": f"IPv{params['family']}", "flows": f"{params['flows']:,}",
            "big": f"IPv{params['family']}",
            "held": f"{params['held']} %", "tokens": params["give"],
            "queues": params["beside"], "setup": params["what"]}[case["group"]]


def cpus(case):
    """Of the guest that it needs."""
    return 4 if case["params"]["beside"] else 2


def label(case):
    return f"{variable(case):9} {name_of(case)}"


STREAM = "  {:9} {:23} {:>8} {:>9} {:>7} {:>7} {:>12} {:>7} {:>8}"
STREAM_HEADS = (("", "", "M insn", "insn per", "x recv", "calls", "CPU touches", "", "repeats"),
                ("", "", "per MiB", "packet", "+copy", "per MiB", "MiB per MiB", "placed",
                 "differ"))
UNITS = {None: "insn", "cycles": "cycl", "TSC": " TSC"}
ONCE = "  {:9} {:23} {:>12} {:>18} {:>15}"
ONCE_HEADS = (("", "", "insn each", "host KiB per GiB", "repeats differ"),)


def clock(case):
    """What the guest has measured it with, None: the plugin has, instructions."""
    return case["repeats"][0].get("clock") if case["repeats"] else None


def head(case):
    stream = case["params"]["what"] == "stream"
    text = "\n".join((STREAM if stream else ONCE).format(*line)
                     for line in (STREAM_HEADS if stream else ONCE_HEADS))
    unit = clock(case)
    return text.replace("insn", UNITS[unit]) + ("      MB/s" if unit and stream else "")


def against(case, cases):
    """How many times what recv() and a copy cost, everything else the same."""
    same = ("what", "segment", "mss", "flows", "lowat", "held", "give", "family")
    for other in cases:
        if (other["params"]["who"] == "recv+copy" and other["params"]["page"] == 4096 and
                "figures" in other and other["group"] == case["group"] and
                all(other["params"][name] == case["params"][name] for name in same)):
            return case["figures"]["per_mib"] / other["figures"]["per_mib"]
    return None


def row(case, cases):
    start = (variable(case), name_of(case))
    if "figures" not in case:
        return "  {:9} {:23} ".format(*start) + (
            case.get("missing") or "FAILED: " + case.get("error", "no figures"))
    f = case["figures"]
    spread = f"{100 * case['spread']:.1f} %" + ("" if case["agree"] else " !")
    if "per_operation" in f:
        host = f"{f['host_kib_per_gib']:,.0f}" if "host_kib_per_gib" in f else ""
        return ONCE.format(*start, f"{f['per_operation']:,.0f}", host, spread)
    ratio = against(case, cases)
    return STREAM.format(*start, f"{f['per_mib'] / 1e6:.3f}", f"{f['per_packet']:,.0f}",
                         f"{ratio:.2f}" if ratio else "", f"{f['calls_per_mib']:.1f}",
                         f"{f['touched_per_mib'] / (1 << 20):.2f}",
                         f"{100 * f['placed']:.1f} %", spread) + (
        f" {f['mb_per_s']:9,.0f}" if "mb_per_s" in f else "")


def table(cases):
    group = before = None
    for case in cases:
        if case["group"] != group:
            group = case["group"]
            before = variable(case)
            yield f"\n{GROUPS[group][0]}"
            yield head(case)
        elif group == "sizes" and variable(case) != before:
            before = variable(case)
            yield ""
        yield row(case, cases)
    bad = [case for case in cases if "figures" in case and not case["agree"]]
    if bad:
        yield f"\n! {len(bad)} of {len(cases)}: repeats differ by more than {AGREE:.0%}"


def find(cases, group, who, **params):
    """The cheapest of those that were measured with these parameters, in M per MiB or,
    once, in instructions."""
    values = [case["figures"].get("per_mib", 0) / 1e6 or case["figures"]["per_operation"]
              for case in cases
              if "figures" in case and case["group"] == group and case["params"]["who"] == who and
              all(case["params"][name] == value for name, value in params.items())]
    return min(values, default=None)


def goals(cases):
    """What it should cost, as (what, value, at most): ratios, of the best chunk size."""
    ours = "net/devmem"
    for group, (text, segment, who, page, most) in itertools.product(("sizes", "raised"), (
            ("64K super-packets, to recv+copy 4K", 65536, "recv+copy", 4096, 0.30),
            ("64K super-packets, to recv+copy 64K", 65536, "recv+copy", 65536, 0.40),
            ("64K super-packets, to kernel devmem 4K", 65536, "kernel devmem", 4096, 0.25),
            ("segments of 1,448, to recv+copy 4K", 1448, "recv+copy", 4096, 0.25),
            ("segments of 1,448, to kernel devmem 4K", 1448, "kernel devmem", 4096, 0.20))):
        yield (f"{text}{', raised' * (group == 'raised')}",
               find(cases, group, ours, segment=segment),
               find(cases, group, who, segment=segment, page=page), most)
    for family in (4, 6):
        yield (f"packets of 256 KiB, IPv{family}, to recv+copy 64K",
               find(cases, "big", ours, family=family),
               find(cases, "big", "recv+copy", family=family, page=65536), 0.25)
    yield ("1,024 connections, to one", find(cases, "flows", ours, flows=1024),
           find(cases, "flows", ours, flows=1), 1.2)
    yield ("90 % of the buffer held, to none", find(cases, "held", ours, held=90),
           find(cases, "held", ours, held=0), 1.1)
    yield ("a token given back in ranges, instructions",
           find(cases, "tokens", ours, give="ranges"), 1, 50)
    for beside in ("shares", "own"):
        yield (f"beside another queue ({beside}), to nobody",
               find(cases, "queues", ours, beside=beside),
               find(cases, "queues", ours, beside="nobody"), 1.05)
    for segment in (65536, 1448):
        for who, bare in (("library", ours), ("library copy", "recv+copy"),
                          ("library kernel", "kernel devmem")):
            yield (f"{who}, {size(segment)}, to {bare}",
                   find(cases, "library", who, segment=segment),
                   find(cases, "library", bare, segment=segment), 1.05)
    calls = [case["figures"]["calls_per_mib"] for case in cases
             if case["group"] == "sizes" and "figures" in case and
             case["params"]["who"] == ours and case["params"]["segment"] == 65536]
    yield "64K super-packets, system calls per MiB", min(calls, default=None), 1, 2


def verdict(cases):
    lines = [f"  {text:48} {value / base:6.2f} {most:9.2f}" +
             ("" if value / base <= most else "   missed")
             for text, value, base, most in goals(cases) if value is not None and base]
    if lines:
        yield f"\n{'net/devmem':50} {'is':>6} {'at most':>9}"
        yield from (line.rstrip() for line in lines)


CONDITIONS = """\
Instructions of the receiving CPU: the NIC's poll, the stack, the process, tokens
given back. Without the NIC's own work (DMA, parsing, steering, checksums, GRO in
hardware, freeing what was sent) and without the sender, which has the other CPU.
One instruction is one nanosecond; the NIC interrupts {usecs} us after the first packet;
SO_RCVLOWAT 1 MiB unless it is said; rep instructions count once for each step.
{kernel}, {emulator}
CPU flags that matter: erms {erms}, fsrm {fsrm}, cx16 {cx16}, avx2 {avx2}"""


# What is true without the plugin.
CLOCK_CONDITIONS = """\
{what}: the NIC's poll, the stack, the process,
tokens given back, and the NIC's own work, which is copying. The sender has another CPU.
MB/s: payload by the guest's clock, with a NIC that a CPU plays: for comparison of rows only.
{kernel}, {emulator}"""
CLOCKS = {"cycles": "Cycles of the receiving CPU while it was not idle",
          "TSC": "Time of the receiving CPU, idle or not, by its TSC (it has no counter of cycles)"}


def conditions(results, kernel, emulator):
    for case in results.cases.values():
        if clock(case):
            return CLOCK_CONDITIONS.format(what=CLOCKS[clock(case)], kernel=kernel,
                                           emulator=emulator)
    flags = results.flags.split()
    has = {name: "yes" if name in flags else "no" for name in ("erms", "fsrm", "cx16", "avx2")}
    return CONDITIONS.format(usecs=DEFAULT["usecs"], kernel=kernel, emulator=emulator, **has)


def commit():
    done = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True,
                          text=True, check=False)
    return done.stdout.strip() or "unknown"


def write(cases, kernel, emulator, path):
    """One object for each case."""
    objects = []
    version = commit()
    for case in cases:
        repeats = [{name: value for name, value in repeat.items() if name != "lines"}
                   for repeat in case["repeats"]]
        objects.append({"contender": case["params"]["who"], "group": case["group"],
                        "name": name_of(case), "params": case["params"],
                        "figures": case.get("figures"), "repeats": repeats,
                        "spread": case.get("spread"), "agree": case.get("agree"),
                        "clock": clock(case), "missing": case.get("missing"),
                        "error": case.get("error"),
                        "kernel": kernel, "emulator": emulator, "commit": version})
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        json.dump(objects, f, indent=1)
        f.write("\n")


def profile(cases, path, symbols):
    """Of the first repeat of each stream: functions and instructions for each MiB."""
    found = {}
    for number, names in symbols.items():
        found.update(bench_profile.read(f"{path}-{number}", names))
    for case in cases:
        if "figures" in case and "mib" in case["repeats"][0] and case["number"] in found:
            yield f"\n  {variable(case):9} {name_of(case)}, instructions per MiB"
            yield from bench_profile.lines(found[case["number"]], case["repeats"][0]["mib"])


def shared_lines(cases, symbols):
    """Of the first repeat of each stream beside another one."""
    for case in cases:
        if "figures" in case and case["repeats"][0].get("lines") is not None:
            repeat = case["repeats"][0]
            yield f"\n  {variable(case):9} {name_of(case)}, cache lines that both receivers use"
            yield from bench_lines.lines(repeat, symbols, repeat["mib"])


def failed(cases):
    return [case for case in cases if "figures" not in case and "missing" not in case]
