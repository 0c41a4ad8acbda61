"""Who takes part in script/bench taskiq: how each is started, given work, and seen to have done it."""
import json
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(1, str(ROOT / "bench/report"))

from machine import numbers_of, start       # noqa: E402
from server import command                  # noqa: E402

DEPS = ROOT / ".deps"
SLOTS = 100         # tasks at a time for everybody: taskiq's default, and the batch of the bare loop


def payload(i):
    """As taskiq's client writes it, to the byte."""
    return json.dumps({"task_id": f"{i:032x}", "task_name": "noop", "labels": {}, "labels_types": {}, "args": [], "kwargs": {}}).encode()


def pour_tasks(redis, kind, first, count, cache={}):
    made = cache.get((kind, first, count))
    if made is None:
        words = ("XADD", "taskiq", "*", "data") if kind == "stream" else ("LPUSH", "taskiq")
        before, after = command(*words, payload(0)).split(b"%032x" % 0)
        made = b"".join(before + b"%032x" % i + after for i in range(first, first + count))
        if count < 100000:
            cache[(kind, first, count)] = made
    redis.pour(made)


class Taskiq:
    """Whoever works on taskiq's own queues."""
    processes_per_core = False
    kinds = ("stream", "list")

    def prepare(self, redis, kind):
        if kind == "stream":
            redis("XGROUP", "CREATE", "taskiq", "taskiq", "0", "MKSTREAM")

    def load(self, redis, kind, results, first, count):
        pour_tasks(redis, kind, first, count)

    def done(self, redis, kind, total):
        """Whether this many tasks, since the server was empty, are acknowledged (of a list: gone from it)."""
        if kind == "stream":
            group = redis("XINFO", "GROUPS", "taskiq")[0]
            fields = dict(zip(group[::2], group[1::2]))
            return fields["entries-read"] is not None and fields["entries-read"] >= total and fields["pending"] == 0
        if redis("LLEN", "taskiq") > 0:
            return False
        workers = redis("SMEMBERS", "taskiq:workers") if redis("EXISTS", "taskiq:workers") else []
        return all(redis("LLEN", f"taskiq:{worker}") == 0 for worker in workers)

    def finished(self, redis):
        """How many tasks have their result."""
        return redis("EVAL", "local n, c = 0, '0' repeat local r = redis.call('SCAN', c, 'MATCH', '0000*', 'COUNT', 100000) "
                     "c = r[1] n = n + #r[2] until c == '0' return n", "0")


class Mageflow(Taskiq):
    name = "mageflow"
    rounds_of = 60000

    def __init__(self, build):
        self.build = pathlib.Path(build)

    def missing(self):
        return None

    def start(self, redis, kind, results, cores, cpus, kill=False):
        url = f"taskiq+{redis.url}?broker={kind}&result_serializer=json&results={'keep' if results else 'none'}"
        if kill:
            url += "&lease=1s"
        return [start([self.build / "cli/mageflow", "worker", "--url", url, "--load", self.build / "bench/bench_taskiq_noop.so",
                       "--threads", cores, "--slots", SLOTS], cpus)]

    def enqueue(self, redis, count, cpus):
        return numbers_of([self.build / "bench/bench_taskiq_client", f"taskiq+{redis.url}", "enqueue", count, 100], cpus)

    def ping(self, redis, count):
        return numbers_of([self.build / "bench/bench_taskiq_client", f"taskiq+{redis.url}?result_serializer=json", "ping", count])


class Bare(Taskiq):
    name = "bare hiredis loop"
    rounds_of = 60000
    kinds = ("stream",)

    def __init__(self, build):
        self.program = pathlib.Path(build) / "bench/bench_taskiq_bare"

    def missing(self):
        return None

    def start(self, redis, kind, results, cores, cpus, kill=False):
        return [start([self.program, redis.port, "stream", int(results)], cpus) for _ in range(cores)]

    def enqueue(self, redis, count, cpus):
        return numbers_of([self.program, redis.port, "enqueue", count], cpus)

    def ping(self, redis, count):
        return numbers_of([self.program, redis.port, "ping", count])


class Python(Taskiq):
    name = "taskiq (Python)"
    rounds_of = 2000

    def __init__(self):
        self.program = [DEPS / "python/bin/python3", HERE / "peers/python/peer.py"]

    def missing(self):
        return None if os.path.exists(self.program[0]) else "no .deps/python; script/test makes it"

    def start(self, redis, kind, results, cores, cpus, kill=False):
        more = ["kill"] if kill else []
        return [start([*self.program, redis.url, kind, int(results), "worker", *more], cpus) for _ in range(cores)]

    def enqueue(self, redis, count, cpus, at_once=1):
        return numbers_of([*self.program, redis.url, "stream", 0, "enqueue", count, at_once], cpus)

    def ping(self, redis, count, check_interval="0.2", *ready):
        return numbers_of([*self.program, redis.url, "stream", 1, "ping", count, check_interval, *ready])


class Asynq:
    name = "asynq (Go)"
    rounds_of = 5000
    kinds = ("stream",)

    def __init__(self):
        self.program = DEPS / "bench-taskiq/asynq"

    def missing(self):
        return None if self.program.exists() else "no .deps/bench-taskiq/asynq"

    def prepare(self, redis, kind):
        pass

    def load(self, redis, kind, results, first, count):
        numbers_of([self.program, redis.port, int(results), "enqueue", count, 50])

    def start(self, redis, kind, results, cores, cpus, kill=False):
        environment = {**os.environ, "GOMAXPROCS": str(cores)}
        return [start([self.program, redis.port, int(results), "worker"], cpus, env=environment)]

    def done(self, redis, kind, total):
        return redis("LLEN", "asynq:{default}:pending") == 0 and redis("LLEN", "asynq:{default}:active") == 0

    def finished(self, redis):
        return redis("ZCARD", "asynq:{default}:completed")

    def enqueue(self, redis, count, cpus):
        return numbers_of([self.program, redis.port, 0, "enqueue", count, 50], cpus)

    ping = None


class BullMQ:
    name = "BullMQ (Node)"
    rounds_of = 4000
    kinds = ("stream",)

    def __init__(self):
        self.program = ["node", DEPS / "bench-taskiq/bullmq/peer.mjs"]

    def missing(self):
        made = DEPS / "bench-taskiq/bullmq.made-from"
        return None if made.exists() else "no .deps/bench-taskiq/bullmq"

    def prepare(self, redis, kind):
        pass

    def load(self, redis, kind, results, first, count):
        numbers_of([*self.program, redis.port, int(results), "enqueue", count, min(count, 1000)])

    def start(self, redis, kind, results, cores, cpus, kill=False):
        more = ["kill"] if kill else []
        return [start([*self.program, redis.port, int(results), "worker", *more], cpus) for _ in range(cores)]

    def done(self, redis, kind, total):
        return redis("LLEN", "bull:bench:wait") == 0 and redis("LLEN", "bull:bench:active") == 0

    def finished(self, redis):
        return redis("ZCARD", "bull:bench:completed")

    def enqueue(self, redis, count, cpus):
        return numbers_of([*self.program, redis.port, 0, "enqueue", count, 100], cpus)

    def ping(self, redis, count):
        return numbers_of([*self.program, redis.port, 1, "ping", count])
