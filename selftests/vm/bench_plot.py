#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Draws the results of "make bench": bench_plot.py RESULTS.JSON PLOT.SVG. A panel for
each stream, a bar for each contender. Knows the JSON and gnuplot."""

import json
import subprocess
import sys

COLUMNS = 3
WIDTH, HEIGHT = 460, 340     # of a panel
COLOURS = {"recv": "#b0b0b0", "recv+copy": "#707070", "zerocopy+copy": "#c8a060",
           "kernel devmem": "#5080c0", "net/devmem": "#409060", "net/devmem io_uring": "#80c098",
           "library": "#a0d0b0", "library copy": "#d0b080", "library kernel": "#90b0e0",
           "io_uring zcrx": "#a05090", "io_uring zcrx user": "#c890b8"}
HEAD = {"sizes": "segments of {segment:,} B", "library": "library, segments of {segment:,} B",
        "raised": "gro_max_size raised, segments of {segment:,} B",
        "zerocopy": "super-packets, segments of {mss:,} B",
        "ipv6": "IPv6, super-packets", "big": "IPv{family}, packets of 256 KiB",
        "flows": "{flows:,} connections",
        "queues": "beside another queue: {beside}", "held": "{held} % of the buffer held"}


def panels(results):
    """By title, in the order in which they were measured: name, colour, value."""
    found = {}
    for result in results:
        figures = result["figures"]
        if not figures or "per_mib" not in figures:
            continue
        head = HEAD[result["group"]].format(**result["params"])
        head = head.replace("segments of 65,536 B", "super-packets of 64 KiB")
        bar = (result["name"], COLOURS[result["contender"]], figures["per_mib"] / 1e6)
        found.setdefault(head, []).append(bar)
    return found


def quote(text):
    return '"' + text.replace('"', "'") + '"'


def script(found, path, subject, unit):
    rows = (len(found) + COLUMNS - 1) // COLUMNS
    yield (f"set terminal svg size {COLUMNS * WIDTH},{rows * HEIGHT + 40} font 'sans,11' "
           "background 'white' noenhanced")
    yield f"set output {quote(path)}"
    yield f"set multiplot layout {rows},{COLUMNS} title {quote(subject)}"
    yield "set style fill solid\nset boxwidth 0.7\nset grid ytics\nset yrange [0:*]\nunset key"
    yield "set offsets 0, 0, graph 0.08, 0"
    yield f"set xtics rotate by -35 nomirror\nset ylabel 'M {unit} per MiB'"
    for head, bars in found.items():
        yield f"set title {quote(head)}\nset xrange [-0.7:{len(bars) - 0.3}]"
        tics = ", ".join(f"{quote(name)} {i}" for i, (name, _, _) in enumerate(bars))
        yield f"set xtics ({tics})"
        yield "plot '-' using 1:2:3 with boxes linecolor rgb variable, \\\n" \
              "     '-' using 1:2:(sprintf('%.2f', $2)) with labels offset 0,0.6"
        for i, (_, colour, value) in enumerate(bars):
            yield f"{i} {value:.4f} 0x{colour[1:]}"
        yield "e"
        for i, (_, _, value) in enumerate(bars):
            yield f"{i} {value:.4f}"
        yield "e"
    yield "unset multiplot"


def main():
    source, path = sys.argv[1:]
    with open(source, encoding="utf-8") as f:
        results = json.load(f)
    found = panels(results)
    if not found:
        return
    clock = next((result["clock"] for result in results if result.get("clock")), None)
    subject = (f"Receiving host: {results[0]['kernel']}, commit {results[0]['commit']}, " +
               ("sender excluded" if clock else "NIC's work and sender excluded"))
    lines = script(found, path, subject, clock or "instructions")
    subprocess.run(["gnuplot"], input="\n".join(lines) + "\n", text=True, check=True)


if __name__ == "__main__":
    main()
