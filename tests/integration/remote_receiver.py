"""remote_receiver.py - a receiver of remote write that remembers all it is sent, and misbehaves.

It reads 1.0 and 2.0 by the public specifications, so that the collector's writing of them meets
another reading.  `mode` says what it answers:

    ok      204, and the samples count as accepted
    500, 503, 429, 400, 415 ...   that status; nothing is accepted
    hang    reads the request and never answers
"""
import contextlib
import http.server
import socket
import struct
import threading
import time

import snappy

V2 = "io.prometheus.write.v2.Request"


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            return value, at


def fields(data):
    """(number, value) pairs: an int, 8 bytes, or bytes."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        elif key & 7 == 1:
            value, at = data[at:at + 8], at + 8
        else:
            assert key & 7 == 2, key
            size, at = varint(data, at)
            value, at = data[at:at + size], at + size
            assert len(value) == size
        yield key >> 3, value


def sample(data):
    value, ms = 0.0, 0
    for number, content in fields(data):
        if number == 1:
            value = struct.unpack("<d", content)[0]
        elif number == 2:
            ms = content - (1 << 64) if content >> 63 else content
    return ms, value


def series_of(pairs):
    """Labels must be sorted, unique and not empty."""
    names = [name for name, _ in pairs]
    assert names == sorted(set(names)) and all(n and v for n, v in pairs), pairs
    return tuple(pairs)


def read_v1(data):
    """([(series, ms, value)], {family: (type, help)})"""
    samples, metadata = [], {}
    for number, content in fields(data):
        if number == 1:
            pairs, mine = [], []
            for inner, value in fields(content):
                if inner == 1:
                    label = dict(fields(value))
                    pairs.append((label[1].decode(), label[2].decode()))
                elif inner == 2:
                    mine.append(sample(value))
            samples += [(series_of(pairs), *s) for s in mine]
        elif number == 3:
            told = dict(fields(content))
            metadata[told[2].decode()] = (told.get(1, 0), told.get(4, b"").decode())
    return samples, metadata


def read_v2(data):
    symbols = [content.decode() for number, content in fields(data) if number == 4]
    assert not symbols or (symbols[0] == "" and len(set(symbols)) == len(symbols)), symbols
    samples, metadata = [], {}
    for number, content in fields(data):
        if number != 5:
            continue
        refs, mine, told = [], [], {}
        for inner, value in fields(content):
            if inner == 1:
                at = 0
                while at < len(value):
                    ref, at = varint(value, at)
                    refs.append(symbols[ref])
            elif inner == 2:
                mine.append(sample(value))
            elif inner == 5:
                told = dict(fields(value))
        series = series_of(list(zip(refs[::2], refs[1::2])))
        samples += [(series, *s) for s in mine]
        if told:
            metadata[dict(series)["__name__"]] = (told.get(1, 0), symbols[told.get(3, 0)])
    return samples, metadata


class Receiver:
    """Serves until the end of the `with` block; can be stopped and started meanwhile."""

    def __init__(self):
        self.lock = threading.Lock()
        self.mode, self.headers, self.speaks_v2, self.reason = "ok", {}, True, "no"
        self.accepted = []   # requests: lists of (series, ms, value)
        self.requests = []   # (time, status or mode, headers)
        self.metadata = {}
        self.port, self.server, self.release, self.connections = 0, None, threading.Event(), []

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def start(self):
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                with receiver.lock:
                    receiver.connections.append(self.connection)

            def do_POST(self):
                receiver.serve(self)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            allow_reuse_address = daemon_threads = True

            def handle_error(self, *_):
                pass  # the other side went away in the middle

        self.release, self.connections = threading.Event(), []
        self.server = Server(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self):
        """As if it died, but what it accepted is answered: connections that are open go, too."""
        self.release.set()
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None
        with self.lock:
            for connection in self.connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def url(self):
        return f"http://127.0.0.1:{self.port}/api/v1/write"

    def serve(self, handler):
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        is_v2 = V2 in handler.headers["Content-Type"]
        assert handler.headers["Content-Encoding"] == "snappy"
        assert handler.headers["User-Agent"].startswith("fengsui/")
        assert handler.headers["X-Prometheus-Remote-Write-Version"] == \
            ("2.0.0" if is_v2 else "0.1.0")
        samples, metadata = (read_v2 if is_v2 else read_v1)(snappy.decompress(body))
        with self.lock:
            mode = self.mode(samples) if callable(self.mode) else self.mode
            if is_v2 and not self.speaks_v2:
                mode = "415"
            self.requests.append((time.monotonic(), mode, handler.headers))
            if mode == "ok":
                # Under the lock, so that whoever stops us finds accepted what is answered, and
                # nothing else.
                self.answer(handler, 204, len(samples) if is_v2 else None)
                if samples:
                    self.accepted.append(samples)
                self.metadata.update(metadata)
            release = self.release
        if mode == "hang":
            release.wait(60)
            handler.close_connection = True
        elif mode != "ok":
            self.answer(handler, int(mode))

    def answer(self, handler, status, written=None):
        text = b"" if status == 204 else self.reason.encode() + b"\n"
        handler.send_response(status)
        for name, value in self.headers.items():
            handler.send_header(name, value)
        if written is not None:
            handler.send_header("X-Prometheus-Remote-Write-Samples-Written", str(written))
        if status != 204:
            handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)

    def samples(self, name=None):
        """All accepted samples in the order of their requests; of one metric."""
        with self.lock:
            return [s for request in self.accepted for s in request
                    if name is None or ("__name__", name) in s[0]]
