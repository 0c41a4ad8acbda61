"""Flows through the real engine: flows.py MAGEFLOW TASKS.so CLIENT FLOW [WORD...]"""
import json
import subprocess
import sys
import tempfile

from fleet import run_all
from ours import TASKS, Worker

FLOW = sys.argv[1]     # the three before it are ours.py's
del sys.argv[1]


# What JSON through Go and PostgreSQL would not bring back.
EXACT = {"whole": 1.0, "big": 9007199254740993, "bigger": 18446744073709551615, "bin": "AP8=", "nul": "a\0b", "more": [None, True, -0.0]}


def flow(engine, url, who, *what, ends_within=150):
    """A program that serves the flow itself, or only sends it (see flow.c): what it prints, as a value; else its error's text."""
    done = subprocess.run([FLOW, url, TASKS, who, *what], env=engine.environment(), capture_output=True, text=True, timeout=ends_within)
    assert done.stderr == "", done.stderr
    text = done.stdout.strip()
    return text if done.returncode != 0 or text.startswith("!") else json.loads(text)


def in_chains_and_swarms_each_gets_what_it_should(engine):
    with tempfile.TemporaryDirectory() as folder:
        url = f"hatchet:?store=sqlite:{folder}/flows.db"
        with Worker(engine, url=url):
            assert flow(engine, url, "send", "chain") == {"mageflow_results": {"n": 1, "mageflow_results": {"sum": 14}}}
            assert flow(engine, url, "send", "swarm", "20") == [{"sum": i + 1} for i in range(20)]
            assert flow(engine, url, "send", "c_fail") == "! MF_E_TASK_FAILED ValueError: bad, 42"
            assert repr(flow(engine, url, "send", "exact")) == repr(EXACT)


TESTS = [in_chains_and_swarms_each_gets_what_it_should]

if __name__ == "__main__":
    sys.exit(run_all(TESTS))
