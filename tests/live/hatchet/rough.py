"""What lies between a worker of ours and its engine, and what its health port says of it: rough.py MAGEFLOW TASKS.so CLIENT PROXY [WORD…]"""
import base64
import json
import os
import subprocess
import sys
import tempfile

from fleet import own_engine, run_all, wait_for, worker_listens
from frames import Frames
from ours import Worker, call, health, is_well, lines, told, words

PROXY = sys.argv.pop(1)


class Proxy:
    """Before the engine; it misbehaves when it is told to."""

    def __init__(self, engine):
        self.process = subprocess.Popen([PROXY, engine.grpc.rsplit(":", 1)[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.address = f"127.0.0.1:{self.process.stdout.readline().strip()}"

    def be(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "ok\n"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(timeout=20)
        self.process.stdout.close()


def ends(path):
    """Of any attempt: one that the engine sent into a dying connection is sent again after 30 s."""
    return sum(line.startswith("end") for line in lines(path))


def a_bad_network_is_told_and_heals(engine):
    with Proxy(engine) as proxy, Worker(engine, "--health", "0", HATCHET_CLIENT_HOST_PORT=proxy.address) as worker, \
            tempfile.NamedTemporaryFile() as file:
        wait_for(lambda: is_well(worker), what="its health")
        for number, word in enumerate(("cut", "truncate", "cut"), 1):
            proxy.be(word)
            wait_for(lambda: worker.text().count("connected to hatchet") > number, what=f"a new connection after a {word}")
            proxy.be("none")
            wait_for(lambda: is_well(worker), what=f"its health after a {word}")
            call(engine, "c_slow", json.dumps({"path": file.name}), "0s")
            wait_for(lambda: ends(file.name) == number, what=f"work after a {word}")
        proxy.be("freeze")
        wait_for(lambda: told(worker, "nothing can be read", "not connected"), what="that it hears nothing")
        proxy.be("none")
        wait_for(lambda: is_well(worker), what="its health after a freeze")
        call(engine, "c_slow", json.dumps({"path": file.name}), "0s")
        wait_for(lambda: ends(file.name) == 4, what="work after a freeze")
        assert len(lines(file.name)) == 8, lines(file.name)


def a_connection_that_is_given_up_loses_nothing(engine):
    """A GOAWAY while tasks run, and one more for each new connection; the stream of actions runs on where it is, until that is cut."""
    with Frames(engine.grpc) as frames, Worker(engine, "--threads", "8", HATCHET_CLIENT_HOST_PORT=frames.address) as worker, \
            tempfile.TemporaryDirectory() as folder:
        def give(number):
            """Five tasks that run until they are let go."""
            open(f"{folder}/{number}", "w").close()
            call(engine, "c_refreshes_too", json.dumps({"path": f"{folder}/ran", "until": f"{folder}/{number}", "ask": False}), "0s", "5")
            wait_for(lambda: os.path.exists(f"{folder}/ran") and words(f"{folder}/ran").count("begin") == 5 * number, what="their begin")
        for number in range(1, 4):
            give(number)
            frames.pairs[-1].give_up()
            wait_for(lambda: len(frames.pairs) == number + 1, what="a new connection")
            os.unlink(f"{folder}/{number}")
            wait_for(lambda: words(f"{folder}/ran").count("end") == 5 * number, what="their end")
        assert "the stream of actions ended" not in worker.text() and frames.pairs[0].last is not None
        give(4)
        os.unlink(f"{folder}/4")
        frames.pairs[0].cut()
        wait_for(lambda: "the stream of actions ended, it is opened again" in worker.text(), what="the stream's end")
        wait_for(lambda: worker_listens(engine, "mageflow"), what="another stream")
        assert call(engine, "c_add", '{"a":1}') == '{"sum":11}'
        wait_for(lambda: words(f"{folder}/ran").count("end") == 20, what="the end of all")
        assert words(f"{folder}/ran").count("begin") == 20, lines(f"{folder}/ran")


@own_engine
def a_deaf_worker_is_told_and_heals(engine):
    with Worker(engine, "--health", "0") as worker:
        wait_for(lambda: is_well(worker), what="its health")
        engine.query("""UPDATE "Worker" SET "isActive" = false WHERE name = 'mageflow'""")      # so the engine sees no stream
        wait_for(lambda: "the engine sees this worker's stream again" in worker.text(), what="a stream that is opened again")
        wait_for(lambda: is_well(worker) and worker_listens(engine, "mageflow"), what="its health")
        assert call(engine, "c_add", '{"a":1}') == '{"sum":11}'
        engine.do("stop")       # ends the stream in good order, with a GOAWAY
        wait_for(lambda: told(worker, "not connected"), what="that nobody is there")
        engine.do("start")
        wait_for(lambda: is_well(worker), what="its health")
        assert call(engine, "c_add", '{"a":2}') == '{"sum":12}'


def a_token_that_has_expired_says_so(engine):
    head, claims, signature = engine.token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    old = base64.urlsafe_b64encode(json.dumps(claims | {"exp": 1000000000}).encode()).decode().rstrip("=")
    said = call(engine, "c_add", "{}", HATCHET_CLIENT_TOKEN=f"{head}.{old}.{signature}")
    assert said.startswith("! MF_E_INVALID hatchet: the token has expired on 2001-09-09"), said


TESTS = [a_bad_network_is_told_and_heals, a_connection_that_is_given_up_loses_nothing, a_deaf_worker_is_told_and_heals, a_token_that_has_expired_says_so]

if __name__ == "__main__":
    raise SystemExit(run_all(TESTS))
