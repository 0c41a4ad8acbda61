"""Our workers and clients with real taskiq's: interop.py MAGEFLOW TASKS.so CLIENT FLOW [WORD...]"""
import asyncio
import json
import os
import subprocess
import sys

from fleet import (QUEUE, PythonWorker, SimpleRetryMiddleware, Tools, Worker, broker_of, end, kick, result_of, run_all, serve,
                   wait_for)

VALUE = {"a": [1, -2, 2.5, None, True, "h\u00e9\U0001f600"], "n": 2 ** 63, "m": {"x": {"y": []}}}


async def python_sends_and_c_serves(tools, server):
    for kind in ("stream", "list"):
        for results in ("pickle", "json", "msgpack"):
            server.redis.flushall()
            worker = Worker(tools, server, f"&broker={kind}&result_serializer={results}")
            for serializer in ("json", "msgpack", "pickle"):
                broker = broker_of(server, kind, serializer, results)
                await broker.startup()
                where = f"{kind}, messages {serializer}, results {results}"
                for args, kwargs, want in (((1, 2), {}, 3), ((), {"a": 5, "b": 6}, 11), ((1,), {}, 11), ((1,), {"b": 4}, 5),
                                           (({"a": 3},), {}, 13)):
                    result = await result_of(await kick(broker, "add", *args, **kwargs))
                    assert result.return_value == want and not result.is_err, (where, args, kwargs, result)
                result = await result_of(await kick(broker, "echo", **VALUE))
                assert result.return_value == VALUE, (where, result)
                result = await result_of(await kick(broker, "noop"))
                assert result.return_value is None and result.error is None, (where, result)
                result = await result_of(await kick(broker, "fail", type="ValueError", text="boo"))
                assert result.is_err and isinstance(result.error, ValueError) and result.error.args == ("boo",), (where, result)
                result = await result_of(await kick(broker, "fail", type="Mine", text="boo"))
                assert type(result.error).__name__ == "Mine", (where, result)
                await broker.shutdown()
            worker.stop()


async def python_batches_are_all_served(tools, server):
    for kind in ("stream", "list"):
        server.redis.flushall()
        worker = Worker(tools, server, f"&broker={kind}&result_serializer=json", "--slots", "32")
        broker = broker_of(server, kind, results="json")
        await broker.startup()
        tasks = await asyncio.gather(*(kick(broker, "add", i, i) for i in range(500)))
        results = await asyncio.gather(*(result_of(t, 60) for t in tasks))
        assert [r.return_value for r in results] == [2 * i for i in range(500)]
        if kind == "stream":
            wait_for(lambda: server.redis.xlen(QUEUE) == 0, what="the stream's end")
            assert server.redis.xpending(QUEUE, "taskiq")["pending"] == 0
        else:
            assert server.redis.keys(QUEUE + ":mageflow:*-[0-9a-f]*") == [] or not any(
                server.redis.type(k) == b"list" for k in server.redis.keys(QUEUE + ":mageflow:*"))
        await broker.shutdown()
        worker.stop()


async def c_sends_and_python_serves(tools, server):
    for kind in ("stream", "list"):
        for serializer in ("json", "msgpack"):
            for results in ("pickle", "json", "msgpack"):
                server.redis.flushall()
                broker = broker_of(server, kind, serializer, results)

                @broker.task(task_name="py_add")
                def py_add(a: int, b: int = 1) -> int:
                    return a + b

                @broker.task(task_name="py_echo")
                def py_echo(**kwargs):
                    return kwargs

                @broker.task(task_name="py_fail")
                def py_fail():
                    try:
                        return 1 / 0
                    except ZeroDivisionError as cause:
                        raise ValueError("bad", 42) from cause

                receiver = serve(broker)
                parameters = f"&broker={kind}&serializer={serializer}&result_serializer={results}"
                where = f"{kind}, messages {serializer}, results {results}"

                def call(task, message, *rest):
                    return asyncio.to_thread(tools.call, server, parameters, task, message, *rest)
                assert await call("py_add", '{"a": 1, "b": 2}') == "3", where
                assert await call("py_add", "41") == "42", where
                got = json.loads(await call("py_echo", json.dumps(VALUE)))
                assert got == VALUE, (where, got)
                got = await call("py_fail", "{}")
                assert got == "! MF_E_TASK_FAILED ValueError: bad, 42", (where, got)
                await end(receiver)
                await broker.shutdown()


