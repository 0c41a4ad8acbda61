"""What `mageflow worker` tells the world: worker_test.py MAGEFLOW TASKS.so CASE. Without CASE: the list of cases."""
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

MAGEFLOW, TASKS = sys.argv[1:3]
PATIENCE = 60


class Worker:
    """A worker on a file, which other processes can send to."""

    def __init__(self, folder, *options, **environment):
        self.url = f"local:?store=sqlite:{folder}/flows.db"
        self.process = subprocess.Popen(
            [MAGEFLOW, "worker", "--url", self.url, "--load", TASKS, "--threads", "2", *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment})
        self.base = None
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

    def stop(self, code=0):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE) == code, (self.process.returncode, self.process.stderr.read())


def until(look, what):
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < deadline, what
    return found


def samples(text):
    from prometheus_client.parser import text_string_to_metric_families
    return {(s.name, tuple(sorted(s.labels.items()))): s.value
            for family in text_string_to_metric_families(text) for s in family.samples}


def value(all_samples, name, **labels):
    return all_samples[(name, tuple(sorted(labels.items())))]


def health_is_green_while_serving_and_red_while_leaving(folder):
    worker = Worker(folder, "--health", "0")
    code, kind, body = worker.get("/health")
    told = json.loads(body)
    assert code == 200 and kind == "application/json" and told["ready"] is True and told["reason"] == "", body
    assert told["threads"] == 2 and told["slots"] >= 2, body
    sent = worker.send("sleep", {"ms": 3600000}, "--no-wait")
    assert sent.returncode == 0, sent.stderr
    until(lambda: json.loads(worker.get("/health")[2])["running"] == 1, "the task runs")
    worker.process.send_signal(signal.SIGTERM)
    code, _, body = until(lambda: (got := worker.get("/health"))[0] == 503 and got, "it leaves")
    assert "leaving" in json.loads(body)["reason"], body
    worker.stop(3)      # the second signal skips the wait: the task is asked to stop, and listens


def metrics_are_what_a_real_parser_reads(folder):
    worker = Worker(folder, "--health", "0")
    assert worker.send("add", {"a": 1, "b": 2}).stdout == "3\n"
    assert worker.send("flaky", {"failures": 2}).stdout == "3\n"
    assert "Failed" in worker.send("fail", {}).stderr

    def counted():
        code, kind, text = worker.get("/metrics")
        assert code == 200 and kind.startswith("text/plain; version=0.0.4"), kind
        got = samples(text)
        ended = [value(got, "mageflow_task_calls_ended_total", task=task, outcome=outcome)
                 for task, outcome in (("flaky", "succeeded"), ("flaky", "retried"), ("fail", "failed"))]
        return got if ended == [1, 2, 1] else None

    got = until(counted, "the calls are counted")
    assert value(got, "mageflow_task_calls_started_total", task="flaky") == 3
    assert value(got, "mageflow_task_duration_seconds_count", task="flaky") == 3
    assert value(got, "mageflow_task_duration_seconds_bucket", task="flaky", le="+Inf") == 3
    assert value(got, "mageflow_task_duration_seconds_sum", task="flaky") > 0
    assert value(got, "mageflow_worker_threads") == 2 and value(got, "mageflow_worker_ready") == 1
    assert value(got, "mageflow_store_commits_total") > 0
    assert value(got, "mageflow_link_connected", link="manager") == 1
    for name in ("process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"):
        assert value(got, name) > 0, name
    assert any(name == "mageflow_build_info" for name, _ in got)
    buckets = [v for (name, labels), v in got.items()
               if name == "mageflow_task_duration_seconds_bucket" and ("task", "flaky") in labels]
    assert buckets == sorted(buckets), "buckets add up"
    worker.stop()


def other_questions_are_answered_as_http_wants(folder):
    worker = Worker(folder, "--health", "0")
    assert worker.get("/nothing")[0] == 404
    assert worker.get("/health", "DELETE")[0] == 405
    assert worker.get("/health", "HEAD")[::2] == (200, "")
    port = worker.base.rsplit(":", 1)[1]
    second = subprocess.run([MAGEFLOW, "worker", "--load", TASKS, "--health", port], capture_output=True, text=True,
                            timeout=PATIENCE)
    assert second.returncode == 1 and f"cannot listen on 127.0.0.1:{port}" in second.stderr, second
    wrong = subprocess.run([MAGEFLOW, "worker", "--health", "65536"], capture_output=True, text=True, timeout=PATIENCE)
    assert wrong.returncode == 2 and "expected a port from 0 to 65535" in wrong.stderr, wrong
    worker.stop()


def service_manager_hears_ready_watchdog_and_stopping(folder):
    for name in (f"{folder}/notify", f"@mageflow-{os.getpid()}"):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        listener.settimeout(PATIENCE)
        listener.bind("\0" + name[1:] if name[0] == "@" else name)
        worker = Worker(folder, NOTIFY_SOCKET=name, WATCHDOG_USEC="100000")
        assert "READY=1" in listener.recv(4096).decode().splitlines()
        for _ in range(3):
            assert "WATCHDOG=1" in listener.recv(4096).decode().splitlines()
        worker.process.send_signal(signal.SIGTERM)
        until(lambda: "STOPPING=1" in listener.recv(4096).decode().splitlines(), "STOPPING=1")
        assert worker.process.wait(PATIENCE) == 0
        listener.close()


def watchdog_of_another_process_is_not_answered(folder):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.settimeout(PATIENCE)
    listener.bind(f"{folder}/notify")
    worker = Worker(folder, NOTIFY_SOCKET=f"{folder}/notify", WATCHDOG_USEC="1000", WATCHDOG_PID="1")
    assert "READY=1" in listener.recv(4096).decode()
    worker.stop()
    assert "STOPPING=1" in listener.recv(4096).decode(), "nothing came in between"


CASES = (health_is_green_while_serving_and_red_while_leaving, metrics_are_what_a_real_parser_reads,
         other_questions_are_answered_as_http_wants, service_manager_hears_ready_watchdog_and_stopping,
         watchdog_of_another_process_is_not_answered)

if len(sys.argv) < 4:
    print("\n".join(case.__name__ for case in CASES))
    sys.exit(0)
if "metrics" in sys.argv[3]:
    try:
        import prometheus_client.parser  # noqa: F401
    except ImportError:
        print("skipped: no python3-prometheus-client")
        sys.exit(77)
with tempfile.TemporaryDirectory() as made:
    {case.__name__: case for case in CASES}[sys.argv[3]](made)
