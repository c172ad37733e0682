"""protobuf by hand, for the messages of proto/schema/wire.proto: dicts in and out.

    decode("Envelope", data) -> dict        encode("Envelope", {...}) -> bytes
"""
import struct

MASK = (1 << 64) - 1

# name -> {field number: (field, kind)}; a kind in a list is repeated, a name is a message.
SCHEMA = {
    "Envelope": {1: ("hello", "Hello"), 2: ("resume", "Resume"),
                 3: ("definitions", "Definitions"), 4: ("batches", "BatchGroup"),
                 5: ("gap", "Gap"), 6: ("ack", "Ack"), 7: ("policy", "Policy"),
                 8: ("ping", "Ping"), 9: ("pong", "Pong"), 10: ("need_key", "NeedKey"),
                 11: ("refusal", "Refusal")},
    "Label": {1: ("name", "bytes"), 2: ("value", "bytes")},
    "Hello": {1: ("protocol", "uint"), 2: ("software", "bytes"), 3: ("boot_id", "bytes"),
              4: ("job", "bytes"), 5: ("instance", "bytes"), 6: ("labels", ["Label"]),
              7: ("token", "bytes"), 8: ("sent_ms", "sint"), 9: ("interval_ms", "uint"),
              10: ("streams", ["StreamOffer"]), 11: ("policy_version", "uint")},
    "StreamOffer": {1: ("epoch", "fixed"), 2: ("first_number", "uint"),
                    3: ("next_number", "uint"), 4: ("definition_count", "uint")},
    "Resume": {1: ("standing", "uint"), 2: ("collector_ms", "sint"),
               3: ("window_bytes", "uint"), 4: ("streams", ["StreamState"]),
               5: ("job", "bytes"), 6: ("instance", "bytes"), 7: ("labels", ["Label"]),
               8: ("accepts", "uint")},
    "Range": {1: ("first", "uint"), 2: ("last", "uint")},
    "StreamState": {1: ("epoch", "fixed"), 2: ("low_water", "uint"), 3: ("ranges", ["Range"]),
                    4: ("definition_count", "uint"), 5: ("renew", "bool")},
    "Definitions": {1: ("epoch", "fixed"), 2: ("first_ref", "uint"),
                    3: ("items", ["Definition"]), 4: ("packed", "bytes"), 5: ("packed_size", "uint")},
    "DefinitionItems": {1: ("items", ["Definition"])},
    "Definition": {1: ("name", "bytes"), 2: ("labels", ["Label"]), 3: ("type", "uint"),
                   4: ("unit", "bytes"), 5: ("help", "bytes")},
    "BatchGroup": {1: ("epoch", "fixed"), 2: ("items", ["Batch"])},
    "Batch": {1: ("number", "uint"), 2: ("definition_count", "uint"), 3: ("tick_ms", "sint"),
              4: ("content_hash", "fixed"), 5: ("samples", "SampleColumns"),
              6: ("late", ["Late"]), 7: ("logs", ["LogChunk"]), 8: ("records", ["Record"]),
              9: ("ended", "bytes")},
    "SampleColumns": {1: ("coding", "uint"), 2: ("count", "uint"), 3: ("base_number", "uint"),
                      4: ("data", "bytes"), 5: ("compression", "uint")},
    "Late": {1: ("offset_ms", "sint"), 2: ("samples", "SampleColumns")},
    "LogChunk": {1: ("file_id", "fixed"), 2: ("path", "bytes"), 3: ("lines", ["LogLine"]),
                 4: ("data", "bytes"), 5: ("data_size", "uint")},
    "LogLines": {1: ("lines", ["LogLine"])},
    "LogLine": {1: ("offset", "uint"), 2: ("ts_ms", "sint"), 3: ("severity", "uint"),
                4: ("text", "bytes"), 5: ("flags", "uint")},
    "Record": {1: ("kind", "uint"), 2: ("ts_ms", "sint"), 3: ("data", "bytes"), 4: ("packed", "bytes")},
    "ProcessTable": {1: ("rows", ["ProcessRow"]), 2: ("process_count", "uint")},
    "ProcessRow": {1: ("pid", "uint"), 2: ("user", "bytes"), 3: ("name", "bytes"),
                   4: ("command_line", "bytes"), 5: ("cpu_seconds_per_second", "double"),
                   6: ("resident_bytes", "uint"), 7: ("read_bytes_per_second", "double"),
                   8: ("write_bytes_per_second", "double"), 9: ("group", "bytes"),
                   10: ("start_ms", "uint"), 11: ("ports", "bytes")},
    "Event": {1: ("kind", "bytes"), 2: ("text", "bytes"), 3: ("labels", ["Label"])},
    "Inventory": {1: ("facts", ["Label"])},
    "Gap": {1: ("epoch", "fixed"), 2: ("numbers", "Range"), 3: ("first_tick_ms", "sint"),
            4: ("last_tick_ms", "sint"), 5: ("reason", "bytes")},
    "Ack": {1: ("stream", "StreamState"), 2: ("window_bytes", "uint")},
    "Policy": {1: ("version", "uint"), 2: ("document", "bytes")},
    "Ping": {1: ("nonce", "uint"), 2: ("sent_ms", "sint")},
    "Pong": {1: ("nonce", "uint"), 2: ("ping_sent_ms", "sint"), 3: ("received_ms", "sint"),
             4: ("sent_ms", "sint")},
    "NeedKey": {1: ("epoch", "fixed"), 2: ("number", "uint"), 3: ("definition_count", "uint")},
    "Refusal": {1: ("reason", "uint"), 2: ("text", "bytes")},
}
DEFAULTS = {"uint": 0, "sint": 0, "fixed": 0, "bool": False, "double": 0.0, "bytes": b""}
WIRE_TYPES = {"uint": 0, "sint": 0, "bool": 0, "fixed": 1, "double": 1, "bytes": 2}


