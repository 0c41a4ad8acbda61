"""What must hold when processes die, stop and come back: faults.py MAGEFLOW TASKS.so CLIENT FLOW [WORD...]

The ledger is a file outside: a line for each begin and each end of a call.
"""
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

from fleet import QUEUE, PythonWorker, Tools, Worker, broker_of, kick, result_of, run_all, wait_for, wait_for_value

LEASE = "&lease=1s"


def notes(server, what=None, task_id=None):
    try:
        with open(server.dir.name + "/notes") as file:
            lines = [line.split() for line in file.read().splitlines()]
    except FileNotFoundError:
        return []
    return [line for line in lines if (what is None or line[0] == what) and (task_id is None or line[1] == task_id)]


def path_of(server):
    return server.dir.name + "/notes"


async def a_killed_workers_tasks_run_again(tools, server):
    for kind in ("stream", "list"):
        server.redis.flushall()
        broker = broker_of(server, kind)
        await broker.startup()
        first = Worker(tools, server, f"&broker={kind}{LEASE}", "--threads", "4", "--slots", "4")
        before = len(notes(server, "begin"))
        tasks = [await kick(broker, "slow", path=path_of(server), ms=500) for _ in range(8)]
        wait_for(lambda: len(notes(server, "begin")) >= before + 4, what="four begins")
        first.kill()
        second = Worker(tools, server, f"&broker={kind}{LEASE}", "--threads", "4", "--slots", "4")
        for task in tasks:
            result = await result_of(task, 30)
            assert result.return_value == "slept", result
            # One begin before the kill, at most, and then one that ended.
            assert len(notes(server, "end", task.task_id)) == 1, notes(server, None, task.task_id)
            assert len(notes(server, "begin", task.task_id)) <= 2
        second.stop()
        await broker.shutdown()


async def a_task_longer_than_its_lease_runs_once(tools, server):
    for kind in ("stream", "list"):
        server.redis.flushall()
        broker = broker_of(server, kind)
        await broker.startup()
        workers = [Worker(tools, server, f"&broker={kind}&lease=600ms&idle_timeout=1h") for _ in range(2)]
        task = await kick(broker, "slow", path=path_of(server), ms=3000)
        result = await result_of(task)
        assert result.return_value == "slept", result
        assert len(notes(server, "begin", task.task_id)) == 1, notes(server)
        for worker in workers:
            worker.stop()
        await broker.shutdown()


async def a_quiet_queue_is_reclaimed_too(tools, server):
    broker = broker_of(server)
    await broker.startup()
    first = Worker(tools, server, LEASE)
    second = Worker(tools, server, LEASE, "--threads", "1")
    task = await kick(broker, "slow", path=path_of(server), ms=2000)
    wait_for(lambda: notes(server, "begin"), what="a begin")
    holder = int(notes(server, "begin")[0][3])
    dead, other = (first, second) if first.process.pid == holder else (second, first)
    dead.kill()
    result = await result_of(task, 20)      # nothing else is sent
    assert result.return_value == "slept" and int(notes(server, "end")[0][3]) == other.process.pid
    other.stop()
    await broker.shutdown()


async def consumption_resumes_when_redis_was_restarted(tools, server):
    broker = broker_of(server)
    await broker.startup()
    worker = Worker(tools, server, LEASE)
    task = await kick(broker, "slow", path=path_of(server), ms=1500)
    wait_for(lambda: notes(server, "begin"), what="a begin")
    waiting = await kick(broker, "add", 1, 2)
    server.stop()
    server.start()
    broker = broker_of(server)
    began = time.monotonic()
    result = await result_of(await kick(broker, "add", 3, 4))
    assert result.return_value == 7
    print(f"        resumed {time.monotonic() - began:.1f} s after the restart")
    for one, want in ((task, "slept"), (waiting, 3)):
        wait_for(lambda: server.redis.exists(one.task_id), what="the result from before")
        assert (await broker.result_backend.get_result(one.task_id)).return_value == want
    assert len(notes(server, "begin", task.task_id)) == 1, "it ran on while Redis was away, and once"
    worker.stop()
consumption_resumes_when_redis_was_restarted.options = ("--appendonly", "yes", "--appendfsync", "always")


