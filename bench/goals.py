#!/usr/bin/env python3
"""goals.py FOLDER [--measured]: what was aimed at, beside what the figures in FOLDER (NAME.json, bench/report/report.h) say of it.

Prints a Markdown table and leaves it in FOLDER as goals.md and goals.json. A ratio is one of medians within the same interleaved
rounds, ours to the best of the peers that took part. What was not measured in that run is said to be so
(--measured: left out); nothing passes or fails.
"""
import json
import pathlib
import statistics
import sys

OURS = "mageflow"
GROWING_QUEUES = ("moodycamel", "oneTBB", "Boost.Lockfree", "liburcu", "mutex")


class Figures:
    """The tables of a folder, by title."""

    def __init__(self, folder):
        self.tables, self.machines = {}, {}
        for path in sorted(folder.glob("*.json")):
            if path.stem == "goals":
                continue        # our own
            documents = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
            if documents:
                self.machines[path.stem] = documents[0]
                for table in documents[1:]:
                    if "title" in table:
                        self.tables[table["title"]] = table

    def find(self, start):
        """The table whose title begins so: a size may stand behind it."""
        return next((table for title, table in self.tables.items() if title.startswith(start)), None)

    def medians(self, start, key="rounds"):
        table = self.find(start)
        return {row["name"]: statistics.median(row[key]) for row in table["rows"] if key in row} if table else {}

    def strong(self, start):
        """Names of those that promise no less than we do."""
        table = self.find(start)
        return [row["name"] for row in table["rows"] if not row.get("weak") and not row["name"].startswith(OURS)] if table else []


class Goal:
    """A line: the workload, the bound and the stretch, and (value, against whom), or None where it was not measured."""

    def __init__(self, workload, bound, stretch, measured):
        self.workload, self.bound, self.stretch, self.measured = workload, bound, stretch, measured

    def verdict(self):
        if self.measured is None:
            return "not measured"
        value = self.measured[0]
        if self.stretch is not None and value <= self.stretch:
            return "met, and the stretch"
        return "met" if value <= self.bound else "**missed**"


def against(figures, start, peers, ours=OURS, key="rounds"):
    """Ours to the least of these peers that are there."""
    medians = figures.medians(start, key)
    there = {name: medians[name] for name in peers if medians.get(name)}
    if ours not in medians or not there:
        return None
    best = min(there, key=there.get)
    return medians[ours] / there[best], f"{medians[ours]:.3g} against {best} {there[best]:.3g}"


def absolute(figures, start, key="rounds"):
    medians = figures.medians(start, key)
    return (medians[OURS], f"{medians[OURS]:.3g}") if OURS in medians else None


def workers(n):
    return f"{n} worker" + ("s" if n > 1 else "")


def submit_goals(f):
    best = ("crossbeam-channel", "kanal", "ForkJoinPool", "moodycamel")
    for n, bound, stretch in ((1, 0.5, 0.35), (2, 0.85, 0.6), (4, 0.8, 0.6)):
        yield Goal(f"W1 one by one, {workers(n)}: to the best of crossbeam, kanal, ForkJoinPool, moodycamel", bound, stretch,
                   against(f, f"One by one, {workers(n)}", best))
    for n in (1, 2, 4):
        yield Goal(f"W1 in batches of 256, {workers(n)}: to moodycamel's bulk", 0.8, 0.5,
                   against(f, f"Batches of 256, from those that have any, {workers(n)}", ("moodycamel",)))
    start = "Four producers, 2 workers"
    yield Goal("W2 four producers, 2 workers: to the best", 0.7, 0.5, against(f, start, f.strong(start)))


def fork_goals(f):
    shapes = ("fib", "skynet", "n-queens")
    titles = [title for title in f.tables if title.startswith(shapes)]
    for n in (1, 2):
        for title in titles:
            if not title.endswith(f", {workers(n)}"):
                continue
            shape = title.split(",")[0]
            if n == 1:
                yield Goal(f"W3 typed, {shape}, {workers(n)}: to plain calls", 1.3, 1.1, against(f, title, ("plain calls",)))
            yield Goal(f"W3 typed, {shape}, {workers(n)}: to rayon's join", 0.5, None, against(f, title, ("rayon",)))
            yield Goal(f"W3 untyped, {shape}, {workers(n)}: to rayon's join", 0.7, None,
                       against(f, title, ("rayon",), ours="mageflow, untyped"))


