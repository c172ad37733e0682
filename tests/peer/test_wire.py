#!/usr/bin/python3
"""Reads what the C encoders write, and compares with what they say they wrote.

The program that writes them is tests/wire_golden in the build folder, FENGSUI_BUILD.
"""
import os
import random
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import wire  # noqa: E402

GOLDEN = os.path.join(os.environ.get("FENGSUI_BUILD", "."), "tests", "wire_golden")


def lines_of_labels(labels):
    for label in labels:
        yield f"label.name {label['name'].hex()}"
        yield f"label.value {label['value'].hex()}"


def lines_of_plain(plain):
    yield f"tick_ms {plain.tick_ms}"
    yield f"definition_count {plain.definition_count}"
    for ref in sorted(plain.samples):
        yield f"sample {ref} {plain.samples[ref]:016x}"
    for ts_ms, samples in plain.late:
        yield f"late {ts_ms}"
        for ref in sorted(samples):
            yield f"late.sample {ref} {samples[ref]:016x}"
    for ref in plain.ended:
        yield f"ended {ref}"
    for file_id, path, lines in plain.logs:
        yield f"log {file_id}"
        yield f"log.path {path.hex()}"
        for offset, ts_ms, severity, flags, text in lines:
            yield f"line {offset} {ts_ms} {severity} {flags}"
            yield f"line.text {text.hex()}"
    for kind, ts_ms, data in plain.records:
        yield f"record {kind} {ts_ms}"
        yield f"record.data {data.hex()}"


def lines_of_state(state):
    yield (f"stream {state['epoch']} {state['low_water']} {state['definition_count']} "
           f"{int(state['renew'])}")
    for span in state["ranges"]:
        yield f"range {span['first']} {span['last']}"


def lines_of_hello(hello):
    yield f"protocol {hello['protocol']}"
    for name in ("software", "boot_id", "job", "instance", "token"):
        yield f"{name} {hello[name].hex()}"
    yield from lines_of_labels(hello["labels"])
    yield f"sent_ms {hello['sent_ms']}"
    yield f"interval_ms {hello['interval_ms']}"
    yield f"policy_version {hello['policy_version']}"
    for offer in hello["streams"]:
        yield (f"offer {offer['epoch']} {offer['first_number']} {offer['next_number']} "
               f"{offer['definition_count']}")


def lines_of_resume(resume):
    for name in ("standing", "collector_ms", "window_bytes", "accepts"):
        yield f"{name} {resume[name]}"
    for state in resume["streams"]:
        yield from lines_of_state(state)
    yield f"job {resume['job'].hex()}"
    yield f"instance {resume['instance'].hex()}"
    yield from lines_of_labels(resume["labels"])


def lines_of_definitions(definitions):
    yield f"epoch {definitions['epoch']}"
    yield f"first_ref {definitions['first_ref']}"
    for item in wire.definitions_of(definitions):
        yield f"name {item['name'].hex()}"
        yield from lines_of_labels(item["labels"])
        yield f"type {item['type']}"
        yield f"unit {item['unit'].hex()}"
        yield f"help {item['help'].hex()}"


def lines_of_batches(group):
    yield f"epoch {group['epoch']}"
    base = None
    for batch in group["items"]:
        plain = wire.batch_from_coded(batch, base)
        base = base or plain.samples
        yield f"number {batch['number']}"
        yield f"content_hash {batch['content_hash']:016x}"
        yield f"coding {batch['samples']['coding']}"
        yield from lines_of_plain(plain)


def lines_of_ack(ack):
    yield from lines_of_state(ack["stream"])
    yield f"window_bytes {ack['window_bytes']}"


