"""Random messages and results, between our wire and taskiq's own classes, both ways: wire.py WIRE_PEER [SEED]."""
import json
import pickle
import random
import subprocess
import sys
import time

from taskiq import InMemoryBroker, TaskiqResult
from taskiq.exceptions import TaskRejectedError
from taskiq.formatters.proxy_formatter import ProxyFormatter
from taskiq.kicker import AsyncKicker
from taskiq.serializers import JSONSerializer, MSGPackSerializer, ORJSONSerializer, PickleSerializer

ROUNDS = 400
SERIALIZERS = {"json": JSONSerializer(), "orjson": ORJSONSerializer(), "msgpack": MSGPackSerializer(),
               "pickle": PickleSerializer()}


class Peer:
    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        encoding="utf-8")

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().rstrip("\n")
        if answer == "":
            raise SystemExit(f"the peer died of {line[:200]}")
        return answer

    def close(self):
        self.process.stdin.close()
        if self.process.wait() != 0:
            raise SystemExit("the peer ended with an error")


def any_text(rng):
    alphabet = "abc \"\\\n\t\u00e9\u20ac\U0001f600\x7f\u2028/"
    return "".join(rng.choice(alphabet) for _ in range(rng.choice((0, 1, 5, 40, 300))))


def any_value(rng, depth=0):
    kind = rng.randrange(6 if depth > 3 else 8)
    if kind == 0:
        return None
    if kind == 1:
        return rng.random() < 0.5
    if kind in (2, 3):
        return rng.choice((rng.randrange(-40, 300), rng.randrange(-2 ** 63, 2 ** 63), 2 ** rng.randrange(64),
                           -2 ** rng.randrange(64), 2 ** 64 - 1 - rng.randrange(3)))
    if kind == 4:
        return rng.choice((rng.random(), rng.uniform(-1e300, 1e300), 0.0, -0.0, 1e-310, float(rng.randrange(1000))))
    if kind == 5:
        return any_text(rng)
    if kind == 6:
        return [any_value(rng, depth + 1) for _ in range(rng.choice((0, 1, 3, 20)))]
    return {any_text(rng): any_value(rng, depth + 1) for _ in range(rng.choice((0, 1, 3, 20)))}


def any_label(rng):
    return rng.choice((any_text(rng), rng.randrange(-2 ** 63, 2 ** 63), rng.random() * 1e6, rng.random() < 0.5, None, [1, "x"],
                       any_text(rng).encode(), b"ascii", 1e22, float("inf")))


def same(got, want, what):
    # repr tells 1 from 1.0 and 0.0 from -0.0, and NaN from nothing else
    if repr(got) != repr(want):
        raise SystemExit(f"{what}:\n got  {got!r}\n want {want!r}")


def python_to_ours(peer, rng):
    broker = InMemoryBroker()
    for round_ in range(ROUNDS):
        labels = {f"l{i}": any_label(rng) for i in range(rng.randrange(4))}
        args = [any_value(rng) for _ in range(rng.randrange(3))]
        kwargs = {f"k{i}": any_value(rng) for i in range(rng.randrange(4))}
        sent = AsyncKicker(task_name=any_text(rng) or "n", broker=broker, labels=labels)._prepare_message(*args, **kwargs)
        read = sent.model_copy(deep=True)
        read.parse_labels()
        want = {"id": read.task_id, "name": read.task_name, "labels": read.model_dump(mode="json")["labels"], "args": read.args,
                "kwargs": read.kwargs}
        for name, serializer in SERIALIZERS.items():
            raw = serializer.dumpb(sent.model_dump(mode="json"))
            got = json.loads(peer.ask("message " + raw.hex()))
            same(got, want, f"message {round_} in {name}")

        value = any_value(rng)
        result = TaskiqResult(is_err=False, return_value=value, execution_time=rng.random(), labels={"n": 1})
        for name, serializer in SERIALIZERS.items():
            got = json.loads(peer.ask("result " + serializer.dumpb(result.model_dump(mode="json")).hex()))
            same(got, {"failed": False, "value": value, "labels": {"n": 1}}, f"result {round_} in {name}")
        for protocol in (2, 3, 4, 5):
            got = json.loads(peer.ask("result " + pickle.dumps(result.model_dump(mode="json"), protocol).hex()))
            same(got["value"], value, f"result {round_} in pickle {protocol}")


def ours_to_python(peer, rng):
    broker = InMemoryBroker()
    for round_ in range(ROUNDS):
        labels = {f"l{i}": any_text(rng) for i in range(rng.randrange(3))}
        kwargs = {f"k{i}": any_value(rng) for i in range(rng.randrange(4))}
        value = any_value(rng)
        for name in ("json", "msgpack", "pickle"):
            put = {"id": f"id-{round_}", "name": "some:task", "labels": labels, "message": kwargs}
            raw = bytes.fromhex(peer.ask(f"put-message {name} {json.dumps(put)}"))
            broker.serializer = SERIALIZERS[name]
            message = ProxyFormatter(broker).loads(raw)
            message.parse_labels()
            same((message.task_id, message.task_name, message.labels, message.args, message.kwargs),
                 (put["id"], put["name"], labels, [], kwargs), f"our message {round_} in {name}")

            raw = bytes.fromhex(peer.ask(f"put-result {name} " + json.dumps({"failed": False, "value": value, "seconds": 1.25})))
            result = TaskiqResult.model_validate(SERIALIZERS[name].loadb(raw))
            same((result.is_err, result.return_value, result.execution_time, result.error), (False, value, 1.25, None),
                 f"our result {round_} in {name}")


def errors(peer):
    """What a Python client raises for an error of ours."""
    cases = [("ValueError", "no", ValueError, None), ("FileNotFound", "gone", Exception, "FileNotFound"),
             ("Timeout", "late", TimeoutError, None), ("SystemExit", "1", Exception, "SystemExit"),
             ("TaskRejectedError", "r", Exception, "TaskRejectedError"), ("ModuleNotFoundError", "m", ModuleNotFoundError, None)]
    for type_, text, kind, name in cases:
        for format_ in ("json", "msgpack", "pickle"):
            put = {"failed": True, "value": {"type": type_, "text": text, "cause": {"type": "KeyError", "text": "k"}}, "seconds": 0}
            raw = bytes.fromhex(peer.ask(f"put-result {format_} {json.dumps(put)}"))
            result = TaskiqResult.model_validate(SERIALIZERS[format_].loadb(raw))
            error = result.error
            assert result.is_err and isinstance(error, kind) and isinstance(error, Exception), (type_, error)
            assert error.args == (text,) and (name is None or type(error).__name__ == name), (type_, error)
            assert not isinstance(error, (SystemExit, TaskRejectedError)), error
            assert isinstance(error.__cause__, KeyError), error.__cause__


def hostile(peer):
    class Evil:
        def __reduce__(self):
            return (print, ("called",))

    for value in (Evil(), {1, 2}, {"return_value": Evil(), "is_err": False}, time.time, 1j, TaskRejectedError()):
        for protocol in (2, 3, 4, 5):
            answer = peer.ask("result " + pickle.dumps(value, protocol).hex())
            assert answer.startswith("! MF_E_UNSUPPORTED"), (value, answer)


def main():
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(2 ** 32)
    print("seed", seed, flush=True)
    peer = Peer(sys.argv[1])
    python_to_ours(peer, random.Random(seed))
    ours_to_python(peer, random.Random(seed + 1))
    errors(peer)
    hostile(peer)
    peer.close()
    print(f"{ROUNDS} messages and results each way, in every serializer")


if __name__ == "__main__":
    main()
