"""Our workers and clients between Python's: interop.py MAGEFLOW TASKS.so CLIENT [WORD…]"""
import asyncio
import json
import tempfile

from fleet import run_all, wait_for
from hatchet_sdk import EmptyModel
from ours import call, lines, serving, words
from pydantic import BaseModel
from wire_client import Wire, workflows


class Sum(BaseModel):
    a: int
    b: int = 10


class Total(BaseModel):
    sum: int


async def all_of_a_bulk_come_back(engine):
    hatchet = engine.client()
    for name, count in (("c_echo", 60), ("py_echo", 20)):
        task = hatchet.stubs.task(name=name)
        items = [task.create_bulk_run_item(input=EmptyModel(i=i)) for i in range(count)]
        assert [r.model_dump() for r in await task.aio_run_many(items)] == [{"i": i} for i in range(count)], name
    # What somebody who knows the types writes, as an asynchronous program and as one that is not.
    task = hatchet.stubs.task(name="c_add", input_validator=Sum, output_validator=Total)
    assert await task.aio_run(Sum(a=1)) == Total(sum=11)
    assert await asyncio.to_thread(task.run, Sum(a=1, b=2)) == Total(sum=3)


async def a_task_of_pythons_has_children_of_ours(engine):
    parent = engine.client().stubs.task(name="py_parent")
    got = await parent.aio_run(EmptyModel(task="c_echo", input={"x": 1}, times=5))
    assert got.model_dump() == {"children": [{"x": 1, "index": i} for i in range(5)]}
    assert json.loads(call(engine, "py_parent", '{"task":"c_echo","input":{"x":2},"times":2}')) == \
        {"children": [{"x": 2, "index": i} for i in range(2)]}


def a_graph_has_tasks_of_both(engine):
    """A workflow is a graph of actions, whoever serves each: ours, then Python's, then ours."""
    with Wire(engine) as wire:
        steps = [("one", "c_echo:c_echo", []), ("two", "py_echo:py_echo", ["one"]), ("three", "c_add:c_add", ["two"])]
        wire.call("PutWorkflow", workflows.CreateWorkflowVersionRequest(name="mixed", tasks=[
            workflows.CreateTaskOpts(readable_id=name, action=action, parents=parents, inputs="{}", slot_requests={"default": 1})
            for name, action, parents in steps]))
        run = wire.run("mixed", {"a": 4, "b": 5})
        assert wire.ended(run)[0] == "COMPLETED"
        outputs = {task.readable_id: json.loads(task.output) for task in wire.details(run).task_runs.values()}
        assert outputs == {"one": {"a": 4, "b": 5}, "two": {"a": 4, "b": 5}, "three": {"sum": 9}}, outputs


def a_failure_looks_as_pythons_own(engine):
    with Wire(engine) as wire:
        errors = {}
        for name in ("c_fail", "py_fail"):
            state, task = wire.ended(wire.run(name))
            assert state == "FAILED"
            errors[name] = task.error.splitlines()[0]
        assert errors["c_fail"] == errors["py_fail"] == "ValueError: bad, 42", errors


def what_is_replayed_runs_again(engine):
    with Wire(engine) as wire, tempfile.NamedTemporaryFile() as file:
        run = wire.run("c_slow", {"path": file.name})
        assert wire.ended(run)[0] == "COMPLETED"
        wire.call("ReplayTasks", workflows.ReplayTasksRequest(external_ids=[run]))
        wait_for(lambda: len(lines(file.name)) == 4, what="the replay")
        assert wire.ended(run)[0] == "COMPLETED"


def a_cancel_is_final(engine):
    """Nothing is told of a canceled task: the engine would take it for the task's end."""
    with Wire(engine) as wire, tempfile.NamedTemporaryFile() as file:
        run = wire.run("c_slow", {"path": file.name, "seconds": 60})
        wait_for(lambda: words(file.name) == ["begin"], what="its begin")
        wire.call("CancelTasks", workflows.CancelTasksRequest(external_ids=[run]))
        wait_for(lambda: words(file.name) == ["begin", "stopped"], what="its stop")
        wait_for(lambda: wire.state(run) == "CANCELLED", what="what the engine says of it")
        assert call(engine, "c_echo", '{"behind":1}') == '{"behind":1}'        # what it had told would have arrived
        assert wire.state(run) == "CANCELLED"


def names_keep_their_case(engine):
    """The engine makes action ids lower-case, and the worker finds its task all the same."""
    assert call(engine, "c_Camel", '{"x":1}') == '{"x":1}'


def the_metadata_of_a_caller_goes_along(engine):
    with Wire(engine) as wire:
        run = wire.run("c_echo", {"x": 1}, additional_metadata='{"mine": {"deep": [1]}, "text": "h\u00e9"}', priority=3)
        state, task = wire.ended(run)
        assert (state, json.loads(task.output)) == ("COMPLETED", {"x": 1})


async def clients_of_both_share_a_worker(engine):
    task = engine.client().stubs.task(name="c_echo")
    ours = [asyncio.to_thread(call, engine, "c_echo", json.dumps({"ours": i})) for i in range(8)]
    theirs = [task.aio_run(EmptyModel(theirs=i)) for i in range(50)]
    got = await asyncio.gather(*ours, *theirs)
    assert [json.loads(text) for text in got[:8]] == [{"ours": i} for i in range(8)]
    assert [result.model_dump() for result in got[8:]] == [{"theirs": i} for i in range(50)]


TESTS = [all_of_a_bulk_come_back, a_task_of_pythons_has_children_of_ours, a_graph_has_tasks_of_both,
         a_failure_looks_as_pythons_own, what_is_replayed_runs_again, a_cancel_is_final, names_keep_their_case,
         the_metadata_of_a_caller_goes_along, clients_of_both_share_a_worker]

if __name__ == "__main__":
    raise SystemExit(run_all(TESTS, around=serving("--threads", "8", python=True)))
