#!/usr/bin/env python3
"""plot.py FOLDER: draw the figures that the benchmarks left in FOLDER (NAME.json, bench/report/report.h) as FOLDER/NAME-TABLE.svg.

A bar is a median, the whisker the least and the greatest round; the axis is logarithmic, for contestants differ by tens.
Where machine.json is, the machine's own limits are dotted lines in every plot of a time."""
import json
import math
import pathlib
import re
import statistics
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402  (the back end is chosen first)

NANOSECONDS = {"ns": 1, "µs": 1e3, "ms": 1e6}


def read(path):
    """(machine, tables): a document a line, the machine first."""
    documents = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return documents[0], documents[1:]


def limits_of(folder):
    """Name and nanoseconds of each limit, or nothing where they were not measured."""
    path = folder / "machine.json"
    if not path.exists():
        return {}
    return {row["name"]: statistics.median(row["rounds"]) for table in read(path)[1] for row in table["rows"]}


def draw_limits(axes, unit, limits):
    """Those that lie within the plot, named at its upper edge."""
    per = NANOSECONDS.get(unit.split()[0])
    low, high = axes.get_xlim()
    for name, ns in limits.items():
        if per and low < ns / per < high:
            axes.axvline(ns / per, linestyle=":", color="0.4", linewidth=1)
            axes.text(ns / per, 1.0, " " + name, transform=axes.get_xaxis_transform(), rotation=30, fontsize=7, color="0.3", va="bottom")


def draw(machine, table, limits, path):
    rows = table["rows"][::-1]      # the first on top
    medians = [statistics.median(row["rounds"]) for row in rows]
    spread = [[m - min(row["rounds"]) for m, row in zip(medians, rows)], [max(row["rounds"]) - m for m, row in zip(medians, rows)]]
    figure, axes = plt.subplots(figsize=(8, 1.6 + 0.32 * len(rows)), layout="constrained")
    colors = ["#c0392b" if row is table["rows"][0] else "#7f8c8d" for row in rows]
    bars = axes.barh([row["name"] for row in rows], medians, xerr=spread, color=colors, error_kw={"elinewidth": 1, "ecolor": "0.2"})
    axes.bar_label(bars, [f"{m:.4g}" for m in medians], padding=4, fontsize=8)
    axes.set_xscale("log")
    some = [value for row in rows for value in row["rounds"] if value > 0] or [1]     # a count may be 0, which has no logarithm
    axes.set_xlim(10 ** math.floor(math.log10(min(some))), max(some) * 2.5)
    draw_limits(axes, table["unit"], limits)
    axes.set_xlabel(f"{table['unit']} · {machine['cpu']}, {machine['cpus']} CPUs · {machine['day']}", fontsize=8)
    axes.set_title(table["title"], fontsize=10, pad=40 if limits else 8)
    figure.savefig(path)
    plt.close(figure)


def main():
    if len(sys.argv) != 2:
        print("usage: plot.py FOLDER", file=sys.stderr)
        return 2
    folder = pathlib.Path(sys.argv[1])
    limits = limits_of(folder)
    for path in sorted(folder.glob("*.json")):
        if path.stem == "goals":
            continue        # the goals' own form, and no figures
        machine, tables = read(path)
        for table in tables if "cpu" in machine else []:
            name = re.sub(r"[^a-z0-9]+", "-", table["title"].lower()).strip("-")
            draw(machine, table, {} if path.stem == "machine" else limits, folder / f"{path.stem}-{name}.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
