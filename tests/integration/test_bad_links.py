#!/usr/bin/python3
"""A line that is thin, far, cut for a day, or leads somewhere else: nothing is lost or stored twice,
and the newest comes first.

The line is relay.py; the day without a collector is a spool that spool_fill has made.  What needs a
kernel's help (loss, a line that is pulled) is in long_bad_links.py and test_link_cut.py.
"""
import os
import subprocess
import time

import fengsui
import probe_collector
from fengsui import Lab, PATIENCE, Process, free_port, run_tests, wait_for
from relay import Relay

DAY_TICKS, DAY_INTERVAL_MS = 17280, 5000
THIN_BYTES_PER_SECOND = 8000  # 64 kbit/s
LIVE_SECONDS_MOST = 3.5
IS_SANITIZED = bool(os.environ.get("FENGSUI_SANITIZE"))


def fill(state, ticks, series, interval_ms):
    """What a probe has kept in so many ticks; returns the epoch."""
    state.mkdir(parents=True)
    state.chmod(0o700)
    done = subprocess.run([fengsui.BUILD / "tests/spool_fill", state / "spool", str(ticks),
                           str(series), str(interval_ms)], capture_output=True, text=True,
                          check=True)
    return int(done.stdout.split()[0])


def quiet_host(folder):
    """Flags for a host of which next to nothing is to be told."""
    tree = folder / "tree"
    tree.mkdir()
    (tree / "loadavg").write_text("0.10 0.20 0.30 1/100 1000\n")
    return ["--procfs", tree, "--sysfs", tree, "--rootfs", tree]


def processor_seconds(process):
    with open(f"/proc/{process.process.pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def status_bytes(process, key):
    with open(f"/proc/{process.process.pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith(key + ":"))


class Counting(probe_collector.Collector):
    """The counting collector, which also remembers when a batch came for the first time."""

    def __init__(self, **options):
        super().__init__(**options)
        self.came = {}  # (epoch, number): Unix seconds

    def batches(self, peer, group):
        now = time.time()
        for item in group[2]:
            self.came.setdefault((group[1][0], probe_collector.parse(item)[1][0]), now)
        super().batches(peer, group)

    def stored(self):
        return sum(len(stream.batches) for stream in self.streams.values())


def counted_probe(lab, collector, endpoint, interval):
    folder = lab.folder / "probe"
    probe = Process(lab, "fengsui-probe", [
        "--collector", endpoint, "--collector-key", collector.key, "--state", folder / "state",
        "--interval", interval, "--instance", "far-away-host", *quiet_host(folder)], folder)
    lab.processes.append(probe)
    return probe


def test_on_64_kbit_what_is_new_passes_a_long_backlog():
    with Lab() as lab:
        collector = Counting()
        epoch = fill(lab.folder / "probe/state", 6000, 20, DAY_INTERVAL_MS)
        with Relay(collector.port, bytes_per_second=THIN_BYTES_PER_SECOND) as relay:
            probe = counted_probe(lab, collector, relay.endpoint, "250ms").start()
            stream = collector.stream(epoch)
            assert collector.serve(20 * PATIENCE, lambda: any(n > 6000 for n in stream.order)), \
                probe.tail()
            begun = time.time() - 1
            collector.serve(10 * PATIENCE, lambda: sum(
                n > 6000 and b[1] / 1000 > begun for n, b in stream.batches.items()) >= 3)
            old = [n for n in stream.order if n < 6000]
            waits = {n: collector.came[epoch, n] - stream.batches[n][1] / 1000
                     for n in stream.batches if n > 6000 and stream.batches[n][1] / 1000 > begun}
            assert len(waits) >= 2, f"{len(waits)} live batches"
            assert max(waits.values()) < LIVE_SECONDS_MOST, sorted(waits.values())
            assert stream.order[0] >= 6000, stream.order[:5]
            assert 20 < len(old) < 6000 and old == list(range(1, len(old) + 1)), old[:10]
            assert stream.again == 0 and not stream.conflicts and not stream.gaps
            assert relay.connections == 1 and len(collector.hellos) == 1, "the line was given up"
            assert b"far-away-host" not in relay.seen and len(relay.seen) > 5000
            # A line on which nothing moves any more costs nothing.
            relay.is_stuck = True
            before = processor_seconds(probe)
            collector.serve(0.5)
            assert processor_seconds(probe) - before < 0.2 * PATIENCE
        probe.kill()
        collector.end()


def test_a_day_without_a_collector_is_made_good_behind_the_newest():
    with Lab() as lab:
        collector = lab.collector().start()
        fill(lab.folder / "probe/state", DAY_TICKS, 10, DAY_INTERVAL_MS)
        filled = f'filled{{n="0"}}[{DAY_TICKS * DAY_INTERVAL_MS // 1000 + 600}s]'

        def count():
            return collector.value(f"count_over_time({filled})") or 0

        with Relay(collector.ingest, delay_s=0.02, bytes_per_second=400000) as relay:
            probe = lab.probe(collector, endpoint=relay.endpoint, interval="500ms",
                              flags=quiet_host(lab.folder / "probe")).start()
            wait_for(lambda: collector.value("node_load1"), "the newest")
            assert count() < DAY_TICKS, "the backlog was there first"
            wait_for(lambda: count() > DAY_TICKS / 4, "a part of the backlog")
            relay.drop()
            wait_for(lambda: count() == DAY_TICKS, "the whole day", 40)
            wait_for(lambda: collector.value("fengsui_probe_spool_waiting_batches") < 5, "the end")
            assert relay.connections >= 2, "the cut has cut nothing"
            values = [float(v) for _, v in collector.query(filled)[0]["values"]]
            assert values == [float(i + 1) for i in range(DAY_TICKS)]
            assert all(p["gapBatches"] == 0 for p in collector.probes())
            most = collector.value("max_over_time(fengsui_probe_spool_oldest_seconds[1m])")
            day = DAY_TICKS * DAY_INTERVAL_MS / 1000
            assert day * 0.9 < most < day * 1.1, most
            assert collector.value("fengsui_probe_spool_oldest_seconds") < 60
            assert collector.value("max_over_time(fengsui_probe_spool_bytes[1m])") > 1 << 20
            assert IS_SANITIZED or status_bytes(probe, "VmHWM") < 16 << 20, probe.tail()
            probe.stop()


def test_a_collector_that_moves_is_found_by_any_of_its_addresses():
    with Lab() as lab:
        collector = Counting()
        second = free_port()
        # Nobody at the first, a name of several addresses at the others.
        endpoint = ",".join(f"tcp://{host}" for host in (
            f"127.0.0.1:{free_port()}", f"localhost:{collector.port}", f"localhost:{second}"))
        (lab.folder / "probe").mkdir()
        probe = counted_probe(lab, collector, endpoint, "100ms").start()
        assert collector.serve(20 * PATIENCE, lambda: collector.stored() > 2), probe.tail()
        collector.close()
        collector.port = second
        collector.open()
        before = collector.stored()
        assert collector.serve(30 * PATIENCE, lambda: collector.stored() > before + 2), probe.tail()
        (stream,) = collector.streams.values()
        collector.serve(5 * PATIENCE, lambda: sorted(stream.batches) == list(range(1, max(stream.batches) + 1)))
        numbers = sorted(stream.batches)
        assert numbers == list(range(1, len(numbers) + 1)) and not stream.gaps, numbers
        probe.kill()
        collector.end()


if __name__ == "__main__":
    run_tests(globals())
