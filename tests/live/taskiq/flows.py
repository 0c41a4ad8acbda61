"""Flows that taskiq's own client starts, awaits and cancels, by sending them to mageflow.run_flow: flows.py MAGEFLOW TASKS.so CLIENT FLOW [WORD...]"""
import json
import os
import subprocess
import sys
import time

from fleet import QUEUE, PythonWorker, Tools, Worker, broker_of, kick, result_of, run_all, wait_for

SUM = {"chain": [{"task": "add", "kwargs": {"b": 2}}, {"task": "echo", "kwargs": {"more": True}}]}


def lines_of(path):
    try:
        with open(path, encoding="utf-8") as file:
            return [line.split()[0] for line in file]
    except FileNotFoundError:
        return []


async def python_awaits_the_result_of_a_flow(tools, server):
    worker = Worker(tools, server)
    broker = broker_of(server)
    await broker.startup()
    result = await result_of(await kick(broker, "mageflow.run_flow", flow=SUM, message={"a": 1}))
    assert not result.is_err and result.return_value == {"mageflow_results": 3, "more": True}, result
    result = await result_of(await kick(broker, "mageflow.run_flow", {"swarm": [{"task": "add", "kwargs": {"a": n}} for n in range(5)]}))
    assert result.return_value == [10, 11, 12, 13, 14], result
    await broker.shutdown()
    worker.stop()


async def a_flow_that_fails_or_is_refused_fails_the_call(tools, server):
    worker = Worker(tools, server)
    broker = broker_of(server)
    await broker.startup()
    flow = {"chain": [{"task": "fail", "kwargs": {"type": "ValueError", "text": "boo"}}, {"task": "echo"}]}
    result = await result_of(await kick(broker, "mageflow.run_flow", flow=flow))
    assert isinstance(result.error, ValueError) and result.error.args == ("boo",), result
    result = await result_of(await kick(broker, "mageflow.run_flow", flow={"chain": [{"task": "add"}, {"task": 5}]}))
    assert type(result.error).__name__ == "InvalidFlow", result
    assert "flow.chain[1].task: expected text, got the integer 5" in str(result.error), result
    await broker.shutdown()
    worker.stop()


async def python_cancels_a_flow_by_the_id_of_its_call(tools, server):
    worker = Worker(tools, server)
    broker = broker_of(server)
    await broker.startup()
    path = os.path.join(server.dir.name, "ran")
    slow = {"task": "slow", "kwargs": {"path": path, "ms": 60000}}
    call = await kick(broker, "mageflow.run_flow", flow={"chain": [slow, {"task": "echo"}]}, task_id="the-call")
    wait_for(lambda: lines_of(path) == ["begin"], what="the flow's first task")
    result = await result_of(await kick(broker, "mageflow.run_flow", cancel="the-call"))
    assert result.return_value.startswith("chain-"), result
    result = await result_of(call)
    assert result.is_err and type(result.error).__name__ == "Canceled", result
    with open(path, encoding="utf-8") as file:
        assert [line.split()[0] for line in file] == ["begin", "stopped"]
    await broker.shutdown()
    worker.stop()


async def a_killed_workers_flow_is_joined_and_not_started_again(tools, server):
    store = f"&lease=1s&store=sqlite:{server.dir.name}/flows.db"
    first = Worker(tools, server, store)
    broker = broker_of(server)
    await broker.startup()
    path = os.path.join(server.dir.name, "ran")
    slow = {"task": "slow", "kwargs": {"path": path, "ms": 300}}
    call = await kick(broker, "mageflow.run_flow", flow={"chain": [slow, {"task": "add", "kwargs": {"a": 1, "b": 2}}]})
    wait_for(lambda: lines_of(path) == ["begin"], what="the flow's first task")
    first.kill()
    second = Worker(tools, server, store)
    result = await result_of(call, 60)
    assert result.return_value == 3, result
    with open(path, encoding="utf-8") as file:
        lines = [line.split()[0] for line in file]
    assert lines == ["begin", "begin", "end"], lines
    await broker.shutdown()
    second.stop()


ABROAD = """
@broker.task(task_name="py_abroad")
async def py_abroad(n=0, **others):
    return {"n": 2 * n}
"""


