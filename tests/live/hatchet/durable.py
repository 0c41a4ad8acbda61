"""Durable tasks of ours that are kept by the real engine: durable.py MAGEFLOW DURABLE_TASKS.so CLIENT [WORD…]"""
import json
import os
import subprocess
import tempfile

from fleet import PythonWorker, own_engine, python_call, run_all, wait_for
from ours import COMMAND, TASKS, Worker, call, lines
from wire_client import Wire, workflows


def sent(engine, task, **message):
    """A run that our client waits for: its result, or what went wrong."""
    answer = call(engine, task, json.dumps(message), "100s")
    return answer if answer.startswith("!") else json.loads(answer)


def steps(path):
    """What was done, without the invocation it was done in."""
    return [line.split()[0] for line in lines(path)]


def steps_and_sleeps_are_remembered(engine):
    """A short sleep ends while its call waits, a long one is evicted; both ways each step is done once."""
    with Worker(engine), tempfile.NamedTemporaryFile() as short, tempfile.NamedTemporaryFile() as long:
        got = sent(engine, "d_nap", path=short.name)
        assert got == {"sum": 3}, got
        assert [s for s in steps(short.name) if s != "begin"] == ["first", "second"], lines(short.name)
        assert python_call(engine, "d_nap", {"path": long.name, "ms": 2000}) == {"sum": 3}
        # On a slow machine it may be evicted more than once.
        assert steps(long.name).count("begin") >= 2 and [s for s in steps(long.name) if s != "begin"] == ["first", "second"], lines(long.name)


def an_event_is_waited_for(engine):
    """Python's client sends it, after the eviction; and one that does not come in time."""
    with Worker(engine), Wire(engine) as wire, tempfile.NamedTemporaryFile() as file:
        client = engine.client()
        run = wire.run("d_event", {"path": file.name, "event": "d-comes"})
        wait_for(lambda: engine.query("""SELECT 1 FROM v1_task_runtime WHERE evicted_at IS NOT NULL"""), what="its eviction")
        client.event.push("d-comes", {"n": 7})
        state, task = wire.ended(run, 75)
        assert state == "COMPLETED" and json.loads(task.output) == {"came": {"n": 7}}, (state, task)
        assert len(lines(file.name)) >= 2, lines(file.name)
        assert sent(engine, "d_event", event="d-never", ms=100) == {"came": None}
        assert sent(engine, "d_event", event="d-never", ms=1500) == {"came": None}


def a_child_is_started_once(engine):
    with Worker(engine), tempfile.NamedTemporaryFile() as file:
        assert sent(engine, "d_parent", path=file.name, a=5) == {"child": {"got": 5}}
        children = [step for step in steps(file.name) if step not in ("begin", "child")]
        assert len(children) >= 2 and len(set(children)) == 1 and steps(file.name).count("child") == 1, lines(file.name)


def a_body_that_goes_another_way_fails_for_good(engine):
    """And is told both ways: of steps, and of children."""
    with Worker(engine), Wire(engine) as wire, tempfile.NamedTemporaryFile() as file:
        runs = [wire.run("d_wanders", {"path": file.name}), wire.run("d_moody")]
        (state, steps_differ), (other, children_differ) = [wire.ended(run, 75) for run in runs]
        assert state == other == "FAILED", (state, other)
        assert steps_differ.error.startswith('ReplayDiffers: step 1 was "left" and is "right" now'), steps_differ
        assert steps(file.name) [:3] == ["begin", "left", "begin"] and "right" not in steps(file.name)
        told = children_differ.error
        assert told.startswith("ReplayDiffers") and "run(d_child)" in told and "run(d_other_child)" in told, told


