#!/usr/bin/env python3
"""bridge_test.py: a benchmark of bridges that is ended or killed leaves nothing running that it has started."""
import os
import select
import signal
import subprocess
import sys

from machine import SETPRIV

# Its child speaks once it is bound. It looks again and again: a signal just before a call that waits for good would not be seen.
BENCHMARK = """
import subprocess, time
from bridge import ended_by_signals
from machine import start
with ended_by_signals():
    process = start(["sh", "-c", "echo there; exec sleep 1000"], stdout=subprocess.PIPE)
    process.stdout.readline()
    try:
        print(process.pid, flush=True)
        while True:
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
        print("stopped", flush=True)
"""
LIMIT_S = 60        # for a machine that is busy


def dies_of(number, code, says):
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.abspath(__file__)), "PYTHONDONTWRITEBYTECODE": "1"}
    benchmark = subprocess.Popen([sys.executable, "-c", BENCHMARK], env=environment, stdout=subprocess.PIPE, text=True)
    child = os.pidfd_open(int(benchmark.stdout.readline()))
    benchmark.send_signal(number)
    said, _ = benchmark.communicate(timeout=LIMIT_S)
    assert (benchmark.returncode, said) == (code, says), (number, benchmark.returncode, said)
    ended, _, _ = select.select([child], [], [], LIMIT_S)
    assert ended, f"{number}: what it started still runs"
    os.close(child)


def main():
    dies_of(signal.SIGTERM, 128 + signal.SIGTERM, "stopped\n")
    dies_of(signal.SIGINT, 128 + signal.SIGINT, "stopped\n")
    if not SETPRIV:
        print("skipped: no setpriv that knows --pdeathsig")
        return 77
    dies_of(signal.SIGKILL, -signal.SIGKILL, "")
    return 0


if __name__ == "__main__":
    sys.exit(main())
