"""Our gRPC client against a server of grpcio: peer.py PROBE [WORD…]"""
import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from concurrent import futures

try:
    import grpc
except ImportError:
    print("skipped: no grpc in .deps/python (script/test installs packages/python.txt there)")
    sys.exit(77)

PROBE = sys.argv[1]


class Service(grpc.GenericRpcHandler):
    """/t.T/X with bytes as messages."""

    def __init__(self):
        self.deadlines, self.metadata = [], []
        self.watching = threading.Event()

    def service(self, details):
        self.metadata.append(dict(details.invocation_metadata))
        kind, method = {"Echo": ("unary_unary", self.echo), "Fail": ("unary_unary", self.fail), "Slow": ("unary_unary", self.slow),
                        "Big": ("unary_stream", self.big), "Watch": ("unary_stream", self.watch),
                        "Chat": ("stream_stream", self.chat)}.get(details.method.rsplit("/", 1)[1], (None, None))
        return kind and getattr(grpc, f"{kind}_rpc_method_handler")(method)

    def echo(self, request, context):
        self.deadlines.append(context.time_remaining())
        return request

    def fail(self, request, context):
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "nicht möglich: 100%\nnow")

    def slow(self, request, context):
        while context.is_active():
            time.sleep(0.01)
        return request

    def big(self, request, context):
        for _ in range(40):
            yield bytes(1 << 20)

    def watch(self, request, context):
        yield b"here"
        self.watching.set()
        while context.is_active():
            time.sleep(0.01)

    def chat(self, requests, context):
        yield from requests


class Server:
    def __init__(self, credentials=None, host="127.0.0.1", port=0, streams=None):
        self.service = Service()
        options = [("grpc.max_receive_message_length", 1 << 20)] + ([("grpc.max_concurrent_streams", streams)] if streams else [])
        self.server = grpc.server(futures.ThreadPoolExecutor(16), handlers=[self.service], options=options)
        address = f"{host}:{port}"
        self.port = self.server.add_secure_port(address, credentials) if credentials else self.server.add_insecure_port(address)
        self.server.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.stop(None).wait()


