"""Inhibition and time intervals beside a real Alertmanager: the same configuration to both, the same
alerts posted to both, the same messages out of both.

Where we differ on purpose: without a location an interval is one of Asia/Shanghai (there: of UTC),
zones are those that need no database, weekdays may go over the end of a week, there is no month 13,
and whoever was told a beginning is told the end, whatever is muted by then.
"""
import json
import shutil
import subprocess
import sys
import time

import alert_kit as kit
from fengsui import Lab, PATIENCE, SKIPPED, run_tests, wait_for
import test_amtool as peer

ALERTING = """
route:
  receiver: desk
  group_by: ['...']
  group_wait: 300ms
  group_interval: 500ms
  repeat_interval: 1h
  routes:
  - {{matchers: [time=muted], mute_time_intervals: [never, {every}]}}
  - {{matchers: [time=active], active_time_intervals: [never, {every}]}}
  - {{matchers: [time=inactive], active_time_intervals: [never]}}
  - {{matchers: [time=both], active_time_intervals: [{every}], mute_time_intervals: [never]}}
inhibit_rules:
- source_matchers: [severity=critical]
  target_matchers: [severity=~"warning|info"]
  equal: [host, disk]
- source_match: {{kind: rack}}
  target_match_re: {{kind: 'host|rack|service', rack: '.+'}}
  equal: [rack]
- {{}}
mute_time_intervals:
- name: never
  time_intervals: [{{years: ['1970:1971']}}, {{months: [may], days_of_month: ['31:31'],
                    years: ['1999']}}]
time_intervals:
- name: always
  time_intervals:
  - times: [{{start_time: '00:00', end_time: '12:00'}}, {{start_time: '12:00', end_time: '24:00'}}]
    weekdays: ['sunday:wednesday', 'thursday', 'friday:saturday']
    days_of_month: ['1:20', '-11:-1', '31']
    months: ['january:june', '7:12']
    location: Asia/Shanghai
receivers:
- name: desk
  webhook_configs: [{{url: 'http://127.0.0.1:{hook}/hook', send_resolved: true}}]
"""

SOURCES = [
    {"alertname": "S", "severity": "critical", "host": "a", "disk": "x"},
    {"alertname": "S", "severity": "critical", "host": "b"},
    {"alertname": "Rack", "kind": "rack", "rack": "7"},
    {"alertname": "Rack8", "kind": "rack", "rack": "8"},
    {"alertname": "AlsoRack8", "kind": "rack", "rack": "8"},  # both sides: neither is inhibited
]
TARGETS = [
    {"alertname": "T", "severity": "warning", "host": "a", "disk": "x"},  # inhibited
    {"alertname": "T", "severity": "info", "host": "b"},                  # inhibited
    {"alertname": "T", "severity": "warning", "host": "a", "disk": "y"},
    {"alertname": "T", "severity": "warning", "host": "a"},
    {"alertname": "T", "severity": "other", "host": "b"},
    {"alertname": "T", "kind": "service", "rack": "7"},                   # inhibited
    {"alertname": "T", "kind": "services", "rack": "7"},
    {"alertname": "T", "kind": "service"},
    {"alertname": "M", "time": "muted"},                                  # not told now
    {"alertname": "M", "time": "inactive"},                               # not told now
    {"alertname": "M", "time": "active"},
    {"alertname": "M", "time": "both"},
]


