"""remote_reader.py - remote read, the asking side, from collector/http/schema/remote_read.proto.

A second reader of what the collector writes: protobuf, frames and XOR chunks by hand.
"""
import struct

import snappy

from remote_message import field, varint

EQ, NEQ, RE, NRE = range(4)
SAMPLES, XOR_CHUNKS = 0, 1
HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
           "Accept-Encoding": "snappy", "X-Prometheus-Remote-Read-Version": "0.1.0"}


def matcher(kind, name, value):
    return field(3, b"\x08" + varint(kind) + field(2, name.encode()) + field(3, value.encode()))


def query(start_ms, end_ms, *matchers, hinted=None):
    """matchers: (kind, name, value); hinted: the start and end that hints name."""
    hints = b"\x08\x01" + field(2, b"rate")
    if hinted is not None:
        hints += b"\x18" + varint(hinted[0]) + b"\x20" + varint(hinted[1])
    return field(1, b"\x08" + varint(start_ms) + b"\x10" + varint(end_ms)
                 + b"".join(matcher(*m) for m in matchers) + field(4, hints))


def accepts(*types, packed=True):
    if packed:
        return field(2, b"".join(map(varint, types)))
    return b"".join(b"\x10" + varint(t) for t in types)


def fields(message):
    """(number, value) of a message: numbers and runs of bytes."""
    at = 0

    def read_varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
    while at < len(message):
        key = read_varint()
        if key & 7 == 0:
            yield key >> 3, read_varint()
        elif key & 7 == 1:
            yield key >> 3, message[at:at + 8]
            at += 8
        else:
            assert key & 7 == 2, key
            size = read_varint()
            assert at + size <= len(message)
            yield key >> 3, message[at:at + size]
            at += size


def signed(number):
    return number - (1 << 64) if number >> 63 else number


def labels_of(message):
    pair = dict(fields(message))
    return pair[1].decode(), pair[2].decode()


class Bits:
    def __init__(self, content):
        self.content, self.at = content, 0

    def bit(self):
        return self.number(1)

    def number(self, count):
        end = self.at + count
        held = int.from_bytes(self.content[self.at // 8:(end + 7) // 8], "big")
        self.at = end
        return held >> -end % 8 & (1 << count) - 1

    def varint(self):
        value = shift = 0
        while True:
            byte = self.number(8)
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value


def xor_chunk(content):
    """(Unix ms, bits of the value) of each sample."""
    bits = Bits(content)
    count, out = bits.number(16), []
    leading = trailing = step = 0
    for n in range(count):
        if n == 0:
            zigzag = bits.varint()
            time, value = (zigzag >> 1) ^ -(zigzag & 1), bits.number(64)
            out.append((time, value))
            continue
        if n == 1:
            step = bits.varint()
        elif bits.bit():
            size = 14 if not bits.bit() else 17 if not bits.bit() else 20 if not bits.bit() else 64
            change = bits.number(size)
            step += change - (1 << size) if change > 1 << (size - 1) else change
        time += step
        if bits.bit():
            if bits.bit():
                leading, kept = bits.number(5), bits.number(6)
                trailing = 64 - leading - (kept or 64)
            value ^= bits.number(64 - leading - trailing) << trailing
        out.append((time, value))
    assert len(content) == (bits.at + 7) // 8, "bytes behind the last sample"
    return out


def crc_row(byte):
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    return byte


CRC_TABLE = [crc_row(byte) for byte in range(256)]


def crc32c(content):
    crc = 0xFFFFFFFF
    for byte in content:
        crc = crc >> 8 ^ CRC_TABLE[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def frames(body):
    at = 0
    while at < len(body):
        size = shift = 0
        while True:
            byte = body[at]
            at += 1
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        crc, = struct.unpack(">I", body[at:at + 4])
        frame = body[at + 4:at + 4 + size]
        assert len(frame) == size and crc32c(frame) == crc, "a frame that was not sent so"
        at += 4 + size
        yield frame


def read_samples(body):
    """[query: [(labels, [(Unix ms, bits)])]] of an answer of samples."""
    results = []
    for number, result in fields(snappy.decompress(body)):
        assert number == 1
        found = []
        for _, line in fields(result):
            parts = list(fields(line))
            samples = [dict(fields(s)) for n, s in parts if n == 2]
            found.append(([labels_of(p) for n, p in parts if n == 1],
                          [(signed(s.get(2, 0)), struct.unpack("<Q", s[1])[0]) for s in samples]))
        results.append(found)
    return results


def read_chunks(body, queries):
    """The same of a streamed answer; frames of one series in a row are joined."""
    results = [[] for _ in range(queries)]
    for frame in frames(body):
        parts = list(fields(frame))
        found = results[dict(p for p in parts if p[0] == 2).get(2, 0)]
        for line in (p for n, p in parts if n == 1):
            inner = list(fields(line))
            labels, samples = [labels_of(p) for n, p in inner if n == 1], []
            for chunk in (dict(fields(p)) for n, p in inner if n == 2):
                assert chunk[3] == 1, "an XOR chunk"
                here = xor_chunk(chunk[4])
                assert (signed(chunk.get(1, 0)), signed(chunk.get(2, 0))) == (here[0][0], here[-1][0])
                samples += here
            if found and found[-1][0] == labels:
                found[-1][1].extend(samples)
            else:
                found.append((labels, samples))
    return results


def ask(collector, message, headers=None):
    return collector.request("POST", "/api/v1/read", snappy.compress(message),
                             {**HEADERS, **(headers or {})})