async def consumption_resumes_when_redis_came_back_empty(tools, server):
    for kind in ("stream", "list"):
        server.redis.flushall()
        broker = broker_of(server, kind)
        await broker.startup()
        worker = Worker(tools, server, f"&broker={kind}{LEASE}")
        assert (await result_of(await kick(broker, "add", 1, 2))).return_value == 3
        server.redis.flushall()
        server.redis.script_flush()
        assert (await result_of(await kick(broker, "add", 3, 4))).return_value == 7
        task = await kick(broker, "slow", path=path_of(server), ms=700)
        wait_for(lambda: notes(server, "begin", task.task_id), what="a begin")
        server.redis.flushall()
        if kind == "stream":        # its entry is gone, but it ran: whoever waits is told
            assert (await result_of(task)).return_value == "slept"
        assert (await result_of(await kick(broker, "add", 5, 6))).return_value == 11
        worker.stop()
        await broker.shutdown()


async def a_payload_that_kills_its_worker_is_a_dead_letter(tools, server):
    for kind in ("stream", "list"):
        server.redis.flushall()
        broker = broker_of(server, kind)
        await broker.startup()
        bad = await kick(broker, "die", path=path_of(server))
        good = [await kick(broker, "add", i, 1) for i in range(5)]
        deaths = 0
        worker = Worker(tools, server, f"&broker={kind}&lease=300ms", may_die=True)
        while not server.redis.exists(bad.task_id):
            if worker.process.poll() is not None:
                deaths += 1
                assert deaths < 10, "it kills for ever"
                worker = Worker(tools, server, f"&broker={kind}&lease=300ms", may_die=True)
            time.sleep(0.02)
        result = await broker.result_backend.get_result(bad.task_id)
        assert result.is_err and type(result.error).__name__ == "TooManyDeliveries", result
        assert 2 <= deaths <= 5, (kind, deaths)
        letters = server.redis.xrange(QUEUE + ":mageflow:dead")
        assert len(letters) == 1, (kind, deaths, letters)
        for i, task in enumerate(good):
            assert (await result_of(task)).return_value == i + 1
        worker.stop()
        await broker.shutdown()


async def sigterm_lets_end_what_runs_and_gives_back_the_rest(tools, server):
    for kind in ("stream", "list"):
        server.redis.flushall()
        broker = broker_of(server, kind)
        await broker.startup()
        first = Worker(tools, server, f"&broker={kind}&lease=1h", "--threads", "2", "--slots", "8")
        tasks = [await kick(broker, "deaf", path=path_of(server), ms=700) for _ in range(8)]
        wait_for(lambda: any(notes(server, "begin", t.task_id) for t in tasks), what="a begin")
        time.sleep(0.1)     # so that all of them are held here
        first.stop(code=0)
        second = Worker(tools, server, f"&broker={kind}&lease=1h", "--threads", "4")
        for task in tasks:      # no lease is waited for
            assert (await result_of(task)).return_value == "slept"
            assert len(notes(server, "begin", task.task_id)) == 1, notes(server, None, task.task_id)
        second.stop()
        await broker.shutdown()
        if kind == "stream":
            assert server.redis.xinfo_consumers(QUEUE, "taskiq") == [], "no name is left"


def one_slot_takes_one_task_of_several_queues(tools, server):
    """What a worker holds is nobody else's to take: with one long task at a time, the others are."""
    queues = [QUEUE, "second", "third"]
    for queue in queues:
        server.redis.xgroup_create(queue, "taskiq", "0", mkstream=True)
        for i in range(2):
            server.redis.xadd(queue, {"data": json.dumps({"task_id": f"{queue}-{i}", "task_name": "slow", "labels": {}, "args": [],
                                                          "kwargs": {"path": path_of(server), "ms": 200}})})

    def held():
        return sum(server.redis.xpending(queue, "taskiq")["pending"] for queue in queues)

    worker = Worker(tools, server, "&queue=second&queue=third", "--threads", "1", "--slots", "1")
    for begun in range(1, 7):
        wait_for(lambda: len(notes(server, "begin")) >= begun, what="the next begin")
        # What ended may not be told yet when the next one begins.
        assert held() <= 2, (begun, held())
    wait_for(lambda: len(notes(server, "end")) == 6 and held() == 0, what="the end of all")
    worker.stop()


