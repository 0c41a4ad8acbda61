"""Flows that taskiq's own client starts, awaits and cancels, by sending them to mageflow.run_flow: flows.py MAGEFLOW TASKS.so CLIENT FLOW [WORD...]"""
import os
import sys

from fleet import QUEUE, PythonWorker, Tools, Worker, broker_of, kick, result_of, run_all, wait_for

SUM = {"chain": [{"task": "add", "kwargs": {"b": 2}}, {"task": "echo", "kwargs": {"more": True}}]}


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
    wait_for(lambda: os.path.exists(path), what="the flow's first task")
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
    wait_for(lambda: os.path.exists(path), what="the flow's first task")
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


if __name__ == "__main__":
    sys.exit(run_all([python_awaits_the_result_of_a_flow, a_flow_that_fails_or_is_refused_fails_the_call,
                      python_cancels_a_flow_by_the_id_of_its_call, a_killed_workers_flow_is_joined_and_not_started_again,
                      a_task_of_python_is_watched_for_after_its_sender_has_died], Tools(*sys.argv[1:5])))
