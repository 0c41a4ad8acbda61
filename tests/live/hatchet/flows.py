"""Flows through the real engine: flows.py MAGEFLOW TASKS.so CLIENT FLOW DUPLICATES DUPLICATES.so [WORD...]"""
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile

from fleet import PythonWorker, run_all, wait_for
from hatchet_sdk import EmptyModel
from ours import TASKS, Worker, lines

FLOW, DUPLICATES, DUPLICATES_TASKS = sys.argv[1:4]      # the three before them are ours.py's
del sys.argv[1:4]


# What JSON through Go and PostgreSQL would not bring back.
EXACT = {"whole": 1.0, "big": 9007199254740993, "bigger": 18446744073709551615, "bin": "AP8=", "nul": "a\0b", "more": [None, True, -0.0]}


def flow(engine, url, who, *what, ends_within=150):
    """A program that serves the flow itself, or only sends it (see flow.c): what it prints, as a value; else its error's text."""
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


TESTS = [a_flow_of_ours_is_runs_of_the_engine, tasks_of_pythons_stand_in_chains_and_swarms, python_starts_and_cancels_a_flow,
         duplicates_reports_what_it_does_on_local_threads]

if __name__ == "__main__":
    sys.exit(run_all(TESTS))
