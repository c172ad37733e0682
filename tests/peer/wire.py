"""The wire a second time, written from proto/README.md and the field numbers of wire.proto.

Shares no code with the programs: protobuf is read and written by hand, so are columns and the
plain form; only XXH3, zstd and ZeroMQ come from libraries.  So a bug cannot hide on both sides.

    decode("Envelope", data)            -> dict        encode("Envelope", {...}) -> bytes
    batch_from_coded(batch, base)       -> Plain       batch_to_coded(plain, number) -> dict
    plain_write(plain), plain_read(data), content_hash(data)
    Probe(endpoint, server_key, ...)    a probe that sends what a test tells it to

Values are kept as the integer of their bits wherever they travel, because a Python float would
lose NaN payloads on some paths; bits_of() and value_of() convert.
"""
import ctypes
import ctypes.util
import dataclasses
import os
import struct
import time

import zstandard

from wire_protobuf import (  # noqa: F401 (handed on to tests)
    Malformed, Reader, decode, encode, envelope_kind, signed, unzigzag, varint, zigzag)

# ---- values --------------------------------------------------------------------------------

SCALE_MAX = 15
EXACT_MAX = float(1 << 53)


def bits_of(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def value_of(bits):
    return struct.unpack("<d", struct.pack("<Q", bits))[0]


def short_decimal(bits):
    """(integer, scale) of a short decimal; None for every other value."""
    value = value_of(bits)
    for scale in range(SCALE_MAX + 1):
        scaled = value * 10.0 ** scale
        if not abs(scaled) < EXACT_MAX:
            return None
        integer = round(scaled)
        if abs(integer) < 1 << 53 and bits_of(integer / 10.0 ** scale) == bits:
            return integer, scale
    return None


def decode_value(reader, expected):
    """One code (section 9): the bits of a value that differs from the expected bits."""
    code = reader.varint()
    op = code >> 1
    if code & 1 and op > SCALE_MAX:
        if op > 23:
            raise Malformed("unknown code")
        return expected ^ int.from_bytes(reader.take(op - 15), "little")
    integer, expected_scale = short_decimal(expected) or (0, 0)
    scale, step = expected_scale, unzigzag(op)
    if code & 1:
        scale, step = op, reader.zigzag()
    if scale < expected_scale:
        integer = 0
    else:
        integer *= 10 ** (scale - expected_scale)
    return bits_of(signed(integer + step) / 10.0 ** scale)


def encode_value(bits, expected):
    """A legal code, if not always the shortest."""
    decimal = short_decimal(bits)
    if decimal is not None:
        integer, scale = decimal
        before, expected_scale = short_decimal(expected) or (0, 0)
        carried = before * 10 ** (scale - expected_scale) if scale >= expected_scale else 0
        return varint(2 * scale + 1) + varint(zigzag(integer - carried))
    difference = bits ^ expected
    size = (difference.bit_length() + 7) // 8
    return varint(2 * (15 + size) + 1) + difference.to_bytes(size, "little")


# ---- columns -------------------------------------------------------------------------------

def decode_columns(columns, base=None):
    """{ref: bits} of SampleColumns; `base` is the {ref: bits} that BASED needs."""
    data = columns["data"]
    if columns["compression"] == 1:
        data = zstandard.ZstdDecompressor().decompress(data)
    elif columns["compression"] != 0:
        raise Malformed("unknown compression")
    if columns["coding"] not in (0, 1):
        raise Malformed("unknown coding")
    if columns["coding"] == 0:
        base = {}
    elif base is None:
        raise Malformed("needs a base")
    reader, count = Reader(data), columns["count"]
    refs = _decode_refs(reader, count, base)
    bits = reader.take((count + 7) // 8)
    if count % 8 and bits[-1] >> count % 8:
        raise Malformed("spare bits")
    samples = {}
    for i, ref in enumerate(refs):
        expected = base.get(ref, 0)
        differs = bits[i // 8] >> i % 8 & 1
        samples[ref] = decode_value(reader, expected) if differs else expected
    if reader.left():
        raise Malformed("bytes after the columns")
    return samples


def _decode_refs(reader, count, base):
    form = reader.u8()
    if form == 1:
        if len(base) != count:
            raise Malformed("the base has other refs")
        return sorted(base)
    if form != 0:
        raise Malformed("unknown form of refs")
    refs, after_last = [], 0
    while len(refs) < count:
        first = after_last + reader.varint()
        length = reader.varint() + 1
        if length > count - len(refs) or (refs and first == after_last):
            raise Malformed("runs")
        refs.extend(range(first, first + length))
        after_last = first + length
    return refs


def encode_columns(samples, base=None, base_number=0):
    """SampleColumns of {ref: bits}."""
    out = bytearray(b"\0")
    refs = sorted(samples)
    after_last, i = 0, 0
    while i < len(refs):
        end = i + 1
        while end < len(refs) and refs[end] == refs[end - 1] + 1:
            end += 1
        out += varint(refs[i] - after_last) + varint(end - i - 1)
        after_last, i = refs[end - 1] + 1, end
    expected = {ref: (base or {}).get(ref, 0) for ref in refs}
    bits = bytearray((len(refs) + 7) // 8)
    codes = b""
    for i, ref in enumerate(refs):
        if samples[ref] != expected[ref]:
            bits[i // 8] |= 1 << i % 8
            codes += encode_value(samples[ref], expected[ref])
    columns = {"coding": 0, "count": len(refs), "data": bytes(out + bits) + codes}
    if base is not None:
        columns.update(coding=1, base_number=base_number)
    return columns


# ---- the plain form ------------------------------------------------------------------------

@dataclasses.dataclass
class Plain:
    """A batch: samples and late samples as {ref: bits}, log chunks as (file_id, path, lines),
    lines as (offset, ts_ms, severity, flags, text), records as (kind, ts_ms, data)."""
    tick_ms: int = 0
    definition_count: int = 0
    samples: dict = dataclasses.field(default_factory=dict)
    late: list = dataclasses.field(default_factory=list)  # (ts_ms, {ref: bits})
    ended: list = dataclasses.field(default_factory=list)
    logs: list = dataclasses.field(default_factory=list)
    records: list = dataclasses.field(default_factory=list)


def _put_ascending(values):
    out, before = b"", 0
    for i, value in enumerate(values):
        if i > 0 and value <= before:
            raise ValueError("not ascending")
        out += varint(value - before)
        before = value
    return out


def _get_ascending(reader, count):
    values = []
    for i in range(count):
        step = reader.varint()
        if i > 0 and step == 0:
            raise Malformed("not ascending")
        values.append(step + values[-1] if i > 0 else step)
    return values


def _put_columns(samples):
    refs = sorted(samples)
    return (varint(len(refs)) + _put_ascending(refs)
            + b"".join(struct.pack("<Q", samples[ref]) for ref in refs))


def _get_columns(reader):
    count = reader.varint()
    refs = _get_ascending(reader, count)
    return {ref: reader.u64() for ref in refs}


def plain_write(plain):
    """The bytes of section 8."""
    tick = plain.tick_ms
    out = struct.pack("<Bq", 1, tick) + varint(plain.definition_count)
    out += _put_columns(plain.samples) + varint(len(plain.late))
    for ts_ms, samples in plain.late:
        out += struct.pack("<q", ts_ms) + _put_columns(samples)
    out += varint(len(plain.ended)) + _put_ascending(plain.ended) + varint(len(plain.logs))
    for file_id, path, lines in plain.logs:
        out += struct.pack("<Q", file_id) + varint(len(path)) + path + varint(len(lines))
        before = 0
        for offset, ts_ms, severity, flags, text in lines:
            out += varint(offset - before) + varint(zigzag(ts_ms - tick))
            out += varint(severity) + varint(flags) + varint(len(text)) + text
            before = offset
    out += varint(len(plain.records))
    for kind, ts_ms, data in plain.records:
        out += varint(kind) + varint(zigzag(ts_ms - tick)) + varint(len(data)) + data
    return out


def _get_chunk(reader, tick):
    file_id, path = reader.u64(), reader.sized()
    lines, offset = [], 0
    for _ in range(reader.varint()):
        offset += reader.varint()
        ts_ms = signed(tick + reader.zigzag())
        severity, flags = reader.varint(), reader.varint()
        lines.append((offset, ts_ms, severity, flags, reader.sized()))
    return file_id, path, lines


def plain_read(data):
    reader = Reader(data)
    if reader.u8() != 1:
        raise Malformed("version")
    plain = Plain(tick_ms=reader.i64(), definition_count=reader.varint())
    plain.samples = _get_columns(reader)
    for _ in range(reader.varint()):
        ts_ms = reader.i64()
        plain.late.append((ts_ms, _get_columns(reader)))
    plain.ended = _get_ascending(reader, reader.varint())
    for _ in range(reader.varint()):
        plain.logs.append(_get_chunk(reader, plain.tick_ms))
    for _ in range(reader.varint()):
        kind, ts_ms = reader.varint(), signed(plain.tick_ms + reader.zigzag())
        plain.records.append((kind, ts_ms, reader.sized()))
    if reader.left():
        raise Malformed("bytes after the batch")
    return plain


def content_hash(data):
    """XXH3-64, seed 0."""
    library = ctypes.CDLL(ctypes.util.find_library("xxhash") or "libxxhash.so.0")
    library.XXH3_64bits.restype = ctypes.c_uint64
    library.XXH3_64bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    return library.XXH3_64bits(data, len(data))


# ---- definitions -----------------------------------------------------------------------------

def definitions_of(definitions):
    """The items of a Definitions dict, in whichever form they came."""
    if not definitions["packed"]:
        return definitions["items"]
    raw = zstandard.ZstdDecompressor().decompress(definitions["packed"])
    if definitions["items"] or len(raw) != definitions["packed_size"]:
        raise Malformed("definitions")
    return decode("DefinitionItems", raw)["items"]


def packed_definitions(items):
    """The fields of a Definitions dict that carry the items packed."""
    raw = encode("DefinitionItems", {"items": items})
    return {"packed": zstandard.ZstdCompressor().compress(raw), "packed_size": len(raw)}


# ---- batches -------------------------------------------------------------------------------

def _lines_of(chunk):
    lines = chunk["lines"]
    if chunk["data"]:
        raw = zstandard.ZstdDecompressor().decompress(chunk["data"])
        if lines or len(raw) != chunk["data_size"]:
            raise Malformed("log lines")
        lines = decode("LogLines", raw)["lines"]
    return [(line["offset"], line["ts_ms"], line["severity"], line["flags"], line["text"])
            for line in lines]


def _record_of(record):
    data = record["data"]
    if record["packed"]:
        if data:
            raise Malformed("record")
        data = zstandard.ZstdDecompressor().decompress(record["packed"])
    return (record["kind"], record["ts_ms"], data)


def batch_from_coded(batch, base=None):
    """The Plain batch of a Batch dict; raises Malformed if the content hash differs."""
    ended, reader = [], Reader(batch["ended"])
    while reader.left():
        ended.append(reader.varint() + (ended[-1] if ended else 0))
    tick = batch["tick_ms"]
    plain = Plain(
        tick_ms=tick, definition_count=batch["definition_count"],
        samples=decode_columns(batch["samples"], base),
        late=[(signed(tick + late["offset_ms"]), decode_columns(late["samples"]))
              for late in batch["late"]],
        ended=ended,
        logs=[(chunk["file_id"], chunk["path"], _lines_of(chunk)) for chunk in batch["logs"]],
        records=[_record_of(record) for record in batch["records"]])
    if content_hash(plain_write(plain)) != batch["content_hash"]:
        raise Malformed("content hash")
    return plain


def batch_to_coded(plain, number, base=None, base_number=0):
    """A Batch dict."""
    return {
        "number": number, "definition_count": plain.definition_count,
        "tick_ms": plain.tick_ms, "content_hash": content_hash(plain_write(plain)),
        "samples": encode_columns(plain.samples, base, base_number),
        "late": [{"offset_ms": ts_ms - plain.tick_ms, "samples": encode_columns(samples)}
                 for ts_ms, samples in plain.late],
        "logs": [{"file_id": file_id, "path": path,
                  "lines": [dict(zip(("offset", "ts_ms", "severity", "flags", "text"), line))
                            for line in lines]}
                 for file_id, path, lines in plain.logs],
        "records": [dict(zip(("kind", "ts_ms", "data"), record)) for record in plain.records],
        "ended": _put_ascending(plain.ended),
    }


# ---- a probe -------------------------------------------------------------------------------

STANDINGS = {1: "pending", 2: "approved"}
GAUGE = 2


def new_keys():
    """(public, secret) as Z85 bytes."""
    import zmq
    return zmq.curve_keypair()


def labels_of(labels):
    """{"name": "value"} as Label dicts, in the order the wire demands."""
    pairs = sorted((name.encode(), value.encode()) for name, value in labels.items())
    return [{"name": name, "value": value} for name, value in pairs]


class Probe:
    """One connection as a probe.  Nothing is sent unless asked for, nothing is kept.

        probe = Probe("tcp://127.0.0.1:9471", collector_key, instance="db1", token=token)
        resume = probe.hello()                      # None if nothing came in time
        probe.define(0, [("up_time", {"a": "b"})])
        probe.send(1, tick_ms, {0: 12.5})
        probe.wait_ack(1)                           # True when number 1 is stored
    """

    def __init__(self, endpoint, server_key, keys=None, job="node", instance="peer",
                 labels=None, token="", epoch=None, timeout_s=5.0):
        import zmq
        self.zmq = zmq
        self.public_key, self.secret_key = keys or new_keys()
        self.job, self.instance, self.labels = job, instance, labels or {}
        self.token, self.timeout_s = token, timeout_s
        self.epoch = epoch if epoch is not None else int.from_bytes(os.urandom(8), "little")
        self.definition_count = 0
        self.next_number = 1
        self.resume = None
        self.acks = []       # every StreamState that came, oldest first
        self.others = []     # (kind, message) of everything not asked for
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.curve_serverkey = (server_key.encode() if isinstance(server_key, str)
                                       else server_key)
        self.socket.curve_publickey, self.socket.curve_secretkey = (self.public_key,
                                                                    self.secret_key)
        self.socket.connect(endpoint)

    def close(self):
        self.socket.close()
        self.context.term()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send_raw(self, data):
        self.socket.send(data)

    def send_message(self, kind, message):
        self.send_raw(encode("Envelope", {kind: message}))

    def receive(self, timeout_s=None):
        """(kind, message) of the next message, or None.  Pings are answered on the way."""
        deadline = time.monotonic() + (self.timeout_s if timeout_s is None else timeout_s)
        while True:
            left_ms = max(0, int((deadline - time.monotonic()) * 1000))
            if not self.socket.poll(left_ms):
                return None
            envelope = decode("Envelope", self.socket.recv())
            kind = envelope_kind(envelope)
            if kind == "ping":
                now_ms = int(time.time() * 1000)
                ping = envelope["ping"]
                self.send_message("pong", {"nonce": ping["nonce"],
                                           "ping_sent_ms": ping["sent_ms"],
                                           "received_ms": now_ms, "sent_ms": now_ms})
            elif kind == "ack":
                self.acks.append(envelope["ack"]["stream"])
                return kind, envelope["ack"]
            elif kind is not None:
                return kind, envelope[kind]

    def wait_for(self, *kinds, timeout_s=None):
        """The next message of these kinds, or None; what comes before goes to `others`."""
        deadline = time.monotonic() + (self.timeout_s if timeout_s is None else timeout_s)
        while True:
            left_s = deadline - time.monotonic()
            got = self.receive(left_s) if left_s > 0 else None
            if got is None:
                return None
            if got[0] in kinds:
                return got
            self.others.append(got)

    def hello(self, **changes):
        """Says Hello and returns the Resume (also kept in .resume), or None.  A Refusal is
        returned as the pair ("refusal", message)."""
        message = {
            "protocol": 1, "software": b"wire.py", "boot_id": b"\1" * 16,
            "job": self.job.encode(), "instance": self.instance.encode(),
            "labels": labels_of(self.labels), "token": self.token.encode(),
            "sent_ms": int(time.time() * 1000), "interval_ms": 1000,
            "streams": [{"epoch": self.epoch, "first_number": 1,
                         "next_number": self.next_number,
                         "definition_count": self.definition_count}],
        }
        message.update(changes)
        self.send_message("hello", message)
        got = self.wait_for("resume", "refusal")
        if got is None or got[0] == "refusal":
            return got
        self.resume = got[1]
        return self.resume

    def standing(self):
        return STANDINGS.get(self.resume["standing"] if self.resume else 0, "unknown")

    def wait_approved(self, timeout_s=None):
        """Waits for an APPROVED Resume (after hello() answered PENDING)."""
        deadline = time.monotonic() + (self.timeout_s if timeout_s is None else timeout_s)
        while self.standing() != "approved":
            got = self.wait_for("resume", timeout_s=deadline - time.monotonic())
            if got is None:
                return False
            self.resume = got[1]
        return True

    def define(self, first_ref, series, type_=GAUGE, packed=False):
        """Defines refs from first_ref: (name, labels) each."""
        items = [{"name": name.encode(), "labels": labels_of(labels), "type": type_}
                 for name, labels in series]
        form = packed_definitions(items) if packed else {"items": items}
        self.send_message("definitions", {"epoch": self.epoch, "first_ref": first_ref, **form})
        self.definition_count = max(self.definition_count, first_ref + len(items))

    def plain(self, tick_ms, samples, **fields):
        """A Plain batch of {ref: float}."""
        return Plain(tick_ms=tick_ms, definition_count=self.definition_count,
                     samples={ref: bits_of(value) for ref, value in samples.items()}, **fields)

    def send(self, number, tick_ms, samples, **fields):
        """Sends one batch alone; returns its Plain form (a base for later ones)."""
        plain = self.plain(tick_ms, samples, **fields)
        self.send_plain(number, plain)
        return plain

    def send_plain(self, number, plain, base=None, base_number=0):
        batch = batch_to_coded(plain, number, base.samples if base else None, base_number)
        self.send_message("batches", {"epoch": self.epoch, "items": [batch]})
        self.next_number = max(self.next_number, number + 1)

    def is_acked(self, number):
        """Does any Ack or the Resume say that the number is stored?"""
        states = list(self.acks)
        if self.resume is not None:
            states += self.resume["streams"]
        for state in states:
            if state["epoch"] != self.epoch:
                continue
            if number <= state["low_water"] or any(
                    span["first"] <= number <= span["last"] for span in state["ranges"]):
                return True
        return False

    def wait_ack(self, number, timeout_s=None):
        deadline = time.monotonic() + (self.timeout_s if timeout_s is None else timeout_s)
        while not self.is_acked(number):
            left_s = deadline - time.monotonic()
            if left_s <= 0 or self.wait_for("ack", timeout_s=left_s) is None:
                return self.is_acked(number)
        return True
