"""Python's client and Python's worker through the engine: what the other tests of this folder stand on."""
import json
import os
import subprocess
import sys
import tempfile

from fleet import PROGRAM, Engine, PythonWorker, own_engine, python_call, run_all, wait_for, worker_listens
from hatchet_sdk import EmptyModel

VALUE = {"a": [1, -2, 2.5, None, True, "h\u00e9\U0001f600"], "m": {"x": {"y": []}}}


async def raised(call):
    """The text of what the SDK raises for a failed run."""
    try:
        return await call
    except Exception as error:     # noqa: B902  (the SDK has several)
        return str(error)


async def a_client_gets_what_a_worker_returns(engine):
    with PythonWorker(engine):
        assert python_call(engine, "py_add", {"a": 5}) == {"sum": 15}      # as a program that is not asynchronous waits
        hatchet = engine.client()

        async def run(name, **message):
            return await hatchet.stubs.workflow(name=name).aio_run(EmptyModel(**message))
        assert await run("py_echo", **VALUE) == {"py_echo": VALUE}
        assert await run("py_dag", a=1, b=2) == {"first": {"value": 1}, "second": {"value": 3}}
        assert await run("py_third") == {"py_third": {"attempt": 3}}
        assert "ValueError: bad, 42" in await raised(run("py_fail"))
        with tempfile.NamedTemporaryFile() as file:
            assert "no more" in await raised(run("py_final", path=file.name))
            assert len(file.read().splitlines()) == 1
        task = hatchet.stubs.task(name="py_echo")
        items = [task.create_bulk_run_item(input=EmptyModel(i=i)) for i in range(100)]
        assert [r.model_dump() for r in await task.aio_run_many(items)] == [{"i": i} for i in range(100)]
        parent = await run("py_parent", task="py_echo", input={"x": 1}, times=3)
        assert parent == {"py_parent": {"children": [{"x": 1, "index": i} for i in range(3)]}}


@own_engine
async def an_engine_comes_back_where_it_was(engine):
    before = engine.grpc, engine.api, engine.database
    with PythonWorker(engine):
        assert python_call(engine, "py_add", {"a": 1}) == {"sum": 11}
    engine.do("stop")
    assert engine.engine == 0
    engine.do("start")
    assert (engine.grpc, engine.api, engine.database) == before
    with PythonWorker(engine, "again"):
        assert python_call(engine, "py_add", {"a": 2}) == {"sum": 12}


@own_engine
async def an_empty_engine_knows_the_tokens_of_the_one_before(engine):
    before, database = engine.token, engine.database
    with PythonWorker(engine):
        pass
    engine.do("fresh")
    assert engine.database != database and not engine.query('SELECT 1 FROM "Worker"')
    engine.token = before
    with PythonWorker(engine):
        assert python_call(engine, "py_add", {"a": 1}) == {"sum": 11}


def nothing_stays_behind_the_program(engine):
    for end in ("close", "terminate", "kill"):
        mine = Engine()
        folder = os.path.dirname(mine.log)
        assert os.path.isdir(folder)
        {"close": mine.process.stdin.close, "terminate": mine.process.terminate, "kill": mine.process.kill}[end]()
        mine.process.wait()
        for process in (mine.engine, mine.postgres):
            wait_for(lambda: not os.path.exists(f"/proc/{process}"), what=f"the end of {process} after {end}")
        if end == "kill":
            subprocess.run(["rm", "-rf", folder], check=True)
        else:
            assert not os.path.exists(folder), end


def a_command_that_fails_says_why(engine):
    for command, why in (("start", "runs already"), ("frobnicate", "no such command")):
        try:
            engine.do(command)
        except AssertionError as error:
            assert why in str(error), error
        else:
            raise AssertionError(f"{command} did not fail")
    done = subprocess.run([PROGRAM, "-postgres", "/nonexistent"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 1 and "no PostgreSQL server" in json.loads(done.stdout)["error"], done
    assert not worker_listens(engine, "nobody")


TESTS = [a_client_gets_what_a_worker_returns, an_engine_comes_back_where_it_was,
         an_empty_engine_knows_the_tokens_of_the_one_before, nothing_stays_behind_the_program, a_command_that_fails_says_why]

if __name__ == "__main__":
    sys.exit(run_all(TESTS))
