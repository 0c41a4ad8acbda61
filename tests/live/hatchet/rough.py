"""What lies between a worker of ours and its engine, and what its health port says of it: rough.py MAGEFLOW TASKS.so CLIENT PROXY [WORD…]"""
import base64
import json
import subprocess
import sys
import tempfile

from fleet import own_engine, run_all, wait_for, worker_listens
from ours import Worker, call, health, is_well, lines, told

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


TESTS = [a_bad_network_is_told_and_heals, a_deaf_worker_is_told_and_heals, a_token_that_has_expired_says_so]

if __name__ == "__main__":
    raise SystemExit(run_all(TESTS))