def probe(server, *words):
    done = subprocess.run([PROBE, "127.0.0.1", str(server.port), *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done
    return done.stdout.strip()


def many_calls_at_once_each_get_their_answer():
    with Server() as server:
        # grpcio refuses some of those that wait from 1,000 on
        assert probe(server, "unary", "/t.T/Echo", "100", "800", "60s") == "800 messages of 80000 bytes; 800 OK;"
        assert all(50 < left <= 61 for left in server.service.deadlines), server.service.deadlines[:3]
    with Server(streams=3) as server:       # no more at a time than it allows
        assert probe(server, "unary", "/t.T/Echo", "70000", "200", "60s") == "200 messages of 14000000 bytes; 200 OK;"


def a_status_is_told_in_the_servers_words():
    with Server() as server:
        said = probe(server, "unary", "/t.T/Fail", "0", "4")
        assert "4 FAILED_PRECONDITION; the server: /t.T/Fail: FAILED_PRECONDITION: nicht möglich: 100% now" in said, said
        assert "4 UNIMPLEMENTED" in probe(server, "unary", "/t.T/Nothing", "0", "4")
        assert "4 RESOURCE_EXHAUSTED" in probe(server, "unary", "/t.T/Echo", "2000000", "4")
        assert "4 DEADLINE_EXCEEDED" in probe(server, "unary", "/t.T/Slow", "0", "4", "200ms")


def streams_of_any_size_flow():
    with Server() as server:
        assert probe(server, "stream", "/t.T/Big", "1") == "40 messages of 41943040 bytes; 1 OK;"
        assert probe(server, "bidi", "/t.T/Chat", "300") == "300 messages of 1200 bytes; 1 OK;"


def the_token_goes_with_each_call():
    with Server() as server:
        probe(server, "token=abc.def", "unary", "/t.T/Echo", "1", "8")
        assert [m["authorization"] for m in server.service.metadata] == ["bearer abc.def"] * 8
        assert all(m["user-agent"].startswith("grpc-c-mageflow/") for m in server.service.metadata)


def a_server_that_stops_in_good_order_lets_a_stream_end():
    with Server() as server:
        process = subprocess.Popen([PROBE, "127.0.0.1", str(server.port), "watch", "/t.T/Watch", "1"], stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "message\n"
        server.server.stop(0.2).wait()      # GOAWAY, then the stream is cut
        said = process.stdout.read()
        assert process.wait(timeout=30) == 0
        assert re.match(r"1 messages of 4 bytes; 1 (UNAVAILABLE|CANCELLED|UNKNOWN)", said), said


def make(*command):
    subprocess.run(command, check=True, capture_output=True)


def certificates(folder):
    """An authority, and one certificate for the server and one for us."""
    path = lambda name: os.path.join(folder, name)      # noqa: E731
    make("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", path("ca.key"), "-out", path("ca.pem"), "-days", "2",
         "-subj", "/CN=authority")
    with open(path("san"), "w") as file:
        file.write("subjectAltName=IP:127.0.0.1\n")
    for name in ("server", "client"):
        make("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", path(f"{name}.key"), "-out", path(f"{name}.csr"), "-subj",
             f"/CN={name}")
        make("openssl", "x509", "-req", "-in", path(f"{name}.csr"), "-CA", path("ca.pem"), "-CAkey", path("ca.key"), "-CAcreateserial",
             "-days", "2", "-extfile", path("san"), "-out", path(f"{name}.pem"))
    return {name: open(path(name), "rb").read() for name in ("ca.pem", "server.pem", "server.key")}, path


class Plain:
    """A server with TLS that shakes hands, and offers these protocols."""

    def __init__(self, path, protocols):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(path("server.pem"), path("server.key"))
        if protocols:
            self.context.set_alpn_protocols(protocols)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        while True:
            try:
                with self.context.wrap_socket(self.listener.accept()[0], server_side=True) as one:
                    one.recv(1)
            except ssl.SSLError:
                pass
            except OSError:
                return

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


def tls_and_mutual_tls():
    with tempfile.TemporaryDirectory() as folder:
        pem, path = certificates(folder)
        pair = [(pem["server.key"], pem["server.pem"])]
        ca, ours = f"ca={path('ca.pem')}", (f"cert={path('client.pem')}", f"key={path('client.key')}")
        call = ("unary", "/t.T/Echo", "70000", "40", "60s")
        with Server(grpc.ssl_server_credentials(pair)) as server:
            assert probe(server, ca, *call) == "40 messages of 2800000 bytes; 40 OK;"
            said = probe(server, *call)
            assert "speaks TLS" in said or "nothing that is HTTP/2" in said or "closed the connection" in said, said
            other = f"ca={path('server.pem')}"
            assert "MF_E_INVALID" in probe(server, other, *call)
        with Server(grpc.ssl_server_credentials(pair, pem["ca.pem"], True)) as server:
            assert probe(server, ca, *ours, *call) == "40 messages of 2800000 bytes; 40 OK;"
            said = probe(server, ca, *call)
            assert said.startswith("! MF_E_"), said       # grpcio closes, and says no word
        for protocols in ([], ["http/1.1"]):        # TLS, and not a word of HTTP/2 in its handshake
            with Plain(path, protocols) as server:
                said = probe(server, ca, *call)
                assert said == "! MF_E_INVALID the server: tls: the server does not speak the protocol that is needed here", said


TESTS = [many_calls_at_once_each_get_their_answer, a_status_is_told_in_the_servers_words, streams_of_any_size_flow,
         the_token_goes_with_each_call, a_server_that_stops_in_good_order_lets_a_stream_end, tls_and_mutual_tls]


def main():
    failed = 0
    for test in TESTS:
        if sys.argv[2:] and not any(word in test.__name__ for word in sys.argv[2:]):
            continue
        try:
            test()
            print("ok     ", test.__name__, flush=True)
        except Exception:
            traceback.print_exc()
            print("FAILED ", test.__name__, flush=True)
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