LINES = {
    "hello": lines_of_hello,
    "resume": lines_of_resume,
    "definitions": lines_of_definitions,
    "definitions-packed": lines_of_definitions,
    "batches": lines_of_batches,
    "gap": lambda gap: [
        f"gap {gap['epoch']} {gap['numbers']['first']} {gap['numbers']['last']} "
        f"{gap['first_tick_ms']} {gap['last_tick_ms']}", f"reason {gap['reason'].hex()}"],
    "ack": lines_of_ack,
    "policy": lambda policy: [f"version {policy['version']}",
                              f"document {policy['document'].hex()}"],
    "ping": lambda ping: [f"ping {ping['nonce']} {ping['sent_ms']}"],
    "pong": lambda pong: [f"pong {pong['nonce']} {pong['ping_sent_ms']} {pong['received_ms']} "
                          f"{pong['sent_ms']}"],
    "need_key": lambda need: [f"need_key {need['epoch']} {need['number']} "
                              f"{need['definition_count']}"],
    "refusal": lambda refusal: [f"refusal {refusal['reason']}",
                                f"text {refusal['text'].hex()}"],
}


class WhatTheProgramsWrite(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        subprocess.run([GOLDEN, cls.folder.name], check=True)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def read(self, name):
        with open(os.path.join(self.folder.name, name), "rb") as file:
            return file.read()

    def test_every_message_reads_as_it_was_meant(self):
        for kind, lines in LINES.items():
            with self.subTest(kind):
                envelope = wire.decode("Envelope", self.read(kind + ".bin"))
                body = envelope[wire.envelope_kind(envelope)]
                self.assertEqual(wire.envelope_kind(envelope), kind.split("-")[0])
                expected = self.read(kind + ".txt").decode().split("\n")[:-1]
                self.assertEqual(list(lines(body)), expected)

    def test_every_message_is_written_the_same(self):
        for kind in LINES:
            with self.subTest(kind):
                data = self.read(kind + ".bin")
                self.assertEqual(wire.encode("Envelope", wire.decode("Envelope", data)), data)

    def test_the_plain_form_reads_and_is_written_the_same(self):
        data = self.read("plain.bin")
        plain = wire.plain_read(data)
        self.assertEqual(wire.plain_write(plain), data)
        expected = self.read("plain.txt").decode().split("\n")[:-1]
        self.assertEqual([f"hash {wire.content_hash(data):016x}", *lines_of_plain(plain)],
                         expected)

    def test_a_changed_batch_is_noticed(self):
        envelope = wire.decode("Envelope", self.read("batches.bin"))
        batch = envelope["batches"]["items"][0]
        batch["tick_ms"] += 1
        with self.assertRaises(wire.Malformed):
            wire.batch_from_coded(batch)


class WhatTheProgramsRead(unittest.TestCase):
    def columns(self, generator, count):
        refs = generator.sample(range(400), count)
        return {ref: generator.choice((
            generator.getrandbits(64), 0, 1 << 63,
            wire.bits_of(generator.randrange(-10**6, 10**6) / 100),
            wire.bits_of(float(generator.randrange(10**12))))) for ref in refs}

    def batch(self, generator, tick_ms):
        offsets = sorted(generator.sample(range(10**6), 3))
        return wire.Plain(
            tick_ms=tick_ms, definition_count=500, samples=self.columns(generator, 60),
            late=[(tick_ms - 7, self.columns(generator, 3))],
            ended=sorted(generator.sample(range(500), 4)),
            logs=[(generator.getrandbits(64), b"/var/log/\xff",
                   [(offset, tick_ms + 1, 4, 0, b"text\0") for offset in offsets])],
            records=[(2, tick_ms, wire.encode("Event", {"kind": b"k"}))])

    def test_batches_read_as_they_were_meant(self):
        generator = random.Random(6)
        for _ in range(20):
            first = self.batch(generator, 1700000000000)
            second = self.batch(generator, 1700000005000)
            group = {"epoch": 5, "items": [
                wire.batch_to_coded(first, 1),
                wire.batch_to_coded(second, 2, first.samples, 1)]}
            message = wire.encode("Envelope", {"batches": group})
            printed = subprocess.run([GOLDEN, "--read"], input=message, check=True,
                                     capture_output=True).stdout.decode()
            again = wire.decode("Envelope", message)["batches"]
            self.assertEqual(printed.split("\n")[:-1], list(lines_of_batches(again)))

    def test_packed_definitions_read_as_they_were_meant(self):
        items = [{"name": b"node_network_receive_bytes_total", "type": 1,
                  "labels": wire.labels_of({"device": f"eth{n}"})} for n in range(50)]
        message = wire.encode("Envelope", {"definitions": {
            "epoch": 5, "first_ref": 7, **wire.packed_definitions(items)}})
        self.assertLess(len(message), 400)
        printed = subprocess.run([GOLDEN, "--read"], input=message, check=True,
                                 capture_output=True).stdout.decode()
        again = wire.decode("Envelope", message)["definitions"]
        self.assertEqual(len(wire.definitions_of(again)), 50)
        self.assertEqual(printed.split("\n")[:-1], list(lines_of_definitions(again)))

    def test_rubbish_is_refused(self):
        answer = subprocess.run([GOLDEN, "--read"], input=b"\x0a\x05", check=False)
        self.assertEqual(answer.returncode, 1)


class TheExamplesOfTheDescription(unittest.TestCase):
    def test_codes(self):
        for expected, code, bits in (
                (12.5, "08", wire.bits_of(12.7)), (12.5, "0532", wire.bits_of(12.75)),
                (0.0, "0c", wire.bits_of(3.0)),
                (1.0, "2f0000000000000840", 0x7FF8000000000000)):
            reader = wire.Reader(bytes.fromhex(code))
            self.assertEqual(wire.decode_value(reader, wire.bits_of(expected)), bits)
            self.assertEqual(reader.left(), 0)

    def test_columns_survive(self):
        generator = random.Random(5)
        for _ in range(200):
            base, samples = {}, {}
            for columns in (base, samples):
                for ref in generator.sample(range(300), generator.randrange(100)):
                    columns[ref] = generator.choice((
                        generator.getrandbits(64),
                        wire.bits_of(generator.randrange(-10**6, 10**6) / 100),
                        wire.bits_of(float(generator.randrange(10**12)))))
            self.assertEqual(wire.decode_columns(
                {"base_number": 0, "compression": 0, **wire.encode_columns(samples)}), samples)
            coded = {"compression": 0, **wire.encode_columns(samples, base, 7)}
            self.assertEqual(wire.decode_columns(coded, base), samples)


class AProbe(unittest.TestCase):
    """Against a collector of three messages, played by a thread."""

    def serve(self, router, heard):
        for _ in range(3):
            if not router.poll(10000):
                return
            routing_id, data = router.recv_multipart()
            envelope = wire.decode("Envelope", data)
            kind = wire.envelope_kind(envelope)
            heard.append((kind, envelope[kind]))
            if kind == "hello":
                epoch = envelope["hello"]["streams"][0]["epoch"]
                answer = {"resume": {"standing": 2, "window_bytes": 65536,
                                     "streams": [{"epoch": epoch}]}}
            elif kind == "batches":
                answer = {"ack": {"stream": {"epoch": epoch, "low_water": 1}}}
            else:
                answer = {"ping": {"nonce": 1, "sent_ms": 5}}
            router.send_multipart([routing_id, wire.encode("Envelope", answer)])

    def test_speaks_over_curve(self):
        import zmq
        public, secret = wire.new_keys()
        context = zmq.Context()
        router = context.socket(zmq.ROUTER)
        router.linger = 0
        router.curve_server = True
        router.curve_secretkey, router.curve_publickey = secret, public
        port = router.bind_to_random_port("tcp://127.0.0.1")
        heard = []
        thread = threading.Thread(target=self.serve, args=(router, heard))
        thread.start()
        with wire.Probe(f"tcp://127.0.0.1:{port}", public, labels={"b": "2", "a": "1"}) as probe:
            self.assertEqual(probe.hello()["window_bytes"], 65536)
            self.assertEqual(probe.standing(), "approved")
            probe.define(0, [("up_time_seconds", {"k": "v"})])
            plain = probe.send(1, 1700000000000, {0: 12.5})
            self.assertFalse(probe.is_acked(1))
            self.assertTrue(probe.wait_ack(1, 10))
            self.assertFalse(probe.is_acked(2))
        thread.join()
        router.close()
        context.term()
        self.assertEqual([kind for kind, _ in heard], ["hello", "definitions", "batches"])
        self.assertEqual(wire.batch_from_coded(heard[2][1]["items"][0]), plain)


if __name__ == "__main__":
    unittest.main()