async def a_worker_that_was_paused_takes_nothing_back(tools, server):
    broker = broker_of(server)
    await broker.startup()
    first = Worker(tools, server, LEASE)
    task = await kick(broker, "slow", path=path_of(server), ms=1500)
    wait_for(lambda: notes(server, "begin"), what="a begin")
    first.process.send_signal(signal.SIGSTOP)
    second = Worker(tools, server, LEASE)
    result = await result_of(task)
    assert result.return_value == "slept"
    before = server.redis.get(task.task_id)
    server.redis.delete(task.task_id)
    first.process.send_signal(signal.SIGCONT)
    wait_for(lambda: len(notes(server, "end")) + len(notes(server, "stopped")) == 2, what="both ends")
    assert (await result_of(await kick(broker, "add", 1, 2))).return_value == 3
    first.stop(code=None)
    assert before and server.redis.get(task.task_id) is None, "the paused worker told an outcome that was not its own"
    second.stop()
    await broker.shutdown()


async def a_python_workers_entries_wait_for_its_idle_timeout(tools, server):
    broker = broker_of(server)
    await broker.startup()
    python = PythonWorker(server, """
@broker.task(task_name="slow")
async def slow(path: str, ms: int):
    await asyncio.sleep(3600)
""")
    task = await kick(broker, "slow", path=path_of(server), ms=1)
    wait_for(lambda: server.redis.xpending(QUEUE, "taskiq")["pending"] == 1, what="a delivery to Python")
    python.kill()
    began = time.monotonic()
    worker = Worker(tools, server, "&lease=300ms&idle_timeout=2s")
    result = await result_of(task)
    assert result.return_value == "slept"
    assert time.monotonic() - began > 1, "it was taken over at once"
    worker.stop()
    await broker.shutdown()


async def workers_are_killed_under_load(tools, server):
    """Nothing is missing, and the repeats are bounded by the kills."""
    kills = int(os.environ.get("KILLS", "4"))
    rng = random.Random(os.environ.get("SEED", "1"))
    broker = broker_of(server, results="json")
    await broker.startup()
    parameters = "&lease=500ms&result_serializer=json"
    workers = [Worker(tools, server, parameters, "--threads", "2", "--slots", "8") for _ in range(2)]
    tasks = []
    for _ in range(kills):
        tasks += [await kick(broker, "slow", path=path_of(server), ms=rng.randrange(30)) for _ in range(40)]
        time.sleep(rng.random() * 0.3)
        which = rng.randrange(2)
        workers[which].kill()
        workers[which] = Worker(tools, server, parameters, "--threads", "2", "--slots", "8")
    for task in tasks:
        assert (await result_of(task, 60)).return_value == "slept"
    begins, ends = notes(server, "begin"), notes(server, "end")
    assert {line[1] for line in ends} >= {t.task_id for t in tasks}, "a task is missing"
    assert len(begins) <= len(tasks) + 8 * kills * 2, (len(begins), len(tasks))
    print(f"        {len(tasks)} tasks, {kills} kills, {len(begins)} begins, {len(ends)} ends")
    for worker in workers:
        worker.stop()
    await broker.shutdown()


def a_flow_survives_a_killed_worker(tools, server):
    """A chain of a swarm and a step, started by a process that only waits, served by two others, one of which is killed."""
    workers = [Worker(tools, server, LEASE, "--threads", "2", "--slots", "16") for _ in range(2)]
    items = [{"task": "slow", "kwargs": {"path": path_of(server), "ms": 40}} for _ in range(60)]
    with open(server.dir.name + "/flow.json", "w") as file:
        json.dump({"chain": [{"swarm": items, "max_concurrency": 20}, {"task": "echo"}]}, file)
    run = subprocess.Popen([tools.command, "run", "--wait", "--timeout", "60s", "--url", f"taskiq+{server.url}?queue={QUEUE}{LEASE}",
                            "--load", tools.tasks, server.dir.name + "/flow.json"],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: len(notes(server, "end")) > 20, what="a third of it")
    workers[0].kill()
    out, err = run.communicate(timeout=90)
    assert run.returncode == 0, (run.returncode, out, err)
    assert json.loads(out)["mageflow_results"] == ["slept"] * 60, out
    begins, ends = len(notes(server, "begin")), len(notes(server, "end"))
    assert ends >= 60 and begins <= 60 + 16 and ends <= 60 + 16, (begins, ends)
    print(f"        60 items, 1 kill, {begins} begins, {ends} ends")
    workers[1].stop()


