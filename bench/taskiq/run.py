#!/usr/bin/env python3
"""run.py [--quick] [--rounds N] [--json FILE] [--only SECTION] BUILD: the TaskIQ bridge beside others on one Redis; see README.md here.

All in one run: in each round every contestant has its turn, and a ratio is the median of the rounds' own ratios. Goals are
printed next to the figures; nothing passes or fails by time.
"""
import os
import signal
import time

from contestants import SLOTS, Asynq, Bare, BullMQ, Mageflow, Python, HERE, ROOT
from bridge import Bench, main
from machine import cpu_seconds, end, median, number, pair_ratio, rss_kib, span, spread, table, there, verdict, wait_idle, wait_until
from server import Redis, describe_server

WARM = 200          # tasks before the clock: connections, scripts and compilers are there


class Taskiq(Bench):
    name, title = "taskiq", "TaskIQ on one Redis"
    sections = ["tasks", "enqueue", "ping", "memory", "killed"]

    def __init__(self, given):
        self.ours, self.bare, self.python = Mageflow(given.build), Bare(given.build), Python()
        super().__init__(given, [self.ours, self.bare, self.python, Asynq(), BullMQ()], (self.ours, self.bare), describe_server())
        self.redis = Redis()

    def close(self):
        self.redis.close()

    def conditions(self):
        versions = []
        for path, names in ((ROOT / "packages/python.txt", ("taskiq==", "taskiq-redis==", "redis==")),
                            (HERE / "peers/asynq/go.mod", ("require github.com/hibiken/asynq",)),
                            (HERE / "peers/bullmq/package.json", ('"bullmq"', '"ioredis"'))):
            with open(path) as file:
                versions.append(", ".join(line.strip().strip(",").replace('"', "").removeprefix("require ") for line in file
                                          if line.strip().startswith(names)))
        return ("; 1 core: the worker on one CPU, Redis on another; 2 cores: on a machine with two, Redis shares them", versions)

    def has(self, contestant):
        return contestant in self.all

    def place(self, cores):
        """Where the worker runs: with one core Redis has the other; with two they share, unless there are more."""
        cpus = sorted(os.sched_getaffinity(0))
        rest = cpus[cores:] or cpus
        os.sched_setaffinity(self.redis.process.pid, rest)
        return cpus[:cores]

    # ---- no-op tasks -----------------------------------------------------------------------------------------------

    def run_tasks(self, contestant, kind, results, cores, count):
        """One turn. The worker starts and warms up, sleeps while its queue is filled, and then the clock runs."""
        redis, cpus = self.redis, self.place(cores)
        redis("FLUSHALL")
        contestant.prepare(redis, kind)
        contestant.load(redis, kind, results, 0, WARM)
        processes = contestant.start(redis, kind, results, cores, cpus)
        pids = [p.pid for p in processes]
        try:
            wait_until(lambda: contestant.done(redis, kind, WARM), 60, f"{contestant.name}: its first tasks")
            wait_idle(pids)
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            contestant.load(redis, kind, results, 1000, count)
            server = redis.process.pid
            cpu, redis_cpu, (reads, commands) = sum(map(cpu_seconds, pids)), cpu_seconds(server), self.counts()
            asked = redis.asked
            began = time.perf_counter()
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
            wait_until(lambda: contestant.done(redis, kind, WARM + count), 120, f"{contestant.name}: {count} tasks")
            seconds, asked = time.perf_counter() - began, redis.asked - asked
            redis_cpu = cpu_seconds(server) - redis_cpu
            reads_after, commands_after = self.counts()
            wait_idle(pids)
            return {"rate": count / seconds, "cpu_us": (sum(map(cpu_seconds, pids)) - cpu) / count * 1e6,
                    "redis_us": redis_cpu / count * 1e6, "reads": (reads_after - reads - asked) / count,
                    "commands": (commands_after - commands - asked) / count, "rss_kib": sum(map(rss_kib, pids))}
        finally:
            end(processes)

    def counts(self):
        return self.redis.info("stats", "total_reads_processed", "total_commands_processed")

    def tasks(self):
        cells = [(kind, results, cores) for kind in ("stream", "list") for results in (False, True) for cores in (1, 2)]
        if self.quick:
            cells = [cell for cell in cells if cell[0] == "stream" or cell == ("list", True, 1)]
        got = {}
        for _ in self.each_round():
            for cell in cells:
                for c in self.all:
                    if cell[0] in c.kinds:
                        count = c.rounds_of // (3 if self.quick else 1)
                        got.setdefault(cell, {}).setdefault(c, []).append(self.turn(c, self.run_tasks, c, *cell, count))
        print(f"\n## No-op tasks\n\n{SLOTS} at a time in each contestant; least and greatest in brackets. Reads: how often Redis "
              "received something, for each task; commands count those inside scripts, too.")
        for cell in cells:
            self.tasks_table(cell, got[cell])

    def tasks_table(self, cell, got):
        kind, results, cores = cell
        title = f"{kind}, {'with' if results else 'without'} results, {cores} core{'s' if cores > 1 else ''}"
        print(f"\n### {title}")
        got = {c: rounds for c, rounds in got.items() if any(rounds)}      # a ratio is of the rounds in which both had their turn
        series = {c: {key: [r and r[key] for r in rounds] for key in next(filter(None, rounds))} for c, rounds in got.items()}
        mine, rows = series[self.ours], []
        for c, s in series.items():
            rates, cpus, few = there(s["rate"]), there(s["cpu_us"]), len(there(s["rate"])) < self.rounds
            rows.append([c.name + (f", {len(rates)} of {self.rounds} rounds" if few else ""),
                         spread(rates),
                         "1" if c is self.ours else number(pair_ratio(mine["rate"], s["rate"])),
                         spread(cpus),
                         "1" if c is self.ours else number(pair_ratio(s["cpu_us"], mine["cpu_us"])),
                         number(median(s["redis_us"])), number(median(s["reads"])), number(median(s["commands"])),
                         number(median(s["rss_kib"]) / 1024)])
        table(["", "tasks/s", "ours is so many times as fast", "CPU of the worker, µs a task", "ours takes so many times less",
               "CPU of Redis, µs a task", "reads a task", "commands a task", "RSS, MiB"], rows)
        self.figures[f"tasks: {title}"] = {c.name: s for c, s in series.items()}
        if self.python in series:
            theirs = series[self.python]
            self.goal(f"{title}: {'25' if kind == 'stream' else '10'} times Python's tasks/s",
                      verdict(pair_ratio(mine["rate"], theirs["rate"]), 25 if kind == "stream" else 10))
            self.goal(f"{title}: 1/50 of Python's CPU a task", verdict(pair_ratio(theirs["cpu_us"], mine["cpu_us"]), 50))
        if self.bare in series:
            self.goal(f"{title}: half of the bare loop's tasks/s", verdict(pair_ratio(mine["rate"], series[self.bare]["rate"]), 0.5))
        self.goal(f"{title}: at most 0.1 round trips a task", verdict(median(mine["reads"]), 0.1, at_least=False))

    # ---- enqueue ---------------------------------------------------------------------------------------------------

    def enqueue(self):
        turns = {
            "mageflow, `mf_workflow_run_many`, 100 a call": (self.ours, lambda c: self.ours.enqueue(self.redis, 60000, c), 60000),
            "bare hiredis, pipelines of 100": (self.bare, lambda c: self.bare.enqueue(self.redis, 60000, c), 60000),
            "taskiq (Python), one by one": (self.python, lambda c: self.python.enqueue(self.redis, 1500, c, 1), 1500),
            "taskiq (Python), 50 at once": (self.python, lambda c: self.python.enqueue(self.redis, 1500, c, 50), 1500),
        }
        for c in self.all[1:]:
            if isinstance(c, Asynq):
                turns["asynq (Go), 50 goroutines"] = (c, lambda cpus, c=c: c.enqueue(self.redis, 5000, cpus), 5000)
            if isinstance(c, BullMQ):
                turns["BullMQ (Node), `addBulk` of 100"] = (c, lambda cpus, c=c: c.enqueue(self.redis, 5000, cpus), 5000)
        turns = {name: turn for name, turn in turns.items() if self.has(turn[0])}
        got = {name: ([], []) for name in turns}
        for _ in range(self.rounds):
            for name, (c, run, count) in turns.items():
                self.redis("FLUSHALL")
                seen = self.turn(c, run, self.place(1)) if name in got else None
                if seen is None:
                    got.pop(name, None)
                    continue
                seconds, cpu = seen
                got[name][0].append(count / seconds)
                got[name][1].append(cpu / count * 1e6)
        print("\n## Enqueue, one client on one core, streams")
        first, rows = next(iter(got.values())), []
        for name, (rates, cpus) in got.items():
            rows.append([name, spread(rates),
                         number(pair_ratio(first[0], rates)), number(median(cpus)), number(pair_ratio(cpus, first[1]))])
        table(["", "tasks/s", "ours is so many times as fast", "CPU, µs a task", "ours takes so many times less"], rows)
        self.figures["enqueue"] = {name: {"rate": r, "cpu_us": c} for name, (r, c) in got.items()}
        for name in ("taskiq (Python), one by one", "taskiq (Python), 50 at once"):
            if name in got:
                self.goal(f"enqueue: 50 times {name}", verdict(pair_ratio(first[0], got[name][0]), 50))

    # ---- an idle round trip ----------------------------------------------------------------------------------------

    def ping(self):
        n, few = (60, 6) if self.quick else (150, 10)
        turns = {
            "mageflow: worker and client": (self.ours, lambda: self.ours.ping(self.redis, n)),
            "mageflow: worker alone": (self.ours, lambda: self.bare.ping(self.redis, n)),
            "taskiq (Python): worker and client, looking every 0.2 s as by default": (self.python, lambda: self.python.ping(self.redis, few)),
            "taskiq (Python): worker and client, looking every ms": (self.python, lambda: self.python.ping(self.redis, n, "0.001")),
            "taskiq (Python): worker alone": (self.python, lambda: self.bare.ping(self.redis, n)),
            "bare hiredis loop: worker alone": (self.bare, lambda: self.bare.ping(self.redis, n)),
        }
        if self.has(self.python):       # a fleet's client, whoever its worker is: looking every ms
            turns["mageflow: worker, taskiq's client"] = (self.ours, lambda: self.python.ping(self.redis, n, "0.001"))
            if not self.quick:
                turns["bare hiredis loop: worker, taskiq's client"] = (self.bare, lambda: self.python.ping(self.redis, n, "0.001"))
            turns["taskiq's client alone, the result already there"] = (
                self.bare, lambda: self.python.ping(self.redis, n, "0.001", "ready"))
        for c in self.all:
            if isinstance(c, BullMQ):
                turns["BullMQ (Node): worker and client"] = (c, lambda c=c: c.ping(self.redis, n))
        turns = {name: turn for name, turn in turns.items() if self.has(turn[0])}
        got = {name: [] for name in turns}
        for _ in range(1 if self.quick else 5):
            for name, (c, run) in turns.items():
                self.redis("FLUSHALL")
                self.place(2)
                c.prepare(self.redis, "stream")
                c.load(self.redis, "stream", True, 0, 20)
                workers = c.start(self.redis, "stream", True, 1, None)
                try:
                    wait_until(lambda: c.done(self.redis, "stream", 20), 60, f"{c.name}: its first tasks")
                    seen = self.turn(c, run) if name in got else None
                    if seen:
                        got[name].append(median(seen))
                    else:
                        got.pop(name, None)
                finally:
                    end(workers)
        print("\n## An idle round trip: one no-op task, sent, run and its result read\n\nThe median of each round's. \"Worker alone\": "
              "a client in C that asks Redis without pause, the same for both.")
        first = next(iter(got.values()))
        table(["", "µs", "least – greatest round", "to ours"],
              [[name, f"**{number(median(v))}**", span(v), number(pair_ratio(v, first))]
               for name, v in got.items()])
        self.figures["idle round trip, us"] = got
        client = got.get("taskiq's client alone, the result already there")
        if client:
            name = "mageflow: worker, taskiq's client"
            self.goal("idle round trip, taskiq's client with our worker: of Python's with its own so much is left, and so much with no "
                      "worker at all", " and ".join(number(pair_ratio(v, got["taskiq (Python): worker and client, looking every ms"]))
                                                  for v in (got[name], client)))
        for ours, name in (("worker and client", "worker and client, looking every 0.2 s as by default"),
                           ("worker and client", "worker and client, looking every ms"), ("worker alone", "worker alone")):
            if f"taskiq (Python): {name}" in got:
                self.goal(f"idle round trip: 1/5 of Python's ({name})",
                          verdict(pair_ratio(got[f"taskiq (Python): {name}"], got[f"mageflow: {ours}"]), 5))

    # ---- memory ----------------------------------------------------------------------------------------------------

    def memory(self):
        steps, chunk = (4, 25000) if self.quick else (20, 50000)
        redis = self.redis
        redis("FLUSHALL")
        self.ours.prepare(redis, "stream")
        workers = self.ours.start(redis, "stream", False, 2, self.place(2))
        pid, rows, seen = workers[0].pid, [], []
        try:
            for step in range(steps):
                self.ours.load(redis, "stream", False, 1000, chunk)
                wait_until(lambda: self.ours.done(redis, "stream", (step + 1) * chunk), 120, "a part of a million tasks")
                wait_idle([pid])
                used, = redis.info("memory", "used_memory")
                seen.append((chunk * (step + 1), rss_kib(pid), used))
        finally:
            end(workers)
        print("\n## Memory over many tasks without results (a stream, two threads)")
        for i in sorted({0, 1, steps // 4 - 1, steps // 2 - 1, steps * 3 // 4 - 1, steps - 1}):
            rows.append([number(seen[i][0]), number(seen[i][1] / 1024), number(seen[i][2] / 1024), number(redis("XLEN", "taskiq"))])
        table(["tasks done", "worker's RSS, MiB", "Redis' used_memory, KiB", "entries left in the stream"], rows)
        self.figures["memory"] = seen
        early = seen[1]     # the stream has had its largest backlog, allocators their room
        self.goal(f"memory flat from {number(early[0])} to {number(seen[-1][0])} tasks: growth of the worker, of Redis, KiB",
                  f"{seen[-1][1] - early[1]:+d}, {(seen[-1][2] - early[2]) / 1024:+.0f} "
                  f"({'met' if seen[-1][1] - early[1] < 1024 and seen[-1][2] - early[2] < 1 << 20 else '**missed**'})")

    # ---- a worker dies every second --------------------------------------------------------------------------------

    def killed(self):
        seconds, rounds = (2, 1) if self.quick else (4, 2)
        backlog = {Mageflow: 150000, Python: 3000, Asynq: 16000, BullMQ: 10000}
        contestants = [c for c in self.all if type(c) in backlog]
        got = {c: ([], []) for c in contestants}
        for _ in range(rounds):
            for c in contestants:
                for deaths in (False, True):
                    got[c][deaths].append(self.turn(c, self.serve_for, c, seconds, backlog[type(c)] * seconds, deaths))
        got = {c: both for c, both in got.items() if None not in both[0] + both[1]}
        print(f"\n## A worker killed every second\n\nTwo workers of one core each, with results; one of them is killed (SIGKILL) and "
              f"started again every second, for {seconds} s. Tasks that have their result then, each counted once.")
        rows = []
        for c, (calm, dying) in got.items():
            rows.append([c.name, number(median(calm)), f"**{number(median(dying))}**", number(pair_ratio(dying, calm)),
                         "1" if c is self.ours else number(pair_ratio(got[self.ours][1], dying))])
        table(["", "tasks/s, nobody dies", "tasks/s, one dies every second", "kept", "ours to theirs"], rows)
        self.figures["killed every second"] = {c.name: {"calm": calm, "dying": dying} for c, (calm, dying) in got.items()}

    def serve_for(self, c, seconds, backlog, deaths):
        redis = self.redis
        self.place(2)
        redis("FLUSHALL")
        c.prepare(redis, "stream")
        c.load(redis, "stream", True, 0, WARM)
        cpus = sorted(os.sched_getaffinity(0))[:2]
        workers = [c.start(redis, "stream", True, 1, [cpu], kill=True) for cpu in cpus]
        try:
            wait_until(lambda: c.finished(redis) >= WARM, 60, f"{c.name}: its first tasks")
            everybody = [p for group in workers for p in group]
            wait_idle([p.pid for p in everybody])
            for p in everybody:
                os.kill(p.pid, signal.SIGSTOP)
            c.load(redis, "stream", True, 2000, backlog)
            began = time.perf_counter()
            for p in everybody:
                os.kill(p.pid, signal.SIGCONT)
            for second in range(seconds):
                time.sleep(max(0.0, began + second + 1 - time.perf_counter()))
                if deaths and second + 1 < seconds:
                    i = second % 2
                    end(workers[i])
                    workers[i] = c.start(redis, "stream", True, 1, [cpus[i]], kill=True)
            took = time.perf_counter() - began
            for p in (p for group in workers for p in group):
                os.kill(p.pid, signal.SIGSTOP)
            done = c.finished(redis) - WARM
            if done >= backlog:
                print(f"- {c.name}: its {backlog} tasks were done before the time was over; the rate is a lower bound")
            return done / took
        finally:
            for group in workers:
                end(group)


if __name__ == "__main__":
    main(Taskiq)
