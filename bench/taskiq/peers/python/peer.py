"""taskiq's own worker and client: peer.py URL stream|list RESULTS worker | enqueue COUNT AT_ONCE | ping COUNT CHECK_INTERVAL [ready]

RESULTS 1: a result backend in JSON with an expiry of a day, 0: none. The receiver is the one that `taskiq worker` runs, with
its defaults (100 tasks at a time, acknowledged when saved).
enqueue prints "seconds cpu_seconds"; ping the microseconds of each round trip. ready: its result is there before it is sent, so
that what is measured is this client alone.
"""
import asyncio
import logging
import sys
import time

from taskiq import TaskiqResult
from taskiq.api import run_receiver_task
from taskiq.serializers import JSONSerializer
from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend, RedisStreamBroker

url, kind, results, mode = sys.argv[1:5]
logging.disable(logging.WARNING)
options = {"idle_timeout": 2000} if "kill" in sys.argv else {}      # the least it takes to take over a dead worker's tasks
broker = RedisStreamBroker(url, **options) if kind == "stream" else ListQueueBroker(url)
if results == "1":
    broker = broker.with_result_backend(RedisAsyncResultBackend(url, serializer=JSONSerializer(), result_ex_time=86400))


@broker.task(task_name="noop")
async def noop():
    return None


async def enqueue(count, at_once):
    await noop.kiq()
    began, used = time.perf_counter(), time.process_time()
    if at_once == 1:
        for _ in range(count):
            await noop.kiq()
    else:
        for _ in range(count // at_once):
            await asyncio.gather(*(noop.kiq() for _ in range(at_once)))
    print(time.perf_counter() - began, time.process_time() - used)


async def ping(count, check_interval, ready):
    sender = noop.kicker()
    if ready:
        await broker.result_backend.set_result("ready", TaskiqResult(is_err=False, return_value=None, execution_time=0.0))
        sender = sender.with_task_id("ready")
    for i in range(-1, count):
        began = time.perf_counter()
        await (await sender.kiq()).wait_result(check_interval=check_interval, timeout=20)
        if i >= 0:
            print((time.perf_counter() - began) * 1e6)
        await asyncio.sleep(0.003)


async def main():
    broker.is_worker_process = mode == "worker"
    await broker.startup()
    if mode == "worker":
        await run_receiver_task(broker)
    elif mode == "enqueue":
        await enqueue(int(sys.argv[5]), int(sys.argv[6]))
    else:
        await ping(int(sys.argv[5]), float(sys.argv[6]), sys.argv[-1] == "ready")

asyncio.run(main())
