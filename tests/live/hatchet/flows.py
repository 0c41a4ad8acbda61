"""Flows through the real engine: flows.py MAGEFLOW TASKS.so CLIENT FLOW DUPLICATES DUPLICATES.so [WORD...]"""
import asyncio
import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile

from fleet import PythonWorker, own_engine, run_all, wait_for
from hatchet_sdk import EmptyModel
from ours import COMMAND, TASKS, Worker, lines, words

FLOW, DUPLICATES, DUPLICATES_TASKS = sys.argv[1:4]      # the three before them are ours.py's
del sys.argv[1:4]


# What JSON through Go and PostgreSQL would not bring back.
EXACT = {"whole": 1.0, "big": 9007199254740993, "bigger": 18446744073709551615, "bin": "AP8=", "nul": "a\0b", "more": [None, True, -0.0]}


def flow(engine, url, who, *what, ends_within=150):
    """A program that serves the flow itself, only sends it, starts it or waits for it (see flow.c): what it prints, as a value; else
    its error's text."""
    done = subprocess.run([FLOW, url, TASKS, who, *what], env=engine.environment(), capture_output=True, text=True, timeout=ends_within)
    assert done.stderr == "", done.stderr
    text = done.stdout.strip()
    return text if done.returncode != 0 or text.startswith("!") else json.loads(text)


@contextlib.contextmanager
def store():
    """The URL of a client whose flows are in a file of this test's."""
    with tempfile.TemporaryDirectory() as folder:
        yield f"hatchet:?store=sqlite:{folder}/flows.db"


def a_flow_of_ours_is_runs_of_the_engine(engine):
    with store() as url, Worker(engine, url=url):
        assert flow(engine, url, "send", "chain") == {"mageflow_results": {"n": 1, "mageflow_results": {"sum": 14}}}
        assert flow(engine, url, "send", "swarm", "20") == [{"sum": i + 1} for i in range(20)]
        assert flow(engine, url, "send", "c_fail") == "! MF_E_TASK_FAILED ValueError: bad, 42"
        assert repr(flow(engine, url, "send", "exact")) == repr(EXACT)
        names = {name for name, in engine.query("SELECT DISTINCT display_name FROM v1_task")}
        assert any(name.startswith("mageflow.run_flow") for name in names), names


def tasks_of_pythons_stand_in_chains_and_swarms(engine):
    with store() as url, Worker(engine, url=url), PythonWorker(engine):
        assert flow(engine, url, "send", "mixed-chain") == {"mageflow_results": {"n": 1, "mageflow_results": {"sum": 14}}}
        assert flow(engine, url, "send", "mixed-line", "20") == {"mageflow_results": {"sum": 20}}
        assert flow(engine, url, "send", "mixed-swarm", "20") == [{"sum": i + 1} for i in range(20)]
        assert flow(engine, url, "send", "py_fail") == "! MF_E_TASK_FAILED ValueError: bad, 42"


async def python_starts_and_cancels_a_flow(engine):
    with store() as url, Worker(engine, url=url), tempfile.NamedTemporaryFile() as file:
        hatchet = engine.client()
        run_flow = hatchet.stubs.workflow(name="mageflow.run_flow")
        steps = [{"task": "c_add", "kwargs": {"b": 2}}, {"task": "c_echo", "kwargs": {"more": True}}]
        got = await run_flow.aio_run(EmptyModel(flow={"chain": steps}, message={"a": 1}))
        assert got == {"mageflow.run_flow": {"mageflow_results": {"sum": 3}, "more": True}}, got
        got = await run_flow.aio_run(EmptyModel(swarm=[{"task": "c_add", "kwargs": {"a": i}} for i in range(5)]))
        assert got == {"mageflow.run_flow": {"hatchet_results": [{"sum": 10 + i} for i in range(5)]}}, got
        for document, why in (({"chain": [{"task": "c_fail"}, {"task": "c_echo"}]}, "ValueError: bad, 42"),
                              ({"chain": [{"task": "c_add"}, {"task": 5}]}, "chain[1].task: expected text, got the integer 5")):
            try:
                await run_flow.aio_run(EmptyModel(**document))
            except Exception as error:      # noqa: B902  (the SDK has several)
                assert why in str(error), error
            else:
                raise AssertionError(f"{document} did not fail")
        slow = {"task": "c_slow", "kwargs": {"path": file.name, "seconds": 60}}
        run = await run_flow.aio_run(EmptyModel(chain=[slow, {"task": "c_echo"}]), wait_for_result=False)
        await asyncio.to_thread(wait_for, lambda: len(lines(file.name)) == 1, what="its begin")
        await hatchet.runs.aio_cancel(run.workflow_run_id)
        await asyncio.to_thread(wait_for, lambda: [line.split()[0] for line in lines(file.name)] == ["begin", "stopped"], what="its stop")


def report(text):
    """What it prints, but for how long it took."""
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in text.splitlines()]


