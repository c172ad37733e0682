"""remote_message.py - remote write 1.0 messages, encoded by hand from collector/http/schema/remote.proto."""
import struct

import snappy

STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]


def varint(number):
    number &= (1 << 64) - 1
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def label(name, value):
    return field(1, field(1, name.encode()) + field(2, value.encode()))


def sample(value, ts_ms):
    return field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(ts_ms))


def series(labels, samples):
    """labels: a dict; samples: (value, Unix ms) pairs."""
    return field(1, b"".join(label(n, labels[n]) for n in sorted(labels))
                 + b"".join(sample(v, t) for v, t in samples))


def metadata(name, kind, help_text):
    return field(3, b"\x08" + varint(kind) + field(2, name.encode()) + field(4, help_text.encode()))


def write(collector, message, headers=None, compress=True):
    """POSTs a message; (status, text)."""
    body = snappy.compress(message) if compress else message
    return collector.request("POST", "/api/v1/write", body, {
        "Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Write-Version": "0.1.0", **(headers or {})})