async def c_sends_and_c_serves(tools, server):
    for kind in ("stream", "list"):
        worker = Worker(tools, server, f"&broker={kind}")
        assert tools.call(server, f"&broker={kind}", "add", '{"a": 1, "b": 2}') == "3"
        assert tools.call(server, f"&broker={kind}", "nosuch", "{}").startswith("! MF_E_TASK_FAILED UnknownTaskError")
        assert tools.call(server, f"&broker={kind}", "add", '{"a": "x"}').startswith("! MF_E_TASK_FAILED InvalidMessage")
        worker.stop()
        server.redis.flushall()
    assert tools.call(server, "", "add", "{}", "300ms").startswith("! MF_E_TIMEOUT")


def the_command_sends_to_python_without_a_module(tools, server):
    """A flow needs a worker of ours somewhere, which knows Python's tasks by their names alone."""
    def command(verb, *words):
        return subprocess.run([tools.command, verb, "--url", f"taskiq+{server.url}?queue={QUEUE}&unknown=leave", *words],
                              capture_output=True, text=True, timeout=90)
    python = PythonWorker(server, IN_FLOWS)
    sent = command("send", "--foreign", "py_double=1m", "py_double", '{"n": 21}')
    assert (sent.returncode, sent.stdout) == (0, '{"n":42,"got":null}\n'), sent
    sent = command("send", "--foreign", "py_fail", "py_fail")
    assert (sent.returncode, sent.stderr) == (1, "mageflow: py_fail: ValueError: not here\n"), sent
    worker = Worker(tools, server, "&unknown=leave", "--foreign", "py_double=1m")
    with open(server.dir.name + "/flow.json", "w") as file:
        json.dump({"chain": [{"task": "py_double", "kwargs": {"n": 1}}, {"task": "py_double", "kwargs": {"n": 2}}]}, file)
    ran = command("run", "--wait", "--foreign", "py_double=1m", server.dir.name + "/flow.json")
    assert (ran.returncode, ran.stdout) == (0, '{"n":4,"got":{"n":2,"got":null}}\n'), ran
    python.kill()
    sent = command("send", "--foreign", "py_double=300ms", "py_double", '{"n": 1}')
    assert sent.returncode in (1, 3) and "result backend" in sent.stderr, sent      # told by the worker, if it has a CPU by then
    worker.stop()
    # Nobody serves it any more, and nobody else keeps its time.
    sent = command("send", "--foreign", "py_double=300ms", "py_double", '{"n": 1}')
    assert sent.returncode == 3 and "does any worker serve it, with a result backend" in sent.stderr, sent
    for words, says in ((["py_double"], "nor any other in this process; load the module that declares it"),
                        (["--foreign=x=soon", "x"], "--foreign x=soon: "),
                        (["--foreign==1s", "x"], "--foreign =1s: expected the name of a task")):
        sent = command("send", *words)
        assert sent.returncode == 2 and says in sent.stderr, sent


async def without_a_result_backend_none_is_written(tools, server):
    for kind in ("stream", "list"):
        server.redis.flushall()
        worker = Worker(tools, server, f"&broker={kind}&results=none")
        broker = broker_of(server, kind)
        await broker.startup()
        sent = [(await kick(broker, *what)).task_id for what in (("add", 1, 2), ("fail",), ("nosuch",))]
        marker = os.path.join(server.dir.name, f"ran-{kind}")
        await kick(broker, "slow", path=marker, ms=0)
        wait_for(lambda: os.path.exists(marker) and "end" in open(marker).read(), what="the last task")
        await broker.shutdown()
        worker.stop()
        assert server.redis.exists(*sent) == 0, kind
        if kind == "stream":
            assert server.redis.xlen(QUEUE) == 0 and server.redis.xpending(QUEUE, "taskiq")["pending"] == 0
    got = tools.call(server, "&results=none", "add", '{"a": 1}')
    assert got.startswith("! MF_E_UNSUPPORTED") and server.redis.xlen(QUEUE) == 0, got


async def labels_come_back_in_the_result(tools, server):
    worker = Worker(tools, server)
    broker = broker_of(server)
    await broker.startup()
    labels = {"s": "str", "i": 7, "f": 1.5, "t": True, "by": b"ab", "bad": b"\xff", "n": None, "inf": float("inf")}
    result = await result_of(await kick(broker, "noop", labels=labels))
    assert result.labels == {"s": "str", "i": 7, "f": 1.5, "t": True, "by": "ab", "bad": "/w==", "n": "None", "inf": None}, result
    result = await result_of(await kick(broker, "noop", task_id="my own id: \u00e9"))
    assert result.return_value is None
    await broker.shutdown()
    worker.stop()


