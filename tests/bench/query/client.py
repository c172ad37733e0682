"""An HTTP client that costs next to nothing, so that what is timed is the server."""
import socket
import time


class Client:
    """One connection kept alive; answers are read whole into one buffer."""

    def __init__(self, port):
        self.port, self.socket = port, None
        self.buffer = bytearray(64 << 20)

    def connect(self):
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=300)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self):
        if self.socket is not None:
            self.socket.close()
        self.socket = None

    def get(self, path):
        """(milliseconds, status, body) of a GET."""
        if self.socket is None:
            self.connect()
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n\r\n".encode()
        began = time.perf_counter()
        self.socket.sendall(request)
        size, ended, head = self.read()
        view = bytes(self.buffer[:size])
        status = int(view[9:12])
        if b"connection: close" in view[:head].lower():
            self.close()
        body = view[head:]
        if b"transfer-encoding: chunked" in view[:head].lower():
            body = unchunked(body)
        return (ended - began) * 1e3, status, body

    def read(self):
        """Until the answer is whole: (size, when, where its body begins)."""
        size, head, whole, view = 0, -1, None, memoryview(self.buffer)
        while True:
            got = self.socket.recv_into(view[size:], 1 << 20)
            if got == 0:
                raise ConnectionError("the server hung up")
            size += got
            if head < 0:
                head = self.buffer.find(b"\r\n\r\n", 0, size)
                if head < 0:
                    continue
                head += 4
                for line in bytes(self.buffer[:head]).lower().split(b"\r\n"):
                    if line.startswith(b"content-length:"):
                        whole = head + int(line[15:])
            # JSON holds no line ends of its own: these can only be the end of the last chunk.
            if whole == size or whole is None and self.buffer[size - 5:size] == b"0\r\n\r\n":
                return size, time.perf_counter(), head


def unchunked(body):
    parts, at = [], 0
    while True:
        end = body.index(b"\r\n", at)
        size = int(body[at:end], 16)
        if size == 0:
            return b"".join(parts)
        parts.append(body[end + 2:end + 2 + size])
        at = end + 2 + size + 2
