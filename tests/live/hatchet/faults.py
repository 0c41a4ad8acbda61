"""What goes wrong around our workers and clients: faults.py MAGEFLOW TASKS.so CLIENT [WORD…]"""
import json
import os
import signal
import socket
import subprocess
import tempfile

from fleet import own_engine, run_all, wait_for, worker_listens
from ours import Worker, call, lines, words
from wire_client import Wire


def works(engine):
    """A call comes back now: our worker is registered, listening and known to the engine's scheduler."""
    return call(engine, "c_add", '{"a":1}') == '{"sum":11}'


@own_engine
def a_worker_that_is_killed_loses_nothing(engine):
    """The engine gives its tasks to another when its heartbeat has been away for 30 s."""
    with Wire(engine) as wire, tempfile.NamedTemporaryFile() as file:
        first = Worker(engine, "--threads", "8")
        short = [wire.run("c_slow", {"path": file.name}) for _ in range(20)]
        hanging = [wire.run("c_first_hangs", {"path": file.name}) for _ in range(5)]
        wait_for(lambda: lines(file.name).count("begin 1") == 25, what="the first attempts")
        assert [wire.ended(run, 75)[0] for run in short] == ["COMPLETED"] * 20      # the engine has been told
        first.kill()
        with Worker(engine):
            wait_for(lambda: words(file.name).count("end") == 25, 200, "the second attempts")
            assert [wire.ended(run)[0] for run in hanging] == ["COMPLETED"] * 5
            assert lines(file.name).count("begin 1") == 25 and words(file.name).count("begin") == 30
            assert works(engine)


@own_engine
def an_empty_engine_is_told_everything_again(engine):
    with Worker(engine):
        assert works(engine)
        engine.do("fresh")
        wait_for(lambda: worker_listens(engine, "mageflow"), what="registering again")
        wait_for(lambda: works(engine), 150, "the definitions")


@own_engine
def an_engine_that_crashed_is_listened_to_again(engine):
    """It assigns nothing for about a minute: what is ours is to be there."""
    with Worker(engine):
        assert works(engine)
        engine.do("kill")
        [[killed]] = engine.query("SELECT now()::timestamp")
        engine.do("start")
        wait_for(lambda: engine.query(f"""SELECT 1 FROM "Worker" WHERE name = 'mageflow' AND "isActive" AND "lastHeartbeatAt" > '{killed}'
                                          AND "lastListenerEstablished" > '{killed}'"""), 120, "listening again")


@own_engine
def a_frozen_engine_is_waited_for(engine):
    with Worker(engine), tempfile.NamedTemporaryFile() as file:
        assert works(engine)
        call(engine, "c_slow", json.dumps({"path": file.name, "seconds": 1}), "0s")
        wait_for(lambda: words(file.name) == ["begin"], what="its begin")
        os.kill(engine.engine, signal.SIGSTOP)
        wait_for(lambda: words(file.name) == ["begin", "end"], what="its end, which nobody hears of")
        assert call(engine, "c_add", '{"a":1}', "2s").startswith("! MF_E_")
        os.kill(engine.engine, signal.SIGCONT)
        wait_for(lambda: works(engine), 150, "serving again")
        assert words(file.name) == ["begin", "end"]


def a_wrong_port_is_named(engine):
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    port = server.getsockname()[1]
    server.close()
    nobody = call(engine, "c_add", "{}", "1s", url=f"hatchet://127.0.0.1:{port}", ends_within=25)     # and not the 30 s of a call
    assert nobody.startswith("! MF_E_TIMEOUT") and "Connection refused" in nobody, nobody
    redis = subprocess.Popen(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""], stdout=subprocess.PIPE)
    try:
        for line in redis.stdout:
            if b"Ready to accept" in line:
                break
        text = call(engine, "c_add", "{}", "5s", url=f"hatchet://127.0.0.1:{port}")
        assert text.startswith("! MF_E_") and "Redis" in text, text
    finally:
        redis.kill()
        redis.wait()
        redis.stdout.close()


@own_engine
def a_token_that_is_revoked_is_told(engine):
    engine.query('UPDATE "APIToken" SET revoked = true')
    first = engine.token
    engine.do("stop")
    engine.do("start")
    text = call(engine, "c_add", "{}", "5s", HATCHET_CLIENT_TOKEN=first)
    assert text.startswith("! MF_E_") and "invalid auth token" in text, text


def a_result_that_is_too_big_is_a_failure(engine):
    """And not an outcome that is never told: the engine would wait for it."""
    with Worker(engine), Wire(engine) as wire:
        text = json.loads(call(engine, "c_big", json.dumps({"bytes": 900 << 10})))["text"]
        assert text == "x" * (900 << 10)
        for message in ({"bytes": 2 << 20}, {"bytes": 1000 << 10, "byte": 1}):    # over our limit; as JSON over the engine's 4 MiB
            state, task = wire.ended(wire.run("c_big", message))
            assert state == "FAILED" and task.error.startswith("InvalidResult:"), (state, task.error[:300])
        assert works(engine)


TESTS = [a_worker_that_is_killed_loses_nothing, an_empty_engine_is_told_everything_again,
         an_engine_that_crashed_is_listened_to_again, a_frozen_engine_is_waited_for, a_wrong_port_is_named,
         a_token_that_is_revoked_is_told, a_result_that_is_too_big_is_a_failure]

if __name__ == "__main__":
    raise SystemExit(run_all(TESTS))
