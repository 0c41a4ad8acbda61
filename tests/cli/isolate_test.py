"""`mageflow worker --isolation process`: isolate_test.py MAGEFLOW TASKS.so CASE. Without CASE: the list of cases."""
import json
import os
import select
import shutil
import signal
import socket
import subprocess

from worker_kit import MAGEFLOW, PATIENCE, TASKS, Worker, run_case, skip, test_module, until

# What a crash does is the system's business here, and not a sanitizer's.
PLAIN = {"ASAN_OPTIONS": "handle_segv=0:handle_abort=0:detect_leaks=0:" + os.environ.get("ASAN_OPTIONS", "")}


def isolated(folder, *options, **more):
    return Worker(folder, *test_module("rough"), *test_module("knock"), "--isolation", "process", *options, **more, **PLAIN)


def children(worker):
    with open(f"/proc/{worker.process.pid}/task/{worker.process.pid}/children", encoding="ascii") as file:
        direct = set(file.read().split())
    # Each thread has its own list of what it made.
    for thread in os.listdir(f"/proc/{worker.process.pid}/task"):
        try:
            with open(f"/proc/{worker.process.pid}/task/{thread}/children", encoding="ascii") as file:
                direct |= set(file.read().split())
        except FileNotFoundError:
            pass    # a thread that ended meanwhile
    return {int(pid) for pid in direct}


