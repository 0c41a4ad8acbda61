"""What the tests of `mageflow worker` share: NAME_test.py MAGEFLOW TASKS.so CASE. Without CASE: the list of cases.

MODULES is the folder of the test modules."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

MAGEFLOW, TASKS = sys.argv[1:3]
PATIENCE = 60


started = []        # none of them outlives its test, however that ends


class Worker:
    """A worker on a file, which other processes can send to."""

    def __init__(self, folder, *options, url=None, start_new_session=False, **environment):
        self.url = url or f"local:?store=sqlite:{folder}/flows.db"
        self.process = subprocess.Popen(
            [MAGEFLOW, "worker", "--url", self.url, "--load", TASKS, "--threads", "2", *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="surrogateescape",
            start_new_session=start_new_session, env={**os.environ, **environment})
        self.base = None
        started.append(self.process)
        for line in self.process.stdout:
            if line.startswith("health: "):
                self.base = line.split()[1].removesuffix("/health")
            if line == "serving\n":
                return
        raise AssertionError("it does not serve: " + self.process.stderr.read())

    def get(self, path, method="GET"):
        try:
            with urllib.request.urlopen(urllib.request.Request(self.base + path, method=method), timeout=PATIENCE) as answer:
                return answer.status, answer.headers["Content-Type"], answer.read().decode()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.headers["Content-Type"], answer.read().decode()

    def send(self, task, message, *options):
        # Without the module the sender serves nothing: the worker told the store what the tasks take.
        return subprocess.run([MAGEFLOW, "send", "--url", self.url, *options, task, json.dumps(message)], capture_output=True,
                              text=True, timeout=PATIENCE)

    def send_from_file(self, folder, task, message):
        """For a message that is too long for an argument."""
        with open(f"{folder}/message.json", "w", encoding="utf-8") as file:
            json.dump(message, file)
        with open(f"{folder}/message.json", encoding="utf-8") as file:
            return subprocess.run([MAGEFLOW, "send", "--url", self.url, task, "-"], stdin=file, capture_output=True, text=True,
                                  timeout=PATIENCE)

    def stop(self, code=0):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE) == code, (self.process.returncode, self.process.stderr.read())


def until(look, what):
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < deadline, what
    return found


def test_module(name):
    return ["--load", os.path.join(os.environ["MODULES"], name + ".so")]


def run_case(cases):
    if len(sys.argv) < 4:
        print("\n".join(case.__name__ for case in cases))
        sys.exit(0)
    with tempfile.TemporaryDirectory() as made:
        try:
            {case.__name__: case for case in cases}[sys.argv[3]](made)
        finally:
            for process in started:
                process.kill()


def skip(why):
    print("skipped: " + why)
    sys.exit(77)
