#!/usr/bin/python3
"""The host rules we ship: who is alarmed about a probe, a scraped target, a failed unit.

What can go wrong: a target that is down counts as a lost probe, a lost probe raises an alert for
each of its targets, or a unit that failed for a moment wakes somebody.
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

from fengsui import SKIPPED, run_tests

RULES = pathlib.Path(__file__).resolve().parents[2] / "deploy/config/rules/host.yml"
PROBE, TARGET = 'job="node",instance="a"', 'job="mysqld",instance="a"'


def check(series, expected):
    """`series`: {name{labels}: values, one each 15 s}; `expected`: {alert: {time: [labels]}}."""
    tests = {"rule_files": ["host.yml"], "evaluation_interval": "15s", "tests": [{
        "interval": "15s",
        "input_series": [{"series": s, "values": v} for s, v in series.items()],
        "alert_rule_test": [
            {"alertname": alert, "eval_time": at,
             "exp_alerts": [{"exp_labels": labels} for labels in alerts]}
            for alert, times in expected.items() for at, alerts in times.items()]}]}
    # Which alerts fire is asked here; what they say is for people to read: no annotations.
    with tempfile.TemporaryDirectory() as folder:
        rules = pathlib.Path(folder) / "host.yml"
        kept, inside = [], False
        for line in RULES.read_text().splitlines():
            inside = line.startswith("    annotations:") or (inside and line.startswith("      "))
            if not inside:
                kept.append(line)
        rules.write_text("\n".join(kept) + "\n")
        path = pathlib.Path(folder) / "test.yml"
        path.write_text(json.dumps(tests))
        done = subprocess.run(["promtool", "test", "rules", path], text=True,
                              capture_output=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


LOST = {"job": "node", "instance": "a", "severity": "critical"}
DOWN = {"job": "mysqld", "instance": "a", "severity": "warning"}
FAILED = {"job": "node", "instance": "a", "severity": "warning", "name": "sshd.service",
          "state": "failed", "type": "notify"}
UNIT = 'node_systemd_unit_state{%s,name="sshd.service",state="failed",type="notify"}' % PROBE


def test_a_target_that_is_down_is_no_lost_probe():
    check({"up{%s}" % PROBE: "1x20", "up{%s}" % TARGET: "1 1 0x18",
           "scrape_duration_seconds{%s}" % TARGET: "0.1x20"},
          {"ProbeDown": {"4m": []}, "ScrapeTargetDown": {"1m": [], "4m": [DOWN]}})


def test_a_lost_probe_is_one_alert_and_not_one_for_each_target():
    check({"up{%s}" % PROBE: "1 1 0x18", "up{%s}" % TARGET: "1 1 stale",
           "scrape_duration_seconds{%s}" % TARGET: "0.1 0.1 stale"},
          {"ProbeDown": {"4m": [LOST]}, "ScrapeTargetDown": {"4m": []}})


def test_a_unit_alarms_when_it_has_failed_for_a_minute():
    check({UNIT: "0 1 0 0 0 0 1x14"}, {"SystemdUnitFailed": {"1m": [], "2m": [], "3m": [FAILED]}})


if __name__ == "__main__":
    if shutil.which("promtool") is None:
        print("skipped: promtool is not installed")
        sys.exit(SKIPPED)
    run_tests(globals())
