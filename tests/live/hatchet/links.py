"""Connections and tokens that end while a worker of ours runs, without an engine: links.py MAGEFLOW TASKS.so CLIENT [WORD…]"""
import os
import signal
import sys
import tempfile
import time

from double import Double, token
from fleet import Process, run_each, wait_for
from ours import COMMAND, TASKS, is_well, told


class Worker(Process):
    def __init__(self, double, path, *options):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("HATCHET_")}
        super().__init__([COMMAND, "worker", "--url", f"hatchet://{double.address}?token_file={path}&tls=none", "--load", TASKS,
                          "--health", "0", *options], environment, lambda me: "serving" in me.text())

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=60)
        assert code == 0, f"the worker ended with {code}:\n{self.text()[-4000:]}"


def put_token(path, seconds):
    """As somebody renews it: under another name first, so that nobody reads half of it."""
    made = token(seconds)
    with open(path + ".new", "w") as file:
        file.write(made + "\n")
    os.rename(path + ".new", path)
    return made


def all_end(double, runs, what):
    wait_for(lambda: all(double.dispatcher.ends[run] > 0 for run in runs), what=what)


def all_end_at_last(double, runs):
    """A task goes into a connection that is cut just then, now and then: after a while an engine gives it out again."""
    def given_again():
        lost = [run for run in runs if double.dispatcher.ends[run] == 0]
        if lost and double.dispatcher.waiting.empty() and time.monotonic() > given_again.at + 2:
            for run in lost:
                double.dispatcher.waiting.put((run, "c_echo", {"n": 1}))
            given_again.at = time.monotonic()
        return not lost
    given_again.at = time.monotonic()
    wait_for(given_again, what="that its tasks end")


def connections_that_are_given_up_lose_nothing():
    """A GOAWAY every 0.3 s; the stream of actions runs on, on the connection that was given up."""
    with tempfile.TemporaryDirectory() as folder, Double(max_connection_age_ms=300) as double:
        path = folder + "/token"
        put_token(path, 600)
        with Worker(double, path) as worker:
            runs = []
            while len(double.dispatcher.peers) < 5:
                runs += double.give("c_echo", 5)
                all_end(double, runs, "its tasks")
            assert set(double.dispatcher.given[run] for run in runs) == {1} and double.dispatcher.streams == 1
            wait_for(lambda: is_well(worker), what="its health")


def streams_that_are_cut_are_opened_again():
    """A connection is given up and, 0.2 s later, cut, with all that runs on it."""
    with tempfile.TemporaryDirectory() as folder, Double(max_connection_age_ms=300, max_connection_age_grace_ms=200) as double:
        path = folder + "/token"
        put_token(path, 600)
        with Worker(double, path):
            while double.dispatcher.streams < 3:
                all_end_at_last(double, double.give("c_echo", 5))


def a_stream_that_ends_in_good_order_is_opened_again():
    with tempfile.TemporaryDirectory() as folder, Double() as double:
        path = folder + "/token"
        put_token(path, 600)
        with Worker(double, path) as worker:
            all_end(double, double.give("c_echo", 5), "its tasks")
            double.dispatcher.over.set()
            wait_for(lambda: "in good order" in worker.text(), what="the end of a stream")
            double.dispatcher.over.clear()
            all_end(double, double.give("c_echo", 5), "tasks after it")
            wait_for(lambda: is_well(worker), what="its health")


def a_token_that_expires_is_told_and_renewed():
    """Nothing that was done meanwhile is lost: the stream of actions does not end with its token."""
    with tempfile.TemporaryDirectory() as folder, Double() as double:
        path = folder + "/token"
        first = put_token(path, 600)
        with Worker(double, path) as worker:
            wait_for(lambda: is_well(worker), what="its health")
            double.auth.revoked.add(first)
            wait_for(lambda: told(worker, "the engine does not take the token: put a new one into " + path), what="that it is refused")
            while "there is a new token" not in worker.text():
                put_token(path, 6)      # may have expired before it is read
                time.sleep(3)
            wait_for(lambda: told(worker, "which has expired on"), what="that it has expired")
            runs = double.give("c_echo", 5)
            wait_for(lambda: double.auth.refused["/Dispatcher/SendBatchActionEvent"] > 0, what="that their ends are refused")
            assert not any(double.dispatcher.ends[run] for run in runs)
            put_token(path, 600)
            all_end(double, runs, "what was done meanwhile")
            wait_for(lambda: is_well(worker), what="its health")
            # Once for each token; and once more for a call that was begun with the one before, and refused behind it.
            tokens = 1 + worker.text().count("there is a new token")
            assert 2 <= worker.text().count("the engine does not take the token") <= 2 * tokens, worker.text()
            assert set(double.dispatcher.given[run] for run in runs) == {1} and double.dispatcher.streams == 1


def a_worker_that_leaves_takes_what_was_on_its_way():
    """An engine assigns for a while to who has become inactive, which it notices at every other end of a stream only."""
    with tempfile.TemporaryDirectory() as folder, Double() as double:
        path = folder + "/token"
        put_token(path, 600)
        with Worker(double, path):
            all_end(double, double.give("c_echo", 5), "its tasks")
            double.dispatcher.misses = 1
            late = double.make("c_echo", 5)
            double.dispatcher.old_slots += late
        assert [(double.dispatcher.given[run], double.dispatcher.ends[run]) for run, _, _ in late] == [(1, 1)] * 5
        assert double.dispatcher.left and not double.dispatcher.active


def a_worker_whose_tasks_take_long_is_not_taken_for_dead():
    """Its heartbeats are refused as soon as it is inactive, and an engine gives what it runs to another when the last one is 30 s old."""
    with tempfile.TemporaryDirectory() as folder, Double() as double:
        path = folder + "/token"
        put_token(path, 600)
        with Worker(double, path):
            runs = double.give("c_slow", path=folder + "/ran", seconds=16)
            wait_for(lambda: os.path.exists(folder + "/ran"), what="its begin")
        all_end(double, runs, "the end of what ran")
        assert double.dispatcher.refused > 0 and double.dispatcher.beats > 0 and not double.dispatcher.active


TESTS = [connections_that_are_given_up_lose_nothing, streams_that_are_cut_are_opened_again,
         a_stream_that_ends_in_good_order_is_opened_again, a_token_that_expires_is_told_and_renewed,
         a_worker_that_leaves_takes_what_was_on_its_way, a_worker_whose_tasks_take_long_is_not_taken_for_dead]


if __name__ == "__main__":
    sys.exit(run_each(TESTS))
