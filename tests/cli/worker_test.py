"""What `mageflow worker` tells the world: worker_test.py MAGEFLOW TASKS.so CASE. Without CASE: the list of cases."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess

from worker_kit import MAGEFLOW, PATIENCE, TASKS, Worker, run_case, skip, test_module, until


def samples(text):
    try:
        from prometheus_client.parser import text_string_to_metric_families
    except ImportError:
        skip("no python3-prometheus-client")
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


def log_of_a_run_is_one_object_a_line(folder):
    worker = Worker(folder, "--log", "json")
    assert worker.send("flaky", {"failures": 1}).stdout == "2\n"
    assert "Failed" in worker.send("fail", {"message": "out of paint"}).stderr
    worker.stop()
    lines = [json.loads(line) for line in worker.process.stderr]
    for line in lines:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"]), line
        assert line["level"] in ("debug", "info", "warn", "error") and line["message"], line
        assert line["worker"].endswith(f":{worker.process.pid}"), line
    told = [line["message"].split(":")[0].split(",")[0] for line in lines]
    assert told == ["mageflow " + told[0].split()[1] + " starts", "serving", "failed", "failed", "leaving", "left"], told
    again, failed = [line for line in lines if "task" in line]
    assert again["task"] == "flaky" and again["attempt"] == 1 and "again" in again["message"], again
    assert failed["task"] == "fail" and failed["error"] == "Failed: out of paint", failed
    assert failed["key"].startswith("task-"), failed


def log_line_stays_one_whatever_a_task_says(folder):
    for form in ("json", "text"):
        worker = Worker(folder, *test_module("rough"), "--log", form)
        assert worker.send("garble", {}).returncode == 1
        worker.stop()
        raw = worker.process.stderr.read()
        if form == "text":
            assert 'task "garble", task-' in raw and "attempt 1: failed: Bad: one\ntwo" in raw and "\x1b" not in raw, raw
        else:
            (error,) = [line["error"] for line in map(json.loads, raw.splitlines()) if line.get("task") == "garble"]
            assert error == 'Bad: one\ntwo \ufffd\ufffd \x1b[31m "three"', error


def log_tells_that_the_store_is_lost_and_back(folder):
    server = shutil.which("redis-server") or skip("no redis-server")
    command = [server, "--port", "0", "--unixsocket", f"{folder}/redis", "--dir", folder, "--save", "", "--appendonly", "no"]

    def start():
        redis = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        until(lambda: "eady to accept connections" in redis.stdout.readline(), "redis is ready")
        return redis

    redis = start()
    worker = Worker(folder, "--log", "json", url=f"local:?store=unix://{folder}/redis")

    def wait_for(words):
        until(lambda: words in json.loads(worker.process.stderr.readline())["message"], words)

    wait_for("serving")
    redis.kill()
    redis.wait()
    wait_for("the store is not connected")
    redis = start()
    wait_for("the store is connected")
    worker.stop()
    redis.kill()
    redis.wait()


def log_in_another_form_is_refused(folder):
    wrong = subprocess.run([MAGEFLOW, "worker", "--load", TASKS, "--log", "xml"], capture_output=True, text=True, timeout=PATIENCE)
    assert wrong.returncode == 2 and '--log: expected text or json, got "xml"' in wrong.stderr, wrong


run_case((health_is_green_while_serving_and_red_while_leaving, metrics_are_what_a_real_parser_reads,
          other_questions_are_answered_as_http_wants, service_manager_hears_ready_watchdog_and_stopping,
          watchdog_of_another_process_is_not_answered, log_of_a_run_is_one_object_a_line,
          log_line_stays_one_whatever_a_task_says, log_tells_that_the_store_is_lost_and_back, log_in_another_form_is_refused))
