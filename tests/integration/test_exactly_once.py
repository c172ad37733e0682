#!/usr/bin/python3
"""Every tick and every log line is stored exactly once, whatever is killed.

What can go wrong, each a case here:
  - the probe dies between reading a tick and keeping it, keeping and sending, sending and Ack;
  - the collector dies between commit and Ack, or with a checkpoint half done;
  - a tailed file is rotated by rename while either is dead;
  - the probe's state folder comes back from an older copy: numbers would be used twice.

Seconds of killing: FENGSUI_KILL_SECONDS (20; the long test takes 120).
"""
import collections
import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import threading
import time

from fengsui import Lab, kept_late, kept_ticks, run_tests, wait_for

KILL_SECONDS = float(os.environ.get("FENGSUI_KILL_SECONDS", "20"))


class Writer(threading.Thread):
    """Appends numbered lines to a file and rotates it by rename, as logrotate does."""

    def __init__(self, path, rotations, seconds):
        super().__init__(daemon=True)
        self.path, self.count, self.go = path, 0, True
        self.turns = [time.monotonic() + seconds * (i + 1) / (rotations + 1)
                      for i in range(rotations)]

    def run(self):
        rotation = 0
        file = open(self.path, "a", encoding="utf-8")
        while self.go:
            self.count += 1
            file.write(f"line {self.count:08d} of the test\n")
            file.flush()
            if self.turns and time.monotonic() > self.turns[0]:
                self.turns.pop(0)
                rotation += 1
                os.rename(self.path, f"{self.path}.{rotation}")
                file.close()
                file = open(self.path, "a", encoding="utf-8")
            time.sleep(0.005)  # the rate of the load, not synchronisation
        file.close()


def streams(collector):
    return [stream for probe in collector.probes() for stream in probe["streams"]]


def settled(collector):
    """All batches of all streams are stored, without holes, and nothing more is coming."""
    found = streams(collector)
    return found and all(not s["ranges"] for s in found) and found


def stored_lines(collector, pattern, since):
    """Every stored line, in the order the collector gives, in windows that stay below its limit."""
    lines, at = [], since
    while at < time.time() + 10:
        answer = collector.json("/api/fengsui/v1/logs", path=pattern, limit=10000, start=f"{at:.3f}",
                                end=f"{at + 5 - 0.001:.3f}", direction="forward")
        lines += answer["data"]["lines"]
        at += 5
    keys = [(line["file"], line["offset"]) for line in lines]
    assert len(keys) == len(set(keys)), "a line is stored twice"
    return lines


@contextlib.contextmanager
def paused(collector, probe):
    """Nothing is added while we count, and what was under way has landed; yields the streams."""
    probe.signal(signal.SIGSTOP)  # the connection stays, and so does the session
    try:
        yield wait_for(lambda: quiet(collector), "what is under way to land")
    finally:
        probe.signal(signal.SIGCONT)


def check_ticks(collector, probe):
    """Every tick that was kept is stored, with every one of its samples; and every number."""
    with paused(collector, probe) as found:
        batches = sum(s["lowWater"] for s in found)
        gaps = sum(p["gapBatches"] for p in collector.probes())
        assert gaps == 0, f"{gaps} batches were reported lost"
        kept = check_samples(collector, probe)
        assert kept <= batches <= kept + 1, f"{kept} ticks kept, {batches} batches stored"
    return batches


def check_samples(collector, probe):
    """Every sample of every tick that the probe has kept is stored, once.  Returns the ticks."""
    stored = collections.Counter()
    for series in collector.query('{job="node",__name__!="up"}[1h]'):
        times = [round(t * 1000) for t, _ in series["values"]]
        assert times == sorted(set(times)), f"{series['metric']}: a time twice"
        stored.update(times)
    kept, late = 0, kept_late(probe)
    for life in kept_ticks(probe):
        for index, (tick, samples) in enumerate(life.items()):
            is_last = index == len(life) - 1
            if is_last and samples > 0 and stored[tick] == 0:
                continue  # the process died, or was stopped, before it was kept
            assert samples <= stored[tick] <= samples + late[tick], \
                f"tick {tick}: {stored[tick]} of {samples} samples are stored"
            kept += 1
    return kept


