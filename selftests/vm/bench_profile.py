# SPDX-License-Identifier: GPL-2.0
"""Where the instructions of a case of "make bench" went, by function. Knows what the
plugin writes with profile=FILE; must not know what was measured."""

import bisect
import collections

SHOWN = 30


def read(path, symbols):
    """By number of the measurement: a Counter of instructions by function."""
    symbols = sorted(symbols)
    starts = [start for start, _ in symbols]
    found = collections.defaultdict(collections.Counter)
    with open(path, encoding="utf-8") as f:
        for line in f:
            number, address, insns = line.split()
            address = int(address, 16)
            at = bisect.bisect_right(starts, address) - 1
            name = symbols[at][1] if address >> 63 and at >= 0 else "(user)"
            found[int(number)][name] += int(insns)
    return found


def lines(counter, mib):
    """`mib`: what to divide by."""
    total = sum(counter.values())
    for name, insns in counter.most_common(SHOWN):
        yield f"    {insns / mib:12,.0f} {100 * insns / total:5.1f} %  {name}"
    rest = total - sum(insns for _, insns in counter.most_common(SHOWN))
    yield f"    {rest / mib:12,.0f} {100 * rest / total:5.1f} %  in {len(counter)} functions in all"