async def a_task_may_look_at_the_message_as_it_came(tools, server):
    for kind in ("stream", "list"):
        server.redis.flushall()
        worker = Worker(tools, server, f"&broker={kind}")
        broker = broker_of(server, kind)
        await broker.startup()
        task = await kick(broker, "raw", labels={"team": "blue", "prio": 5}, task_id="mine", key=[3])
        result = await result_of(task)
        assert not result.is_err, result
        got = result.return_value
        payload = json.loads(got.pop("payload"))
        assert payload["labels_types"]["prio"] == 2 and payload["task_id"] == "mine", payload
        assert got == {"id": "mine", "name": "raw", "queue": QUEUE, "in_stream": kind == "stream",
                       "labels": {"team": "blue", "prio": "5"}, "args": [], "kwargs": {"key": [3]}}, got
        await broker.shutdown()
        worker.stop()


async def a_result_that_python_has_no_form_for_is_an_error(tools, server):
    worker = Worker(tools, server)
    broker = broker_of(server)
    await broker.startup()
    result = await result_of(await kick(broker, "odd"))
    assert result.is_err and type(result.error).__name__ == "InvalidResult", result
    await broker.shutdown()
    worker.stop()


async def progress_is_read_by_python(tools, server):
    for results in ("pickle", "json", "msgpack"):
        worker = Worker(tools, server, f"&result_serializer={results}&result_prefix=pre")
        broker = broker_of(server, results=results, prefix_str="pre")
        await broker.startup()
        task = await kick(broker, "progress")
        await result_of(task)
        progress = await task.get_progress()
        assert progress.meta == {"done": 5} and progress.state == "STARTED", progress
        assert 0 < server.redis.pttl("pre:" + task.task_id) <= 86400000, "a result ends"
        await broker.shutdown()
        worker.stop()


async def retries_cross_python_and_c(tools, server):
    worker = Worker(tools, server)
    broker = broker_of(server, middlewares=[SimpleRetryMiddleware()])
    await broker.startup()
    result = await result_of(await kick(broker, "third"))
    assert result.return_value == 3, result
    result = await result_of(await kick(broker, "third_by_label", labels={"retry_on_error": True, "max_retries": 3}))
    assert result.return_value == 3 and result.labels["_retries"] == 2, result
    result = await result_of(await kick(broker, "third_by_label", labels={"retry_on_error": True, "max_retries": 2}))
    assert result.is_err and result.error.args == ("attempt 2",), result
    result = await result_of(await kick(broker, "third_by_label"))
    assert result.is_err and result.error.args == ("attempt 1",), result
    worker.stop()

    # The first attempts in Python, by its own middleware; the last one here.
    python = broker_of(server, middlewares=[SimpleRetryMiddleware()])
    ran = asyncio.Event()

    @python.task(task_name="third_by_label")
    def third_by_label():
        ran.set()
        raise ValueError("in Python")
    receiver = serve(python)
    task = await kick(broker, "third_by_label", labels={"retry_on_error": True, "max_retries": 1000000})
    await asyncio.wait_for(ran.wait(), 20)
    worker = Worker(tools, server)
    await end(receiver)
    result = await result_of(task)
    assert result.return_value >= 3 and result.labels["_retries"] >= 2, result
    worker.stop()
    await python.shutdown()
    await broker.shutdown()


REQUEUES = """
from taskiq import Context, TaskiqDepends

@broker.task(task_name="echo")
async def echo(x: int, context: Context = TaskiqDepends()):
    await asyncio.sleep(0.05)
    await context.requeue()
"""


async def a_requeue_by_python_reaches_c(tools, server):
    broker = broker_of(server)
    await broker.startup()
    python = PythonWorker(server, REQUEUES)
    task = await kick(broker, "echo", x=5, labels={"n": 5, "t": True})
    wait_for(lambda: any(b"X-Taskiq-requeue" in fields[b"data"] for _, fields in server.redis.xrange(QUEUE)), 20, "a requeue")
    worker = Worker(tools, server)
    result = await result_of(task)
    assert result.return_value == {"x": 5} and result.labels["n"] == 5 and result.labels["t"] is True, result
    assert int(result.labels["X-Taskiq-requeue"]) >= 1, result
    python.kill()
    worker.stop()
    await broker.shutdown()


