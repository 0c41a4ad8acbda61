"""The two tasks on a worker of Python's SDK, as its documentation writes one: peer.py SLOTS.

Its name, its second task's (BENCH_WORKER, BENCH_STAMP), the engine's address and the token come from the environment.
"""
import os
import sys
import time

from hatchet_sdk import Context, EmptyModel, Hatchet

hatchet = Hatchet()


@hatchet.task(name="noop")
async def noop(input: EmptyModel, ctx: Context) -> dict:
    return {}


@hatchet.task(name=os.environ["BENCH_STAMP"])
async def stamp(input: EmptyModel, ctx: Context) -> dict:
    return {"at": time.time()}


if __name__ == "__main__":
    hatchet.worker(os.environ["BENCH_WORKER"], slots=int(sys.argv[1]), workflows=[noop, stamp]).start()