def quiet(collector):
    """The streams, if two looks in a row see the same and nothing is missing."""
    first = settled(collector)
    time.sleep(0.1)  # two looks that are not the same look; the loop around it is the wait
    return first and first == settled(collector) and first


def kill_for(seconds, processes, rng):
    end = time.monotonic() + seconds
    kills = 0
    while time.monotonic() < end:
        time.sleep(rng.uniform(0.2, 0.8))  # when the blow falls is what is random here
        victim = rng.choice(processes)
        victim.kill()
        if rng.random() < 0.3:
            time.sleep(rng.uniform(0, 0.5))
        if victim.name == "fengsui-collector":
            victim.start(ready=False)
        else:
            victim.start()
        kills += 1
    return kills


def test_nothing_is_lost_or_doubled_under_kill_9():
    rng = random.Random(20)
    with Lab() as lab:
        collector = lab.collector().start()
        log = lab.folder / "app.log"
        probe = lab.probe(collector, interval="100ms",
                          flags=["--log", log, "--log-level", "debug"])
        started = int(time.time()) - 1
        writer = Writer(str(log), 2, KILL_SECONDS)
        writer.start()
        probe.start()
        wait_for(lambda: collector.value("node_load1") is not None, "the first sample")
        kills = kill_for(KILL_SECONDS, [collector, probe], rng)
        writer.go = False
        writer.join()
        collector.wait_ready()
        wait_for(lambda: len(stored_lines(collector, f"{log}*", started)) >= writer.count,
                 f"all {writer.count} lines", 60)
        wait_for(lambda: settled(collector), "the backlog to drain", 60)
        batches = check_ticks(collector, probe)
        lines = stored_lines(collector, f"{log}*", started)
        texts = [line["text"] for line in sorted(lines, key=lambda l: l["text"])]
        expected = [f"line {n:08d} of the test" for n in range(1, writer.count + 1)]
        assert texts == expected, f"{len(texts)} lines of {writer.count}"
        by_file = {}
        for line in lines:
            by_file.setdefault(line["file"], []).append((line["offset"], line["text"]))
        assert len(by_file) == 3, f"{len(by_file)} file generations for 3 files"
        for rows in by_file.values():
            assert rows == sorted(rows), "file order is broken"
            ordered = [text for _, text in rows]
            assert ordered == sorted(ordered)
        print(f"     {kills} kills, {batches} ticks, {len(lines)} lines")


def test_a_restored_state_folder_starts_a_new_epoch_alerts_and_loses_nothing():
    rules = pathlib.Path(__file__).resolve().parents[2] / "deploy/rules/fengsui.yml"
    with Lab() as lab:
        collector = lab.collector(f"rules: {{files: [{rules}]}}\n").start()
        probe = lab.probe(collector, interval="100ms", flags=["--log-level", "debug"]).start()
        count = lambda: collector.value("count_over_time(node_load1[1h])") or 0
        wait_for(lambda: count() > 10, "ticks")
        probe.stop()
        copy = lab.folder / "copy"
        shutil.copytree(probe.state, copy)
        probe.start()
        before = count()
        wait_for(lambda: count() > before + 20, "ticks")
        epochs = {s["epoch"] for s in streams(collector)}
        probe.stop()
        shutil.rmtree(probe.state)
        shutil.copytree(copy, probe.state)
        stored = count()
        probe.start()
        wait_for(lambda: count() > stored + 20, "ticks of the new epoch")
        fresh = {s["epoch"] for s in streams(collector)} - epochs
        assert fresh, "no new epoch"
        assert sum(p["conflicts"] for p in collector.probes()) >= 1, json.dumps(collector.probes())
        wait_for(lambda: [a for a in collector.json("/api/v1/alerts")["data"]["alerts"]
                          if a["labels"]["alertname"] == "ProbeStateRestored"
                          and a["state"] == "firing"], "the alert", 45)
        with paused(collector, probe):
            check_samples(collector, probe)


if __name__ == "__main__":
    run_tests(globals())
