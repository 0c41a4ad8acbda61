"""What the tests against real taskiq share: a redis-server, our worker and client as processes, brokers of Python's."""
import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

import redis
from taskiq import TaskiqEvents  # noqa: F401  (taskiq must be there)
from taskiq.api import run_receiver_task
from taskiq.middlewares import SimpleRetryMiddleware
from taskiq.serializers import JSONSerializer, MSGPackSerializer, PickleSerializer
from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend, RedisStreamBroker

SERIALIZERS = {"json": JSONSerializer, "msgpack": MSGPackSerializer, "pickle": PickleSerializer}
QUEUE = "taskiq"


def wait_for(condition, seconds=20, what="it"):
    """Until the condition is true: a test waits for what it wants to see, and not for a time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not happen within {seconds} s")
        time.sleep(0.01)


def wait_for_value(look, seconds=20, what="it"):
    """Until there is a value, and that."""
    seen = []
    wait_for(lambda: (seen.append(look()), seen[-1])[1], seconds, what)
    return seen[-1]


class Server:
    def __init__(self, *options):
        self.dir = tempfile.TemporaryDirectory(prefix="mageflow-taskiq-")
        self.options = options
        self.process = None
        for _ in range(10):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]
            self.start()
            if self.process.poll() is None:
                return
        raise AssertionError("redis-server ends at once, on ten ports")      # one may be taken by somebody quicker

    def start(self):
        """On its port. Who answers there may be another test's, while ours has ended."""
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", self.dir.name, *self.options],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.redis = redis.Redis(port=self.port)

        def up():
            try:
                return self.redis.info("server")["process_id"] == self.process.pid or self.process.poll() is not None
            except redis.RedisError:
                return self.process.poll() is not None
        wait_for(up, what="redis-server")

    def stop(self, with_signal=signal.SIGTERM):
        self.process.send_signal(with_signal)
        self.process.wait()

    def close(self):
        self.stop(signal.SIGKILL)
        self.dir.cleanup()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"


class Worker:
    """`mageflow worker` as a process. may_die: what waits for it may kill it before it has said that it serves."""

    def __init__(self, tools, server, parameters="", *options, may_die=False):
        self.log_path = os.path.join(server.dir.name, f"worker-{time.monotonic_ns()}.log")
        self.log = open(self.log_path, "w+b")
        self.process = subprocess.Popen(
            [tools.command, "worker", "--url", f"taskiq+{server.url}?queue={QUEUE}{parameters}", "--load", tools.tasks, *options],
            stdout=self.log, stderr=self.log)
        wait_for(lambda: b"serving" in self.text() or self.process.poll() is not None, what="the worker's start")
        if b"serving" not in self.text() and not may_die:
            raise AssertionError("the worker did not start: " + self.text().decode(errors="replace")[:2000])

    def text(self):
        with open(self.log_path, "rb") as file:
            return file.read()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self, code=0):
        if self.process.poll() is None:
            self.process.terminate()
        got = self.process.wait(timeout=60)
        text = self.text().decode(errors="replace")
        if "Sanitizer" in text or "runtime error" in text or (code is not None and got != code):
            raise AssertionError(f"the worker ended with {got}:\n{text[:4000]}")


class PythonWorker:
    """taskiq's receiver in a process of its own, which can be killed: `source` declares tasks on `broker`."""

    def __init__(self, server, source, kind="stream"):
        program = (f"import asyncio, sys\nsys.path.insert(0, {os.path.dirname(os.path.abspath(__file__))!r})\n"
                   f"from fleet import QUEUE, RedisAsyncResultBackend, RedisStreamBroker, ListQueueBroker, run_receiver_task\n"
                   f"broker = {'RedisStreamBroker' if kind == 'stream' else 'ListQueueBroker'}({server.url!r}, queue_name=QUEUE)"
                   f".with_result_backend(RedisAsyncResultBackend({server.url!r}))\n{source}\n"
                   "async def main():\n    await broker.startup()\n    print('up', flush=True)\n"
                   "    await run_receiver_task(broker, run_startup=False)\nasyncio.run(main())\n")
        self.process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout.readline() == "up\n"

    def kill(self):
        self.process.kill()
        self.process.wait()


class Tools:
    def __init__(self, command, tasks, client, flow):
        self.command, self.tasks, self.client, self.flow = command, tasks, client, flow

    def call(self, server, parameters, task, message, timeout="20s", count="1"):
        """Our client: the result as JSON text, or "! STATUS text"."""
        done = subprocess.run([self.client, f"taskiq+{server.url}?queue={QUEUE}{parameters}", task, message, timeout, count],
                              capture_output=True, text=True, timeout=90)
        if "Sanitizer" in done.stderr or "runtime error" in done.stderr:
            raise AssertionError(done.stderr[:4000])
        return done.stdout.strip()


def broker_of(server, kind="stream", serializer="json", results="pickle", middlewares=(), **backend):
    if results != "pickle":
        backend["serializer"] = SERIALIZERS[results]()
    made = {"stream": RedisStreamBroker, "list": ListQueueBroker}[kind](server.url, queue_name=QUEUE)
    made = made.with_result_backend(RedisAsyncResultBackend(server.url, **backend))
    if serializer != "json":
        made = made.with_serializer(SERIALIZERS[serializer]())
    return made.with_middlewares(*middlewares) if middlewares else made


async def kick(broker, name, *args, labels=None, task_id=None, **kwargs):
    from taskiq.kicker import AsyncKicker
    kicker = AsyncKicker(task_name=name, broker=broker, labels=labels or {})
    if task_id is not None:
        kicker = kicker.with_task_id(task_id)
    return await kicker.kiq(*args, **kwargs)


async def result_of(task, timeout=20):
    return await task.wait_result(timeout=timeout, check_interval=0.01)


def serve(broker):
    """The broker's tasks, served in this process by taskiq's own receiver."""
    return asyncio.create_task(run_receiver_task(broker, run_startup=True))


async def end(*tasks):
    """taskiq's receiver swallows a cancellation that comes at the wrong moment: it is asked until it listens."""
    for _ in range(60):
        for task in tasks:
            task.cancel()
        _, left = await asyncio.wait(tasks, timeout=0.5)
        if not left:
            return
    raise AssertionError("taskiq's receiver does not end")


def run_all(tests, tools):
    """Each test gets a server of its own. Answers the exit code."""
    only = sys.argv[5:]
    failed = []
    for test in tests:
        if only and not any(word in test.__name__ for word in only):
            continue
        began = time.monotonic()
        server = Server(*getattr(test, "options", ()))
        try:
            done = test(tools, server)
            if asyncio.iscoroutine(done):
                asyncio.run(asyncio.wait_for(done, 120))
            print(f"ok      {test.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
        except BaseException:      # noqa: B902  (whatever it was, the others run)
            traceback.print_exc()
            print(f"FAILED  {test.__name__}", flush=True)
            failed.append(test.__name__)
        finally:
            server.close()
    print(f"{len(tests) - len(failed)} of {len(tests)} passed" if not only else "done", flush=True)
    return 1 if failed else 0