async def timeout_and_ack_type_labels_hold(tools, server):
    worker = Worker(tools, server)
    broker = broker_of(server)
    await broker.startup()
    path = server.dir.name + "/notes"
    result = await result_of(await kick(broker, "slow", path=path, ms=60000, labels={"timeout": 0.3}))
    assert isinstance(result.error, TimeoutError), result
    result = await result_of(await kick(broker, "add", 1, 2, labels={"ack_type": "when_received"}))
    assert result.return_value == 3, result
    for word, says in (("nonsense", "none of when_received"), ("manual", "cannot acknowledge by hand")):
        result = await result_of(await kick(broker, "add", 1, 2, labels={"ack_type": word}))
        assert isinstance(result.error, ValueError) and says in str(result.error), result
    wait_for(lambda: server.redis.xpending(QUEUE, "taskiq")["pending"] == 0, what="every acknowledgement")
    await broker.shutdown()
    worker.stop()


async def python_and_c_workers_share_a_group(tools, server):
    broker = broker_of(server)

    @broker.task(task_name="add")
    def add(a: int, b: int = 10) -> int:
        return a + b

    @broker.task(task_name="only_python")
    def only_python(a: int) -> str:
        return f"python {a}"
    receiver = serve(broker)
    worker = Worker(tools, server, "&unknown=leave")
    tasks = [await kick(broker, "add", i, 1) for i in range(200)]
    mine = [await kick(broker, "only_python", i) for i in range(20)]
    assert [(await result_of(t, 60)).return_value for t in tasks] == [i + 1 for i in range(200)]
    assert [(await result_of(t, 60)).return_value for t in mine] == [f"python {i}" for i in range(20)]
    await end(receiver)
    worker.stop()
    await broker.shutdown()


async def what_nobody_can_read_is_a_dead_letter(tools, server):
    for kind in ("stream", "list"):
        server.redis.flushall()
        worker = Worker(tools, server, f"&broker={kind}")
        broker = broker_of(server, kind)
        await broker.startup()
        bad = [b"{", b"nonsense", b"\xff\xff", b'{"task_id": "torn"}', b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
               b"\xdd\xff\xff\xff\xff", b'{"task_id": "deep", "x": ' + b"[" * 100 + b"]" * 100 + b"}",
               b'{"task_id": "big", "task_name": "echo", "labels": {}, "args": [1180591620717411303424], "kwargs": {}}']
        for payload in bad:
            if kind == "stream":
                server.redis.xadd(QUEUE, {"data": payload})
            else:
                server.redis.lpush(QUEUE, payload)
        if kind == "stream":
            server.redis.xadd(QUEUE, {"other": "x"})
        result = await result_of(await kick(broker, "add", 1, 2))
        assert result.return_value == 3
        want = len(bad) + (kind == "stream")
        wait_for(lambda: server.redis.xlen(QUEUE + ":mageflow:dead") == want, what="every dead letter")
        letters = [fields for _, fields in server.redis.xrange(QUEUE + ":mageflow:dead")]
        assert all(f[b"reason"] and f[b"queue"] == QUEUE.encode() for f in letters), letters
        result = await broker.result_backend.get_result("big")
        assert result.is_err and "64 bits" in str(result.error), result
        result = await broker.result_backend.get_result("deep")
        assert result.is_err, result
        await broker.shutdown()
        worker.stop()


IN_FLOWS = """
@broker.task(task_name="py_double")
async def py_double(n: int, mageflow_results=None):
    return {"n": 2 * n, "got": mageflow_results}

@broker.task(task_name="py_fail")
async def py_fail(mageflow_results=None):
    raise ValueError("not here")
"""


