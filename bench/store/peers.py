"""The SQLite queues of Python: huey's and persist-queue's, one consumer in this process, tasks that do nothing.

    python3 peers.py ITEMS DIRECTORY       packages: bench/store/requirements.txt

Each as its documentation begins, on a new file; items are put before the clock starts. huey: SqliteHuey with fsync=True (it
calls it for durability), dequeue, execute, result stored and read by nobody. persist-queue: SQLiteAckQueue, get and ack, with
its auto_commit; it keeps no results.
"""
import logging
import os
import sys
import tempfile
import time

from huey import SqliteHuey
import persistqueue

ITEM = {"width": 640, "owner": "alice"}


def drain_huey(path, items):
    huey = SqliteHuey("bench", filename=path, fsync=True)

    @huey.task()
    def nothing(width, owner):
        return {"width": width, "owner": owner}

    for _ in range(items):
        nothing(**ITEM)
    begin = time.perf_counter()
    done = 0
    while (task := huey.dequeue()) is not None:
        huey.execute(task)
        done += 1
    return done, time.perf_counter() - begin


def drain_persist_queue(path, items):
    queue = persistqueue.SQLiteAckQueue(path, auto_commit=True)
    for _ in range(items):
        queue.put(ITEM)
    begin = time.perf_counter()
    done = 0
    while queue.size > 0:
        queue.ack(queue.get(block=False))
        done += 1
    return done, time.perf_counter() - begin


def main():
    items, directory = int(sys.argv[1]), sys.argv[2]
    logging.disable(logging.CRITICAL)
    print("\n| contestant | items | items/s |\n|---|---|---|")
    for name, drain in (("huey, SqliteHuey(fsync=True)", drain_huey), ("persist-queue, SQLiteAckQueue", drain_persist_queue)):
        with tempfile.TemporaryDirectory(dir=directory) as place:
            done, seconds = drain(os.path.join(place, "queue"), items)
        assert done == items, (name, done)
        print(f"| {name} | {items} | **{items / seconds:.0f}** |")


if __name__ == "__main__":
    main()
