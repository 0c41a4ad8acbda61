"""Who takes part in script/bench hatchet: how each worker is started."""
import os
import pathlib
import shlex
import signal
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
DEPS = ROOT / ".deps"
sys.path[1:1] = [str(ROOT / "bench/report"), str(ROOT / "tests/live/hatchet")]

from fleet import Process, worker_listens   # noqa: E402
from machine import bound                   # noqa: E402

SLOTS = 2000        # for everybody: a backlog of 2,000 is theirs at once, since the engine counts free slots once a second


class Contestant:
    worker_name = ""    # as the engine knows it
    stamp = ""          # its task that says when it began; each has one of its own
    command = ()

    def missing(self):
        """Why it cannot take part, or None."""
        return None

    def start(self, engine):
        """A worker that the engine has a stream to. What it says goes to a file."""
        return Process(bound(self.command), engine.environment(BENCH_STAMP=self.stamp, BENCH_WORKER=self.worker_name),
                       lambda _: worker_listens(engine, self.worker_name))

    def end(self, worker):
        worker.kill()       # in good order Python's takes some seconds


class Mageflow(Contestant):
    name = worker_name = "mageflow"
    stamp = "stamp_ours"

    def __init__(self, build, url="hatchet:", under=""):
        build, self.under = pathlib.Path(build), under
        self.command = [*shlex.split(under), build / "cli/mageflow", "worker", "--url", url, "--load",
                        build / "bench/bench_hatchet_tasks.so", "--slots", SLOTS]

    def end(self, worker):
        if self.under:      # so that it writes down what it has seen
            os.killpg(worker.process.pid, signal.SIGTERM)
            worker.process.wait(timeout=120)
        worker.kill()


class Python(Contestant):
    name = "hatchet-sdk (Python)"
    worker_name, stamp = "bench-python", "stamp_python"

    def __init__(self):
        self.command = [sys.executable, HERE / "peers/python/peer.py", SLOTS]


class Go(Contestant):
    name = "Hatchet's Go SDK"
    worker_name, stamp = "bench-go", "stamp_go"

    def __init__(self):
        self.program = DEPS / "bench-hatchet/go-worker"
        self.command = [self.program, SLOTS]

    def missing(self):
        return None if os.access(self.program, os.X_OK) else "no .deps/bench-hatchet/go-worker (bench/hatchet/peers/build)"


def processes_of(worker):
    """The worker's process and its children: Python's SDK talks to the engine in a second one. They share a process group."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.getpgid(int(name)) == worker.process.pid:
                    found.append(int(name))
            except ProcessLookupError:
                pass
    return found
