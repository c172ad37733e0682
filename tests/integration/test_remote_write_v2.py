"""Remote write 2.0 in, by the letter of its specification, at a real collector."""
import time

import remote_message
from fengsui import Lab, run_tests
from remote_message import STALE
from remote_message_v2 import COUNTER, HISTOGRAM, Message, TYPE, write, written


def test_samples_metadata_and_the_headers_that_say_so():
    with Lab() as lab:
        collector = lab.collector().start()
        now = int(time.time() * 1000)
        message = Message()
        message.series({"__name__": "requests_total", "instance": "a"},
                       [(1, now - 2000), (2, now - 1000)], metadata=(COUNTER, "how many", "1"),
                       created=now - 5000, exemplars=[({"trace_id": "x"}, 1.5)])
        message.series({"__name__": "wait_bucket", "le": "1"}, [(3, now - 1000)],
                       metadata=(HISTOGRAM, "how long", "s"))
        code, text, headers = write(collector, message)
        assert (code, text, written(headers)) == (204, "", (3, 0, 0)), (code, text, headers)
        at = now / 1000
        assert collector.value("requests_total", at) == 2
        assert collector.value("count_over_time(requests_total[10s])", at) == 2
        known = collector.json("/api/v1/metadata")["data"]
        assert known["requests_total"] == [{"type": "counter", "help": "how many", "unit": "1"}]
        assert known["wait_bucket"][0]["type"] == "histogram", known
        # The same series by 1.0: one series, whoever sends it.
        assert remote_message.write(collector, remote_message.series(
            {"__name__": "requests_total", "instance": "a"}, [(5, now)]))[0] == 204
        assert collector.value("requests_total", at) == 5
        # A marker of staleness goes through bit for bit.
        message = Message().series({"__name__": "requests_total", "instance": "a"},
                                   [(STALE, now + 1)])
        assert write(collector, message)[0] == 204
        assert collector.value("requests_total", at + 1) is None
        metrics = collector.get("/metrics")[1].decode()
        assert "fengsui_collector_remote_write_requests_v2_total 2" in metrics
        assert "fengsui_collector_remote_write_exemplars_ignored_total 1" in metrics
        collector.stop()


def test_what_is_written_in_part_and_not_at_all():
    with Lab() as lab:
        collector = lab.collector().start()
        now = int(time.time() * 1000)
        message = Message()
        message.series({"__name__": "good"}, [(1, now)])
        message.series({"__name__": "native"}, histograms=2)
        message.series({"instance": "nameless"}, [(1, now)])
        message.series({"__name__": "long", "v": "x" * 5000}, [(1, now)])
        code, text, headers = write(collector, message)
        assert code == 400 and written(headers) == (1, 0, 0), (code, headers)
        assert "1 samples stored, 4 refused (labels: 2, histogram: 2)" in text, text
        assert collector.value("good") == 1
        # What is no message at all writes nothing.
        for bad in (b"\x22", b"\x2a\x02\x08\x07", Message().series({"__name__": "x"}).bytes()[2:]):
            code, text, headers = write(collector, bad)
            assert code == 400 and written(headers) == (0, 0, 0), (bad, code, text)
        # A message of 1.0 is none of 2.0: it is empty, and nothing is written.
        code, text, headers = write(collector, remote_message.series({"__name__": "y"}, [(1, now)]))
        assert (code, written(headers)) == (204, (0, 0, 0)), (code, text)
        assert collector.value("y") is None
        for content_type, encoding in ((TYPE + "X", "snappy"), (TYPE, "zstd"),
                                       ("application/json", "snappy"),
                                       ("application/x-protobuf;proto=x", "snappy")):
            assert write(collector, Message(), content_type, encoding)[0] == 415, content_type
        quoted = 'application/x-protobuf; proto="io.prometheus.write.v2.Request"'
        assert write(collector, Message().series({"__name__": "q"}, [(1, now)]), quoted)[0] == 204
        assert collector.value("q") == 1
        collector.stop()


if __name__ == "__main__":
    run_tests(globals())
