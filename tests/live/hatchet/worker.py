"""Our worker and our client with the real engine, and Python's on the other side."""
import asyncio
import os
import subprocess
import sys
import tempfile

from fleet import PythonWorker, own_engine, python_call, run_all, wait_for, worker_listens
from hatchet_sdk import EmptyModel
from ours import COMMAND, Worker, call, lines, words
from wire_client import Wire

VALUE = {"a": [1, -2, 2.5, None, True, "h\u00e9\U0001f600"], "m": {"x": {"y": []}}}


async def a_python_client_gets_what_our_worker_returns(engine):
    with Worker(engine):
        assert python_call(engine, "c_echo", VALUE) == VALUE        # as a program that is not asynchronous waits
        hatchet = engine.client()

        async def run(name, **message):
            try:
                return (await hatchet.stubs.workflow(name=name).aio_run(EmptyModel(**message)))[name]
            except Exception as error:      # noqa: B902  (the SDK has several)
                return str(error)
        assert await run("c_add", a=5) == {"sum": 15}
        assert await run("c_text") == {"hatchet_results": "plain"}
        assert await run("c_third") == {"attempt": 3}
        assert "bad, 42" in await run("c_fail")
        refused = await run("c_add", b=1)
        assert "c_add" in refused or "required" in refused, refused
        with tempfile.NamedTemporaryFile() as file:
            assert "no more" in await run("c_final", path=file.name)
            assert words(file.name) == ["attempt"]
        task = hatchet.stubs.task(name="c_echo")
        items = [task.create_bulk_run_item(input=EmptyModel(i=i)) for i in range(60)]
        assert [r.model_dump() for r in await task.aio_run_many(items)] == [{"i": i} for i in range(60)]


def a_client_in_c_gets_what_workers_return(engine):
    with Worker(engine), PythonWorker(engine):
        assert call(engine, "c_add", '{"a":1}') == '{"sum":11}'
        assert call(engine, "c_text", "{}") == '"plain"'
        assert call(engine, "py_add", '{"a":1}') == '{"sum":11}'
        assert call(engine, "py_third", "null") == '{"attempt":3}'
        assert "ValueError" in call(engine, "py_fail", "{}") and "MF_E_TASK_FAILED" in call(engine, "py_fail", "{}")
        assert call(engine, "c_echo", "[1]").startswith("! MF_E_INVALID")
        assert "U+0000" in call(engine, "c_echo", '{"a":"\\u0000"}')
        with tempfile.NamedTemporaryFile() as file:
            assert call(engine, "c_slow", f'{{"path":"{file.name}"}}', "0s", "20") == ""
            wait_for(lambda: words(file.name).count("end") == 20, what="twenty runs")
            assert call(engine, "c_slow", f'{{"path":"{file.name}"}}', "0s", "1", "1s") == ""
            wait_for(lambda: words(file.name).count("end") == 21, what="a run that was put off")


def an_error_is_told_whole_and_a_timeout_is_one(engine):
    with Worker(engine):
        assert "Verbose: x\u00e4\u00e4" in call(engine, "c_verbose", "{}")     # cut between characters
        assert "imeout" in call(engine, "c_timeout", "{}")


def a_task_that_needs_longer_asks_for_more_time(engine):
    """Of its own timeout, which our runtime keeps, and of the engine's, in a workflow that names a short one. Beside them, since the
    engine looks at both every few seconds: a retry with a pause before it."""
    with Worker(engine, "--threads", "8"), Wire(engine) as wire, tempfile.TemporaryDirectory() as folder:
        wire.put("refreshed", ("",), action="c_refreshes_too:c_refreshes_too", timeout="3s")
        until = folder + "/until"
        open(until, "w").close()
        patient = wire.run("c_patient", {"path": folder + "/patient"})
        runs = {(name, ask): wire.run(name, {"path": f"{folder}/{name}-{ask}", "until": until, "ask": ask})
                for name in ("c_refreshes", "refreshed") for ask in (True, False)}
        for name, why in (("c_refreshes", "Timeout: the task did not end within its timeout"), ("refreshed", "Task exceeded timeout of 3s")):
            state, task = wire.ended(runs[name, False])
            assert (state, task.error.strip()) == ("FAILED", why), (state, task)
            wait_for(lambda: words(f"{folder}/{name}-False") == ["begin", "stopped"], what="its stop")
        wait_for(lambda: [wire.state(runs[name, True]) for name in ("c_refreshes", "refreshed")] == ["RUNNING"] * 2, what="what still runs")
        os.unlink(until)
        for name in ("c_refreshes", "refreshed"):
            assert wire.ended(runs[name, True])[0] == "COMPLETED" and words(f"{folder}/{name}-True") == ["begin", "end"], name
        state, task = wire.ended(patient, 75)
        assert (state, task.output) == ("COMPLETED", b'{"came":"later"}') and len(lines(folder + "/patient")) >= 2, (state, task)
        assert engine.query("""SELECT "retryBackoffFactor" FROM "Step" WHERE "readableId" = 'c_patient'""")[0] == ["2"]


