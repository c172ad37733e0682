#!/usr/bin/python3
"""A link cut between probe and collector loses nothing, and the newest data come first.

Two network namespaces and a veth pair; the cut is `ip link set down`.  Needs root.
Seconds of the cut: FENGSUI_CUT_SECONDS (10; the long test takes 60).
"""
import json
import os
import subprocess
import sys
import time

import fengsui
from fengsui import Lab, SKIPPED, kept_ticks, run_tests, wait_for

CUT_SECONDS = float(os.environ.get("FENGSUI_CUT_SECONDS", "10"))


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class Link:
    """Two namespaces joined by a veth pair, with an address on each end."""

    def __init__(self):
        tag = f"{os.getpid() % 10000}"
        self.near, self.far = f"fsc{tag}", f"fsp{tag}"
        self.near_if, self.far_if = f"vc{tag}", f"vp{tag}"

    def __enter__(self):
        ip("netns", "add", self.near)
        ip("netns", "add", self.far)
        ip("link", "add", self.near_if, "netns", self.near, "type", "veth", "peer", "name",
           self.far_if, "netns", self.far)
        for space, name, address in ((self.near, self.near_if, "10.77.0.1/24"),
                                     (self.far, self.far_if, "10.77.0.2/24")):
            ip("-n", space, "addr", "add", address, "dev", name)
            ip("-n", space, "link", "set", name, "up")
            ip("-n", space, "link", "set", "lo", "up")
        return self

    def set(self, state):
        ip("-n", self.far, "link", "set", self.far_if, state)

    def __exit__(self, *_):
        for space in (self.near, self.far):
            subprocess.run(["ip", "netns", "del", space], check=False, capture_output=True)


def in_namespace(process, space):
    """Starts a process of ours inside a namespace."""
    real = fengsui.BUILD / process.name
    wrapper = process.folder / "enter"
    wrapper.write_text(f"#!/bin/sh\nexec ip netns exec {space} {real} \"$@\"\n")
    wrapper.chmod(0o755)
    with open(process.log, "ab") as log:
        log.write(b"--- start\n")
        log.flush()
        process.process = subprocess.Popen(
            [str(wrapper)] + [str(a) for a in process.arguments], stdout=log, stderr=log,
            stdin=subprocess.DEVNULL, cwd=process.folder)


def api(link, collector, path):
    """A request from inside the collector's namespace."""
    done = subprocess.run(
        ["ip", "netns", "exec", link.near, "curl", "-sf",
         f"http://127.0.0.1:{collector.http}{path}"], capture_output=True, check=False)
    return done.stdout


def samples(link, collector):
    text = api(link, collector, "/api/v1/query?query=node_load1%5B1h%5D")
    result = json.loads(text)["data"]["result"] if text else []
    return [t for t, _ in result[0]["values"]] if result else []


def all_times(link, collector):
    """The times of all samples of the probe."""
    text = api(link, collector, "/api/v1/query?query=%7Bjob%3D%22node%22%2C__name__!%3D%22up%22"
                                "%7D%5B1h%5D")
    result = json.loads(text)["data"]["result"] if text else []
    return {t for series in result for t, _ in series["values"]}


def test_a_cut_link_loses_nothing_and_the_newest_come_first():
    with Lab() as lab, Link() as link:
        collector = lab.collector(flags=["--ingest", "tcp://10.77.0.1:9471"])
        in_namespace(collector, link.near)
        wait_for(lambda: api(link, collector, "/-/ready"), "the collector")
        probe = lab.probe(collector, interval="200ms", endpoint="tcp://10.77.0.1:9471",
                          flags=["--log-level", "debug"])
        in_namespace(probe, link.far)
        wait_for(lambda: len(samples(link, collector)) > 10, "samples")
        link.set("down")
        cut = time.time()
        wait_for(lambda: time.time() - cut >= CUT_SECONDS, "the cut's end", CUT_SECONDS + 5)
        before = samples(link, collector)
        link.set("up")
        back = time.time()
        wait_for(lambda: samples(link, collector)[-1] > back, "new data", 30)
        first = time.time() - back
        print(f"     newest data visible {first:.2f} s after the link's return")

        def drained():
            """Every tick that the probe kept is stored, but for the last few under way."""
            kept = [tick for life in kept_ticks(probe) for tick, count in life.items() if count]
            stored = {round(t * 1000) for t in all_times(link, collector)}
            return len(kept) > 20 and set(kept[:-10]) <= stored and kept
        kept = wait_for(drained, "the backlog without a hole", 60)
        during = [t for t in kept if cut * 1000 < t < back * 1000]
        assert during, "the probe measured nothing during the cut"
        assert before[0] in samples(link, collector), "what was there before has gone"
        assert first < 5 * fengsui.PATIENCE, f"newest data took {first:.1f} s"


if __name__ == "__main__":
    if os.geteuid() != 0 or subprocess.run(["ip", "netns", "add", "fsprobe"], check=False,
                                           capture_output=True).returncode != 0:
        print("skipped: network namespaces need root")
        sys.exit(SKIPPED)
    subprocess.run(["ip", "netns", "del", "fsprobe"], check=False)
    run_tests(globals())