def instant(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


class Side:
    """One of the two, and what it has told."""

    def __init__(self):
        self.hook = kit.Hook()
        self.told_late = 0

    def config(self, every):
        return ALERTING.format(hook=self.hook.port, every=every)

    def post(self, alerts, seconds=3600):
        body = json.dumps([{"labels": labels, "endsAt": instant(seconds)} for labels in alerts])
        assert peer.request(self.server, "POST", "/api/v2/alerts", body)[0] == 200

    def told(self):
        return sorted({(json.loads(body)["groupKey"], a["status"], str(sorted(a["labels"].items())))
                       for status, body in self.hook.bodies for a in json.loads(body)["alerts"]
                       if a["labels"]["alertname"] != "Late"})

    def settle(self):
        """Twice an alert that comes after all others has been told."""
        for _ in range(2):
            name = f"late{self.told_late}"
            self.told_late += 1
            self.post([{"alertname": "Late", "host": name}])
            wait_for(lambda: any(f'"{name}"'.encode() in body for _, body in self.hook.bodies),
                     "a late alert", 20)

    def standing(self):
        return sorted((str(sorted(a["labels"].items())), a["status"]["state"],
                       sorted(a["status"]["inhibitedBy"]))
                      for a in json.loads(peer.request(self.server, "GET", "/api/v2/alerts")[1])
                      if a["labels"]["alertname"] not in ("Late", "M"))


def both_sides(lab):
    mine, other = Side(), Side()
    collector = lab.collector("alerting: alerting.yml\n")
    collector_file = collector.folder / "alerting.yml"
    collector_file.write_text(mine.config("always"))
    mine.server, mine.file = collector.start(), collector_file
    peer.ALERTING = other.config("always")
    other.server = peer.Alertmanager(lab)
    other.file = lab.folder / "alertmanager" / "alertmanager.yml"
    return mine, other


def test_the_same_is_told_and_kept_back():
    with Lab() as lab:
        mine, other = both_sides(lab)
        with other.server:
            def compare(firing):
                for side in (mine, other):
                    side.settle()
                wait_for(lambda: mine.told() == other.told(), "the same messages", 20)
                assert len({labels for _, _, labels in mine.told()}) == firing, mine.told()
            for side in (mine, other):
                side.post(SOURCES)
            compare(5)
            for side in (mine, other):
                side.post(TARGETS)
            compare(12)
            assert mine.standing() == other.standing(), (mine.standing(), other.standing())
            assert sum(state == "suppressed" for _, state, _ in mine.standing()) == 3
            for flags in ("inhibited=false", "active=false"):
                names = [sorted(str(a["labels"]) for a in json.loads(peer.request(
                    side.server, "GET", f"/api/v2/alerts?{flags}&filter=alertname%3D%22T%22")[1]))
                    for side in (mine, other)]
                assert names[0] == names[1], (flags, names)
            for side in (mine, other):  # two sources end: what they inhibited is told
                side.post([SOURCES[0], SOURCES[2]], -1)
            compare(14)
            for side in (mine, other):  # another time has come
                side.file.write_text(side.config("never"))
                assert peer.request(side.server, "POST", "/-/reload", "")[0] == 200
            compare(15)
        mine.server.stop()
        for side in (mine, other):
            side.hook.close()


ENTRIES = [
    "{}", "times: [{start_time: '09:00', end_time: '17:00'}]",
    "times: [{start_time: '00:00', end_time: '24:00'}]",
    "times: [{start_time: '9:00', end_time: '17:00'}]",
    "times: [{start_time: '17:00', end_time: '09:00'}]",
    "times: [{start_time: '17:00', end_time: '17:00'}]",
    "times: [{start_time: '17:00', end_time: '24:01'}]", "times: [{start_time: '17:00'}]",
    "weekdays: ['monday:friday']", "weekdays: [Monday]", "weekdays: [munday]",
    "weekdays: ['monday:']", "weekdays: [':monday']", "weekdays: ['monday:tuesday:friday']",
    "days_of_month: ['1:5', '-3:-1', '7']", "days_of_month: ['0']", "days_of_month: ['32']",
    "days_of_month: ['-32']", "days_of_month: ['-3:5']", "days_of_month: ['5:-3']",
    "days_of_month: ['5:3']", "days_of_month: ['-1:-3']", "days_of_month: ['28:-4']",
    "days_of_month: ['x']", "months: ['january:march', '5', '7:9', December]",
    "months: ['may:8']", "months: ['november:february']",
    "months: ['jan']", "years: ['2020:2022', '2030']", "years: ['2022:2020']", "years: ['x']",
    "location: UTC", "location: Local", "location: Mars/Olympus", "weekday: [monday]",
]
WHOLE = [
    "time_intervals: [{name: a, time_intervals: []}, {name: a, time_intervals: []}]",
    "time_intervals: [{name: a, time_intervals: []}]\n"
    "mute_time_intervals: [{name: a, time_intervals: []}]",
    "time_intervals: [{time_intervals: []}]",
    "inhibit_rules: [{}]", "inhibit_rules: [{source_match: {a: b}, equal: [c]}]",
    "inhibit_rules: [{source_matchers: ['a=~\"(\"']}]", "inhibit_rules: [{sources: [a]}]",
    "inhibit_rules: [{target_match_re: {a: '('}}]", "inhibit_rules: {}",
]
ROUTES = ["mute_time_intervals: [a]", "active_time_intervals: [a]",
          "routes: [{mute_time_intervals: [a], active_time_intervals: [a]}]",
          "routes: [{mute_time_intervals: [b]}]", "routes: [{active_time_intervals: [b]}]"]


def test_configurations_are_refused_alike():
    texts = [f"route: {{receiver: x}}\nreceivers: [{{name: x}}]\ntime_intervals:\n- name: a\n"
             f"  time_intervals: [{entry if entry == '{}' else '{' + entry + '}'}]\n"
             for entry in ENTRIES]
    texts += [f"route: {{receiver: x}}\nreceivers: [{{name: x}}]\n{text}\n" for text in WHOLE]
    texts += [f"route: {{receiver: x, {route}}}\nreceivers: [{{name: x}}]\n"
              "time_intervals: [{name: a, time_intervals: []}]\n" for route in ROUTES]
    differ = []
    with Lab() as lab:
        folder = lab.folder
        (folder / "collector.yml").write_text("alerting: alerting.yml\n")
        for text in texts:
            (folder / "alerting.yml").write_text(text)
            codes = [subprocess.run(command, capture_output=True, timeout=60 * PATIENCE,
                                    check=False).returncode != 0
                     for command in ([kit.COLLECTOR, "--config", folder / "collector.yml",
                                      "--check"],
                                     ["amtool", "check-config", folder / "alerting.yml"])]
            if codes[0] != codes[1]:
                differ.append((text, codes))
        assert not differ, differ


def test_what_status_shows_is_a_configuration_of_alertmanager():
    with Lab() as lab:
        mine, other = both_sides(lab)
        with other.server:
            shown = mine.server.json("/api/v2/status")["config"]["original"]
            (lab.folder / "shown.yml").write_text(shown)
            subprocess.run(["amtool", "check-config", lab.folder / "shown.yml"], check=True,
                           capture_output=True)
            for name in ("always", "never", "inhibit_rules", "equal", "Asia/Shanghai"):
                assert name in shown, shown
            said = [peer.amtool(side.server, "config", "routes", "test", "time=muted")
                    for side in (mine, other)]
            assert said[0] == said[1], said
        mine.server.stop()
        for side in (mine, other):
            side.hook.close()


if __name__ == "__main__":
    if any(shutil.which(name) is None for name in ("amtool", "prometheus-alertmanager")):
        print("amtool and prometheus-alertmanager are not both installed")
        sys.exit(SKIPPED)
    run_tests(globals())