async def a_task_of_python_is_watched_for_after_its_sender_has_died(tools, server):
    """Its timeout is 5 minutes: an end before that was seen by the second worker."""
    first = Worker(tools, server, "&lease=1s&unknown=leave")
    broker = broker_of(server)
    await broker.startup()
    watched = QUEUE + ":mageflow:watched"
    call = await kick(broker, "mageflow.run_flow", flow={"chain": [{"task": "py_abroad", "kwargs": {"n": 21}}, {"task": "echo"}]})
    wait_for(lambda: any(score > 0 for _, score in server.redis.zrange(watched, 0, -1, withscores=True)), what="the watch")
    first.kill()
    second = Worker(tools, server, "&lease=1s&unknown=leave")
    python = PythonWorker(server, ABROAD)
    result = await result_of(call, 60)
    assert result.return_value == {"mageflow_results": {"n": 42}}, result
    wait_for(lambda: server.redis.zcard(watched) == 0, what="the end of the watch")
    await broker.shutdown()
    second.stop()
    python.kill()


OWN = QUEUE + ":mageflow"
DEAD = OWN + ":mageflow:dead"


def command(tools, server, *words, parameters=""):
    return subprocess.run([tools.command, words[0], "--url", f"taskiq+{server.url}?queue={QUEUE}{parameters}", *words[1:]],
                          capture_output=True, text=True, timeout=60)


def serve_until(tools, server, parameters, condition):
    """Workers, one after the other as each is killed by what it serves, until the condition is true. Answers the last one and how
    many died."""
    deaths, worker, end = 0, Worker(tools, server, parameters, may_die=True), time.monotonic() + 100
    while not condition():
        assert time.monotonic() < end, f"what is waited for does not come; the worker: {worker.text()}, the queue: {server.redis.xinfo_stream(OWN, full=True)}"
        if worker.process.poll() is not None:
            deaths += 1
            assert deaths < 10, "it kills for ever"
            worker = Worker(tools, server, parameters, may_die=True)
        time.sleep(0.02)
    return worker, deaths


async def a_flow_whose_task_kills_its_workers_fails(tools, server):
    """Told once, in a chain and in a swarm, with the store on the same Redis and with another; and a letter that is sent again
    finds that its flow has ended."""
    for number, parameters in enumerate(("&lease=300ms", f"&lease=300ms&store=sqlite:{server.dir.name}/flows.db")):
        server.redis.flushall()
        broker = broker_of(server)
        await broker.startup()
        ran, told = (os.path.join(server.dir.name, f"{name}-{number}") for name in ("ran", "told"))
        die = {"task": "die", "kwargs": {"path": ran}, "on_error": [{"task": "slow", "kwargs": {"path": told, "ms": 0}}]}
        chain = await kick(broker, "mageflow.run_flow", flow={"chain": [die, {"task": "echo"}]})
        worker, deaths = serve_until(tools, server, parameters, lambda: server.redis.exists(chain.task_id))
        assert 2 <= deaths <= 5, deaths
        result = await result_of(chain)
        assert type(result.error).__name__ == "TooManyDeliveries", result
        assert "its worker died each time" in str(result.error), result
        wait_for(lambda: lines_of(told) == ["begin", "end"], what="the error callback")
        wait_for(lambda: server.redis.xlen(DEAD) == 1 and server.redis.xlen(OWN) == 0, what="the letter")
        assert len(lines_of(ran)) == deaths, (deaths, lines_of(ran))

        if number == 0:
            swarm = await kick(broker, "mageflow.run_flow", flow={"swarm": [{"task": "add", "kwargs": {"a": 1}}, {"task": "die", "kwargs": {"path": ran}}]})
            worker.kill()
            worker, _ = serve_until(tools, server, parameters, lambda: server.redis.exists(swarm.task_id))
            result = await result_of(swarm)
            assert result.return_value == [11, None], result
        wait_for(lambda: server.redis.xlen(OWN) == 0, what="an empty queue")
        keys = [letter["key"] for letter in map(json.loads, command(tools, server, "dead", "--json", "list").stdout.splitlines())]
        assert len(keys) == 2 - number, keys
        before = lines_of(ran)
        for key in keys:
            done = command(tools, server, "dead", "requeue", key, parameters=parameters)
            assert done.returncode == 0, done
        wait_for(lambda: server.redis.xlen(OWN) == 0 and server.redis.xpending(OWN, "taskiq")["pending"] == 0, what="an empty queue")
        assert server.redis.xlen(DEAD) == 0 and lines_of(ran) == before and lines_of(told) == ["begin", "end"]
        worker.stop()
        await broker.shutdown()


