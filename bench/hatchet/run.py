#!/usr/bin/env python3
"""run.py [--quick] [--rounds N] [--json FILE] [--only SECTION] [--alone] [--url URL] [--under COMMAND] BUILD: the Hatchet bridge beside the SDKs on one engine; see README.md here.

In each round every contestant has its turn, each on a database and an engine process of its own, and a ratio is the median of
the rounds' own ratios. Goals are printed next to the figures; nothing passes or fails by time.
"""
import json
import subprocess
import sys
import time

from contestants import HERE, ROOT, SLOTS, Go, Mageflow, Python, processes_of

from bridge import Bench, main
from fleet import Engine                    # the tests' engine, and the SDK's stubs
from hatchet_sdk.contracts.workflows_pb2 import BulkTriggerWorkflowRequest
from machine import cpu_seconds, median, number, pair_ratio, rss_kib, span, spread, table, verdict, wait_idle, wait_until
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


class Hatchet(Bench):
    name, title = "hatchet", "Hatchet on one engine"
    default_rounds = (2, 5)
    sections = ["tasks", "starts", "memory"]

    def __init__(self, given):
        self.ours, self.python, self.go = Mageflow(given.build, given.url, given.under), Python(), Go()
        postgres = subprocess.run(["psql", "--version"], capture_output=True, text=True).stdout.split()[2]
        super().__init__(given, [self.ours] if given.alone else [self.ours, self.python, self.go], (self.ours,),
                         f"engine on PostgreSQL {postgres} without fsync, h2c on loopback")
        self.engine = Engine()      # ends with this program: it reads its words from us

    @classmethod
    def arguments(cls, parser):
        parser.add_argument("--alone", action="store_true", help="our worker without the peers")
        parser.add_argument("--url", default="hatchet:", help="our worker's, as hatchet:?started=off")
        parser.add_argument("--under", default="", help="our worker under a command, as 'strace -f -c -o FILE'")

    def close(self):
        self.engine.close()

    def conditions(self):
        versions = []
        for what, path, start in (("engine", ROOT / "tests/live/hatchet/engine/go.mod", "require github.com/hatchet-dev/hatchet "),
                                  ("Go SDK", HERE / "peers/go/go.mod", "require github.com/hatchet-dev/hatchet "),
                                  ("Python SDK", ROOT / "packages/python.txt", "hatchet-sdk==")):
            with open(path) as file:
                versions.append(next(f"{what} {line.removeprefix(start).strip()}" for line in file if line.startswith(start)))
        return ", every turn on an engine process and a database of its own", versions

    def in_turn(self, run, *given):
        """{contestant: what each round gave}, without those that failed in one."""
        got = {c: [] for c in self.all}
        for _ in self.each_round():
            for c in self.all:
                got[c].append(self.turn(c, run, c, *given))
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
        for c, s in series.items():
            row = [c.name]
            for key, over in (("rate", False), ("cpu_us", True), ("engine_us", True), ("rss_kib", True)):
                values = [v / 1024 for v in s[key]] if key == "rss_kib" else s[key]
                ratio = pair_ratio(s[key], mine[key]) if over else pair_ratio(mine[key], s[key])
                row += [spread(values), "1" if c is self.ours else number(ratio)]
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

    # ---- start latency ---------------------------------------------------------------------------------------------

    def starts(self):
        """All workers on one engine, each with a task of its own; the tasks are sent one at a time, in turn."""
        count, got = (20 if self.quick else 60), {c: [] for c in self.all}
        for _ in self.each_round():
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
              [[c.name, f"**{number(median(m))}**", span(m),
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


if __name__ == "__main__":
    main(Hatchet)
