# SPDX-License-Identifier: GPL-2.0
"""Which cache lines two receiving CPUs share, by what touches them. Knows what the plugin
writes of lines; must not know what was measured."""

import bisect
import collections

KINDS = ("reads", "writes")


def name(symbols, starts, address):
    """Function or variable, and how far in it. A variable that is none of the modules' own:
    allocated memory."""
    at = bisect.bisect_right(starts, address) - 1
    if at < 0 or address - starts[at] > 1 << 14:
        return None
    return symbols[at][1], address - starts[at]


def touched(symbols, starts, line):
    """The functions that touch a line, each with what it does and on which of the CPUs."""
    found = collections.defaultdict(set)
    for who, by in enumerate(line[2:]):
        for kind, (times, where) in zip(KINDS, (by[0:2], by[2:4])):
            if times:
                function = name(symbols, starts, where)
                found[function[0] if function else "?", kind].add(who)
    return tuple(sorted((function, kind, "both" if len(cpus) == 2 else "one")
                        for (function, kind), cpus in found.items()))


def lines(result, symbols, mib):
    """Of one repeat: a line for each set of functions, the busiest first."""
    symbols = sorted(symbols)
    starts = [start for start, _ in symbols]
    groups = collections.defaultdict(lambda: [0, 0, 0, set()])
    for line in result["lines"]:
        group = groups[touched(symbols, starts, line)]
        group[0] += 1
        group[1] += line[1]
        group[2] += sum(times for by in line[2:] for times in (by[0], by[2]))
        where = name(symbols, starts, line[0])
        group[3].add(f"{where[0]}+{where[1]:#x}" if where else f"{line[0]:#x}")
    yield (f"    {len(result['lines'])} of {result['lines_touched']} lines; "
           "lines, changed hands and touched per MiB, where, what touches them on one or both CPUs")
    for what, (count, handed, times, where) in sorted(groups.items(), key=lambda g: -g[1][1]):
        some = ", ".join(sorted(where)[:2]) + (", ..." if len(where) > 2 else "")
        yield f"    {count:6} {handed / mib:9.2f} {times / mib:9.1f}  {some}"
        for function, kind, cpus in what:
            yield f"{'':30}{function} {kind}, {cpus}"
