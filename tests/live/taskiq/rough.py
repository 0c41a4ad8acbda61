"""Bad networks, bad moments, and who may run at once: rough.py MAGEFLOW TASKS.so CLIENT FLOW PROXY [WORD...]

ROUNDS=n makes it longer. The ledger is a file outside: a line for each begin and each end of a call.
"""
import json
import os
import random
import re
import signal
import subprocess
import sys
import time

from faults import LEASE, notes, path_of
from fleet import QUEUE, Tools, Worker, broker_of, kick, result_of, run_all, wait_for

ROUNDS = int(os.environ.get("ROUNDS", "1"))
RNG = random.Random(os.environ.get("SEED", "1"))
PROXY = sys.argv.pop(5) if len(sys.argv) > 5 else None


class Proxy:
    """A proxy before the server that misbehaves when told to; it looks like a server to Worker."""

    def __init__(self, server):
        self.process = subprocess.Popen([PROXY, str(server.port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        self.dir = server.dir

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def be(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "ok\n"

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=20)


async def a_bad_network_loses_nothing(tools, server):
    for kind in ("stream", "list"):
        server.redis.flushall()
        broker = broker_of(server, kind)
        await broker.startup()
        proxy = Proxy(server)
        worker = Worker(tools, proxy, f"&broker={kind}&lease=1s", "--threads", "2", "--slots", "8")
        before = len(notes(server, "begin"))
        tasks, hits = [], 0
        for word in ["delay", "cut", "drip", "truncate", "cut", "truncate", "freeze"] * ROUNDS:
            ends = len(notes(server, "end"))
            proxy.be(word)
            hits += 1
            tasks += [await kick(broker, "slow", path=path_of(server), ms=RNG.randrange(20)) for _ in range(20)]
            if word != "freeze":
                wait_for(lambda: len(notes(server, "end")) >= ends + 5, 60, f"work through a network that does {word}")
            else:
                time.sleep(1.5)     # longer than the lease, shorter than what the link takes for death
            proxy.be("none")
        for task in tasks:
            assert (await result_of(task, 60)).return_value == "slept", task
        begins = len(notes(server, "begin")) - before
        assert begins <= len(tasks) + 8 * hits, (begins, len(tasks), hits)
        print(f"        {kind}: {len(tasks)} tasks, {hits} faults, {begins} begins")
        worker.stop()
        proxy.close()
        await broker.shutdown()


def a_flow_over_a_bad_network_ends_once(tools, server):
    proxy = Proxy(server)
    worker = Worker(tools, proxy, "&lease=1s", "--threads", "2", "--slots", "8")
    count = 40 * ROUNDS
    items = [{"task": "slow", "kwargs": {"path": path_of(server), "ms": 20}} for _ in range(count)]
    with open(server.dir.name + "/flow.json", "w") as file:
        json.dump({"chain": [{"swarm": items, "max_concurrency": 8}, {"task": "echo"}]}, file)
    run = subprocess.Popen([tools.command, "run", "--wait", "--timeout", "100s", "--url", f"taskiq+{server.url}?queue={QUEUE}",
                            "--load", tools.tasks, server.dir.name + "/flow.json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    hits = 0
    while hits < 6 * ROUNDS:
        begins = len(notes(server, "begin"))
        wait_for(lambda: len(notes(server, "begin")) >= begins + 3 or run.poll() is not None, 60, "three more begins")
        if run.poll() is not None:
            break
        proxy.be(("cut", "delay", "truncate")[hits % 3])
        hits += 1
    proxy.be("none")
    out, err = run.communicate(timeout=120)
    assert run.returncode == 0 and hits > 0, (run.returncode, out, err)
    assert json.loads(out)["mageflow_results"] == ["slept"] * count, out
    begins = len(notes(server, "begin"))
    assert count <= begins <= count + 8 * hits, (begins, hits)
    print(f"        {count} items, {hits} faults, {begins} begins")
    worker.stop()
    proxy.close()


async def sigterm_at_any_moment_loses_and_repeats_nothing(tools, server):
    for kind in ("stream", "list"):
        server.redis.flushall()
        broker = broker_of(server, kind)
        await broker.startup()
        tasks = []
        for _ in range(4 * ROUNDS):
            worker = Worker(tools, server, f"&broker={kind}&lease=1h", "--threads", "2", "--slots", "8")
            tasks += [await kick(broker, "slow", path=path_of(server), ms=RNG.randrange(10)) for _ in range(30)]
            time.sleep(RNG.random() * 0.1)
            worker.stop(code=0)
        last = Worker(tools, server, f"&broker={kind}&lease=1h", "--threads", "2")
        for task in tasks:      # no lease is waited for
            assert (await result_of(task)).return_value == "slept"
            assert len(notes(server, "begin", task.task_id)) == 1, notes(server, None, task.task_id)
        last.stop()
        await broker.shutdown()


async def pauses_of_two_leases_lose_nothing(tools, server):
    broker = broker_of(server)
    await broker.startup()
    workers = [Worker(tools, server, "&lease=500ms", "--threads", "2", "--slots", "4") for _ in range(2)]
    tasks = []
    for i in range(3 * ROUNDS):
        tasks += [await kick(broker, "slow", path=path_of(server), ms=30) for _ in range(30)]
        paused = workers[i % 2].process
        paused.send_signal(signal.SIGSTOP)
        time.sleep(1)
        paused.send_signal(signal.SIGCONT)
    for task in tasks:
        assert (await result_of(task, 60)).return_value == "slept"
    begins = len(notes(server, "begin"))
    assert begins <= len(tasks) + 4 * 3 * ROUNDS, (begins, len(tasks))
    for worker in workers:
        worker.stop()
    await broker.shutdown()


def most_at_once(server):
    """The largest number of calls between a begin and its end, or its process's death."""
    running, most = {}, 0
    for line in notes(server):
        if line[0] == "begin":
            running[(line[3], line[1])] = True
        elif line[0] == "killed":
            running = {key: True for key in running if key[0] != line[1]}
        else:
            running.pop((line[3], line[1]), None)
        most = max(most, len(running))
    return most


def max_concurrency_holds_across_processes_and_kills(tools, server):
    def worker():
        return Worker(tools, server, LEASE, "--threads", "4", "--slots", "16")
    workers = [worker() for _ in range(3)]
    count = 120 * ROUNDS
    items = [{"task": "slow", "kwargs": {"path": path_of(server), "ms": 30}} for _ in range(count)]
    with open(server.dir.name + "/flow.json", "w") as file:
        json.dump({"swarm": items, "max_concurrency": 5}, file)
    run = subprocess.Popen([tools.command, "run", "--wait", "--timeout", "100s", "--url", f"taskiq+{server.url}?queue={QUEUE}{LEASE}",
                            "--load", tools.tasks, server.dir.name + "/flow.json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    kills = 0
    for i in range(3 * ROUNDS):
        begins = len(notes(server, "begin"))
        wait_for(lambda: len(notes(server, "begin")) >= begins + 15 or run.poll() is not None, 60, "fifteen more begins")
        if run.poll() is not None:
            break
        which = i % 3
        workers[which].kill()
        kills += 1
        with open(path_of(server), "a") as file:
            file.write(f"killed {workers[which].process.pid} 0 0\n")
        workers[which] = worker()
    out, err = run.communicate(timeout=100)
    assert run.returncode == 0, (run.returncode, out, err)
    assert json.loads(out) == ["slept"] * count, out
    assert kills > 0
    most = most_at_once(server)
    assert 2 <= most <= 5, most
    print(f"        {count} items, {kills} kills, {most} at once at most")
    for one in workers:
        one.stop()


async def a_cancel_reaches_a_call_in_another_process(tools, server):
    workers = [Worker(tools, server, "", "--threads", "1", "--slots", "1") for _ in range(2)]
    broker = broker_of(server)
    await broker.startup()
    deaf_to_all_but_its_flow = {"task": "slow", "kwargs": {"path": path_of(server), "ms": 60000}}
    call = await kick(broker, "mageflow.run_flow", flow={"chain": [deaf_to_all_but_its_flow, {"task": "echo"}]}, task_id="the-call")
    wait_for(lambda: notes(server, "begin"), what="the flow's first task")
    began = time.monotonic()
    await result_of(await kick(broker, "mageflow.run_flow", cancel="the-call"))     # the one slot that is free is the other's
    wait_for(lambda: notes(server, "stopped"), what="the stop")
    print(f"        stopped after {time.monotonic() - began:.3f} s")
    result = await result_of(call)
    assert result.is_err and type(result.error).__name__ == "Canceled", result
    for worker in workers:
        worker.stop()
    await broker.shutdown()


async def large_payloads_pass_and_too_large_ones_are_refused(tools, server):
    for kind in ("stream", "list"):
        server.redis.flushall()
        worker = Worker(tools, server, f"&broker={kind}")
        broker = broker_of(server, kind)
        await broker.startup()
        text = "x" * 1_000_000
        result = await result_of(await kick(broker, "echo", text=text))
        assert result.return_value == {"text": text}
        task = await kick(broker, "echo", text="y" * 3_000_000, task_id="much-too-big")
        result = await result_of(task)
        assert result.is_err, "it was taken"
        bomb = b'\x86\xa7task_id\xa4bomb\xa9task_name\xa4echo\xa6labels\x80\xa4args\xdd\x7f\xff\xff\xff\x01'
        server.redis.xadd(QUEUE, {"data": bomb}) if kind == "stream" else server.redis.lpush(QUEUE, bomb)
        wait_for(lambda: server.redis.xlen(QUEUE + ":mageflow:dead") == 2, what="both dead letters")
        assert (await result_of(await kick(broker, "add", 1, 2))).return_value == 3
        worker.stop()
        await broker.shutdown()


async def what_was_lost_with_an_emptied_redis_is_reported(tools, server):
    broker = broker_of(server)
    await broker.startup()
    worker = Worker(tools, server, "", "--threads", "1", "--slots", "1")
    await kick(broker, "slow", path=path_of(server), ms=800)
    wait_for(lambda: notes(server, "begin"), what="a begin")
    await kick(broker, "add", 1, 2)
    server.redis.flushall()
    assert (await result_of(await kick(broker, "add", 3, 4))).return_value == 7
    wait_for(lambda: b"lost" in worker.text(), what="a word about what was lost")
    worker.stop()
    await broker.shutdown()


def a_flows_messages_go_out_with_its_commits(tools, server):
    """Nothing passes the outbox, which publishes in MULTI, and nothing is left to acknowledge."""
    worker = Worker(tools, server, "", "--threads", "2", "--slots", "8")
    with open(server.dir.name + "/flow.json", "w") as file:
        json.dump({"chain": [{"swarm": [{"task": "add", "kwargs": {"a": i}} for i in range(100)], "max_concurrency": 8},
                             {"task": "echo"}]}, file)

    def run(parameters):
        done = subprocess.run([tools.command, "run", "--wait", "--timeout", "60s", "--url", f"taskiq+{server.url}{parameters}",
                               "--load", tools.tasks, server.dir.name + "/flow.json"], capture_output=True, text=True, timeout=90)
        assert done.returncode == 0, done
        assert json.loads(done.stdout)["mageflow_results"] == [i + 10 for i in range(100)], done
        return server.redis.info("commandstats").get("cmdstat_multi", {"calls": 0})["calls"]
    assert run("") == 0
    wait_for(lambda: server.redis.xlen(QUEUE + ":mageflow") == 0, what="the end of what is in the queue")
    assert server.redis.xpending(QUEUE + ":mageflow", "taskiq")["pending"] == 0
    assert server.redis.hlen("mageflow:m") == 0
    assert run(f"?store={server.url}/0") > 0, "a store that was named is not known to be the same: it goes by the outbox"
    worker.stop()


def one_report_from_two_processes_as_from_threads(tools, server):
    """examples/duplicates, with two processes of workers that share a directory."""
    program, module = os.environ.get("DUPLICATES"), os.environ.get("DUPLICATES_TASKS")
    tree = server.dir.name + "/tree"
    for i in range(40):
        os.makedirs(f"{tree}/{i % 5}/{i % 3}", exist_ok=True)
        with open(f"{tree}/{i % 5}/{i % 3}/{i}", "w") as file:
            file.write("content " * (100 + i % 7))

    def report(url):
        done = subprocess.run([program, "--url", url, tree], capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done
        return re.sub(r"read in [0-9.]+ m?s", "read", done.stdout)
    want = report("local:")
    assert "/" in want, want
    url = f"taskiq+{server.url}"
    tools = Tools(tools.command, module, None, None)
    workers = [Worker(tools, server, "", "--threads", "2") for _ in range(2)]
    got = report(url)
    assert got == want, (got, want)
    for worker in workers:
        worker.stop()


TESTS = [a_bad_network_loses_nothing, a_flow_over_a_bad_network_ends_once, sigterm_at_any_moment_loses_and_repeats_nothing,
         pauses_of_two_leases_lose_nothing, max_concurrency_holds_across_processes_and_kills,
         a_cancel_reaches_a_call_in_another_process, large_payloads_pass_and_too_large_ones_are_refused,
         what_was_lost_with_an_emptied_redis_is_reported, a_flows_messages_go_out_with_its_commits]
if os.environ.get("DUPLICATES"):
    TESTS.append(one_report_from_two_processes_as_from_threads)

if __name__ == "__main__":
    sys.exit(run_all(TESTS, Tools(*sys.argv[1:5])))
