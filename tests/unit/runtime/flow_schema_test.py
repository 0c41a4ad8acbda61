#!/usr/bin/env python3
"""flow_schema_test.py VERDICT SCHEMA PAGE: the schema and the library take the same documents.

The examples of the page are valid. Some documents written by hand, and thousands made from them by small random changes, are put to the validator and to the
library, whose answers must agree. The seed is printed; SEED=n tries another one.
"""
import copy
import json
import os
import random
import re
import subprocess
import sys

try:
    from jsonschema import Draft202012Validator
except ImportError:
    print("flow schema: skipped, needs jsonschema 4 (Debian: python3-jsonschema)")
    sys.exit(77)

MUTANTS = 4000

TASK, SUM = {"task": "echo"}, {"task": "add", "kwargs": {"a": 1, "b": [2]}}
GOOD = [
    TASK,
    {"flow": SUM, "message": {"a": {"b": None}}},
    {"task": "echo", "on_success": [TASK, SUM], "on_error": []},
    {"flow": {"chain": [TASK, {"swarm": [TASK, SUM], "name": "both", "stop_after_failures": 1}], "kwargs": {"k": 1}}},
    {"chain": [TASK, TASK, {"chain": [SUM, TASK], "on_error": [TASK]}], "name": "", "on_success": [{"swarm": []}]},
    {"swarm": [TASK, {"chain": [TASK, TASK]}], "closed": True, "max_concurrency": 4294967295, "kwargs": {}},
    {"swarm": [TASK], "max_items": 1, "close_on_max": True, "message_as_result": True, "ttl": "1d", "keep": "forever"},
    {"flow": {"task": "echo", "ttl": "forever", "keep": "250ms", "stagger": "05s"}, "delay": "10m", "priority": -1,
     "unique": "once", "unique_window": "2h", "join": True},
    {"map": SUM, "source": "numbers", "max_concurrency": 1, "stop_after_failures": 0, "name": "every"},
    {"flow": {"map": {"task": "add", "on_success": [SUM], "on_error": [{"task": "echo", "on_error": []}]},
              "source": "numbers", "on_success": [{"chain": [TASK, TASK]}]}, "message": {}},
]
BAD = [
    {}, [], 7, "flow", None, {"flow": TASK, "task": "echo"}, {"message": {}}, {"flow": []}, {"flow": TASK, "message": None},
    {"task": "echo", "name": "x"}, {"chain": [TASK]}, {"swarm": TASK}, {"map": TASK}, {"source": "numbers"},
    {"map": {"chain": [TASK, TASK]}, "source": "numbers"}, {"map": TASK, "source": "numbers", "closed": True},
    {"map": {"task": "echo", "on_success": [{"swarm": []}]}, "source": "numbers"},
    {"map": {"task": "echo", "on_success": [{"task": "echo", "on_success": [TASK]}]}, "source": "numbers"},
    {"swarm": [], "max_concurrency": 0}, {"swarm": [], "max_concurrency": 4294967296}, {"swarm": [], "stop_after_failures": -1},
    {"task": "echo", "ttl": "0s"}, {"task": "echo", "ttl": 10}, {"task": "echo", "keep": "10"}, {"task": "echo", "stagger": "forever"},
    {"map": {"task": "echo", "ttl": "1s"}, "source": "numbers"}, {"flow": TASK, "join": True}, {"flow": TASK, "unique": ""},
    {"flow": TASK, "unique_window": "1h"}, {"flow": TASK, "priority": 2147483648}, {"flow": TASK, "delay": "1.5s"},
    {"swarm": [], "max_items": 0}, {"chain": [TASK, TASK], "max_items": 3},
    {"swarm": [], "name": "\0"}, {"swarm": [], "name": "n" * 256}, {"task": "echo", "on_success": TASK}, {"task": ""},
]
WORDS = ["task", "chain", "swarm", "map", "source", "name", "kwargs", "max_concurrency", "stop_after_failures", "max_items",
         "close_on_max", "closed", "message_as_result", "ttl", "keep", "stagger", "on_success", "on_error", "flow", "message",
         "delay", "priority", "unique", "unique_window", "join", "other"]
VALUES = ["10s", "forever", "1w", None, True, False, 0, 1, -1, 2.5, 30, 4294967296, "", "echo", "numbers", [], {}, [TASK], [TASK, SUM], TASK,
          {"swarm": []}, {"chain": [TASK, TASK]}, {"flow": TASK}]


def places(value, found):
    """Every map and list of a document."""
    if isinstance(value, (dict, list)):
        found.append(value)
        for inner in value.values() if isinstance(value, dict) else value:
            places(inner, found)
    return found


def mutate(rng, document):
    document = copy.deepcopy(document)
    for _ in range(rng.choice([1, 1, 2, 3])):
        at = rng.choice(places(document, []))
        value = copy.deepcopy(rng.choice(VALUES))
        if isinstance(at, dict) and at and rng.random() < 0.3:
            del at[rng.choice(sorted(at))]
        elif isinstance(at, dict):
            at[rng.choice(WORDS)] = value
        elif at and rng.random() < 0.5:
            at[rng.randrange(len(at))] = value
        else:
            at.append(value)
    return document


def library_takes(verdict, documents):
    lines = "".join(json.dumps(d) + "\n" for d in documents)
    answers = subprocess.run([verdict], input=lines, capture_output=True, text=True, check=True).stdout.split("\n")
    assert len(answers) == len(documents) + 1, f"{len(documents)} documents, {len(answers) - 1} answers"
    return answers[:-1]


def names_unknown(answer):
    """What only the library can tell: which names are declared, whether items are more than max_items, and what runs already."""
    return 'no task "' in answer or 'no source "' in answer or "as max_items says" in answer or "unique run " in answer


def check_examples(validator, page):
    """The JSON blocks of a page; how many are not valid."""
    with open(page, encoding="utf-8") as file:
        blocks = re.findall(r"^```json\n(.*?)^```$", file.read(), re.MULTILINE | re.DOTALL)
    wrong = [block for block in blocks if not validator.is_valid(json.loads(block))]
    for block in wrong:
        print(f"{page}: the schema refuses {block}")
    return len(wrong) + (0 if blocks else 1)


def main():
    verdict, schema_file, page = sys.argv[1:]
    with open(schema_file, encoding="utf-8") as file:
        schema = json.load(file)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    seed = int(os.environ.get("SEED", "20"))
    rng = random.Random(seed)
    documents = GOOD + BAD + [mutate(rng, rng.choice(GOOD)) for _ in range(MUTANTS)]
    answers = library_takes(verdict, documents)

    problems, taken, refused = check_examples(validator, page), 0, 0
    for i, (document, answer) in enumerate(zip(documents, answers)):
        valid = validator.is_valid(document)
        expected = True if i < len(GOOD) else False if i < len(GOOD) + len(BAD) else valid
        agree = valid == (answer == "ok") or (valid and names_unknown(answer))
        taken, refused = taken + (answer == "ok"), refused + (answer != "ok")
        if valid != expected or not agree:
            problems += 1
            print(f"schema {'takes' if valid else 'refuses'}, library says \"{answer}\": {json.dumps(document)}")
    print(f"flow schema: seed {seed}, {taken} documents taken by both, {refused} refused, {problems} problems")
    if taken < MUTANTS // 10 or refused < MUTANTS // 10:
        print("flow schema: the changes are too wild or too tame to tell anything")
        problems += 1
    sys.exit(1 if problems else 0)


main()