async def a_worker_that_dies_between_the_failure_and_the_letter_tells_nobody_twice(tools, server):
    """The store is another one: its commit, and then the letter, which cannot be written before the worker is killed."""
    parameters = f"&lease=300ms&store=sqlite:{server.dir.name}/flows.db"
    broker = broker_of(server)
    await broker.startup()
    ran, told = (os.path.join(server.dir.name, name) for name in ("ran", "told"))
    die = {"task": "die", "kwargs": {"path": ran}, "on_error": [{"task": "slow", "kwargs": {"path": told, "ms": 0}}]}
    server.redis.set(DEAD, "no stream")
    call = await kick(broker, "mageflow.run_flow", flow={"chain": [die, {"task": "echo"}]})
    worker, _ = serve_until(tools, server, parameters, lambda: lines_of(told) == ["begin", "end"])
    assert (await result_of(call)).is_err
    wait_for(lambda: server.redis.xlen(OWN) == 1, what="the end of everything else")
    worker.kill()
    server.redis.delete(DEAD)
    worker = Worker(tools, server, parameters)
    wait_for(lambda: server.redis.xlen(DEAD) == 1 and server.redis.xlen(OWN) == 0, what="the letter")
    worker.stop()
    assert lines_of(told) == ["begin", "end"] and len(server.redis.xrange(DEAD)) == 1
    await broker.shutdown()


def a_message_that_cannot_be_read_fails_its_item(tools, server):
    """Whose it is can be read where the rest cannot, as when it is too big for who has narrower limits than its sender."""
    with open(server.dir.name + "/flow.json", "w", encoding="utf-8") as file:
        json.dump({"chain": [{"task": "echo", "kwargs": {"n": 1}}, {"task": "echo"}]}, file)
    run = subprocess.Popen([tools.command, "run", "--wait", "--timeout", "60s", "--url", f"taskiq+{server.url}?queue={QUEUE}",
                            "--load", tools.tasks, server.dir.name + "/flow.json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: server.redis.xlen(OWN) == 1, what="the message")
    entry, fields = server.redis.xrange(OWN)[0]
    server.redis.xdel(OWN, entry)
    server.redis.xadd(OWN, {"data": fields[b"data"].replace(b"kwargs", b"kwargx")})
    worker = Worker(tools, server)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 1 and "MalformedMessage" in err, (run.returncode, out, err)
    assert server.redis.xlen(DEAD) == 1
    worker.stop()


async def a_dead_workers_claim_is_waited_for(tools, server):
    """Its message is taken over while the store still takes the claim for a living one's: as when the entry was renewed last some
    time before the claim was."""
    parameters = "&lease=2s"
    first = Worker(tools, server, parameters)
    broker = broker_of(server)
    await broker.startup()
    path = os.path.join(server.dir.name, "ran")
    slow = {"task": "slow", "kwargs": {"path": path, "ms": 1000}}
    call = await kick(broker, "mageflow.run_flow", flow={"chain": [slow, {"task": "add", "kwargs": {"a": 1, "b": 2}}]})
    wait_for(lambda: lines_of(path) == ["begin"], what="the flow's first task")
    first.kill()
    held = server.redis.xpending_range(OWN, "taskiq", "-", "+", 10)
    assert len(held) == 1, held
    server.redis.xclaim(OWN, "taskiq", held[0]["consumer"], 0, [held[0]["message_id"]], idle=60000, justid=True)
    second = Worker(tools, server, parameters)
    result = await result_of(call)
    assert result.return_value == 3, result
    assert lines_of(path) == ["begin", "begin", "end"], lines_of(path)
    await broker.shutdown()
    second.stop()


if __name__ == "__main__":
    sys.exit(run_all([python_awaits_the_result_of_a_flow, a_flow_that_fails_or_is_refused_fails_the_call,
                      python_cancels_a_flow_by_the_id_of_its_call, a_killed_workers_flow_is_joined_and_not_started_again,
                      a_task_of_python_is_watched_for_after_its_sender_has_died, a_flow_whose_task_kills_its_workers_fails,
                      a_worker_that_dies_between_the_failure_and_the_letter_tells_nobody_twice,
                      a_message_that_cannot_be_read_fails_its_item, a_dead_workers_claim_is_waited_for], Tools(*sys.argv[1:5])))
