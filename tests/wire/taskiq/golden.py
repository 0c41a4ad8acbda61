#!/usr/bin/env python3
"""Bytes from the real taskiq, as a C header: golden.py > golden.h, or golden.py --check golden.h.

Everything is made by taskiq's and taskiq-redis's own classes: a message as AsyncKicker builds it and a formatter and a
serializer write it, a result as RedisAsyncResultBackend writes it. packages/python.txt names the versions.
"""
import asyncio
import json
import pickle
import sys

import orjson
from taskiq import InMemoryBroker, TaskiqResult
from taskiq.formatters.json_formatter import JSONFormatter
from taskiq.kicker import AsyncKicker
from taskiq.serializers import JSONSerializer, MSGPackSerializer, ORJSONSerializer, PickleSerializer

SERIALIZERS = {"json": JSONSerializer(), "orjson": ORJSONSerializer(), "msgpack": MSGPackSerializer(),
               "pickle": PickleSerializer()}


def kicked(broker, name, labels, args, kwargs):
    return AsyncKicker(task_name=name, broker=broker, labels=labels).with_task_id("tid-" + name)._prepare_message(
        *args, **kwargs)


def messages():
    broker = InMemoryBroker()
    cases = {
        "noop": kicked(broker, "noop", {}, (), {}),
        "labels": kicked(broker, "labels", {"s": "str", "i": 7, "f": 1.5, "t": True, "by": b"ab", "n": None, "l": [1, 2],
                                            "mageflow": "{\"key\":\"x\"}", "neg": -12, "big": 2 ** 70}, (1,), {"b": 41}),
        "values": kicked(broker, "values", {}, (1, -1, 2.5, None, True, False, "h\u00e9\U0001f600", [1, {"x": []}], 2 ** 32,
                                                -2 ** 33, 2 ** 63, 1e300, 300, -200), {"k": {"a": 1}, "q": "\"\\\n"}),
    }
    for name, message in cases.items():
        for format_, serializer in SERIALIZERS.items():
            yield f"{name}_{format_}", serializer.dumpb(message.model_dump(mode="json")), message
        yield f"{name}_formatter", JSONFormatter().dumps(message).message, message

    requeued = kicked(broker, "requeued", {"mf": "keep", "n": 5, "t": True}, (), {})
    requeued.parse_labels()     # what Context.requeue sends again
    requeued.labels["X-Taskiq-requeue"] = "1"
    yield "requeued_json", JSONSerializer().dumpb(requeued.model_dump(mode="json")), requeued
    yield "requeued_msgpack", MSGPackSerializer().dumpb(requeued.model_dump(mode="json")), requeued
    typeless = kicked(broker, "typeless", {"a": 1}, (), {})
    typeless.labels_types = None
    yield "typeless_json", JSONSerializer().dumpb(typeless.model_dump(mode="json")), typeless
    nan = kicked(broker, "nan", {}, (), {})
    nan.kwargs = {"n": 1}
    raw = JSONSerializer().dumpb(nan.model_dump(mode="json")).replace(b'"n": 1', b'"n": NaN, "i": -Infinity')
    yield "nan_json", raw, None


def raised():
    try:
        try:
            1 / 0
        except ZeroDivisionError as cause:
            raise ValueError("bad", 42) from cause
    except ValueError as error:
        return error


class Refused(Exception):
    pass


def in_context():
    try:
        try:
            {}["missing"]
        except KeyError:
            raise Refused("no")
    except Refused as error:
        return error


def results():
    def good(value, labels=None, seconds=0.01):
        return TaskiqResult(is_err=False, log=None, return_value=value, execution_time=seconds, labels=labels or {})

    def bad(error):
        return TaskiqResult(is_err=True, log=None, return_value=None, execution_time=1.5, labels={}, error=error)

    cases = {
        "none": good(None, seconds=0.0),
        "answer": good(42, {"prio": 5, "t": True}),
        "nested": good({"a": [1, 2.5, None, "x" * 300], "b": {"c": [[], {}]}, "n": -70000, "u": 2 ** 40, "m": 2 ** 64 - 1,
                        "l": -2 ** 63, "e": "h\u00e9"}),
        "repeated": good(["again", "again", "again", ["again"]]),
        "raised": bad(raised()),
        "in_context": bad(in_context()),
        "timeout": bad(TimeoutError()),
    }
    for name, result in cases.items():
        plain = result.model_dump(mode="json")
        for format_, serializer in SERIALIZERS.items():
            yield f"{name}_{format_}", serializer.dumpb(plain), plain
        for protocol in (2, 3, 4, 5):
            yield f"{name}_pickle{protocol}", pickle.dumps(plain, protocol), plain


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def rows():
    def value_of(message):
        if message is None:
            return "null"
        message = message.model_copy(deep=True)
        message.parse_labels()
        labels = json.loads(message.model_dump_json())["labels"]
        labels = {k: str(v) if isinstance(v, int) and v >= 2 ** 64 else v for k, v in labels.items()}
        return json.dumps({"id": message.task_id, "name": message.task_name, "labels": labels, "args": message.args,
                           "kwargs": message.kwargs}, ensure_ascii=False, separators=(",", ":"))

    yield "/* Made by golden.py from taskiq's own classes; do not edit. */"
    yield "static const struct golden { const char *name, *hex, *json; } golden_messages[] = {"
    for name, raw, message in messages():
        yield f"    {{{quoted(name)}, {quoted(raw.hex())},\n     {quoted(value_of(message))}}},"
    yield "};"
    yield "static const struct golden golden_results[] = {"
    for name, raw, plain in results():
        text = json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
        yield f"    {{{quoted(name)}, {quoted(raw.hex())},\n     {quoted(text)}}},"
    yield "};"


def main():
    text = "\n".join(rows()) + "\n"
    if len(sys.argv) == 3 and sys.argv[1] == "--check":
        with open(sys.argv[2], encoding="utf-8") as file:
            same = file.read() == text
        print("golden bytes: the same" if same else "golden bytes: taskiq writes others now: golden.py > golden.h")
        return 0 if same else 1
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
