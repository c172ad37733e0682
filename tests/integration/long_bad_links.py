#!/usr/bin/python3
"""Lines as bad as they come, for minutes: a fifth of all packets lost, half a second each way, 64 kbit/s.

Two network namespaces and a veth pair, as in test_link_cut.py; nftables loses packets, tbf makes the line
thin, relay.py makes it far (this is what a kernel without netem offers).  Needs root.  Nothing may be lost
or stored twice, what is new comes first, and the probe's memory and files stay as they are.
Seconds of each line: FENGSUI_LINK_SECONDS (60).
"""
import os
import shutil
import subprocess
import sys
import time

from fengsui import Lab, PATIENCE, SKIPPED, kept_ticks, run_tests, wait_for
from relay import Relay
from test_bad_links import Counting, counted_probe, fill, status_bytes
from test_link_cut import Link, all_times, api, in_namespace, samples

SECONDS = float(os.environ.get("FENGSUI_LINK_SECONDS", "60"))
LOSE = """table inet bad {
  chain in {
    type filter hook input priority 0;
    tcp dport 9471 numgen random mod 100 < 20 drop
    tcp sport 9471 numgen random mod 100 < 20 drop
  }
}
"""


def lose_a_fifth(space):
    subprocess.run(["ip", "netns", "exec", space, "nft", "-f", "-"], input=LOSE, text=True, check=True)


def open_files(process):
    return len(os.listdir(f"/proc/{process.process.pid}/fd"))


def ticks_are_stored(link, collector, probe):
    """Every tick that the probe kept is stored, but for the last few under way."""
    kept = [tick for life in kept_ticks(probe) for tick, count in life.items() if count]
    return len(kept) > 20 and set(kept[:-10]) <= {round(t * 1000) for t in
                                                 all_times(link, collector)} and kept


def run_line(spoil, waits_most, interval="500ms"):
    """A line spoilt while data flow, for so long, then healed."""
    with Lab() as lab, Link() as link:
        collector = lab.collector(flags=["--ingest", "tcp://10.77.0.1:9471"])
        in_namespace(collector, link.near)
        wait_for(lambda: api(link, collector, "/-/ready"), "the collector")
        probe = lab.probe(collector, interval=interval, endpoint="tcp://10.77.0.1:9471",
                          flags=["--log-level", "debug"])
        in_namespace(probe, link.far)
        wait_for(lambda: len(samples(link, collector)) > 3, "samples")
        memory, files = status_bytes(probe, "VmRSS"), None
        spoil(link)
        begun, waits = time.time(), []
        while time.time() - begun < SECONDS:
            time.sleep(1)  # how far behind the newest is, once a second
            newest = samples(link, collector)
            waits.append(time.time() - newest[-1])
            if files is None and time.time() - begun > SECONDS / 2:
                files = open_files(probe)
        waits.sort()
        print(f"     behind: median {waits[len(waits) // 2]:.1f} s, most {waits[-1]:.1f} s; "
              f"memory {memory >> 10} to {status_bytes(probe, 'VmRSS') >> 10} KiB", flush=True)
        assert waits[len(waits) // 2] < waits_most, waits
        assert status_bytes(probe, "VmRSS") < memory + (8 << 20), "memory grows with the backlog"
        assert open_files(probe) <= files + 4, f"{files} open files became {open_files(probe)}"
        for space in (link.near, link.far):
            subprocess.run(["ip", "netns", "exec", space, "nft", "flush", "ruleset"], check=False)
            subprocess.run(["tc", "-n", space, "qdisc", "del", "dev", link.near_if if space ==
                            link.near else link.far_if, "root"], check=False, capture_output=True)
        wait_for(lambda: ticks_are_stored(link, collector, probe), "the backlog without a hole", 120)


def test_a_fifth_of_all_packets_lost():
    run_line(lambda link: lose_a_fifth(link.far), 10)


def test_64_kbit():
    def spoil(link):
        for space, name in ((link.near, link.near_if), (link.far, link.far_if)):
            ip_tc = ["tc", "-n", space, "qdisc", "add", "dev", name, "root", "tbf", "rate", "64kbit",
                     "burst", "4kb", "latency", "1s"]
            subprocess.run(ip_tc, check=True)
    run_line(spoil, 8, interval="2s")


def test_half_a_second_each_way_with_a_day_to_make_good():
    with Lab() as lab:
        collector = lab.collector().start()
        fill(lab.folder / "probe/state", 17280, 200, 5000)
        with Relay(collector.ingest, delay_s=0.5) as relay:
            probe = lab.probe(collector, endpoint=relay.endpoint, interval="1s").start()
            wait_for(lambda: collector.value("node_load1"), "the newest", 30)
            wait_for(lambda: collector.value('count_over_time(filled{n="0"}[25h])') == 17280,
                     "the day", SECONDS * 5, every=1)
            waits = []
            for _ in range(10):
                time.sleep(1)  # one look a tick
                waits.append(time.time() - collector.query("node_load1[1m]")[0]["values"][-1][0])
            assert sorted(waits)[5] < 4, waits
            assert all(p["gapBatches"] == 0 for p in collector.probes())
            assert relay.connections <= 3, relay.connections
            probe.stop()


def test_who_has_the_key_and_says_nothing_is_left_for_the_next():
    with Lab() as lab:
        mute = Counting()
        collector = Counting(keys=(mute.public, mute.secret))
        (lab.folder / "probe").mkdir()
        probe = counted_probe(lab, collector, f"tcp://127.0.0.1:{mute.port},{collector.endpoint}",
                              "1s").start()
        assert collector.serve(60 * PATIENCE, lambda: collector.stored() > 2), probe.tail()
        (stream,) = collector.streams.values()
        assert stream.again == 0 and not stream.gaps
        probe.kill()
        mute.end()
        collector.end()


def test_a_black_hole_of_a_minute():
    with Lab() as lab:
        collector = lab.collector().start()
        with Relay(collector.ingest) as relay:
            probe = lab.probe(collector, endpoint=relay.endpoint, interval="200ms",
                              flags=["--log-level", "debug"]).start()
            wait_for(lambda: collector.value("node_load1"), "data")
            relay.is_stuck = True
            begun = time.time()
            wait_for(lambda: time.time() - begun > SECONDS, "the black hole's end", SECONDS + 5)
            relay.is_stuck = False
            back = time.time()
            wait_for(lambda: collector.query("node_load1[1m]")[0]["values"][-1][0] > back,
                     "new data", 30)
            print(f"     newest data {time.time() - back:.1f} s after the hole's end", flush=True)

            def drained():
                times = {round(t * 1000) for series in collector.query('{job="node",__name__!="up"}[1h]')
                         for t, _ in series["values"]}
                kept = [tick for life in kept_ticks(probe) for tick, count in life.items() if count]
                return set(kept[:-10]) <= times
            wait_for(drained, "the backlog", 60, every=1)
            probe.stop()


if __name__ == "__main__":
    if os.geteuid() != 0 or shutil.which("nft") is None or \
            subprocess.run(["ip", "netns", "add", "fsbad"], check=False,
                           capture_output=True).returncode != 0:
        print("skipped: network namespaces and nftables need root")
        sys.exit(SKIPPED)
    subprocess.run(["ip", "netns", "del", "fsbad"], check=False)
    run_tests(globals())