def wake_goals(f):
    start = "Wake-up of an idle pool, 2 workers, a job every 100 µs; the submitter "
    for how in ("looks for 50 µs, then yields", "yields at once", "holds its CPU"):
        yield Goal(f"W4 wake-up p50, the submitter {how}: to mutex and condition", 1.5, 1.2,
                   against(f, start + how, ("mutex + condition",)))
        yield Goal(f"W4 cores used at 100 µs gaps, the submitter {how}: to mutex and condition", 1.3, None,
                   against(f, start + how, ("mutex + condition",), key="cores"))
    yield Goal("W4 idle, thousandths of a core", 1, None, absolute(f, "An idle pool of 4 workers"))


def queue_goals(f):
    for n in (1, 2, 4):
        yield Goal(f"W5 unbounded queue, {n} to {n}: to the best", 1.0, 0.8,
                   against(f, f"{n} to {n} threads, one by one", GROWING_QUEUES, ours="mageflow, growing"))


def swarm_goals(f):
    for n in (1, 2):
        tasks, lanes = (f"Swarm shape, {how}, 30 in flight, {workers(n)}" for how in ("a task an item", "items in place by lanes"))
        yield Goal(f"W6 a task an item, {workers(n)}: to oneTBB's", 0.6, None, against(f, tasks, ("oneTBB",)))
        yield Goal(f"W6 items in place by lanes, {workers(n)}: to oneTBB's looping lanes", 1.2, None, against(f, lanes, ("oneTBB",)))
        for peer in ("goroutines", "tokio"):
            yield Goal(f"W6 a task an item, {workers(n)}: to {peer}", 0.15, None, against(f, tasks, (peer,)))


def other_goals(f):
    start = "Jobs that sleep for a millisecond, 64 workers"
    peers = f.strong(start)
    yield Goal("W7 64 threads: to the best", 1.0, None, against(f, start, peers))
    threads = [name for name in peers if name not in ("ants", "Go channel", "goroutines")]      # timers there, not threads
    yield Goal("W7 CPU a task: to the best thread pool", 1.0, None, against(f, start, threads, key="cpu"))
    yield Goal("W8 bytes a queued job", 41, 32, absolute(f, "Memory: "))
    yield Goal("W8 kept after the drain, % of the peak", 10, None, absolute(f, "Memory that is kept"))
    yield Goal("W1 beside two CPU hogs, 4 workers: to its own quiet round", 2, None,
               absolute(f, "Beside two CPU hogs, to its own quiet round"))
    # The worst of those that outsiders hand in.
    counted = {title: f.medians(title) for title in f.tables
               if title.startswith(("Shared read-modify-writes a job, one by one", "Shared read-modify-writes a job, by 256"))}
    for what, bound, stretch in (("submit", 0, None), ("take", 1 / 16, 1 / 32)):
        worst = max(counted, key=lambda title: counted[title][what], default=None)
        value = None if worst is None else counted[worst][what]
        # Waking a worker takes a few, once for hundreds of jobs: none a job is none to the hundredth.
        yield Goal(f"shared read-modify-writes a job, on {what}", bound, stretch,
                   None if value is None else (round(value, 2) if bound == 0 else value, f"{value:.4f}, {worst.split(', ', 1)[1]}"))


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[2:] not in ([], ["--measured"]):
        print("usage: goals.py FOLDER [--measured]", file=sys.stderr)
        return 2
    folder = pathlib.Path(sys.argv[1])
    figures = Figures(folder)
    goals = [goal for part in (submit_goals, fork_goals, wake_goals, queue_goals, swarm_goals, other_goals) for goal in part(figures)]
    if len(sys.argv) == 3 and not any(goal.measured for goal in goals):
        return 0        # of parts that print goals of their own
    lines = ["## Goals", "", "| workload | goal | stretch | measured | from | |", "|---|---|---|---|---|---|"]
    for goal in goals:
        if len(sys.argv) == 3 and not goal.measured:
            continue
        stretch = f"≤ {goal.stretch:.4g}" if goal.stretch is not None else ""
        value, from_ = (f"**{goal.measured[0]:.2f}**", goal.measured[1]) if goal.measured else ("", "")
        lines.append(f"| {goal.workload} | ≤ {goal.bound:.4g} | {stretch} | {value} | {from_} | {goal.verdict()} |")
    measured = [goal for goal in goals if goal.measured]
    missed = sum("missed" in goal.verdict() for goal in measured)
    lines += ["", f"{len(measured) - missed} met, {missed} missed, {len(goals) - len(measured)} not measured in this run."]
    text = "\n".join(lines)
    print(text)
    (folder / "goals.md").write_text(text + "\n", encoding="utf-8")
    (folder / "goals.json").write_text(json.dumps([
        {"workload": g.workload, "goal": g.bound, "stretch": g.stretch, "measured": g.measured[0] if g.measured else None,
         "from": g.measured[1] if g.measured else None, "verdict": g.verdict().strip("*")} for g in goals], ensure_ascii=False, indent=1)
        + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
