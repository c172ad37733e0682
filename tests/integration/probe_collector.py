"""A collector of a hundred lines that remembers every number it was given.

It speaks just enough of the wire (proto/schema/wire.proto) to judge a probe: who said Hello, which
batches came with which content hash, which gaps were told.  Samples are not decoded: the judge
here is the numbering.  Runs in the test's own process, turn by turn: serve(seconds).
"""
import struct
import time

import zmq


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, value):
    """An int is a varint, bytes are bytes, ("fixed64", n) is one."""
    if isinstance(value, tuple):
        return varint(number << 3 | 1) + struct.pack("<Q", value[1])
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def zigzag(value):
    return value << 1 if value >= 0 else (-value << 1) - 1


def unzigzag(value):
    return value >> 1 if value & 1 == 0 else -(value + 1 >> 1)


def parse(message):
    """{field number: [values]}"""
    at, fields = 0, {}

    def take():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    while at < len(message):
        key = take()
        if key & 7 == 0:
            value = take()
        elif key & 7 == 1:
            value = struct.unpack_from("<Q", message, at)[0]
            at += 8
        elif key & 7 == 2:
            size = take()
            value = bytes(message[at:at + size])
            at += size
        else:
            raise ValueError("wire type %d" % (key & 7))
        fields.setdefault(key >> 3, []).append(value)
    return fields


class Stream:
    """What is stored of one epoch."""

    def __init__(self):
        self.batches = {}       # number -> (hash, tick, definition count, is based)
        self.gaps = {}          # number -> reason
        self.definitions = 0
        self.again = 0          # batches that came more than once
        self.conflicts = []     # numbers that came with another content
        self.order = []         # numbers as they came first
        self.based = 0
        self.renew = False

    def has(self, number):
        return number in self.batches or number in self.gaps

    def state(self, epoch):
        low = 0
        while self.has(low + 1):
            low += 1
        out = field(1, ("fixed64", epoch)) + field(2, low)
        numbers = sorted(n for n in set(self.batches) | set(self.gaps) if n > low)
        first = last = None
        for number in numbers + [None]:
            if first is not None and number != last + 1:
                out += field(3, field(1, first) + field(2, last))
                first = None
            if number is not None:
                first = number if first is None else first
                last = number
        out += field(4, self.definitions)
        if self.renew:
            out += field(5, 1)
        return out


class Collector:
    def __init__(self, port=0, keys=None, approved=True, window=1 << 20):
        self.public, self.secret = keys or zmq.curve_keypair()
        self.streams = {}
        self.approved = approved
        self.window = window
        self.hellos = []
        self.events = []          # (monotonic, kind, detail)
        self.acknowledging = True
        self.need_key = set()     # numbers to refuse once
        self.context = zmq.Context()
        self.port = port
        self.open()

    def open(self):
        self.socket = self.context.socket(zmq.ROUTER)
        self.socket.curve_server = True
        self.socket.curve_publickey = self.public
        self.socket.curve_secretkey = self.secret
        self.socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.HEARTBEAT_IVL, 1000)
        self.socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 3000)
        if self.port:
            self.socket.bind("tcp://127.0.0.1:%d" % self.port)
        else:
            self.port = self.socket.bind_to_random_port("tcp://127.0.0.1")

    def close(self):
        self.socket.close()

    def end(self):
        self.socket.close()
        self.context.term()

    @property
    def endpoint(self):
        return "tcp://127.0.0.1:%d" % self.port

    @property
    def key(self):
        return self.public.decode()

    def stream(self, epoch):
        return self.streams.setdefault(epoch, Stream())

    def serve(self, seconds, until=None):
        """Answers for so long, or until the condition holds; says whether it did."""
        deadline = time.monotonic() + seconds
        while True:
            if until is not None and until():
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return until is None
            if self.socket.poll(min(left, 0.05) * 1000):
                peer, message = self.socket.recv_multipart()
                self.take(peer, parse(message))

    def send(self, peer, kind, message):
        self.socket.send_multipart([peer, field(kind, message)])

    def take(self, peer, envelope):
        for kind, values in envelope.items():
            handler = {1: self.hello, 3: self.definitions, 4: self.batches, 5: self.gap,
                       8: self.ping}.get(kind)
            if handler is not None:
                handler(peer, parse(values[0]))

    def hello(self, peer, hello):
        offers = [parse(offer) for offer in hello.get(10, [])]
        self.hellos.append({"protocol": hello[1][0], "instance": hello[5][0],
                            "token": hello.get(7, [b""])[0],
                            "interval_ms": hello[9][0],
                            "streams": [(o[1][0], o.get(2, [0])[0], o.get(3, [0])[0],
                                         o.get(4, [0])[0]) for o in offers]})
        out = field(1, 2 if self.approved else 1) + field(2, zigzag(int(time.time() * 1000)))
        if self.approved:
            out += field(3, self.window)
            for offer in offers:
                out += field(4, self.stream(offer[1][0]).state(offer[1][0]))
            out += field(5, b"node") + field(6, hello[5][0])
        self.send(peer, 2, out)

    def definitions(self, peer, message):
        stream = self.stream(message[1][0])
        first = message.get(2, [0])[0]
        count = len(message.get(3, []))
        assert first <= stream.definitions, "a hole in the definitions"
        stream.definitions = max(stream.definitions, first + count)

    def batches(self, peer, group):
        epoch = group[1][0]
        stream = self.stream(epoch)
        for item in group[2]:
            batch = parse(item)
            number = batch[1][0]
            if number in self.need_key:
                self.need_key.discard(number)
                stream.refused = number
                self.send(peer, 10, field(1, ("fixed64", epoch)) + field(2, number) +
                          field(3, stream.definitions))
                return
            needed = batch.get(2, [0])[0]
            assert needed <= stream.definitions, "a batch before its definitions"
            columns = parse(batch[5][0]) if 5 in batch else {}
            based = columns.get(1, [0])[0] == 1
            if based:
                base = columns[3][0]
                in_group = any(parse(other)[1][0] == base for other in group[2])
                assert in_group or base in stream.batches, "a base nobody has"
                stream.based += 1
            entry = (batch[4][0], unzigzag(batch[3][0]), needed, based)
            if number not in stream.batches:
                stream.order.append(number)
                stream.batches[number] = entry
                self.events.append((time.monotonic(), "batch", (epoch, number)))
            elif stream.batches[number][0] != entry[0]:
                stream.conflicts.append(number)
            else:
                stream.again += 1
        self.acknowledge(peer, epoch)

    def gap(self, peer, gap):
        epoch = gap[1][0]
        numbers = parse(gap[2][0])
        for number in range(numbers[1][0], numbers[2][0] + 1):
            self.stream(epoch).gaps.setdefault(number, gap.get(5, [b""])[0].decode())
        self.acknowledge(peer, epoch)

    def acknowledge(self, peer, epoch):
        if self.acknowledging:
            self.send(peer, 6, field(1, self.stream(epoch).state(epoch)) + field(2, self.window))

    def ping(self, peer, ping):
        now = zigzag(int(time.time() * 1000))
        self.send(peer, 9, field(1, ping.get(1, [0])[0]) + field(2, ping.get(2, [0])[0]) +
                  field(3, now) + field(4, now))