async def a_cancel_reaches_a_running_task(engine):
    with Worker(engine), tempfile.NamedTemporaryFile() as file:
        client = engine.client()
        run = await client.stubs.task(name="c_slow").aio_run(EmptyModel(path=file.name, seconds=60), wait_for_result=False)
        await asyncio.to_thread(wait_for, lambda: words(file.name) == ["begin"], what="its begin")
        await client.runs.aio_cancel(run.workflow_run_id)
        await asyncio.to_thread(wait_for, lambda: words(file.name) == ["begin", "stopped"], what="its stop")


def a_stopped_worker_ends_what_runs_and_says_good_bye(engine):
    with tempfile.NamedTemporaryFile() as file:
        with Worker(engine):
            call(engine, "c_slow", f'{{"path":"{file.name}","seconds":1}}', "0s")
            wait_for(lambda: words(file.name) == ["begin"], what="its begin")
        assert words(file.name) == ["begin", "end"]
    for _ in range(4):      # an engine that is left alone forgets about half of them
        with Worker(engine):
            pass
        wait_for(lambda: not worker_listens(engine, "mageflow"), what="its good-bye")


@own_engine
def an_engine_that_comes_back_is_served_again(engine):
    with Worker(engine):
        assert call(engine, "c_add", '{"a":1}') == '{"sum":11}'
        engine.do("stop")
        engine.do("start")
        wait_for(lambda: worker_listens(engine, "mageflow"), what="listening again")
        assert call(engine, "c_add", '{"a":2}') == '{"sum":12}'


@own_engine
def an_engine_that_forgot_the_worker_is_registered_with_again(engine):
    with Worker(engine):
        engine.query("""DELETE FROM "Worker" WHERE name = 'mageflow'""")
        wait_for(lambda: worker_listens(engine, "mageflow"), what="registering again")


def what_cannot_be_reached_says_one_clear_thing(engine):
    port = engine.api.rsplit(":", 1)[1]
    assert "an HTTP/1 server answers there" in call(engine, "c_add", "{}", url=f"hatchet://127.0.0.1:{port}")
    assert "invalid auth token" in call(engine, "c_add", "{}", HATCHET_CLIENT_TOKEN=engine.token[:-6] + "aaaaaa")
    assert "no token" in call(engine, "c_add", "{}", HATCHET_CLIENT_TOKEN="")
    assert "no JWT" in call(engine, "c_add", "{}", HATCHET_CLIENT_TOKEN="abc")
    assert "tls: what answers at this port does not speak TLS" in call(engine, "c_add", "{}", HATCHET_CLIENT_TLS_STRATEGY="tls") or \
        "port without TLS" in call(engine, "c_add", "{}", HATCHET_CLIENT_TLS_STRATEGY="tls")


def the_doctor_asks_the_engine_about_its_token(engine):
    def doctor(**environment):
        done = subprocess.run([COMMAND, "doctor", "--url", "hatchet:"], env=engine.environment(**environment), capture_output=True,
                              text=True, timeout=60)
        return done.returncode, done.stdout
    code, text = doctor()
    assert code == 0 and "ok    engine, " in text, text
    code, text = doctor(HATCHET_CLIENT_TOKEN=engine.token[:-6] + "aaaaaa")
    assert code == 1 and "error engine, " in text and "token is refused" in text, text


def a_namespace_keeps_apart_and_so_do_processes(engine):
    """A task that takes its process along has failed an attempt, and the retry is the engine's."""
    with Worker(engine, "--isolation", "process", HATCHET_CLIENT_NAMESPACE="Mine") as worker:
        assert call(engine, "c_add", '{"a":1}', HATCHET_CLIENT_NAMESPACE="Mine") == '{"sum":11}'
        assert call(engine, "c_dies_once", "{}", HATCHET_CLIENT_NAMESPACE="Mine") == '{"attempt":2}'
        assert "bad, 42" in call(engine, "c_fail", "{}", HATCHET_CLIENT_NAMESPACE="Mine")
        assert python_call(engine, "c_add", {"a": 1}, HATCHET_CLIENT_NAMESPACE="Mine") == {"sum": 11}
        assert worker.process.poll() is None


TESTS = [a_python_client_gets_what_our_worker_returns, a_client_in_c_gets_what_workers_return, an_error_is_told_whole_and_a_timeout_is_one,
         a_task_that_needs_longer_asks_for_more_time,
         a_cancel_reaches_a_running_task, a_stopped_worker_ends_what_runs_and_says_good_bye,
         an_engine_that_comes_back_is_served_again, an_engine_that_forgot_the_worker_is_registered_with_again,
         what_cannot_be_reached_says_one_clear_thing, the_doctor_asks_the_engine_about_its_token,
         a_namespace_keeps_apart_and_so_do_processes]

if __name__ == "__main__":
    sys.exit(run_all(TESTS))
