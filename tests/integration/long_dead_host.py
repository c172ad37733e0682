#!/usr/bin/python3
"""A host that is dead is told in time, and two seconds without a link are no death.

Probes that measure every second: one is killed, one is stopped (SIGSTOP), one loses its link in a
black hole: what it sends is lost and nobody is told.  Each is told 3.5 s after it was last heard, or
sooner; before that the black hole comes for 2 s only, and nothing may be told.  But a connection that
has never lost anything is in TCP's first slow start, where the time between resends doubles whatever
the probe asks for: such a cut may be told, and does not count.

Two network namespaces and a veth pair; needs root.  How often the link is cut: FENGSUI_CUTS.
"""
import json
import os
import re
import signal
import subprocess
import sys
import time

import fengsui
from fengsui import Lab, PATIENCE, SKIPPED, run_tests, wait_for
from test_link_cut import Link, api, in_namespace

# A sanitizer's collector is too slow for what is a matter of a fifth of a second.
CUTS = int(os.environ.get("FENGSUI_CUTS", "2" if PATIENCE == 1 else "0"))
CUT_SECONDS = 2.0
FIRST_CUTS = 2
RESEND_MS_MOST = 225
STALL_SECONDS = 0.1  # a machine that does not run us for so long did not run the probe either
TOLD_SECONDS = 3.5
CONFIG = """
rules: {files: [rules.yml]}
alerting: alerting.yml
"""
RULES = "groups: [{name: host, rules: [{alert: ProbeDown, expr: up == 0}]}]\n"
ALERTING = """
route: {receiver: desk, group_by: [alertname, instance], group_wait: 0s, group_interval: 1s}
receivers: [{name: desk, webhook_configs: [{url: 'http://127.0.0.1:%d/'}]}]
"""
RECEIVER = """
import http.server, json, sys, time

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        now = time.time()
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with open(sys.argv[2], "a") as f:
            f.write("%s %s %.3f\\n" % (body["status"], body["groupLabels"]["instance"], now))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
NOBODY = "02:00:00:00:00:99"


def hardware(space, interface):
    told = subprocess.run(["ip", "-n", space, "link", "show", interface], check=True,
                          capture_output=True, text=True).stdout
    return re.search(r"link/ether (\S+)", told)[1]


class BlackHole:
    """Frames go to an address that nobody has: both ends send, hear nothing, and see no error."""

    def __init__(self, link):
        self.ends = [(link.near, link.near_if, "10.77.0.2", hardware(link.far, link.far_if)),
                     (link.far, link.far_if, "10.77.0.1", hardware(link.near, link.near_if))]

    def set(self, is_open):
        for space, interface, address, real in self.ends:
            subprocess.run(["ip", "-n", space, "neigh", "replace", address, "lladdr",
                            NOBODY if is_open else real, "dev", interface, "nud", "permanent"],
                           check=True, capture_output=True)


class House:
    """A collector, somebody who is told, and three probes: two beside it, one across the link."""

    def __init__(self, lab, link, interval="1s"):
        self.lab, self.link = lab, link
        self.told_file = lab.folder / "told"
        port = fengsui.free_port()
        self.receiver = subprocess.Popen(
            ["ip", "netns", "exec", link.near, "/usr/bin/python3", "-c", RECEIVER, str(port),
             str(self.told_file)])
        self.collector = lab.collector(CONFIG)
        self.collector.arguments = [str(a).replace("tcp://127.0.0.1", "tcp://0.0.0.0")
                                    for a in self.collector.arguments]
        (self.collector.folder / "rules.yml").write_text(RULES)
        (self.collector.folder / "alerting.yml").write_text(ALERTING % port)
        in_namespace(self.collector, link.near)
        wait_for(lambda: api(link, self.collector, "/-/ready"), "the collector to be ready")
        self.probes = {}
        for name, space, address in (("killed", link.near, "127.0.0.1"),
                                     ("stopped", link.near, "127.0.0.1"),
                                     ("far", link.far, "10.77.0.1")):
            probe = lab.probe(self.collector, name, flags=["--instance", name], interval=interval,
                              endpoint=f"tcp://{address}:{self.collector.ingest}")
            in_namespace(probe, space)
            self.probes[name] = probe
        wait_for(lambda: len(self.heard()) == 3, "three hosts are heard")

    def heard(self):
        """The time of each host's newest tick."""
        text = api(self.link, self.collector, "/api/v1/query?query=timestamp(node_load1)")
        result = json.loads(text)["data"]["result"] if text else []
        return {r["metric"]["instance"]: float(r["value"][1]) for r in result}

    def told(self):
        """When each host was first told to be down."""
        lines = self.told_file.read_text().splitlines() if self.told_file.exists() else []
        rows = [line.split() for line in lines]
        return {name: float(when) for status, name, when in reversed(rows) if status == "firing"}

    def is_quiet(self):
        return api(self.link, self.collector, "/api/v1/alerts") and not json.loads(
            api(self.link, self.collector, "/api/v1/alerts"))["data"]["alerts"]

    def close(self):
        self.receiver.kill()
        self.receiver.wait()


