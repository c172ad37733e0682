"""remote_message_v2.py - remote write 2.0 messages, by hand from the public specification.

A sender of the tests' own: it interns texts as the specification has it, so that the collector's
reading of it meets another one.
"""
import struct
import urllib.error
import urllib.request

import snappy

from remote_message import field, varint

TYPE = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
COUNTER, GAUGE, HISTOGRAM = 1, 2, 3


class Message:
    def __init__(self):
        self.symbols = {"": 0}
        self.series_fields = b""

    def ref(self, text):
        return self.symbols.setdefault(text, len(self.symbols))

    def metadata(self, kind, help_text="", unit=""):
        return (b"\x08" + varint(kind) + b"\x18" + varint(self.ref(help_text))
                + b"\x20" + varint(self.ref(unit)))

    def exemplar(self, labels, value):
        refs = b"".join(varint(self.ref(t)) for n in sorted(labels) for t in (n, labels[n]))
        return field(1, refs) + b"\x11" + struct.pack("<d", value)

    def series(self, labels, samples=(), histograms=0, exemplars=(), metadata=None, created=None):
        """labels: a dict; samples: (value, Unix ms) pairs."""
        refs = b"".join(varint(self.ref(t)) for n in sorted(labels) for t in (n, labels[n]))
        out = field(1, refs)
        for value, ts_ms in samples:
            out += field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(ts_ms))
        out += b"".join(field(3, b"\x08\x01\x78\x01") for _ in range(histograms))
        out += b"".join(field(4, self.exemplar(*e)) for e in exemplars)
        if metadata is not None:
            out += field(5, self.metadata(*metadata))
        if created is not None:
            out += b"\x30" + varint(created)
        self.series_fields += field(5, out)
        return self

    def bytes(self):
        return b"".join(field(4, s.encode()) for s in self.symbols) + self.series_fields


def write(collector, message, content_type=TYPE, encoding="snappy"):
    """POSTs a message; (status, text, headers)."""
    raw = message.bytes() if isinstance(message, Message) else message
    request = urllib.request.Request(
        f"http://127.0.0.1:{collector.http}/api/v1/write", data=snappy.compress(raw),
        headers={"Content-Type": content_type, "Content-Encoding": encoding,
                 "X-Prometheus-Remote-Write-Version": "2.0.0", "User-Agent": "tests/1"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers


def written(headers):
    """(samples, histograms, exemplars) that an answer says were written."""
    return tuple(int(headers[f"X-Prometheus-Remote-Write-{what}-Written"])
                 for what in ("Samples", "Histograms", "Exemplars"))
