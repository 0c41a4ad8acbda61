"""What script/bench taskiq measures with: a redis-server of its own, the kernel's clocks of processes, tables.

Needs nothing but Python's standard library, so that the clock is held by nobody's client.
"""
import os
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time


class Redis:
    """A redis-server on a free loopback port, without any persistence, and one connection to it."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="mageflow-bench-")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", self.dir],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.url = f"redis://127.0.0.1:{self.port}"
        self.asked = 0      # how often this connection wrote
        self.socket = self.connect()

    def connect(self):
        for _ in range(500):
            try:
                made = socket.create_connection(("127.0.0.1", self.port))
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return made
            except ConnectionRefusedError:
                time.sleep(0.01)
        raise RuntimeError("redis-server did not start")

    def __call__(self, *words):
        """One command, its answer: text, a number, a list, None; an error raises."""
        self.asked += 1
        self.socket.sendall(command(*words))
        file = self.socket.makefile("rb")
        return answer(file)

    def pour(self, stream_of_commands):
        """Commands without answers, as fast as the server takes them."""
        link = self.connect()
        link.sendall(command("CLIENT", "REPLY", "OFF"))
        link.sendall(stream_of_commands)
        link.sendall(command("CLIENT", "REPLY", "ON"))
        link.recv(16)
        link.close()

    def info(self, section, *names):
        text = self("INFO", section)
        fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        return [int(fields.get(name, 0)) for name in names]

    def close(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


def command(*words):
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def answer(file):
    line = file.readline()
    kind, rest = line[:1], line[1:-2]
    if kind == b"-":
        raise RuntimeError(rest.decode())
    if kind == b":":
        return int(rest)
    if kind == b"$":
        return None if rest == b"-1" else file.read(int(rest) + 2)[:-2].decode(errors="replace")
    if kind == b"*":
        return None if rest == b"-1" else [answer(file) for _ in range(int(rest))]
    return rest.decode()


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


def start(words, cpus=None, **options):
    """A program, on these CPUs alone."""
    prefix = ["taskset", "-c", ",".join(map(str, cpus))] if cpus else []
    options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **options}
    return subprocess.Popen(prefix + [str(word) for word in words], **options)


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
        done = subprocess.run((["taskset", "-c", ",".join(map(str, cpus))] if cpus else []) + [str(w) for w in words],
                              capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{words[0]}: no end within 60 s") from None
    if done.returncode != 0:
        raise RuntimeError(f"{words[0]}: {done.stderr[-400:]}")
    return [float(word) for word in done.stdout.split()]


# ---- tables ------------------------------------------------------------------------------------------------------------

def median(values):
    return statistics.median(values)


def pair_ratio(ours, theirs):
    """The median of the rounds' own ratios, ours to theirs: a round is less disturbed by the machine than a median."""
    return median([a / b for a, b in zip(ours, theirs) if b])


def number(value):
    if value is None:
        return ""
    if value >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def table(head, rows):
    print("\n| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)


def describe():
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "?")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    server = subprocess.run(["redis-server", "--version"], capture_output=True, text=True).stdout.split()[2]
    return (f"{model}, {os.cpu_count()} CPUs online; Linux {os.uname().release} {os.uname().machine}; redis-server {server[2:]}, "
            f"appendonly no, no snapshots, TCP loopback; {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC; "
            f"load at the start {load}")
