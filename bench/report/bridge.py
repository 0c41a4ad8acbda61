"""What the benchmarks of bridges (taskiq, hatchet) are besides what they measure: the words they are called with, rounds in turn, a
report of sections and goals, and an end that leaves nothing running."""
import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time

from machine import describe, table


@contextlib.contextmanager
def ended_by_signals():
    """SIGTERM and SIGINT end the program as an exception would: what it has started is stopped on the way. A second one is not heard.

    Whoever dies without that (SIGKILL) takes with him what machine.bound() has started."""
    numbers = (signal.SIGTERM, signal.SIGINT)

    def end(number, _):
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)
    before = [signal.signal(number, end) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before):
            signal.signal(number, handler)


class Bench:
    """One run. Of a subclass: name and title, rounds as (with --quick, without), a method for each of sections; close() stops the
    server; arguments(parser) adds to the words."""
    name = title = ""
    default_rounds = (2, 7)
    sections = ()

    def __init__(self, given, contestants, indispensable, server):
        """indispensable: those of whom no turn may fail. server: what ran in the machine, in words."""
        self.quick, self.rounds = given.quick, given.rounds or self.default_rounds[not given.quick]
        self.absent = [c for c in contestants if c.missing()]
        self.all = [c for c in contestants if not c.missing()]
        self.indispensable = indispensable
        self.machine = describe(server)
        self.figures, self.goals = {}, []

    @classmethod
    def arguments(cls, parser):
        pass

    def close(self):
        raise NotImplementedError

    def conditions(self):
        """How contestants take turns; and lines of versions."""
        raise NotImplementedError

    def turn(self, contestant, run, *given):
        """One turn; None where a peer fails in it, which must not end the others' run."""
        try:
            return run(*given)
        except (RuntimeError, AssertionError) as error:
            if contestant in self.indispensable:
                raise
            print(f"- {contestant.name}: a turn failed: {error}")
            return None

    def each_round(self):
        for turn in range(self.rounds):
            print(f"round {turn + 1} of {self.rounds}", file=sys.stderr)
            yield turn

    def goal(self, what, text):
        self.goals.append((what, text))

    def report(self, sections):
        turns, versions = self.conditions()
        print(f"# {self.title}\n\n- {self.machine}")
        print(f"- `script/bench{' --quick' if self.quick else ''} {self.name}`: {self.rounds} rounds, contestants in turn within each{turns}")
        for line in [f"mageflow {ours()}", *versions]:
            print(f"- {line}")
        for c in self.absent:
            print(f"- {c.name}: **missing**, {c.missing()}")
        for section in sections:
            getattr(self, section)()
        print("\n## Goals")
        table(["goal", "seen"], self.goals)


def ours():
    """The commit of this tree."""
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=os.path.dirname(__file__), capture_output=True, text=True)
    return done.stdout.strip()


def main(kind):
    """Run a Bench of that kind as the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, help="{1}, and {0} with --quick".format(*kind.default_rounds))
    parser.add_argument("--json", help="the figures of each round go there")
    parser.add_argument("--only", choices=kind.sections, action="append")
    kind.arguments(parser)
    parser.add_argument("build")
    given = parser.parse_args()
    with ended_by_signals(), contextlib.closing(kind(given)) as bench:
        began = time.monotonic()
        bench.report(given.only or kind.sections)
    print(f"\n(took {time.monotonic() - began:.0f} s)")
    if given.json:
        with open(given.json, "w") as file:
            json.dump({"machine": bench.machine, "figures": bench.figures, "goals": bench.goals}, file, indent=1)
