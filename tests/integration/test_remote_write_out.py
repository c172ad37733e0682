"""Remote write out: a receiver that hangs, refuses, dies and comes back gets every sample, once.

What is committed is what the collector acknowledged; what a receiver has is what it accepted.
"""
import collections
import json
import threading
import time

from fengsui import Lab, PATIENCE, run_tests, wait_for
from remote_message import STALE, metadata, series, write
from remote_receiver import Receiver

QUEUE = ("{batch_send_deadline: 50ms, max_samples_per_send: 50, max_shards: 4, min_backoff: 10ms, "
         "max_backoff: 100ms}")


def entry(receiver, name="peer", more=""):
    # Its own metrics would be samples nobody counts.
    return (f"  - {{url: '{receiver.url()}', name: {name}, queue_config: {QUEUE}, "
            f"write_relabel_configs: [{{source_labels: [__name__], regex: 'load|more|bad', "
            f"action: keep}}]{more}}}\n")


def config(*entries):
    return "remote_write:\n" + "".join(entries)


class Load:
    """Writes samples to a collector, one request after the other; remembers the acknowledged."""

    def __init__(self, collector, name="load"):
        self.collector, self.name = collector, name
        self.step, self.committed, self.unsure = 0, [], set()
        self.base_ms = int(time.time() * 1000) - 3600_000
        self.stopping = False

    def send(self, steps=1):
        """Values tell the step; a step is 20 series."""
        rows, message = [], b""
        first = self.step
        self.step += steps
        for part in range(20):
            samples = [(float(s), self.base_ms + s * 1000) for s in range(first, first + steps)]
            labels = {"__name__": self.name, "part": f"{part:02}"}
            message += series(labels, samples)
            rows += [(tuple(sorted(labels.items())), ms, value) for value, ms in samples]
        try:
            code, text = write(self.collector, message)
        except OSError:
            self.unsure |= set(rows)  # killed in the middle: it is committed, or it is not
            return False
        assert code == 204, (code, text)
        self.committed += rows
        return True

    def run(self):
        while not self.stopping:
            if not self.send():
                time.sleep(0.05)  # nobody listens: no faster than this


def wait_for_all(receiver, load, what, seconds=30):
    wanted = set(load.committed)
    wait_for(lambda: wanted <= set(receiver.samples(load.name)), what, seconds)


def first_receipts_are_in_order(samples):
    last, seen = {}, set()
    for key, ms, value in samples:
        if (key, ms, value) not in seen:
            assert ms > last.get(key, 0), (key, ms, last[key])
            last[key] = ms
        seen.add((key, ms, value))


def metric(collector, name):
    text = collector.get("/metrics")[1].decode()
    return sum(float(line.split()[-1]) for line in text.splitlines()
               if line.startswith((f"fengsui_collector_remote_out_{name}{{",
                                   f"fengsui_collector_remote_out_{name} ")))


def test_every_sample_arrives_once_whatever_the_receiver_does():
    with Lab() as lab, Receiver() as receiver:
        collector = lab.collector(config(entry(receiver, more=", remote_timeout: 300ms"))).start()
        load = Load(collector)
        writer = threading.Thread(target=load.run)
        writer.start()
        wait_for(lambda: len(receiver.accepted) > 5, "requests")
        for mode in ("500", "hang", "429", "503"):
            with receiver.lock:
                receiver.mode, before = mode, len(receiver.requests)
                receiver.headers = {"Retry-After": "1"} if mode == "503" else {}
            wait_for(lambda b=before: len(receiver.requests) >= b + 2, f"requests answered {mode}")
            with receiver.lock:
                receiver.mode, receiver.headers, before = "ok", {}, len(receiver.accepted)
            wait_for(lambda b=before: len(receiver.accepted) > b, "requests after that")
        receiver.stop()
        wait_for(lambda: metric(collector, "failing") == 1, "it to be seen that nobody is there")
        assert "not taken" in collector.ctl("--lang", "en", "status")
        receiver.start()
        load.stopping = True
        writer.join()
        wait_for_all(receiver, load, "all that was committed")
        wait_for(lambda: metric(collector, "samples_pending") == 0, "nothing to wait")
        samples = receiver.samples("load")
        # A request that hung was not acknowledged; nothing else may come twice.  It was not
        # accepted either: the receiver counts what it answers.
        assert len(samples) == len(set(samples)) == len(load.committed), \
            (len(samples), len(set(samples)), len(load.committed))
        first_receipts_are_in_order(samples)
        assert metric(collector, "samples_sent_total") == len(samples)
        assert metric(collector, "samples_refused_total") == 0
        assert metric(collector, "samples_lost_total") == metric(collector, "commits_lost_total") == 0
        assert metric(collector, "samples_retried_total") > 0
        assert metric(collector, "samples_dropped_total") > 0  # its own, by relabelling
        # Retry-After was heeded, by all that could have gone meanwhile.
        answers = [(at, mode) for at, mode, _ in receiver.requests]
        pauses = [b[0] - a[0] for a, b in zip(answers, answers[1:]) if a[1] == "503"]
        assert max(pauses) > 0.9, pauses
        collector.stop()


