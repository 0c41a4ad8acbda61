"""The redis-server of script/bench taskiq."""
import shutil
import socket
import subprocess
import tempfile
import time

from machine import start


class Redis:
    """A redis-server on a free loopback port, without any persistence, and one connection to it."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="mageflow-bench-")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = start(["redis-server", "--port", self.port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", self.dir])
        self.url = f"redis://127.0.0.1:{self.port}"
        self.asked = 0      # how often this connection wrote
        try:
            self.socket = self.connect()
        except BaseException:
            self.close()
            raise

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


def describe_server():
    version = subprocess.run(["redis-server", "--version"], capture_output=True, text=True).stdout.split()[2]
    return f"redis-server {version[2:]}, appendonly no, no snapshots, TCP loopback"
