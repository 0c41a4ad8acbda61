#!/usr/bin/env python3
"""run.py [--quick] [--rounds N] [--json FILE] [--only SECTION] [--alone] [--url URL] [--under COMMAND] BUILD: the Hatchet bridge beside the SDKs on one engine; see README.md here.

In each round every contestant has its turn, each on a database and an engine process of its own, and a ratio is the median of
the rounds' own ratios. Goals are printed next to the figures; nothing passes or fails by time.
"""
import argparse
import json
import subprocess
import sys
import time

from contestants import HERE, ROOT, SLOTS, Go, Mageflow, Python, processes_of

from fleet import Engine                    # the tests' engine, and the SDK's stubs
from hatchet_sdk.contracts.workflows_pb2 import BulkTriggerWorkflowRequest
from machine import cpu_seconds, describe, median, number, pair_ratio, rss_kib, table, verdict, wait_idle, wait_until
from wire_client import DONE, Wire, trigger

WARM = 50           # tasks before the clock: connections, plans and compilers are there
AT_ONCE = 1000      # runs in one BulkTriggerWorkflow: the engine takes no more


class Database:
    """One psql for the whole turn: asked often, it costs the machine little."""

    def __init__(self, engine):
        self.process = subprocess.Popen(["psql", "-X", "-q", "-A", "-t", "-d", engine.database], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def number(self, statement):
        self.process.stdin.write(statement + ";\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def completed(self):
        """Tasks whose COMPLETED the engine has stored."""
        return self.number("SELECT count(*) FROM v1_task_event WHERE event_type = 'COMPLETED'")

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def trigger_many(wire, count):
    request = trigger.TriggerWorkflowRequest(name="noop", input="{}")
    for first in range(0, count, AT_ONCE):
        bulk = BulkTriggerWorkflowRequest(workflows=[request] * min(AT_ONCE, count - first))
        wire.call("BulkTriggerWorkflow", bulk, timeout=120)


def start_ms(wire, name):
    """From before the trigger to the begin of the task in the worker."""
    before = time.time()
    run = wire.run(name)
    # Looking seldom: what is measured is over by then, and the look itself is work for the engine.
    while (state := wire.state(run)) not in DONE:
        time.sleep(0.03)
    if state != "COMPLETED":
        raise RuntimeError(f"a run of {name} is {state}")
    details = next(iter(wire.details(run).task_runs.values()))
    return (json.loads(details.output)["at"] - before) * 1000


class Turn:
    """A contestant's worker on an empty engine."""

    def __init__(self, engine, contestant):
        engine.do("fresh")
        self.engine, self.contestant, self.done = engine, contestant, 0
        self.worker, self.database = contestant.start(engine), Database(engine)
        self.wire = Wire(engine)
        self.pids = processes_of(self.worker)

    def run(self, count):
        """Trigger as many no-op tasks, wait for their end."""
        trigger_many(self.wire, count)
        self.done += count

        def over():
            time.sleep(0.05)
            return self.database.completed() >= self.done
        wait_until(over, 240, f"{count} tasks")

    def cpu(self):
        return sum(map(cpu_seconds, self.pids))

    def rss_kib(self):
        return sum(map(rss_kib, self.pids))

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        if kind is not None:
            print(self.worker.text()[-2000:], file=sys.stderr)
        self.contestant.end(self.worker)
        self.database.close()
        self.wire.channel.close()


class Bench:
    def __init__(self, build, quick=False, rounds=None, alone=False, url="hatchet:", under=""):
        self.quick, self.rounds = quick, rounds or (2 if quick else 5)
        self.ours, self.python, self.go = Mageflow(build, url, under), Python(), Go()
        self.all = [self.ours] if alone else [self.ours, self.python, self.go]
        self.absent = [c for c in self.all if c.missing()]
        self.all = [c for c in self.all if not c.missing()]
        self.figures, self.goals = {}, []
        self.engine = Engine()

    def turn(self, contestant, run, *given):
        """One turn; None where a peer fails in it, which must not end the others' run. Ours may not fail."""
        try:
            return run(contestant, *given)
        except (RuntimeError, AssertionError) as error:
            if contestant is self.ours:
                raise
            print(f"- {contestant.name}: left out of a table, a turn failed: {error}")
            return None

    def in_turn(self, run, *given):
        """{contestant: what each round gave}, without those that failed in one."""
        got = {c: [] for c in self.all}
        for turn in range(self.rounds):
            print(f"round {turn + 1} of {self.rounds}", file=sys.stderr)
            for c in self.all:
                got[c].append(self.turn(c, run, *given))
        return {c: rounds for c, rounds in got.items() if None not in rounds}

    # ---- no-op tasks -----------------------------------------------------------------------------------------------

    def run_tasks(self, contestant, count):
        with Turn(self.engine, contestant) as turn:
            turn.run(WARM)
            wait_idle(turn.pids)
            cpu, engine_cpu, began = turn.cpu(), cpu_seconds(self.engine.engine), time.perf_counter()
            turn.run(count)
            seconds = time.perf_counter() - began
            wait_idle(turn.pids)
            return {"rate": count / seconds, "cpu_us": (turn.cpu() - cpu) / count * 1e6,
                    "engine_us": (cpu_seconds(self.engine.engine) - engine_cpu) / count * 1e6, "rss_kib": turn.rss_kib()}

    def tasks(self):
        count = 500 if self.quick else 2000
        got = self.in_turn(self.run_tasks, count)
        series = {c: {key: [r[key] for r in rounds] for key in rounds[0]} for c, rounds in got.items()}
        mine, rows = series[self.ours], []

        def cell(values):
            return f"**{number(median(values))}** ({number(min(values))} – {number(max(values))})"
        for c, s in series.items():
            row = [c.name]
            for key, over in (("rate", False), ("cpu_us", True), ("engine_us", True), ("rss_kib", True)):
                values = [v / 1024 for v in s[key]] if key == "rss_kib" else s[key]
                ratio = pair_ratio(s[key], mine[key]) if over else pair_ratio(mine[key], s[key])
                row += [cell(values), "1" if c is self.ours else number(ratio)]
            rows.append(row)
        print(f"\n## {count} no-op tasks\n\n{SLOTS} slots each; from the first trigger until the engine has stored the last end. Behind each "
              "figure how many times better ours is; least and greatest in brackets.")
        table(["", "tasks/s", "×", "CPU of the worker, µs a task", "×", "CPU of the engine, µs a task", "×", "RSS, MiB", "×"], rows)
        self.figures["tasks"] = {c.name: s for c, s in series.items()}
        for c, times in ((self.python, 100), (self.go, 15)):
            if c in series:
                self.goal(f"worker's CPU a task: 1/{times} of {c.name}'s", verdict(pair_ratio(series[c]["cpu_us"], mine["cpu_us"]), times))
        if self.python in series:
            theirs = series[self.python]
            self.goal("engine's CPU a task: 0.6 of what Python's worker causes",
                      verdict(pair_ratio(mine["engine_us"], theirs["engine_us"]), 0.6, at_least=False))
            self.goal("tasks/s: twice Python's", verdict(pair_ratio(mine["rate"], theirs["rate"]), 2))
            self.goal("RSS: 1/5 of Python's", verdict(pair_ratio(theirs["rss_kib"], mine["rss_kib"]), 5))

    def goal(self, what, text):
        self.goals.append((what, text))

    # ---- start latency ---------------------------------------------------------------------------------------------

    def starts(self):
        """All workers on one engine, each with a task of its own; the tasks are sent one at a time, in turn."""
        count, got = (20 if self.quick else 60), {c: [] for c in self.all}
        for turn in range(self.rounds):
            print(f"round {turn + 1} of {self.rounds}", file=sys.stderr)
            self.engine.do("fresh")
            workers, wire = [], Wire(self.engine)
            try:
                for c in self.all:
                    workers.append(c.start(self.engine))
                    got[c].append([])
                for i in range(-5, count):
                    for c in self.all[i % len(self.all):] + self.all[:i % len(self.all)]:   # nobody always comes behind the same one
                        ms = start_ms(wire, c.stamp)
                        if i >= 0:
                            got[c][-1].append(ms)
            finally:
                wire.channel.close()
                for c, worker in zip(self.all, workers):
                    c.end(worker)
        medians = {c: [median(seen) for seen in rounds] for c, rounds in got.items()}
        print("\n## Start latency\n\nFrom before the trigger until the task begins in the worker: all workers on one engine, one task at a "
              "time, in turn; the median of each round's.")
        table(["", "ms", "least – greatest round", "90 % below", "to ours"],
              [[c.name, f"**{number(median(m))}**", f"{number(min(m))} – {number(max(m))}",
                number(median([sorted(seen)[len(seen) * 9 // 10] for seen in got[c]])), number(pair_ratio(m, medians[self.ours]))]
               for c, m in medians.items()])
        self.figures["start latency, ms"] = {c.name: rounds for c, rounds in got.items()}
        for c in (self.python, self.go):
            if c in medians:
                self.goal(f"start latency not above {c.name}'s", verdict(pair_ratio(medians[self.ours], medians[c]), 1, at_least=False))

    # ---- memory ----------------------------------------------------------------------------------------------------

    def memory(self):
        chunk, total = 2000, 20000
        if self.quick:
            chunk, total = 1000, 5000
        seen = []
        with Turn(self.engine, self.ours) as turn:
            while turn.done < total:
                turn.run(chunk)
                wait_idle(turn.pids)
                seen.append((turn.done, turn.rss_kib()))
        print("\n## Memory of our worker over many tasks")
        table(["tasks done", "RSS, MiB"], [[number(done), number(rss / 1024)] for done, rss in seen])
        self.figures["memory"] = seen
        early = seen[1]         # it has had its largest backlog
        grown = seen[-1][1] - early[1]
        self.goal(f"memory flat from {number(early[0])} to {number(seen[-1][0])} tasks: growth, KiB",
                  f"{grown:+d} ({'met' if grown < 512 else '**missed**'})")

    # ---- the report ------------------------------------------------------------------------------------------------

    def report(self, sections):
        print(f"# Hatchet on one engine\n\n- {self.describe()}")
        print(f"- `script/bench{' --quick' if self.quick else ''} hatchet`: {self.rounds} rounds, contestants in turn within each, every turn on "
              "an engine process and a database of its own")
        for line in versions_of():
            print(f"- {line}")
        for c in self.absent:
            print(f"- {c.name}: **missing**, {c.missing()}")
        try:
            for section in sections:
                getattr(self, section)()
        finally:
            self.engine.close()
        print("\n## Goals")
        table(["goal", "seen"], self.goals)

    def describe(self):
        postgres = subprocess.run(["psql", "--version"], capture_output=True, text=True).stdout.split()[2]
        return describe(f"engine on PostgreSQL {postgres} without fsync, h2c on loopback")


def versions_of():
    lines = [f"mageflow {subprocess.run(['git', 'describe', '--always', '--dirty'], cwd=ROOT, capture_output=True, text=True).stdout.strip()}"]
    for what, path, start in (("engine", ROOT / "tests/live/hatchet/engine/go.mod", "require github.com/hatchet-dev/hatchet "),
                              ("Go SDK", HERE / "peers/go/go.mod", "require github.com/hatchet-dev/hatchet "),
                              ("Python SDK", ROOT / "packages/python.txt", "hatchet-sdk==")):
        with open(path) as file:
            lines.append(next(f"{what} {line.removeprefix(start).strip()}" for line in file if line.startswith(start)))
    return lines


SECTIONS = ["tasks", "starts", "memory"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, help="5, and 2 with --quick")
    parser.add_argument("--json", help="the figures of each round go there")
    parser.add_argument("--only", choices=SECTIONS, action="append")
    parser.add_argument("--alone", action="store_true", help="our worker without the peers")
    parser.add_argument("--url", default="hatchet:", help="our worker's, as hatchet:?started=off")
    parser.add_argument("--under", default="", help="our worker under a command, as 'strace -f -c -o FILE'")
    parser.add_argument("build")
    given = parser.parse_args()
    bench = Bench(given.build, given.quick, given.rounds, given.alone, given.url, given.under)
    began, machine = time.monotonic(), bench.describe()
    bench.report(given.only or SECTIONS)
    print(f"\n(took {time.monotonic() - began:.0f} s)")
    if given.json:
        with open(given.json, "w") as file:
            json.dump({"machine": machine, "figures": bench.figures, "goals": bench.goals}, file, indent=1)


if __name__ == "__main__":
    sys.exit(main())