def test_kill_9_repeats_at_most_what_was_under_way():
    with Lab() as lab, Receiver() as receiver:
        collector = lab.collector(config(entry(receiver))).start()
        load = Load(collector)
        writer = threading.Thread(target=load.run)
        writer.start()
        kills = []
        for _ in range(3):
            with receiver.lock:
                before = len(receiver.accepted)
            wait_for(lambda b=before: len(receiver.accepted) > b + 10, "requests")
            collector.kill()
            with receiver.lock:
                kills.append(len(receiver.accepted))
            collector.start()
        load.stopping = True
        writer.join()
        wait_for_all(receiver, load, "all that was committed before and after the kills")
        wait_for(lambda: metric(collector, "samples_pending") == 0, "nothing to wait")
        samples = receiver.samples("load")
        assert set(samples) <= set(load.committed) | load.unsure
        first_receipts_are_in_order(samples)
        # What came twice came first in one of the four requests (one window) under way at a kill,
        # which were the last then, or were read by the receiver a moment later.
        seen, again = {}, collections.Counter()
        for number, request in enumerate(receiver.accepted):
            for s in request:
                if s in seen:
                    again[seen[s]] += 1
                seen.setdefault(s, number)
        for number in again:
            assert any(kill - 4 <= number < kill + 4 for kill in kills), (number, kills, again)
        collector.stop()


def test_an_outage_outlives_restarts_and_what_is_cut_from_the_log():
    with Lab() as lab, Receiver() as receiver:
        collector = lab.collector(config(entry(receiver))).start()
        load = Load(collector)
        receiver.stop()
        # A clean stop writes all down and cuts the log: what was not sent must lie elsewhere.
        for _ in range(3):
            for _ in range(4):
                load.send(10)
            collector.stop()
            collector.start()
        spilled = list((collector.data / "remote/spill").glob("*.spill"))
        assert len(spilled) == 3, spilled
        load.send(10)
        status = collector.json("/api/fengsui/v1/status")["data"]["remoteWrite"][0]
        assert status["name"] == "peer"
        wait_for(lambda: metric(collector, "samples_pending") >= len(load.committed), "the backlog")
        collector.kill()
        collector.start()
        assert metric(collector, "backlog_bytes") > 0
        # 2,600 samples of 20 series in order are worth little disk.
        assert sum(f.stat().st_size for f in spilled) < 8 * len(load.committed)
        receiver.start()
        wait_for_all(receiver, load, "the whole outage")
        samples = receiver.samples("load")
        assert len(samples) == len(set(samples)) == len(load.committed)
        first_receipts_are_in_order(samples)
        wait_for(lambda: metric(collector, "lag_seconds") < 2, "the lag to be gone")
        collector.stop()  # the files have done their service
        collector.start()
        assert not list((collector.data / "remote/spill").glob("*.spill"))
        collector.stop()


