"""A proxy that knows where HTTP/2's frames begin, so that it can give a connection up (GOAWAY) as a load balancer does that is about to
be replaced: streams that are there go on, what the client opens behind it is never seen by the server."""
import socket
import struct
import threading

PREFACE = len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
HEADERS, GOAWAY = 1, 7


class Pair:
    """A client's connection, and its own to the server. last: the newest stream that passes; None: all do."""

    def __init__(self, client, address):
        self.client, self.server = client, socket.create_connection(address)
        self.lock = threading.Lock()
        self.newest, self.last = 0, None
        for take, give, check, skip in ((client, self.server, self.may_pass, PREFACE), (self.server, client, lambda *_: True, 0)):
            threading.Thread(target=self.pump, args=(take, give, check, skip), daemon=True).start()

    def may_pass(self, kind, stream):
        with self.lock:
            if self.last is not None and stream > self.last:
                return False
            if kind == HEADERS:
                self.newest = max(self.newest, stream)
            return True

    def pump(self, take, give, check, skip):
        try:
            with take.makefile("rb") as source:
                self.send(give, source.read(skip))
                while len(head := source.read(9)) == 9:
                    size, kind, _, stream = struct.unpack(">IBBI", b"\0" + head)
                    body = source.read(size)
                    if len(body) == size and check(kind, stream & 0x7fffffff):
                        self.send(give, head + body)
        except OSError:
            pass
        self.cut()

    def send(self, to, data):
        """A frame as a whole: another thread may have one for the client, too."""
        with self.lock:
            to.sendall(data)

    def give_up(self):
        with self.lock:
            self.last = self.newest
            self.client.sendall(struct.pack(">IBBI", 8, GOAWAY, 0, 0)[1:] + struct.pack(">II", self.last, 0))

    def cut(self):
        for end in (self.client, self.server):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Frames:
    """Before the server at address, "host:port"."""

    def __init__(self, address):
        self.target = ("127.0.0.1", int(address.rsplit(":", 1)[1]))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.pairs = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.pairs.append(Pair(client, self.target))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        for pair in self.pairs:
            pair.cut()
            pair.client.close()
            pair.server.close()
