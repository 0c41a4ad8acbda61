"""What the tests against a real Hatchet engine share: the engine, workers and clients of Python's SDK, our own as processes.

An engine costs a second to start, so the tests of one program share one, and each has task names of its own. A test that stops
the engine or needs it empty says so with @own_engine.
"""
import asyncio
import contextlib
import json
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback

try:
    from hatchet_sdk import ClientConfig, Hatchet
    from hatchet_sdk.config import ClientTLSConfig
except ImportError:
    print("skipped: no hatchet_sdk in .deps/python (script/test installs packages/python.txt there)")
    sys.exit(77)

HERE = os.path.dirname(os.path.abspath(__file__))
DEPS = os.path.join(HERE, "..", "..", "..", ".deps")
PROGRAM = os.path.join(DEPS, "hatchet", "hatchet-engine")


def wait_for(condition, seconds=75, what="it"):
    """Until the condition is true, which is the value: a test waits for what it wants to see, and not for a time. The limit leaves
    room for the engine's 30 s, after which it gives what it had assigned to a worker that is gone to another."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not happen within {seconds} s")
        time.sleep(0.02)
    return value


class Engine:
    """The program of engine/: one engine on a database of its own. Its fields are what that program prints."""

    def __init__(self):
        if not os.access(PROGRAM, os.X_OK):
            print("skipped: no Hatchet engine in .deps/hatchet (script/test builds tests/live/hatchet/engine there)")
            sys.exit(77)
        self.process = subprocess.Popen([PROGRAM, "-prepared", os.path.join(DEPS, "hatchet", "prepared")],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.hear()

    def hear(self):
        line = self.process.stdout.readline()
        self.__dict__.update(json.loads(line) if line else {"error": "the engine's program has ended"})
        if error := self.__dict__.pop("error", None):
            if "no PostgreSQL" in error:
                print("skipped:", error)
                sys.exit(77)
            raise AssertionError(error)

    def do(self, command):
        """stop, kill, start or fresh: see engine/main.go."""
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        self.hear()

    def close(self):
        self.process.stdin.close()
        self.process.wait()

    def environment(self, **more):
        """As the SDKs, and our bridge, read it."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("HATCHET_")}
        return kept | {"HATCHET_CLIENT_TOKEN": self.token, "HATCHET_CLIENT_HOST_PORT": self.grpc,
                       "HATCHET_CLIENT_SERVER_URL": self.api, "HATCHET_CLIENT_TLS_STRATEGY": "none"} | more

    def client(self, **more):
        """A client of Python's SDK. It belongs to one event loop: each test makes its own."""
        logger = logging.getLogger("hatchet-of-a-test")
        logger.setLevel(logging.CRITICAL)
        return Hatchet(config=ClientConfig(token=self.token, host_port=self.grpc, server_url=self.api, logger=logger,
                                           tls_config=ClientTLSConfig(strategy="none"), **more))

    def query(self, statement):
        """Rows of the engine's database, as lists of texts: for what no client is told."""
        done = subprocess.run(["psql", "-X", "-A", "-t", "-F", "\t", "-d", self.database, "-c", statement],
                              capture_output=True, text=True, check=True)
        return [row.split("\t") for row in done.stdout.splitlines()]


class Process:
    """Something of ours or Python's that runs until it is told to stop; what it says goes to a file."""

    def __init__(self, command, environment, ready):
        self.log = tempfile.NamedTemporaryFile(prefix="mageflow-hatchet-", suffix=".log")
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        start_new_session=True)
        try:
            wait_for(lambda: ready(self) or self.process.poll() is not None, 120, f"the start of {command[0]}: {self.text()[-2000:]}")
            assert self.process.poll() is None, f"{command} has ended:\n{self.text()[-4000:]}"
        except BaseException:
            self.kill()
            raise

    def text(self):
        with open(self.log.name, encoding="utf-8", errors="replace") as file:
            return file.read()

    def kill(self):
        """With its children: the SDK's worker has one that talks to the engine."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        if kind is not None:
            print("\n".join(line for line in self.text().splitlines()[-60:]), file=sys.stderr)
            self.kill()
        else:
            self.stop()


class PythonWorker(Process):
    """The tasks of peers.py, served by the SDK."""

    def __init__(self, engine, name="python", **environment):
        self.engine, self.name = engine, name
        super().__init__([sys.executable, os.path.join(HERE, "peers.py"), name], engine.environment(**environment),
                         lambda _: worker_listens(engine, name))

    def stop(self):
        self.kill()     # in good order it takes some seconds


def worker_listens(engine, name):
    """The engine has a stream to the newest worker of that name."""
    return engine.query(f"""SELECT "isActive" AND "dispatcherId" IS NOT NULL FROM "Worker" WHERE name = '{name}'
                            ORDER BY "createdAt" DESC LIMIT 1""") == [["t"]]


def worker_is_given_tasks(engine, name):
    """The engine assigns to a worker of that name: for 5 s after its last heartbeat to one whose good-bye it has missed."""
    return bool(engine.query(f"""SELECT 1 FROM "Worker" WHERE name = '{name}' AND "isActive" AND "dispatcherId" IS NOT NULL
                                 AND "lastHeartbeatAt" > now() - interval '6 seconds'"""))


def python_call(engine, name, message, **environment):
    """The SDK's client, in a process of its own as somebody would write it: the result, or what it raised as text."""
    done = subprocess.run([sys.executable, os.path.join(HERE, "call.py"), name, json.dumps(message)],
                          env=engine.environment(**environment), capture_output=True, text=True, timeout=240)
    if done.returncode != 0:
        return done.stderr.strip().splitlines()[-1]
    return json.loads(done.stdout)


def own_engine(test):
    test.own_engine = True
    return test


def run_each(tests):
    """Run tests that need no engine, or those of them that are named on the command line. Answers the exit code."""
    words, failed = sys.argv[1:], 0
    for test in tests:
        if words and not any(word in test.__name__ for word in words):
            continue
        began = time.monotonic()
        try:
            test()
            print(f"ok      {test.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
        except Exception:
            traceback.print_exc()
            print("FAILED ", test.__name__, flush=True)
            failed += 1
    return 1 if failed else 0


def run_all(tests, *tools, around=None):
    """Run the tests, or those named on the command line behind the tools. around(engine): a context that they share beside their engine,
    of processes whose last words are shown when one of them fails. Answers the exit code."""
    words = sys.argv[1 + len(tools):]
    chosen = [test for test in tests if not words or any(re.search(word, test.__name__) for word in words)]
    failed, shared, running = [], None, ()
    with contextlib.ExitStack() as stack:
        for test in chosen:
            began = time.monotonic()
            engine = None
            try:
                if getattr(test, "own_engine", False):
                    engine = Engine()
                elif shared is None:
                    shared = Engine()
                    stack.callback(shared.close)
                    running = stack.enter_context(around(shared)) if around is not None else ()
                done = test(*tools, engine or shared)
                if asyncio.iscoroutine(done):
                    asyncio.run(asyncio.wait_for(done, 300))
                print(f"ok      {test.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
            except BaseException as error:      # noqa: B902  (whatever it was, the others run)
                if isinstance(error, (SystemExit, KeyboardInterrupt)):
                    raise
                traceback.print_exc()
                for process in running if engine is None else ():
                    print("\n".join(process.text().splitlines()[-60:]), file=sys.stderr)
                print(f"FAILED  {test.__name__}", flush=True)
                failed.append(test.__name__)
            finally:
                if engine is not None:
                    engine.close()
    print(f"{len(chosen) - len(failed)} of {len(chosen)} passed", flush=True)
    return 1 if failed else 0