def test_a_restored_backup_sends_on_from_where_it_was_made():
    with Lab() as lab, Receiver() as receiver:
        collector = lab.collector(config(entry(receiver))).start()
        load = Load(collector)
        load.send(5)
        wait_for_all(receiver, load, "what came before the outage")
        wait_for(lambda: metric(collector, "samples_pending") == 0, "nothing to wait")
        receiver.stop()
        load.send(10)
        collector.stop()  # cuts the log: into a file
        collector.start()
        load.send(10)  # is in the log alone
        collector.ctl("backup", lab.folder / "backup")
        assert len(list((lab.folder / "backup/remote/spill").iterdir())) == 1
        waited = list(load.committed)
        load.send(10)
        receiver.start()
        wait_for_all(receiver, load, "all of it, sent after the backup")
        collector.kill()
        with receiver.lock:
            receiver.accepted.clear()
        restored = lab.folder / "restored"
        told = collector.ctl("--lang", "en", "restore", lab.folder / "backup", restored)
        assert "1 files hold what remote write had yet to send" in told, told
        collector.arguments[collector.arguments.index(collector.data)] = restored
        collector.start()
        # Once more what was sent since, nothing of what was acknowledged before; and it goes on.
        wait_for(lambda: len(receiver.samples("load")) >= 400, "what waited")
        load.send(1)
        wait_for(lambda: set(load.committed[-20:]) <= set(receiver.samples("load")), "what is new")
        samples = receiver.samples("load")
        assert len(samples) == len(set(samples)) == 420, (len(samples), len(set(samples)))
        assert set(samples) == set(waited[100:]) | set(load.committed[-20:])
        assert metric(collector, "samples_lost_total") == metric(collector, "commits_lost_total") == 0
        collector.stop()


def test_what_is_refused_for_good_is_set_aside_and_the_rest_goes_on():
    with Lab() as lab, Receiver() as receiver:
        receiver.mode = lambda samples: \
            "400" if any(("__name__", "bad") in s[0] for s in samples) else "ok"
        receiver.reason = "out of order sample"
        collector = lab.collector(config(entry(receiver))).start()
        now = int(time.time() * 1000)
        assert write(collector, series({"__name__": "bad", "a": "1"}, [(0.1, now - 1000),
                                                                       (STALE, now)]))[0] == 204
        wait_for(lambda: metric(collector, "samples_refused_total") == 2, "a refusal")
        load = Load(collector)
        load.send()
        wait_for_all(receiver, load, "what is not refused")
        assert len(receiver.samples("bad")) == 0
        files = list((collector.data / "remote/peer/refused").iterdir())
        assert len(files) == 1, files
        assert files[0].read_text().splitlines() == [
            "# HTTP status 400: out of order sample", "# 2 samples",
            f'bad{{a="1"}} 0.10000000000000001 {now - 1000}', f'bad{{a="1"}} NaN {now}']
        status = collector.json("/api/fengsui/v1/status")["data"]["remoteWrite"][0]
        assert status["refused"] == 2 and "out of order" in status["refusal"], status
        assert "2 refused" in collector.ctl("--lang", "en", "status")
        collector.stop()


def test_a_request_that_is_too_large_goes_in_halves():
    with Lab() as lab, Receiver() as receiver:
        left = 3

        def answer(samples):
            nonlocal left
            if len(samples) > 7 or any(("__name__", "bad") in s[0] for s in samples):
                return "413"
            left -= 1
            return "ok" if left >= 0 else "500"
        receiver.mode = answer
        collector = lab.collector(config(entry(receiver))).start()
        load = Load(collector)
        load.send(10)
        now = int(time.time() * 1000)
        assert write(collector, series({"__name__": "bad"}, [(1.0, now)]))[0] == 204
        wait_for(lambda: left < -2, "three parts to be taken")
        assert metric(collector, "requests_split_total") > 0
        collector.stop()  # in the middle of shards
        with receiver.lock:
            left = 10 ** 9
        collector.start()
        wait_for_all(receiver, load, "all of it, in parts")
        wait_for(lambda: metric(collector, "samples_pending") == 0, "nothing to wait")
        samples = receiver.samples("load")
        assert len(samples) == len(set(samples)) == len(load.committed), \
            (len(samples), len(set(samples)), len(load.committed))
        first_receipts_are_in_order(samples)
        # One that is too large by itself is set aside, and nothing else with it.
        files = list((collector.data / "remote/peer/refused").iterdir())
        assert [f.read_text().splitlines() for f in files] == [
            ["# HTTP status 413: no", "# 1 samples", f"bad 1 {now}"]], files
        collector.stop()


