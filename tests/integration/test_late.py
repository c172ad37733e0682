"""Samples that come late, in random order and more than once, while the collector is killed.

They go by remote write to any time of ten days: what is live, what is in history, what has been
merged.  A query finds of each time the last write that was acknowledged.
"""
import random
import threading
import time

from fengsui import Lab, run_tests, wait_for
from remote_message import series, write

SERIES = 6
DAYS = 10
LIVES = 3
REQUESTS = 25  # acknowledged in a life, before it is ended


class Writer(threading.Thread):
    """Writes until it is told to end; knows what each time may hold."""

    def __init__(self, collector, seed):
        super().__init__(daemon=True)
        self.collector, self.random = collector, random.Random(seed)
        self.now_ms = int(time.time()) // 300 * 300_000
        self.may, self.acknowledged, self.go = {}, 0, True

    def request(self):
        """Mostly of the last hours; values are few, so that many writes say the same again."""
        rows = {}
        for _ in range(150):
            back = self.random.choice((3600_000 * self.random.randrange(DAYS * 24),
                                       300_000 * self.random.randrange(36)))
            key = (self.random.randrange(SERIES), self.now_ms - back)
            rows.setdefault(key[0], []).append((float(self.random.randrange(5)), key[1]))
        return rows

    def run(self):
        while self.go:
            rows = self.request()
            message = b"".join(series({"__name__": "late", "n": str(n)}, samples)
                               for n, samples in rows.items())
            last = {(n, ms): value for n, samples in rows.items() for value, ms in samples}
            try:
                code, text = write(self.collector, message)
            except OSError:
                # Killed in the middle: all of it is there, or nothing.
                for key, value in last.items():
                    self.may[key] = self.may.get(key, {None}) | {value}
                time.sleep(0.05)
                continue
            assert code == 204, (code, text)
            self.may.update({key: {value} for key, value in last.items()})
            self.acknowledged += 1

    def end(self):
        self.go = False
        self.join()


def check(collector, may, now_ms):
    rows = collector.query(f"late[{DAYS + 1}d]", now_ms / 1000)
    found = {(int(row["metric"]["n"]), round(at * 1000)): float(value)
             for row in rows for at, value in row["values"]}
    wrong = {key: (found.get(key), values) for key, values in may.items()
             if found.get(key) not in values}
    assert not wrong, f"{len(wrong)} of {len(may)}: {list(wrong.items())[:5]}"
    assert found.keys() <= may.keys()
    assert sum(len(row["values"]) for row in rows) == len(found), "a time came twice"


def test_the_last_write_of_each_time_is_found_whatever_was_killed_meanwhile():
    seed = int(time.time())
    print(f"seed {seed}", flush=True)
    with Lab() as lab:
        collector = lab.collector("retention: {raw: 90d}\n").start()
        may = {}
        for life in range(LIVES):
            writer = Writer(collector, seed + life)
            writer.may = may
            writer.start()
            wait_for(lambda w=writer: w.acknowledged >= REQUESTS, "requests")
            # Into files, and days' files, in the middle of it.
            assert collector.request("POST", "/api/fengsui/v1/store/settle")[0] == 200
            before = writer.acknowledged
            wait_for(lambda w=writer, b=before: w.acknowledged >= b + 5, "requests after that")
            collector.kill()
            writer.end()
            collector.start()
            check(collector, may, writer.now_ms)
        assert collector.request("POST", "/api/fengsui/v1/store/settle")[0] == 200
        check(collector, may, writer.now_ms)
        collector.stop()


if __name__ == "__main__":
    run_tests(globals())