def resends_in_time(link):
    """Does the far probe's TCP know its link as a quick one?  The time between its resends is that
    and a fifth of a second; on a machine that is too busy it grows, and so does what a cut costs."""
    text = subprocess.run(["ip", "netns", "exec", link.far, "ss", "-tinH"], check=True,
                          capture_output=True, text=True).stdout
    return all(float(ms) <= RESEND_MS_MOST for ms in re.findall(r" rto:([0-9.]+)", text))


def backs_off(link):
    """Has the far probe's TCP doubled the time between its resends, and more than once?"""
    text = subprocess.run(["ip", "netns", "exec", link.far, "ss", "-tinH"], check=True,
                          capture_output=True, text=True).stdout
    return any(int(times) > 1 for times in re.findall(r" backoff:(\d+)", text))


def wait_for_tick(house, name, after):
    """The first tick that is later."""
    return wait_for(lambda: (house.heard().get(name) or 0) > after and house.heard()[name],
                    f"{name} is heard again", every=0.02)


def cut(hole):
    """Opens the hole for a while.  Whether this machine ran us all the time."""
    end = last = time.monotonic()
    end += CUT_SECONDS
    stall = 0.0
    hole.set(True)
    while last < end:
        time.sleep(0.005)
        now = time.monotonic()
        stall = max(stall, now - last - 0.005)
        last = now
    hole.set(False)
    return stall < STALL_SECONDS and time.monotonic() - end < STALL_SECONDS


def test_a_dead_host_is_told_and_a_short_cut_is_not():
    with Link() as link, Lab() as lab:
        house = House(lab, link)
        hole = BlackHole(link)
        try:
            fair = 0
            for i in range(CUTS + FIRST_CUTS if CUTS > 0 else 0):
                # At another phase of its second each time, the worst one first: when a beat is due.
                tick = wait_for_tick(house, "far", time.time())
                beat = tick + 0.95 - i * 0.45 % 0.9
                wait_for(lambda b=beat: time.time() >= b, "the moment of the cut", every=0.005)
                was_fair = resends_in_time(link)
                was_fair = cut(hole) and was_fair and not backs_off(link)
                wait_for_tick(house, "far", time.time())
                assert house.told() == {} or not was_fair, (house.told(), house.collector.tail())
                wait_for(house.is_quiet, "what was told of an unfair cut is over")
                house.told_file.unlink(missing_ok=True)
                fair += was_fair
            print(f"     {fair} cuts were fair, and not told")
            last = house.heard()
            house.probes["killed"].signal(signal.SIGKILL)
            house.probes["stopped"].signal(signal.SIGSTOP)
            hole.set(True)
            try:
                wait_for(lambda: len(house.told()) == 3, "all three are told to be down")
            finally:
                house.probes["stopped"].signal(signal.SIGCONT)
            for name, when in house.told().items():
                # It may have been heard once more than we have seen.
                seconds = when - last[name]
                print(f"     {name}: told {seconds:.2f} s after its last tick")
                assert 3.0 <= seconds < (TOLD_SECONDS + 1) * PATIENCE, (name, seconds)
        finally:
            house.close()


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("skipped: network namespaces need root")
        sys.exit(SKIPPED)
    run_tests(globals())
