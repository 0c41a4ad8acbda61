"""What a worker of ours asks of an engine, where a double of it sees more than the real one tells: asked.py MAGEFLOW TASKS.so CLIENT [WORD…]"""
import os
import sys
import tempfile

from double import Double, token
from fleet import Process, run_each, wait_for
from ours import COMMAND, TASKS, lines


class Worker(Process):
    def __init__(self, double, *options, **environment):
        kept = {k: v for k, v in os.environ.items() if not k.startswith("HATCHET_")}
        super().__init__([COMMAND, "worker", "--url", f"hatchet://{double.address}?tls=none", "--load", TASKS, *options],
                         kept | {"HATCHET_CLIENT_TOKEN": token(600)} | environment, lambda me: "serving" in me.text())

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


TESTS = [the_chunks_of_a_stream_go_out_one_after_another]

if __name__ == "__main__":
    sys.exit(run_each(TESTS))
