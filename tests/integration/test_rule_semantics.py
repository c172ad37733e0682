#!/usr/bin/python3
"""The same rules and samples through promtool and through a collector: the same alerts."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import alert_kit as kit  # noqa: E402

RULES = """
groups:
- name: semantics
  interval: 1s
  rules:
  - alert: AtOnce
    expr: heat > 80
  - alert: Waits
    expr: heat > 80
    for: 3s
    keep_firing_for: 4s
  - alert: TooShort
    expr: blip > 80
    for: 5s
  - alert: Labelled
    expr: level > 1
    labels:
      where: '{{ $labels.instance }}/{{ $labels.nothing }}'
      severity: '{{ if gt $value 5.0 }}critical{{ else }}warning{{ end }}'
      instance: 'of the rule'
    annotations:
      text: '{{ $value | humanize }} at {{ $labels.instance | toUpper }}'
  - alert: Absent
    expr: absent(nowhere{job="node", instance=~"a.*"})
    labels: {severity: info}
  - alert: Summed
    expr: sum by (job) (heat) > 150
    annotations: {text: 'sum {{ printf "%.1f" $value }}'}
- name: limited
  interval: 1s
  limit: 1
  rules:
  - alert: Limited
    expr: level > 0
- name: wrong
  interval: 1s
  rules:
  - alert: Double
    expr: level > 0
    labels: {instance: the same}
  - alert: ManyToMany
    expr: level * on (job) group_left right > 2
"""

# A value a second.  Nothing changes within two seconds of a time that is looked at.
SERIES = {
    ("heat", "a"): [10] * 3 + [90] * 10 + [10] * 12,
    ("heat", "b"): [20] * 3 + [70] * 10 + [20] * 12,
    ("blip", "a"): [10] * 4 + [90] * 3 + [10] * 18,
    ("level", "a"): [3] * 25,
    ("level", "b"): [8] * 25,
    ("right", "a"): [1] * 25,
    ("right", "b"): [None] * 12 + [1] * 13,
}
LOOKS = (9, 15, 22)

A = {"instance": "a", "job": "node"}
EXPECTED = {
    "AtOnce": {9: [(A, {})], 15: [], 22: []},
    "Waits": {9: [(A, {})], 15: [(A, {})], 22: []},
    "TooShort": {9: [], 15: [], 22: []},
    "Labelled": {at: [({"where": "a/", "severity": "warning", "instance": "of the rule",
                        "job": "node"}, {"text": "3 at A"}),
                      ({"where": "b/", "severity": "critical", "instance": "of the rule",
                        "job": "node"}, {"text": "8 at B"})] for at in LOOKS},
    "Absent": {at: [({"job": "node", "severity": "info"}, {})] for at in LOOKS},
    "Summed": {9: [({"job": "node"}, {"text": "sum 160.0"})], 15: [], 22: []},
}


def promtool(folder, rules, tests):
    with open(f"{folder}/rules.yml", "w", encoding="utf-8") as file:
        file.write(rules)
    with open(f"{folder}/test.yml", "w", encoding="utf-8") as file:
        json.dump(tests, file)  # JSON is YAML
    return subprocess.run(["promtool", "test", "rules", f"{folder}/test.yml"],
                          capture_output=True, text=True, check=False)


class RuleSemantics(unittest.TestCase):
    def test_promtool_expects_the_same(self):
        if shutil.which("promtool") is None:
            self.skipTest("no promtool here")
        tests = {"rule_files": ["rules.yml"], "evaluation_interval": "1s", "tests": [{
            "interval": "1s",
            "input_series": [{"series": f'{name}{{instance="{instance}", job="node"}}',
                              "values": " ".join("_" if v is None else str(v) for v in values)}
                             for (name, instance), values in SERIES.items()],
            "alert_rule_test": [
                {"eval_time": f"{at}s", "alertname": alert,
                 "exp_alerts": [{"exp_labels": labels, "exp_annotations": annotations}
                                for labels, annotations in alerts]}
                for alert, looks in EXPECTED.items() for at, alerts in looks.items()]}]}
        with tempfile.TemporaryDirectory() as folder:
            rules = RULES[:RULES.index("- name: limited")]
            done = promtool(folder, rules, tests)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            tests["tests"][0]["alert_rule_test"] = []
            done = promtool(folder, "groups:\n" + RULES[RULES.index("- name: limited"):], tests)
            self.assertIn("exceeded limit of 1 with 2 alerts", done.stdout + done.stderr)

    def test_the_collector_does_the_same(self):
        hook = kit.Hook()
        self.addCleanup(hook.close)
        collector = kit.Collector(RULES, f"""
route: {{receiver: desk, group_by: [...], group_wait: 0s, group_interval: 1s}}
receivers:
- name: desk
  webhook_configs: [{{url: 'http://127.0.0.1:{hook.port}/'}}]
""")
        self.addCleanup(collector.close)
        start = time.time()
        for second in range(25):
            kit.wait_for(lambda: time.time() >= start + second, 5, "the next second")
            collector.write(*[(name, {"instance": instance, "job": "node"}, values[second])
                              for (name, instance), values in SERIES.items()
                              if values[second] is not None])
            if second in LOOKS:
                self.look(collector, second)
        expected = {"AtOnce": 2, "Waits": 2, "Summed": 2, "Absent": 1, "Labelled": 2, "ManyToMany": 2,
                    "Double": 0}

        def names():
            return [a["labels"]["alertname"] for body in hook.accepted() for a in body["alerts"]]
        # The end of what fired for seconds is told when it has lasted as long.
        kit.wait_for(lambda: all(names().count(name) >= times for name, times in expected.items()), 20,
                     "what is to be told")
        told = names()
        self.assertNotIn("Limited", told)
        self.assertNotIn("TooShort", told)
        for name, times in expected.items():
            self.assertEqual(told.count(name), times, (name, told))

    def look(self, collector, second):
        found = {}
        for alert in collector.api("alerts")["alerts"]:
            if alert["state"] == "firing":
                name = alert["labels"].pop("alertname")
                found.setdefault(name, []).append((alert["labels"], alert["annotations"]))
        for name, looks in EXPECTED.items():
            self.assertCountEqual(found.get(name, []), looks[second], (name, second))
        kept = [a for a in collector.api("alerts")["alerts"] if "keepFiringSince" in a]
        self.assertEqual([a["labels"]["alertname"] for a in kept],
                         ["Waits"] if second == 15 else [])
        double, many = collector.api("rules")["groups"][2]["rules"]
        self.assertEqual((double["health"], double["alerts"]), ("err", []))
        self.assertIn("same labelset", double["lastError"])
        # An evaluation that fails says nothing of what fires: it fires on.
        self.assertEqual(many["health"], "ok" if second < 12 else "err", many)
        self.assertEqual([a["state"] for a in many["alerts"]], ["firing"] * 2, second)
        self.assertNotIn("Limited", found)
        rule = collector.api("rules")["groups"][1]["rules"][0]
        self.assertEqual(rule["health"], "err")
        self.assertIn("exceeded limit of 1 with 2 alerts", rule["lastError"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