def wrong_doors_are_one_clear_error(tools, server):
    server.redis.config_set("requirepass", "secret")
    for url, says in ((f"taskiq+redis://:hunter2@127.0.0.1:{server.port}", "password"),
                      (f"taskiq+redis://:secret@127.0.0.1:{server.port}/999", "database"),
                      (f"taskiq+rediss://:secret@127.0.0.1:{server.port}", "TLS"),
                      ("taskiq+redis://:secret@127.0.0.1:1", "refused"),
                      ("taskiq+redis://:secret@127.0.0.1:1?broker=pigeon", "broker"),
                      ("taskiq+redis://:secret@127.0.0.1:1?lease=1", "lease")):
        done = subprocess.run([tools.command, "worker", "--url", url, "--load", tools.tasks], capture_output=True, text=True, timeout=60)
        assert done.returncode in (1, 2), (url, done)
        assert says.lower() in done.stderr.lower(), (url, done.stderr)
        assert "secret" not in done.stderr and "hunter2" not in done.stderr, done.stderr
    server.redis.acl_setuser("fleet", enabled=True, passwords=["+fleetsecret"], keys=["taskiq*"], categories=["+@all"])
    done = subprocess.run([tools.command, "worker", "--url", f"taskiq+redis://fleet:fleetsecret@127.0.0.1:{server.port}", "--load", tools.tasks],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode in (1, 2) and "~mageflow:*" in done.stderr and "fleetsecret" not in done.stderr, done
    server.redis.config_set("requirepass", "")
    tls_port = certificate_of_nobody(server)
    done = subprocess.run([tools.command, "worker", "--url", f"taskiq+rediss://:secret@127.0.0.1:{tls_port}", "--load", tools.tasks],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode in (1, 2) and "secret" not in done.stderr, done
    errors = [line for line in done.stderr.splitlines() if "certificate" in line and "warning" not in line]
    assert len(errors) == 1 and "not trusted here" in errors[0] and "ca=" in errors[0], done.stderr
    server.redis.lpush(QUEUE, "x")
    done = subprocess.run([tools.command, "worker", "--url", f"taskiq+{server.url}", "--load", tools.tasks], capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 1 and "list" in done.stderr, done


def certificate_of_nobody(server):
    """The server's TLS port, with a certificate that no CA known here has signed."""
    key, pem = server.dir.name + "/own.key", server.dir.name + "/own.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-keyout", key, "-out", pem, "-subj", "/CN=nobody", "-addext", "subjectAltName=IP:127.0.0.1"],
                   check=True, capture_output=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for name, value in (("tls-cert-file", pem), ("tls-key-file", key), ("tls-ca-cert-file", pem), ("tls-auth-clients", "no"),
                        ("tls-port", port)):
        server.redis.config_set(name, value)
    return port


async def health_and_metrics_tell_of_the_queues_and_of_a_server_that_is_gone(tools, server):
    broker = broker_of(server)
    await broker.startup()
    worker = Worker(tools, server, "", "--threads", "1", "--slots", "1", "--health", "0")
    base = wait_for_value(lambda: next((line.split()[-1] for line in worker.text().decode().splitlines() if "health:" in line), None))

    def ask(what):
        try:
            with urllib.request.urlopen(base.removesuffix("/health") + what, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(name):
        lines = ask("/metrics")[1].splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(f'mageflow_queue_{name}{{queue="{QUEUE}"}}')), None)

    for _ in range(4):
        await kick(broker, "slow", path=path_of(server), ms=60000)
    wait_for(lambda: (metric("held"), metric("waiting")) == (1, 3), what="one held and three that wait")
    assert (metric("delayed"), metric("dead")) == (0, 0)
    assert ask("/health")[0] == 200, ask("/health")
    server.stop(signal.SIGKILL)
    wait_for(lambda: ask("/health")[0] == 503, what="a red health")
    assert "not connected" in ask("/health")[1], ask("/health")
    assert metric("waiting") is None
    server.start()
    wait_for(lambda: ask("/health")[0] == 200, what="a green health")
    await broker.shutdown()
    worker.kill()


TESTS = [a_killed_workers_tasks_run_again, a_task_longer_than_its_lease_runs_once, a_quiet_queue_is_reclaimed_too,
         consumption_resumes_when_redis_was_restarted, consumption_resumes_when_redis_came_back_empty,
         a_payload_that_kills_its_worker_is_a_dead_letter, sigterm_lets_end_what_runs_and_gives_back_the_rest, one_slot_takes_one_task_of_several_queues,
         a_worker_that_was_paused_takes_nothing_back, a_python_workers_entries_wait_for_its_idle_timeout,
         workers_are_killed_under_load, a_flow_survives_a_killed_worker, wrong_doors_are_one_clear_error,
         health_and_metrics_tell_of_the_queues_and_of_a_server_that_is_gone]

if __name__ == "__main__":
    sys.exit(run_all(TESTS, Tools(*sys.argv[1:5])))