class Malformed(Exception):
    """The bytes do not parse."""


def zigzag(value):
    """A signed integer, taken modulo 2^64, as an unsigned one."""
    value &= MASK
    return ((value << 1) ^ (MASK if value >> 63 else 0)) & MASK


def unzigzag(value):
    return signed((value >> 1) ^ (MASK if value & 1 else 0))


def signed(value):
    value &= MASK
    return value - (1 << 64) if value >> 63 else value


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class Reader:
    def __init__(self, data):
        self.data, self.at = bytes(data), 0

    def left(self):
        return len(self.data) - self.at

    def take(self, size):
        if size > self.left():
            raise Malformed("past the end")
        self.at += size
        return self.data[self.at - size:self.at]

    def u8(self):
        return self.take(1)[0]

    def u64(self):
        return struct.unpack("<Q", self.take(8))[0]

    def i64(self):
        return struct.unpack("<q", self.take(8))[0]

    def varint(self):
        value = 0
        for shift in range(0, 70, 7):
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if value > MASK:
                    raise Malformed("more than 64 bits")
                return value
        raise Malformed("a varint of more than ten bytes")

    def zigzag(self):
        return unzigzag(self.varint())

    def sized(self):
        return self.take(self.varint())


def _field(reader, wire_type):
    if wire_type == 0:
        return reader.varint()
    if wire_type == 1:
        return reader.u64()
    if wire_type == 2:
        return reader.sized()
    if wire_type == 5:
        return reader.take(4)
    raise Malformed(f"wire type {wire_type}")


def _from_field(kind, raw):
    if kind == "sint":
        return unzigzag(raw)
    if kind == "bool":
        return raw != 0
    if kind == "double":
        return struct.unpack("<d", struct.pack("<Q", raw))[0]
    return raw if kind in WIRE_TYPES else decode(kind, raw)


def decode(message, data):
    """A message as a dict.  Absent scalars have their defaults, absent messages are None."""
    fields = SCHEMA[message]
    values = {}
    for name, kind in fields.values():
        values[name] = [] if isinstance(kind, list) else DEFAULTS.get(kind)
    reader = Reader(data)
    while reader.left() > 0:
        key = reader.varint()
        raw = _field(reader, key & 7)
        if key >> 3 not in fields:
            continue
        name, kind = fields[key >> 3]
        single = kind[0] if isinstance(kind, list) else kind
        if key & 7 != WIRE_TYPES.get(single, 2):
            raise Malformed(f"{message}.{name} has wire type {key & 7}")
        value = _from_field(single, raw)
        if isinstance(kind, list):
            values[name].append(value)
        else:
            values[name] = value
    return values


def _to_field(number, kind, value):
    if kind in ("uint", "bool"):
        return varint(number << 3) + varint(int(value))
    if kind == "sint":
        return varint(number << 3) + varint(zigzag(value))
    if kind == "fixed":
        return varint(number << 3 | 1) + struct.pack("<Q", value)
    if kind == "double":
        return varint(number << 3 | 1) + struct.pack("<d", value)
    data = value if kind == "bytes" else encode(kind, value)
    return varint(number << 3 | 2) + varint(len(data)) + data


def encode(message, values):
    """Bytes of a dict; what is missing is not sent."""
    out = b""
    known = {name for name, _ in SCHEMA[message].values()}
    unknown = set(values) - known
    if unknown:
        raise KeyError(f"{message} has no {unknown}")
    for number, (name, kind) in sorted(SCHEMA[message].items()):
        value = values.get(name)
        if value is None:
            continue
        if isinstance(kind, list):
            out += b"".join(_to_field(number, kind[0], item) for item in value)
        elif kind not in DEFAULTS or value != DEFAULTS[kind]:
            out += _to_field(number, kind, value)
    return out


def envelope_kind(envelope):
    """The name of the one message that is set; None for a message from the future."""
    kinds = [name for name, value in envelope.items() if value is not None]
    if len(kinds) > 1:
        raise Malformed("two messages in one envelope")
    return kinds[0] if kinds else None