def test_a_reload_adds_changes_and_forgets_receivers():
    with Lab() as lab, Receiver() as first, Receiver() as second:
        collector = lab.collector(config(entry(first, "first"))).start()
        path = collector.folder / "collector.yml"
        load = Load(collector)
        load.send()
        wait_for_all(first, load, "the first samples")

        def reload(text):
            path.write_text(text)
            return collector.request("POST", "/-/reload")

        assert reload(config(entry(first, "first"), entry(second, "second")))[0] == 200
        before = len(load.committed)
        load.send()
        wait_for_all(first, load, "more samples")
        wait_for(lambda: len(second.samples("load")) == len(load.committed) - before,
                 "those committed since it is a receiver")
        # Refused as a whole, and both go on.
        for bad, why in (("  - {url: 'http://x/', queue_config: {max_shard: 3}}\n", "max_shards"),
                         ("  - {url: 'ftp://x/'}\n", "http"),
                         ("  - {url: 'http://x/', headers: {User-Agent: x}}\n", "User-Agent"),
                         ("  - {url: 'http://x/', write_relabel_configs: [{regex: '(', action: labeldrop}]}\n", "regex"),
                         (entry(first, "second"), "two have the name")):
            code, text = reload(config(entry(first, "second"), bad))
            assert code >= 400 and why in text.decode(), (code, text)
        # Changed by name: it goes on where it was.  Gone: forgotten, and anew if it comes back.
        assert reload(config(entry(first, "first", ", protobuf_message: "
                                   "io.prometheus.write.v2.Request")))[0] == 200
        load.send()
        wait_for_all(first, load, "samples after a change")
        assert reload(config(entry(first, "first"), entry(second, "second")))[0] == 200
        mark = len(second.samples("load"))
        step = load.step
        load.send()
        wait_for_all(first, load, "samples after that")
        wait_for(lambda: len(second.samples("load")) > mark, "samples at the one that came back")
        assert min(s[2] for s in second.samples("load")[mark:]) == step
        for receiver in (first, second):
            samples = receiver.samples("load")
            assert len(samples) == len(set(samples))
        # What is in force is shown, without what nobody is to read.
        assert reload(config(entry(first, "first", ", headers: {X-Key: hidden-1}, basic_auth: "
                                   "{username: seen-1, password: hidden-2}"),
                             "  - {url: 'http://a:hidden-3@127.0.0.1:9/', name: third}\n"))[0] == 200
        shown = json.dumps(collector.json("/api/v1/status/config"))
        assert "remote_write" in shown and "seen-1" in shown and "third" in shown, shown
        assert "hidden" not in shown and shown.count("<secret>") == 3, shown
        collector.stop()


def test_version_two_metadata_and_its_fall_back():
    with Lab() as lab, Receiver() as modern, Receiver() as old:
        old.speaks_v2 = False
        v2 = ", protobuf_message: io.prometheus.write.v2.Request, metadata_config: {send_interval: 100ms}"
        collector = lab.collector(config(entry(modern, "modern", v2), entry(old, "old", v2))).start()
        assert write(collector, metadata("load", 2, "how much"))[0] == 204
        load = Load(collector)
        load.send(3)
        for receiver in (modern, old):
            wait_for_all(receiver, load, "samples")
            samples = receiver.samples("load")
            assert len(samples) == len(set(samples))
        load.send()
        wait_for(lambda: modern.metadata.get("load") == (2, "how much") or load.send(), "2.0's")
        wait_for(lambda: old.metadata.get("load") == (2, "how much"), "1.0's metadata")
        assert any("io.prometheus" in h["Content-Type"] for _, _, h in modern.requests)
        assert not [m for _, m, _ in modern.requests if m != "ok"]
        assert "415" in [m for _, m, _ in old.requests]
        collector.stop()


def test_a_slow_receiver_costs_no_acknowledgement():
    with Lab() as lab, Receiver() as receiver:
        receiver.mode = "hang"
        collector = lab.collector(config(entry(receiver))).start()
        load = Load(collector)
        load.send()
        wait_for(lambda: receiver.requests, "a request that hangs")
        started = time.monotonic()
        for _ in range(50):
            load.send()
        assert time.monotonic() - started < 10 * PATIENCE
        receiver.mode = "ok"
        receiver.stop()
        receiver.start()
        wait_for_all(receiver, load, "all of it")
        collector.stop()


if __name__ == "__main__":
    run_tests(globals())
