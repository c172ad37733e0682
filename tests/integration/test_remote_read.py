"""Remote read: what is stored goes out bit for bit, both ways that the protocol knows."""
import math
import random
import struct
import time

import snappy

from fengsui import Lab, run_tests
from remote_message import STALE, series, write
from remote_reader import (EQ, NEQ, NRE, RE, SAMPLES, XOR_CHUNKS, accepts, ask, query, read_chunks,
                           read_samples)

ODD = [0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan, STALE, 5e-324, 1.7976931348623157e308,
       0.1, 1e15 + 0.5]


def bits(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def wild(chance, start_ms, count):
    """Samples whose times and values need every branch of the encoding."""
    now, value, out = start_ms, 100.0, []
    for _ in range(count):
        now += chance.choice((1000, 1000, 1000, 1001, 999, 9192, 9193, 66536, 66537, 525288, 525289,
                              3, 10 ** 7, 1))
        value = chance.choice((value, value + 1, value * 1.0001, chance.choice(ODD),
                               chance.uniform(-1e9, 1e9)))
        out.append((value, now))
    return out


def test_both_ways_give_what_was_written():
    with Lab() as lab:
        collector = lab.collector("retention: {raw: forever}\n").start()
        chance, start = random.Random(11), 1_700_000_000_000
        stored = {}
        for n, count in enumerate((1, 2, 3, 120, 121, 1500)):
            labels = {"__name__": "m", "n": str(n), "Upper": "a" if n % 2 else "", "字": "值\n\"\\"}
            samples = wild(chance, start, count)
            assert write(collector, series(labels, samples))[0] == 204
            stored[tuple(sorted((k, v) for k, v in labels.items() if v))] = [
                (t, bits(v)) for v, t in samples]
        assert write(collector, series({"__name__": "other"}, [(1.0, start)]))[0] == 204
        everything = (0, start * 2)

        def both(*queries):
            code, body = ask(collector, b"".join(queries) + accepts(SAMPLES))
            assert code == 200, body
            samples = read_samples(body)
            for packed in (True, False):
                code, body = ask(collector, b"".join(queries)
                                 + accepts(7, XOR_CHUNKS, SAMPLES, packed=packed))
                assert code == 200, body
                assert read_chunks(body, len(queries)) == samples
            return samples
        for settled in (False, True):
            found, = both(query(*everything, (EQ, "__name__", "m")))
            assert {tuple(labels): samples for labels, samples in found} == stored, settled
            assert [labels for labels, _ in found] == sorted(labels for labels, _ in found)
            # A closed interval; both ends are in it.
            line = next(samples for labels, samples in stored.items() if ("n", "3") in labels)
            (_, got), = both(query(line[40][0], line[50][0], (EQ, "n", "3")))[0]
            assert got == line[40:51]
            assert both(query(line[40][0], line[40][0], (EQ, "n", "3")))[0][0][1] == line[40:41]
            # Of one selector among others of a question the hints say what it wants.
            for hinted, wanted in (((line[42][0], line[44][0]), line[42:45]),
                                   ((0, line[42][0]), line[40:43]),
                                   ((line[49][0], 2 * line[50][0]), line[49:51])):
                (_, got), = both(query(line[40][0], line[50][0], (EQ, "n", "3"), hinted=hinted))[0]
                assert got == wanted, hinted
            assert both(query(line[40][0], line[50][0], (EQ, "n", "3"),
                              hinted=(line[42][0], line[41][0]))) == [[]]
            # Several queries at once, each with its own answer; none, empty, backwards.
            results = both(query(*everything, (RE, "n", "1|2"), (NEQ, "n", "2")),
                           query(*everything, (EQ, "__name__", "nothing")),
                           query(*everything, (NRE, "n", ".+"), (EQ, "__name__", "other")),
                           query(5, 1, (EQ, "__name__", "m")))
            assert [len(result) for result in results] == [1, 0, 1, 0], results
            assert both() == []
            assert collector.request("POST", "/api/v1/remote/nothing")[0] == 404
            if not settled:
                assert collector.request("POST", "/api/fengsui/v1/store/settle")[0] == 200
        # Without matchers it is all, our own metrics among them.
        names = {dict(labels)["__name__"] for labels, _ in both(query(start, start * 2))[0]}
        assert {"m"} < names, names
        # A client that names no type gets samples; one that takes gzip is not given it twice.
        code, body = ask(collector, query(*everything, (EQ, "n", "5")), {"Accept-Encoding": "gzip"})
        assert code == 200 and len(read_samples(body)[0][0][1]) == 1500
        collector.stop()


def test_large_answers_come_in_frames():
    with Lab() as lab:
        collector = lab.collector("promql: {max_samples: 50000}\nretention: {raw: forever}\n").start()
        chance, start = random.Random(3), 1_700_000_000_000
        values = [(chance.uniform(0, 1), start + k * 1000) for k in range(150000)]
        for first in range(0, len(values), 50000):
            assert write(collector, series({"__name__": "m"}, values[first:first + 50000]))[0] == 204
        wanted = query(0, start * 2, (EQ, "__name__", "m"))
        # More than a query may load: refused at once, streamed none the less.
        code, body = ask(collector, wanted)
        assert code == 400 and body.startswith(b"exceeded sample limit (50000)"), (code, body[:200])
        code, body = ask(collector, wanted + accepts(XOR_CHUNKS))
        assert code == 200 and len(body) > 1 << 20, (code, len(body))
        (labels, samples), = read_chunks(body, 1)[0]
        assert labels == [("__name__", "m")] and samples == [(t, bits(v)) for v, t in values]
        collector.stop()


def test_what_cannot_be_read_is_refused_and_harms_nothing():
    with Lab() as lab:
        collector = lab.collector().start()
        now = int(time.time() * 1000)
        assert write(collector, series({"__name__": "m"}, [(1.0, now)]))[0] == 204
        good = query(0, now, (EQ, "__name__", "m"), (RE, "n", "a*")) + accepts(SAMPLES)
        assert ask(collector, good)[0] == 200
        for message, refusal, text in (
                # As in Prometheus, 500 though it is the asker's.
                (query(0, now, (RE, "a", "(")), 500, b"error parsing regexp: missing closing"),
                (query(0, now, (9, "a", "b")), 500, b"invalid matcher type\n"),
                # Two bytes each on the wire, kilobytes in memory.
                (query(0, now, *[(EQ, "", "")] * 600) * 2, 400, b"more than 1000 matchers"),
                (accepts(5, 6), 400,
                 b"server does not support any of the requested response types: [5 6]; "
                 b"supported: map[SAMPLES:{} STREAMED_XOR_CHUNKS:{}]\n"),
                (b"\xff", 400, b"no remote read request")):
            code, body = ask(collector, message)
            assert code == refusal and text in body, (message, code, body)
        assert collector.request("POST", "/api/v1/read", b"\xff\xff\xff\xff\x0f")[0] == 400
        for body in (b"", b"abc", b"\xff" * 20, snappy.compress(good)[:-3]):
            code, answer = collector.request("POST", "/api/v1/read", body)
            assert code == 400 and answer == b"snappy: corrupt input\n", (body, answer)
        assert collector.request("POST", "/api/v1/read", snappy.compress(b"\0" * (5 << 20)))[0] == 400
        assert collector.get("/api/v1/read")[0] == 405
        chance = random.Random(20231115)
        for _ in range(400):
            bad = bytearray(good)
            for _ in range(chance.randint(1, 4)):
                at = chance.randrange(len(bad))
                if chance.random() < 0.5:
                    bad[at] = chance.randrange(256)
                else:
                    del bad[at:at + chance.randint(1, 5)]
                if not bad:
                    break
            code, _ = ask(collector, bytes(bad))
            assert code in (200, 400, 500), (bytes(bad), code)
        assert collector.value("m") == 1
        collector.stop()


if __name__ == "__main__":
    run_tests(globals())
