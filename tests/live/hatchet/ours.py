"""Our worker and our client as processes: what the tests of the bridge share."""
import contextlib
import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request

from fleet import Process, PythonWorker, wait_for, worker_is_given_tasks, worker_listens

COMMAND, TASKS, CLIENT = sys.argv[1:4]
del sys.argv[1:4]


def workers(engine):
    return int(engine.query("""SELECT count(*) FROM "Worker" WHERE name = 'mageflow'""")[0][0])


class Worker(Process):
    """`mageflow worker` over tasks.c. All have one name in the engine: a new one is the newest of them."""

    def __init__(self, engine, *options, url="hatchet:", **environment):
        self.engine = engine
        before = workers(engine)
        super().__init__([COMMAND, "worker", "--url", url, "--load", TASKS, *options], engine.environment(**environment),
                         lambda me: "serving" in me.text() and workers(engine) > before and worker_listens(engine, "mageflow"))

    def stop(self):
        """In good order; and the next test's tasks are not given to this one, even where the engine missed the good-bye."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=60)
        assert code == 0, f"the worker ended with {code}:\n{self.text()[-4000:]}"
        wait_for(lambda: not worker_is_given_tasks(self.engine, "mageflow"), what="the end of its heartbeat")


def serving(*options, python=False, **environment):
    """For run_all: a worker of ours, and on demand one of Python's, for all tests that need no other."""
    @contextlib.contextmanager
    def around(engine):
        with contextlib.ExitStack() as stack:
            running = [stack.enter_context(Worker(engine, *options, **environment))]
            if python:
                running.append(stack.enter_context(PythonWorker(engine)))
            yield running
    return around


def call(engine, *arguments, url="hatchet:", ends_within=120, **environment):
    """Our client: what it prints. It hangs when it takes longer than ends_within."""
    done = subprocess.run([CLIENT, url, *arguments], env=engine.environment(**environment), capture_output=True, text=True,
                          timeout=ends_within)
    assert done.returncode in (0, 1), done
    return done.stdout.strip()


def lines(path):
    with open(path) as file:
        return file.read().splitlines()


def words(path):
    """The lines without their attempts: the engine counts one for a task that it first gave to a worker that had gone."""
    return [line.split()[0] for line in lines(path)]


def health(worker):
    """(code, text) of its health port."""
    url = re.search(r"^health: (\S+)$", worker.text(), re.M)[1]
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status, json.load(answer).get("reason", "")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def is_well(worker):
    return health(worker)[0] == 200


def told(worker, *words):
    """Its health port is red and says one of them."""
    code, text = health(worker)
    return code == 503 and any(word in text for word in words)
