"""mageflow/hatchet.h with the real engine: runs.py MAGEFLOW RUNS_TASKS.so CLIENT RUNS_CLIENT [WORD…]"""
import asyncio
import json
import os
import subprocess
import sys
import tempfile

from fleet import run_all, wait_for
from hatchet_sdk import EmptyModel
from ours import lines, serving, words
from wire_client import Wire

RUNS = sys.argv.pop(1)


class Client:
    """runs_client.c: a call is its words, the answer is a text."""

    def __init__(self, engine, **environment):
        self.process = subprocess.Popen([RUNS, "hatchet:"], env=engine.environment(**environment), text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        assert self.process.wait(timeout=60) == 0
        self.process.stdout.close()

    def __call__(self, *words):
        words = [json.dumps(word) if isinstance(word, dict) else str(word) for word in words]
        self.process.stdin.write("\t".join(words) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().rstrip("\n")

    def result(self, task, run, within="75s"):
        answer = self("wait", task, run, within)
        assert not answer.startswith("!"), answer
        return json.loads(answer)


def a_run_is_canceled_and_replayed(engine):
    """Python's worker and ours; a run that waits never runs."""
    with Client(engine) as client, Wire(engine) as wire, tempfile.NamedTemporaryFile() as file:
        run = client("run", "py_slow", {"path": file.name, "seconds": 60})
        wait_for(lambda: words(file.name) == ["begin"], what="its begin")
        waiting = client("run", "nobody_serves_this_name", {})      # what is not there is not canceled, and no error
        assert client("cancel", run, *([] if waiting.startswith("!") else [waiting])) == "ok"
        wait_for(lambda: words(file.name) == ["begin", "stopped"], what="its stop")
        assert client("wait", "py_slow", run, "60s").startswith("! MF_E_CANCELED")
        own = client("run", "r_raw", {"path": file.name})
        assert client.result("r_raw", own)["run"] == own
        wait_for(lambda: wire.state(own) == "COMPLETED", what="what the engine says of it")
        assert client("replay", own) == "ok"
        wait_for(lambda: lines(file.name).count(f"raw {own}") == 2, what="its second time")


def what_would_be_refused_is_not_sent(engine):
    with Client(engine) as client:
        for words, why in (
                (("cancel", "abc"), "is no run's id"), (("cancel",), "from 1 to 500"), (("replay", "x" * 36), "is no run's id"),
                (("run", "r_raw", "[1]"), "expected a map"), (("run", "", {}), "1 to 255 bytes"), (("run", "r_raw", {"a": "\u0000"}), "U+0000"),
                (("run", "r_raw", {}, "[1]"), "metadata"), (("run", "r_raw", {}, "", 4), "priorities are 1, 2 and 3"),
                (("push", "", {}), "1 to 255 bytes"), (("push", "k", "[1]"), "payload"), (("push", "k", {}, "", -1), "priorities"),
                (("push", "k", {}, "", 0, ""), "scope"), (("limit", "", 1), "1 to 255 bytes"), (("limit", "k", -1), "0 or more"),
                (("wait", "r_raw", "7"), "is no run's id")):
            answer = client(*words)
            assert answer.startswith("! MF_E_") and why in answer, (words, answer)


def what_is_sent_arrives(engine):
    """Metadata, priority, a time; and what the task's attributes say."""
    with Client(engine) as client, tempfile.NamedTemporaryFile() as file:
        got = client.result("r_raw", client("run", "r_raw", {"x": 1}, {"kind": "special", "n": {"m": [1]}}, 3))
        metadata = json.loads(got["metadata"])
        assert (got["input"], got["priority"], got["by"]) == ({"x": 1}, 3, "manual"), got
        assert metadata["kind"] == "special" and metadata["n"] == {"m": [1]}, metadata
        assert client.result("r_raw", client("run", "r_raw", {}))["priority"] == 2      # the task's own
        schedule = client("run", "r_raw", {"path": file.name}, "", 0, 500)
        assert len(schedule) == 36 and schedule[8] == "-", schedule
        wait_for(lambda: len(lines(file.name)) == 1, what="the run that was put off")
        put_off = lines(file.name)[0].split()[1]
        assert client.result("r_raw", put_off)["run"] == put_off != schedule


async def a_python_client_sees_the_attributes_and_the_stream(engine):
    client = engine.client()
    going = tempfile.NamedTemporaryFile(delete=False)
    run = await client.stubs.task(name="r_stream").aio_run(EmptyModel(path=going.name), wait_for_result=False)
    chunks = []
    try:
        while not chunks:       # the engine ends a stream at once whose run it does not know yet
            async for chunk in client.runs.subscribe_to_stream(run.workflow_run_id):
                chunks.append(int(chunk))
                if len(chunks) == 5:
                    os.unlink(going.name)
    finally:
        if os.path.exists(going.name):      # else the task runs on
            os.unlink(going.name)
    # To who comes late a busy engine may tell two neighbours the wrong way round.
    assert len(chunks) >= 5 and sorted(chunks) == list(range(min(chunks), min(chunks) + len(chunks))), chunks
    found = (await client.workflows.aio_list(workflow_name="r_raw")).rows
    assert [w.name for w in found] == ["r_raw"] and found[0].description == "what the engine gave", found
    crons = (await client.cron.aio_list(workflow_name="r_raw")).rows
    assert [c.cron for c in crons] == ["0 4 * * *"], crons
    rows = engine.query("""SELECT v.sticky, v."defaultPriority", s."scheduleTimeout" FROM "Workflow" w
        JOIN "WorkflowVersion" v ON v."workflowId" = w.id JOIN "Job" j ON j."workflowVersionId" = v.id JOIN "Step" s ON s."jobId" = j.id
        WHERE w.name = 'r_raw' ORDER BY v."createdAt" DESC LIMIT 1""")
    assert rows == [["SOFT", "2", "600000ms"]], rows


def children_are_found_again_by_the_next_attempt(engine):
    with Client(engine) as client, tempfile.NamedTemporaryFile() as file:
        last = client.result("r_parent", client("run", "r_parent", {"path": file.name}))["last"]
        said = [line.split() for line in lines(file.name)]
        first, second = ([word[1] for word in said if word[0] == when] for when in ("first", "second"))
        assert first == second and len(set(first)) == 3 and first[2] == last, said
        assert sorted(word[1] for word in said if word[0] == "raw") == sorted(first), said      # each ran once


async def events_start_tasks_that_wait_for_them(engine):
    """Ours, pushed by us and by Python; and the filter of their scope."""
    with Client(engine) as client, tempfile.NamedTemporaryFile() as file:
        event = client("push", "r-event", {"path": file.name, "amount": 11}, {"who": "c"}, 3, "large")
        assert len(event) == 36, event
        await asyncio.to_thread(wait_for, lambda: len(lines(file.name)) == 1, what="our event's run")
        client("push", "r-event", {"path": file.name, "amount": 9}, "", 0, "large")     # the filter holds it back
        client("push", "r-event", {"path": file.name, "amount": 13})        # a task with filters wants their scope
        engine.client().event.push("r-event", {"path": file.name, "amount": 12}, scope="large")
        await asyncio.to_thread(wait_for, lambda: len(lines(file.name)) >= 2, what="Python's event's run")
        assert len(lines(file.name)) == 2


def concurrency_and_rate_limits_are_kept(engine):
    with Client(engine) as client, tempfile.NamedTemporaryFile() as file, tempfile.NamedTemporaryFile() as other:
        limited = [client("run", "r_limited", {"path": other.name}) for _ in range(4)]
        runs = [client("run", "r_narrow", {"path": file.name, "group": "a"}) for _ in range(3)]
        for run in runs:
            client.result("r_narrow", run)
        assert [line.strip() for line in lines(file.name)] == ["begin", "end"] * 3      # never two at once
        # How exactly it counts is the engine's affair: now and then it takes a unit and has the task wait all the same.
        wait_for(lambda: engine.query("""SELECT value FROM "RateLimit" WHERE key = 'r-limit'""") == [["0"]], what="taking all there is")
        assert len(lines(other.name)) <= 2
        placed = client.result("r_placed", client("run", "r_placed", {}))
        workers = engine.query(f"""SELECT "strValue" FROM "WorkerLabel" WHERE "workerId" = '{placed["worker"]}' AND key = 'place'""")
        assert workers == [["here"]], workers
        assert client("limit", "r-limit", 1000) == "ok" and client("cancel", *limited) == "ok"


TESTS = [a_run_is_canceled_and_replayed, what_would_be_refused_is_not_sent, what_is_sent_arrives,
         a_python_client_sees_the_attributes_and_the_stream, children_are_found_again_by_the_next_attempt,
         events_start_tasks_that_wait_for_them, concurrency_and_rate_limits_are_kept]

if __name__ == "__main__":
    raise SystemExit(run_all(TESTS, around=serving(python=True, R_PLACE="here")))
