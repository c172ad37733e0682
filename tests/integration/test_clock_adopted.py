#!/usr/bin/python3
"""The collector's clock is set by an hour: no burst of messages and no gap, whether it is believed
or not (test_clock_step.py has the rules' side).

libfaketime moves CLOCK_REALTIME of the collector alone, by a file that it reads again at every
call; the monotonic clock goes on.  Hosts (here: a sender of samples) keep the true time, or are
set with it.
"""
import json
import os
import pathlib
import sys
import threading
import time
import unittest
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import alert_kit as kit  # noqa: E402

LIBRARIES = [p for pattern in ("lib/*/faketime/libfaketimeMT.so.1", "lib*/faketime/libfaketimeMT.so.1")
             for p in pathlib.Path("/usr").glob(pattern)]
HOUR = 3600
RULES = """
groups:
- name: host
  interval: 500ms
  rules:
  - {alert: TooHot, expr: temperature_celsius > 80}
  - {alert: SlowlyHot, expr: temperature_celsius > 80, for: 1h30m}
  - {alert: Gone, expr: absent(temperature_celsius)}
"""
ALERTING = """
global: {{resolve_timeout: 30m}}
route: {{receiver: desk, group_by: [alertname, instance], group_wait: 0s, group_interval: 300ms,
        repeat_interval: 50m}}
receivers:
- name: desk
  webhook_configs: [{{url: 'http://127.0.0.1:{hook}/', timeout: 2s}}]
"""


class ClockStep(unittest.TestCase):
    def setUp(self):
        self.hook = kit.Hook()
        self.addCleanup(self.hook.close)
        self.shift = pathlib.Path(os.environ.get("TMPDIR", "/tmp")) / f"fengsui-clock-{os.getpid()}"
        self.addCleanup(self.shift.unlink)
        self.set_clock(0)
        settings = {"LD_PRELOAD": str(LIBRARIES[0]), "FAKETIME_TIMESTAMP_FILE": str(self.shift),
                    "FAKETIME_NO_CACHE": "1", "DONT_FAKE_MONOTONIC": "1",
                    "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_RESET": "1"}
        os.environ.update(settings)
        try:
            self.collector = kit.Collector(RULES, ALERTING.format(hook=self.hook.port))
        finally:
            for name in settings:
                del os.environ[name]
        self.addCleanup(self.collector.close)
        self.hosts = {"web01": 90}
        self.ahead = 0  # of the hosts' clocks
        self.stopping = threading.Event()
        self.sender = threading.Thread(target=self.send)
        self.sender.start()
        self.addCleanup(self.sender.join)
        self.addCleanup(self.stopping.set)

    def set_clock(self, seconds):
        """The collector's, by so much from the true time."""
        fresh = self.shift.with_suffix(".new")
        fresh.write_text(f"{seconds:+}\n")
        fresh.replace(self.shift)

    def send(self):
        while not self.stopping.wait(0.1):
            now = int((time.time() + self.ahead) * 1000)
            self.collector.write(*[("temperature_celsius", {"instance": n, "job": "node"}, v, now)
                                   for n, v in list(self.hosts.items())])

    def post(self, name):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.collector.http}/api/v2/alerts",
            json.dumps([{"labels": {"alertname": name, "instance": "other"}}]).encode(),
            {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10 * kit.PATIENCE) as answer:
            self.assertEqual(answer.status, 200)

    def told(self):
        return sorted((a["labels"]["alertname"], a["labels"].get("instance"), a["status"])
                      for b in self.hook.accepted() for a in b["alerts"])

    def wait_told(self, *what):
        kit.wait_for(lambda: what in self.told(), 20, f"{what}; {self.told()}")

    def since(self):
        """Since when the slow rule's alert has been pending, by the collector's own time."""
        for alert in self.collector.api("alerts")["alerts"]:
            if alert["labels"] == {"alertname": "SlowlyHot", "instance": "web01", "job": "node"}:
                return alert["state"], alert["activeAt"]
        return None

    def begin(self):
        self.wait_told("TooHot", "web01", "firing")
        self.post("Posted")
        self.wait_told("Posted", "other", "firing")
        kit.wait_for(self.since, 10, "the slow rule's alert is pending")
        kit.wait_for(lambda: self.gone("firing") == self.gone("resolved"), 10, "samples are there")
        self.gone_before = self.gone("firing")

    def gone(self, status):
        """Before the first sample there was none: that may be told, once."""
        return self.told().count(("Gone", None, status))

    def goes_on(self, number):
        """What is true now is told now, and whole turns of rules and groups are made.  Another host
        each time: one that comes and goes is soon said to flap."""
        host = f"other{number}"
        self.hosts[host] = 90
        self.wait_told("TooHot", host, "firing")
        self.hosts[host] = 20
        self.wait_told("TooHot", host, "resolved")

    def nothing_else(self, rounds):
        expected = [("Posted", "other", "firing"), ("TooHot", "web01", "firing")]
        expected += [("Gone", None, "firing"), ("Gone", None, "resolved")] * self.gone_before
        expected += [("TooHot", f"other{n + 1}", status) for n in range(rounds)
                     for status in ("firing", "resolved")]
        self.assertEqual(self.told(), sorted(expected))

    def test_a_clock_that_is_wrong_for_a_while_moves_nothing(self):
        self.begin()
        since = self.since()
        for number, seconds in enumerate((HOUR, -HOUR, 0), 1):
            self.set_clock(seconds)
            self.goes_on(number)
            self.assertEqual(self.since(), since)
        self.nothing_else(3)

    def test_a_clock_that_is_set_with_all_others_is_followed(self):
        for number, seconds in enumerate((HOUR, 0), 1):
            if number == 1:
                self.begin()
            self.ahead = seconds
            self.set_clock(seconds)
            self.goes_on(number)
            kit.wait_for(lambda n=number: self.collector.own_log().count("what is to come is moved")
                         == n, 20, "the notifier has followed")
            self.assertEqual(self.since()[0], "pending")
        self.nothing_else(2)


if __name__ == "__main__":
    if not LIBRARIES or "address" in os.environ.get("FENGSUI_SANITIZE", "") or \
            "thread" in os.environ.get("FENGSUI_SANITIZE", ""):
        print("skipped: needs libfaketime, and no sanitizer under it")
        sys.exit(77)
    unittest.main(verbosity=2)