class Knock:
    """A task that runs: it has opened the FIFO and waits for its stop, or does not listen."""

    def __init__(self, worker, folder, task="knock"):
        self.path = f"{folder}/{task}"
        os.mkfifo(self.path)
        self.sender = subprocess.Popen([MAGEFLOW, "send", "--url", worker.url, task, json.dumps({"path": self.path})],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.reader = open(self.path, "rb")     # returns when the task opened its end

    def end(self):
        out, err = self.sender.communicate(timeout=PATIENCE)
        self.reader.close()
        return out, err


def gone(pidfd):
    return bool(select.select([pidfd], [], [], PATIENCE)[0])


def crash_fails_its_attempt_alone(folder):
    worker = isolated(folder)
    for message, why in (({"signal": signal.SIGSEGV}, "die: Crashed: the task's process was ended by signal 11, SIGSEGV"),
                         ({}, "die: Crashed: the task's process was ended by signal 6, SIGABRT"),
                         ({"code": 3}, "die: Exited: the task ended its process with exit code 3"),
                         ({"code": 0}, "die: Exited: the task ended its process with exit code 0")):
        sent = worker.send("die", message)
        assert sent.returncode == 1 and why in sent.stderr, sent
    assert worker.send("die_once", {}).stdout == "2\n", "the next attempt runs"
    assert worker.send("add", {"a": 1, "b": 2}).stdout == "3\n"
    assert "Canceled" in worker.send("give_up", {}).stderr
    failed = worker.send("fail", {"message": "out of paint"})
    assert failed.stderr == "mageflow: fail: Failed: out of paint\n", failed
    worker.stop()


def task_that_ignores_its_timeout_is_killed(folder):
    worker = isolated(folder)
    first = int(worker.send("pid", {}).stdout)
    death = os.pidfd_open(first)
    sent = worker.send("spin", {})
    assert sent.returncode == 1 and "spin: Timeout: " in sent.stderr, sent
    assert gone(death), "the process that ran it"
    assert int(worker.send("pid", {}).stdout) != first
    worker.stop()


def child_that_somebody_kills_fails_its_attempt(folder):
    worker = isolated(folder)
    knock = Knock(worker, folder)
    for pid in children(worker):
        os.kill(pid, signal.SIGKILL)
    out, err = knock.end()
    assert knock.sender.returncode == 1 and "knock: Crashed: " in err and "SIGKILL" in err, err
    assert worker.send("add", {"a": 1, "b": 2}).stdout == "3\n"
    for pid in children(worker):        # an idle one: no attempt pays for that
        death = os.pidfd_open(pid)
        os.kill(pid, signal.SIGKILL)
        assert gone(death)
    assert worker.send("add", {"a": 1, "b": 2}).stdout == "3\n"
    worker.stop()


def worker_that_is_killed_leaves_no_child(folder):
    worker = isolated(folder)
    knock = Knock(worker, folder, "stubborn")      # it does not look whether anybody asks it to stop
    deaths = [os.pidfd_open(pid) for pid in children(worker)]
    assert deaths
    worker.process.kill()
    worker.process.wait(PATIENCE)
    for death in deaths:
        assert gone(death)
    knock.sender.kill()
    knock.end()


def what_a_task_says_and_sends_arrives(folder):
    worker = isolated(folder)
    told = json.loads(worker.send("say", {}).stdout)
    assert told["pid"] in children(worker) and told["other"] in children(worker) and told["pid"] != told["other"], told
    assert told["name"] == "say" and told["attempt"] == 1, told
    heard = json.loads(worker.send("heard", {"key": told["key"]}).stdout)
    assert heard == {"log": "a line of 1", "progress": {"done": 3, "total": 4}}, heard
    text = "x" * 900_000
    assert json.loads(worker.send_from_file(folder, "echo", {"value": text}).stdout) == text
    worker.stop()


def tasks_that_wait_give_up_their_turn(folder):
    """Each waits for a flow of its own, for which there is one thread and one slot."""
    worker = isolated(folder, "--threads", "1", "--slots", "1")
    with open(f"{folder}/flow.json", "w", encoding="utf-8") as file:
        json.dump({"swarm": [{"task": "say"}] * 5}, file)
    ran = subprocess.run([MAGEFLOW, "run", "--wait", "--timeout", f"{PATIENCE}s", "--url", worker.url, f"{folder}/flow.json"],
                         capture_output=True, text=True, timeout=2 * PATIENCE)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert len(told) == 5 and all(one["pid"] != one["other"] for one in told), told
    worker.stop()


def thousand_calls_share_two_processes(folder):
    worker = isolated(folder)
    flow = {"swarm": [{"task": "pid"}] * 1000}
    with open(f"{folder}/flow.json", "w", encoding="utf-8") as file:
        json.dump(flow, file)
    ran = subprocess.run([MAGEFLOW, "run", "--wait", "--url", worker.url, f"{folder}/flow.json"], capture_output=True, text=True,
                         timeout=PATIENCE)
    assert ran.returncode == 0, ran.stderr
    pids = json.loads(ran.stdout)
    assert len(pids) == 1000 and set(pids) <= children(worker) and len(children(worker)) <= 2, (set(pids), children(worker))
    worker.stop()


def worker_leaves_in_order_and_its_children_with_it(folder):
    worker = isolated(folder, start_new_session=True)
    knock = Knock(worker, folder)
    deaths = [os.pidfd_open(pid) for pid in children(worker)]
    os.killpg(worker.process.pid, signal.SIGTERM)       # as a service manager does: the children do not go by that
    until(lambda: "leaving" in worker.process.stderr.readline(), "it leaves")
    assert not select.select(deaths, [], [], 0)[0], "the task runs on"
    os.killpg(worker.process.pid, signal.SIGTERM)
    assert worker.process.wait(PATIENCE) == 3, worker.process.stderr.read()
    for death in deaths:
        assert gone(death)
    knock.sender.kill()
    knock.end()


def task_that_does_not_listen_while_the_worker_leaves_is_killed(folder):
    worker = isolated(folder)
    sent = worker.send("spin_on", {}, "--no-wait")
    assert sent.returncode == 0, sent.stderr
    knock = Knock(worker, folder, "stubborn")
    worker.process.send_signal(signal.SIGTERM)
    deaths = [os.pidfd_open(pid) for pid in children(worker)]
    until(lambda: "leaving" in worker.process.stderr.readline(), "it leaves")
    worker.process.send_signal(signal.SIGTERM)
    # Without isolation it is 4, since a thread cannot be killed; so it is here where the machine needs a second for that.
    assert worker.process.wait(PATIENCE) in (3, 4), worker.process.stderr.read()
    for death in deaths:
        assert gone(death)
    knock.sender.kill()
    knock.end()


def redis_as_store_and_manager(folder):
    server = shutil.which("redis-server") or skip("no redis-server")
    redis = subprocess.Popen([server, "--port", "0", "--unixsocket", f"{folder}/redis", "--dir", folder, "--save", "",
                              "--appendonly", "no"], stdout=subprocess.PIPE, text=True)
    until(lambda: "eady to accept connections" in redis.stdout.readline(), "redis is ready")
    worker = isolated(folder, "--threads", "1", "--slots", "1", url=f"taskiq+unix://{folder}/redis")
    told = json.loads(worker.send("say", {}).stdout)
    assert told["pid"] in children(worker) and told["other"] in children(worker), told
    sent = worker.send("die", {})
    assert sent.returncode == 1 and "SIGABRT" in sent.stderr, sent
    assert worker.send("die_once", {}).stdout == "2\n"
    worker.stop()

    # Where flows are in the worker's own memory a task cannot start one, and is told so.
    worker = isolated(folder, url=f"taskiq+unix://{folder}/redis?store=memory")
    body = json.dumps({"task_id": "1", "task_name": "say", "labels": {}, "args": [], "kwargs": {}})
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(f"{folder}/redis")
        words = ["XADD", "taskiq", "*", "data", body]
        link.sendall(f"*{len(words)}\r\n".encode() + b"".join(f"${len(word)}\r\n{word}\r\n".encode() for word in words))
        assert link.recv(100).startswith(b"$")
    until(lambda: "and its worker keeps flows in memory: choose a store" in worker.process.stderr.readline(), "it is refused")
    worker.stop()
    redis.kill()
    redis.wait()


def notes_of(path):
    """What was done, each with the process that did it."""
    try:
        with open(path, encoding="utf-8") as file:
            return [(what, int(pid)) for what, pid in map(str.split, file)]
    except FileNotFoundError:
        return []


def send_order(worker, path):
    return subprocess.Popen([MAGEFLOW, "send", "--url", worker.url, "order", json.dumps({"path": path})], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def pay_and_check(worker, sender, path):
    """Every verb, and a death among them: the result is whole, and nothing was done twice."""
    until(lambda: worker.send("pay", {"cents": 5}).stdout == "1\n", "it waits to be paid")
    out, err = sender.communicate(timeout=PATIENCE)
    assert sender.returncode == 0, err
    got = json.loads(out)
    assert got.pop("pid") != worker.process.pid and got == {"step": "receipt 1", "came": {"cents": 5}, "none": None}, got
    done = [(what, pid) for what, pid in notes_of(path) if what != "begin"]
    assert [what for what, _ in done] == ["charge", "crash", "crash"] and len({pid for _, pid in done[1:]}) == 2, done
    # The body was called again and again, and the flow that it starts has one key.
    assert len([what for what, _ in notes_of(path) if what == "begin"]) >= 4, notes_of(path)
    listed = subprocess.run([MAGEFLOW, "list", "--url", worker.url, "--json", "--task", "pid"], capture_output=True, text=True, timeout=PATIENCE)
    assert len(listed.stdout.splitlines()) == 1, listed


def durable_task_is_remembered_by_its_worker(folder):
    worker = isolated(folder, *test_module("durable"))
    path = f"{folder}/ordered"
    pay_and_check(worker, send_order(worker, path), path)
    assert worker.process.pid not in {pid for _, pid in notes_of(path)}
    failed = worker.send("fails", {})
    assert failed.stderr == "mageflow: fails: NoPaper: the tray is empty\n", failed
    strayed = worker.send("strays", {"path": f"{folder}/strayed"})
    assert strayed.returncode == 1 and 'ReplayDiffers: verb 1 was step "left" and is step "right" now' in strayed.stderr, strayed
    assert len(notes_of(f"{folder}/strayed")) == 1
    stuck = worker.send("sticks", {})
    assert stuck.returncode == 1 and "sticks: Timeout: " in stuck.stderr, stuck
    dug = worker.send("digs", {})
    assert dug.returncode == 1 and "digs: VerbInStep: " in dug.stderr, dug
    assert json.loads(worker.send("plain", {}).stdout) == ["MF_E_UNSUPPORTED"] * 3
    worker.stop()


def durable_task_goes_on_where_another_worker_left_it(folder):
    """It begins in a process of its own, and ends in a worker that knows no such thing."""
    path = f"{folder}/ordered"
    first = isolated(folder, *test_module("durable"))
    sender = send_order(first, path)
    until(lambda: sum(what == "crash" for what, _ in notes_of(path)) == 2, "all but the payment")
    first.stop()
    second = Worker(folder, *test_module("rough"), *test_module("durable"))
    pay_and_check(second, sender, path)
    assert notes_of(path)[-1] == ("begin", second.process.pid), notes_of(path)
    second.stop()


def what_cannot_be_isolated_is_refused(folder):
    wrong = subprocess.run([MAGEFLOW, "worker", "--load", TASKS, "--isolation", "jail"], capture_output=True, text=True, timeout=PATIENCE)
    assert wrong.returncode == 2 and '--isolation: expected thread or process, got "jail"' in wrong.stderr, wrong
    alone = subprocess.run([MAGEFLOW, "task-process"], capture_output=True, text=True, timeout=PATIENCE)
    assert alone.returncode == 2 and "--isolation process" in alone.stderr, alone


run_case((crash_fails_its_attempt_alone, task_that_ignores_its_timeout_is_killed, child_that_somebody_kills_fails_its_attempt,
          worker_that_is_killed_leaves_no_child, what_a_task_says_and_sends_arrives, tasks_that_wait_give_up_their_turn,
          thousand_calls_share_two_processes, worker_leaves_in_order_and_its_children_with_it,
          task_that_does_not_listen_while_the_worker_leaves_is_killed, redis_as_store_and_manager,
          durable_task_is_remembered_by_its_worker, durable_task_goes_on_where_another_worker_left_it, what_cannot_be_isolated_is_refused))