def flows_hold_tasks_of_both(tools, server):
    for kind in ("stream", "list"):
        server.redis.flushall()
        server.redis.xgroup_create(QUEUE, "taskiq", "0", mkstream=True) if kind == "stream" else None
        python = PythonWorker(server, IN_FLOWS, kind)
        done = subprocess.run([tools.flow, f"taskiq+{server.url}?queue={QUEUE}&broker={kind}&unknown=leave", tools.tasks],
                              capture_output=True, text=True, timeout=100)
        assert "Sanitizer" not in done.stderr, done.stderr[:4000]
        lines = done.stdout.splitlines()
        assert len(lines) == 3, done
        assert json.loads(lines[0].removeprefix("chain ")) == {"mageflow_results": {"n": 8, "got": {"x": 4}}}, lines
        items = json.loads(lines[1].removeprefix("swarm "))
        assert items == [{"n": 2 * i, "got": None} if i % 2 == 0 else {"n": i} for i in range(6)], items
        assert lines[2] == "failing ! MF_E_TASK_FAILED ValueError: not here", lines
        python.kill()


async def python_starts_a_flow_and_awaits_it(tools, server):
    for kind in ("stream", "list"):
        server.redis.flushall()
        workers = [Worker(tools, server, f"&broker={kind}") for _ in range(2)]
        broker = broker_of(server, kind)
        await broker.startup()
        swarm = {"swarm": [{"task": "add", "kwargs": {"a": i, "b": 1}} for i in range(20)], "max_concurrency": 4}
        result = await result_of(await kick(broker, "mageflow.run_flow", **{"chain": [swarm, {"task": "echo"}]}), 60)
        assert result.return_value["mageflow_results"] == [i + 1 for i in range(20)], result
        result = await result_of(await kick(broker, "mageflow.run_flow", task="fail"), 60)
        assert result.is_err and result.error.args == ("as asked",), result
        result = await result_of(await kick(broker, "mageflow.run_flow", nonsense=1), 60)
        assert result.is_err, result
        result = await result_of(await kick(broker, "mageflow.swarm_fill"), 60)
        assert type(result.error).__name__ == "NotForCalling", result
        for worker in workers:
            worker.stop()
        await broker.shutdown()


def send_together(server, kind, calls):
    """All of them reach the queue in one step, and one read."""
    pipe = server.redis.pipeline(transaction=True)
    for task_id, name, kwargs in calls:
        data = json.dumps({"task_id": task_id, "task_name": name, "labels": {}, "labels_types": {}, "args": [], "kwargs": kwargs})
        if kind == "stream":
            pipe.xadd(QUEUE, {"data": data})
        else:
            pipe.lpush(QUEUE, data)
    pipe.execute()


def a_long_call_among_short_ones_holds_up_nobody(tools, server):
    def done(*ids):
        return server.redis.exists(*ids) == len(ids)

    for kind in ("stream", "list"):
        path = f"{server.dir.name}/met-{kind}"
        for threads in (2, 1):
            server.redis.flushall()
            worker = Worker(tools, server, f"&broker={kind}", "--threads", str(threads), "--slots", "64")
            short = [f"s{i}" for i in range(400)]
            send_together(server, kind, [(i, "noop", {}) for i in short])
            wait_for(lambda: done(*short), what="short calls")
            few = [f"f{i}" for i in range(20)]
            # Two calls that wait for each other need two threads; where there is one, what ended before is told meanwhile.
            meets = [f"m{i}" for i in range(threads)]
            calls = [(i, "noop", {}) for i in few]
            for i, task_id in enumerate(meets):
                calls.insert(7 if i == 0 else len(calls), (task_id, "meet", {"path": f"{path}-{threads}"}))
            send_together(server, kind, calls)
            if threads == 1:
                wait_for(lambda: done(*few[:7]), what="the results of what ended before the long call")
                with open(f"{path}-1", "a") as file:
                    file.write("begin\n")
            wait_for(lambda: done(*few, *meets), what="calls that met")
            worker.stop()


TESTS = [python_sends_and_c_serves, python_batches_are_all_served, c_sends_and_python_serves, c_sends_and_c_serves,
         the_command_sends_to_python_without_a_module,
         without_a_result_backend_none_is_written, a_task_may_look_at_the_message_as_it_came,
         labels_come_back_in_the_result, a_result_that_python_has_no_form_for_is_an_error, progress_is_read_by_python,
         retries_cross_python_and_c, a_requeue_by_python_reaches_c, timeout_and_ack_type_labels_hold,
         python_and_c_workers_share_a_group, flows_hold_tasks_of_both,
         python_starts_a_flow_and_awaits_it, a_long_call_among_short_ones_holds_up_nobody, what_nobody_can_read_is_a_dead_letter]

if __name__ == "__main__":
    sys.exit(run_all(TESTS, Tools(*sys.argv[1:5])))
