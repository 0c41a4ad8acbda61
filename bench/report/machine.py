"""What the benchmarks of bridges (taskiq, hatchet) measure with: the kernel's clocks of processes, waits, tables.

Needs nothing but Python's standard library, so that the clock is held by nobody's client.
"""
import os
import shutil
import signal
import statistics
import subprocess
import time

# util-linux' way to PR_SET_PDEATHSIG. Without it (or with another's, which does not know the word) a program may outlive this one when
# that is killed.
SETPRIV = ["setpriv", "--pdeathsig", "KILL"]
if not shutil.which("setpriv") or subprocess.run([*SETPRIV, "true"], stderr=subprocess.DEVNULL).returncode != 0:
    SETPRIV = []

# ---- processes ---------------------------------------------------------------------------------------------------------

def cpu_seconds(pid):
    """User and system time of a process with all its threads, exact: its own CPU clock."""
    return time.clock_gettime((~pid << 3) | 2)


def rss_kib(pid):
    with open(f"/proc/{pid}/status") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    return 0


def bound(words, cpus=None):
    """A command that ends (SIGKILL) when this program does, however that dies; on these CPUs alone. Its process is the program's own."""
    words = [str(word) for word in words]
    if cpus:
        words = ["taskset", "-c", ",".join(map(str, cpus)), *words]
    return [*SETPRIV, *words]


def start(words, cpus=None, **options):
    """A program, bound to this one."""
    return subprocess.Popen(bound(words, cpus), **{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **options})


def wait_until(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"{what}: not within {seconds} s")
        time.sleep(0.004)


def wait_idle(pids):
    """Until the processes have used next to nothing for a tenth of a second."""
    def used():
        return sum(map(cpu_seconds, pids))
    quiet, before = 0, used()
    for _ in range(200):
        time.sleep(0.025)
        now = used()
        quiet = quiet + 1 if now - before < 0.002 * len(pids) else 0
        before = now
        if quiet == 4:
            return


def end(processes, how=signal.SIGKILL):
    for process in processes:
        if process.poll() is None:
            process.send_signal(how)
            process.send_signal(signal.SIGCONT)
    for process in processes:
        process.wait()


def numbers_of(words, cpus=None):
    """What a program prints, as numbers."""
    try:
        done = subprocess.run(bound(words, cpus), capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{words[0]}: no end within 60 s") from None
    if done.returncode != 0:
        raise RuntimeError(f"{words[0]}: {done.stderr[-400:]}")
    return [float(word) for word in done.stdout.split()]


# ---- tables ------------------------------------------------------------------------------------------------------------

def there(values):
    """Of the rounds in which somebody had his turn; None stands for one that failed."""
    return [value for value in values if value is not None]


def median(values):
    return statistics.median(there(values))


def pair_ratio(ours, theirs):
    """The median of the rounds' own ratios, ours to theirs: a round is less disturbed by the machine than a median."""
    return median([a / b for a, b in zip(ours, theirs) if a is not None and b])


def number(value):
    if value is None:
        return ""
    if value >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def spread(values):
    """The median, and the least and the greatest behind it."""
    return f"**{number(median(values))}** ({span(values)})"


def span(values):
    return f"{number(min(values))} – {number(max(values))}"


def verdict(value, goal, at_least=True):
    met = value >= goal if at_least else value <= goal
    return f"{number(value)} ({'met' if met else '**missed**'})"


def table(head, rows):
    print("\n| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)


def describe(server):
    """The machine, in a line; server says what ran in it."""
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "?")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (f"{model}, {os.cpu_count()} CPUs online; Linux {os.uname().release} {os.uname().machine}; {server}; "
            f"{time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC; load at the start {load}")