def duplicates_reports_what_it_does_on_local_threads(engine):
    with store() as url, tempfile.TemporaryDirectory() as folder:
        tree, temporary = f"{folder}/tree", f"{folder}/tmp"
        for path in [temporary] + [f"{tree}/{i}" for i in range(3)]:
            os.makedirs(path)
        for i in range(30):
            with open(f"{tree}/{i % 3}/{i}", "w") as file:
                file.write(str(i % 7) * (1 + i % 7))
        here = subprocess.run([DUPLICATES, "--json", tree], env=os.environ | {"TMPDIR": temporary}, capture_output=True, text=True)
        assert here.returncode == 0 and len(here.stdout.splitlines()) == 8, here
        with Worker(engine, "--load", DUPLICATES_TASKS, url=url, TMPDIR=temporary):
            there = subprocess.run([DUPLICATES, "--json", "--url", url, tree], env=engine.environment(TMPDIR=temporary),
                                   capture_output=True, text=True, timeout=120)
            assert there.returncode == 0 and report(there.stdout) == report(here.stdout), (here, there)


def completed(engine):
    """Runs of our tasks whose end the engine has been told: the store had it before."""
    return int(engine.query("""SELECT count(DISTINCT t.id) FROM v1_task_event e JOIN v1_task t ON t.id = e.task_id
                               WHERE e.event_type = 'COMPLETED' AND t.display_name LIKE 'c\\_%'""")[0][0])


def watched(url):
    """Runs of others whose watcher the store knows."""
    with contextlib.closing(sqlite3.connect(url.partition("sqlite:")[2], timeout=30)) as database:
        return database.execute("SELECT count(*) FROM notes WHERE CAST(space AS TEXT) = 'hatchet.run'").fetchone()[0]


@own_engine
def a_swarm_outlives_its_worker(engine):
    """Killed in the middle: of what it ran, of what had ended with a callback, and of a task of Python's whose end it alone would have
    heard of. The engine gives its tasks to another after 30 s, and so does the store who watches for Python's. Who started the flow is
    gone, too: it might be the one who watches."""
    with store() as url, tempfile.TemporaryDirectory() as folder, PythonWorker(engine):
        def note(name):
            return f"{folder}/{name}"
        open(note("until"), "w").close()
        follow = {"on_success": [{"task": "c_slow", "kwargs": {"path": note("followed")}}]}
        short = [{"task": "c_slow", "kwargs": {"path": note("short")}} | follow for _ in range(6)]
        held = [{"task": "c_refreshes_too", "kwargs": {"path": note("held"), "until": note("until"), "ask": False}} | follow for _ in range(3)]
        foreign = {"chain": [{"task": "c_echo"}, {"task": "py_slow", "kwargs": {"path": note("python"), "until": note("until")}}, {"task": "c_echo"}]}
        document = {"swarm": [*short, *held, foreign | follow],
                    "on_success": [{"task": "c_slow", "kwargs": {"path": note("whole")}}]}
        first = Worker(engine, "--threads", "8", url=url)
        try:
            key = flow(engine, url, "start", "mixed-json", json.dumps(document))
            wait_for(lambda: os.path.exists(note("python")) and os.path.exists(note("held")) and len(words(note("held"))) == 3, what="its middle")
            wait_for(lambda: completed(engine) == 13 and watched(url) == 1, what="six items, six callbacks, and the echo before Python's task")
            first.kill()
            os.unlink(note("until"))
            with Worker(engine, "--threads", "8", url=url) as second:
                result = flow(engine, url, "wait", "mixed", key, ends_within=200)
                assert result[:9] == [{"slept": "well"}] * 6 + [{"ended": "well"}] * 3, result
                assert result[9]["mageflow_results"] == {"slept": 0}, result
                wait_for(lambda: os.path.exists(note("whole")) and words(note("whole")) == ["begin", "end"], what="the last callback")
                wait_for(lambda: words(note("followed")).count("end") == 10, what="the callbacks of all items")
                assert "tasks of others are watched for here now: who did is gone" in second.text(), second.text()
            assert words(note("short")).count("begin") == 6 and words(note("held")).count("end") == 3, (lines(note("short")), lines(note("held")))
            assert words(note("followed")).count("begin") == 10 and words(note("whole")) == ["begin", "end"], lines(note("followed"))
            assert words(note("python")) == ["begin", "end"], lines(note("python"))
        finally:
            first.kill()


def a_worker_on_another_store_refuses_a_flow(engine):
    """It can neither claim nor end anything of it; the engine is told for good, and the worker's log which store it is."""
    with store() as url, store() as other, Worker(engine, url=other) as worker:
        document = json.dumps({"task": "c_echo", "kwargs": {"n": 1}})
        sent = subprocess.run([COMMAND, "run", "--url", url, "--load", TASKS, "-"], input=document, env=engine.environment(),
                              capture_output=True, text=True, timeout=60)
        assert sent.returncode == 0, sent
        key = sent.stdout.strip()
        wait_for(lambda: f"a message of the flow {key}, which is kept in the store" in worker.text(), what="its refusal")
        told = wait_for(lambda: engine.query("""SELECT rtrim(error_message, E'\\n') FROM v1_task_events_olap
                                                WHERE event_type = 'FAILED' AND error_message LIKE 'OtherStore: %'"""), what="that it is told")
        assert len(told) == 1 and key in told[0][0], told
        assert flow(engine, other, "send", "chain") == {"mageflow_results": {"n": 1, "mageflow_results": {"sum": 14}}}


TESTS = [a_flow_of_ours_is_runs_of_the_engine, tasks_of_pythons_stand_in_chains_and_swarms, python_starts_and_cancels_a_flow,
         duplicates_reports_what_it_does_on_local_threads, a_swarm_outlives_its_worker, a_worker_on_another_store_refuses_a_flow]

if __name__ == "__main__":
    sys.exit(run_all(TESTS))