def children_are_waited_for_without_a_thread(engine):
    """Ours and Python's, one that fails, and one that is canceled while nobody has a thread for its parent; and the other way round."""
    with Worker(engine, "--threads", "8"), PythonWorker(engine), Wire(engine) as wire, tempfile.TemporaryDirectory() as folder:
        until, path = f"{folder}/until", f"{folder}/parent"
        open(until, "w").close()
        slow = {"until": until, "path": f"{folder}/child"}
        tasks = ["d_child", "py_add", "py_fail", "d_slow_child", "d_slow_child"]
        run = wire.run("d_family", {"path": path, "tasks": tasks, "inputs": [{"a": 1}, {"a": 5}, {}, slow, slow]})
        wait_for(lambda: engine.query("SELECT 1 FROM v1_task_runtime WHERE evicted_at IS NOT NULL"), what="its eviction")
        runs = [step for step in steps(path) if step != "begin"][:5]
        wait_for(lambda: os.path.exists(slow["path"]) and steps(slow["path"]) == ["child"] * 2, what="the begin of both slow children")
        wire.call("CancelTasks", workflows.CancelTasksRequest(external_ids=[runs[4]]))
        # The engine says so before the worker has heard of it; and a child that is let go until then is done after all.
        wait_for(lambda: wire.state(runs[4]) == "CANCELLED" and "stopped" in steps(slow["path"]), what="the end of one child")
        os.unlink(until)
        state, task = wire.ended(run, 75)
        assert state == "COMPLETED", (state, task)
        results = json.loads(task.output)["results"]
        assert results[:2] == [{"got": 1}, {"sum": 15}] and "ValueError: bad, 42" in results[2], results
        assert results[3:] == [{"slow": "but sure"}, "canceled"], results
        begun = steps(path)
        assert begun.count("begin") >= 2 and set(begun) == {"begin", *runs} and len(set(runs)) == 5, lines(path)
        message = json.dumps({"task": "d_child", "input": {"a": 7}, "times": 3})
        got = [call(engine, "py_durable_parent", message)]
        while got[-1].startswith("!") and len(got) < 3:     # theirs may miss an answer on a busy machine
            got.append(call(engine, "py_durable_parent", message))
        assert not got[-1].startswith("!") and json.loads(got[-1]) == {"children": [{"got": 7}] * 3}, got


def a_flow_s_durable_task_is_kept_by_the_store(engine):
    """As on every manager; the engine carries its calls, each as a run of its own."""
    with tempfile.TemporaryDirectory() as folder:
        url, path = f"hatchet:?store=sqlite:{folder}/flows.db", f"{folder}/done"
        with Worker(engine, url=url):
            flow = json.dumps({"task": "d_nap", "kwargs": {"path": path, "ms": 500}})
            done = subprocess.run([COMMAND, "run", "--url", url, "--load", TASKS, "--wait", "--timeout", "100s", "-"], input=flow,
                                  env=engine.environment(), capture_output=True, text=True, timeout=120)
            assert json.loads(done.stdout or "null") == {"sum": 3}, done
        assert [step for step in steps(path) if step != "begin"] == ["first", "second"] and len(steps(path)) == 4, lines(path)


def a_body_starts_its_flows_once(engine):
    """A durable task that the engine keeps makes the same signatures in each of its calls."""
    with tempfile.TemporaryDirectory() as folder, Worker(engine, url=f"hatchet:?store=sqlite:{folder}/flows.db"):
        assert sent(engine, "d_signs", path=f"{folder}/done", a=3) == {"flow": {"got": 3}}
        done = steps(f"{folder}/done")
        assert done.count("begin") >= 2 and done.count("child") == 1 and len(set(done)) == 3, done


@own_engine
def what_a_killed_worker_did_is_not_done_again(engine):
    """The engine gives its tasks to another when its heartbeat has been away for 30 s."""
    with Wire(engine) as wire, tempfile.NamedTemporaryFile() as file:
        first = Worker(engine)
        run = wire.run("d_dies", {"path": file.name})
        wait_for(lambda: "second 1" in lines(file.name), what="its steps")
        wait_for(lambda: engine.query("SELECT count(*) FROM v1_durable_event_log_entry WHERE satisfied_at IS NOT NULL") == [["2"]],
                 what="that both are remembered")
        first.kill()
        with Worker(engine):
            state, task = wire.ended(run, 200)
            assert state == "COMPLETED" and json.loads(task.output) == {"sum": 3}, (state, task)
            assert steps(file.name) == ["begin", "first", "second", "begin"], lines(file.name)


TESTS = [steps_and_sleeps_are_remembered, an_event_is_waited_for, a_child_is_started_once,
         children_are_waited_for_without_a_thread, a_body_that_goes_another_way_fails_for_good,
         a_flow_s_durable_task_is_kept_by_the_store, a_body_starts_its_flows_once,
         what_a_killed_worker_did_is_not_done_again]

if __name__ == "__main__":
    raise SystemExit(run_all(TESTS))
