"""What a worker of ours asks of an engine, where a double of it sees more than the real one tells: asked.py MAGEFLOW TASKS.so CLIENT FORKS [WORD…]"""
import os
import socket
import subprocess
import sys
import tempfile
import threading

from double import Double, token
from fleet import Process, run_each, wait_for
from ours import COMMAND, TASKS, lines


FORKS = sys.argv.pop(1)


def environment(**more):
    return {k: v for k, v in os.environ.items() if not k.startswith("HATCHET_")} | {"HATCHET_CLIENT_TOKEN": token(600)} | more


class Worker(Process):
    def __init__(self, double, *options, **more):
        super().__init__([COMMAND, "worker", "--url", f"hatchet://{double.address}?tls=none&linger=0s", "--load", TASKS,
                          *options],
                         environment(**more), lambda me: "serving" in me.text())

    def stop(self):
        self.process.terminate()
        code = self.process.wait(timeout=60)
        assert code == 0, f"the worker ended with {code}:\n{self.text()[-4000:]}"


def the_chunks_of_a_stream_go_out_one_after_another():
    """The engine works side by side on what comes side by side. And the run's end comes behind them."""
    with Double() as double, tempfile.NamedTemporaryFile() as file, Worker(double, ASKED_FILE=file.name):
        double.events.answers.clear()
        run, = double.give("a_streams")
        wait_for(lambda: lines(file.name) == ["streamed"], what="its call")
        wait_for(lambda: double.events.chunks[run], what="its first chunk")
        other, = double.give("a_streams")
        wait_for(lambda: double.events.chunks[other], what="another run's, which does not wait")
        assert len(double.events.chunks[run]) == 1 and double.dispatcher.ends[run] == 0
        double.events.answers.set()
        wait_for(lambda: double.dispatcher.ends[run] and double.dispatcher.ends[other], what="their ends")
        for chunks in double.events.chunks.values():
            assert chunks == [(i, f"chunk {i}") for i in range(5)], chunks


def a_task_that_is_declared_too_late_is_refused():
    with Double() as double, tempfile.NamedTemporaryFile() as file, Worker(double, ASKED_FILE=file.name):
        run, = double.give("a_declares")
        wait_for(lambda: double.dispatcher.ends[run], what="its end")
        assert lines(file.name) == ["MF_E_STATE"], lines(file.name)


def a_child_of_fork_asks_nothing():
    """It is refused, may close what it has, and its parent's calls go on, on the same connection."""
    with Double() as double:
        done = subprocess.run([FORKS, f"hatchet://{double.address}?tls=none"], env=environment(), capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout) == (0, "MF_OK before\nMF_E_FORKED in the child\nMF_OK after\n"), done
        assert double.workflows.triggered == ["a_streams"] * 2 and len(double.workflows.peers) == 1, double.workflows.triggered


def a_port_of_another_kind_is_told_of_once():
    """Before anything was well, the error alone tells."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        def be_another():
            try:
                while True:
                    with server.accept()[0] as connection:
                        connection.sendall(b"-ERR unknown command\r\n")
            except OSError:
                pass        # closed
        threading.Thread(target=be_another, daemon=True).start()
        url = f"hatchet://127.0.0.1:{server.getsockname()[1]}?tls=none"
        done = subprocess.run([COMMAND, "worker", "--url", url, "--load", TASKS], env=environment(), capture_output=True, text=True, timeout=60)
        assert done.returncode == 2 and done.stderr.count("Redis") == 1, done
        said = [line for line in done.stderr.splitlines() if "127.0.0.1" in line]
        assert len(said) == 1 and said[0].count("hatchet at 127.0.0.1") == 1, done.stderr
        server.shutdown(socket.SHUT_RDWR)       # ends its accept


def a_worker_whose_engine_is_gone_stops_in_good_order():
    with Double() as double, Worker(double) as worker:
        double.leave()
        worker.stop()       # with 0, and not as one whose patience has ended


TESTS = [the_chunks_of_a_stream_go_out_one_after_another, a_task_that_is_declared_too_late_is_refused, a_child_of_fork_asks_nothing,
         a_port_of_another_kind_is_told_of_once, a_worker_whose_engine_is_gone_stops_in_good_order]

if __name__ == "__main__":
    sys.exit(run_each(TESTS))
