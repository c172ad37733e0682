#!/usr/bin/python3
"""fengsuictl test rules beside promtool test rules: the same files, the same verdicts.

Each case is a rule file and a test that is right; every test is also run with one thing wrong,
and both tools must see it.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

CTL = os.path.join(os.environ.get("FENGSUI_BUILD", "build/release"), "fengsuictl")
PROMTOOL = shutil.which("promtool")

RULES = """
groups:
- name: derived
  rules:
  - {record: 'job:up:count', expr: count by (job) (up == 1), labels: {unit: hosts}}
  - {record: 'job:up:twice', expr: '2 * job:up:count'}
- name: host
  rules:
  - alert: HostDown
    expr: up == 0
    for: 2m
    labels: {severity: critical, where: 'rack {{ $labels.rack }}'}
    annotations: {summary: '{{ $labels.instance }} 失联，{{ $value | humanize }}'}
  - alert: DiskFills
    expr: disk_free_ratio < 0.1
    keep_firing_for: 3m
    annotations: {summary: '剩余 {{ $value | humanizePercentage }}'}
  - alert: FewHosts
    expr: 'job:up:count < 2'
  - alert: Outside
    expr: up == 0
    labels: {site: '{{ $externalLabels.site }}'}
    annotations: {at: '{{ .ExternalLabels.site }} of {{ $externalURL }}'}
  - alert: Cascade
    expr: ALERTS{alertname="HostDown", alertstate="firing"}
    labels: {severity: page}
"""

INPUT = """
  input_series:
  - {series: 'up{job="node", instance="a", rack="1"}', values: '1x3 0x10 stale'}
  - {series: 'up{job="node", instance="b", rack="2"}', values: '1x20'}
  - {series: 'disk_free_ratio{instance="a"}', values: '0.5 0.05 0.05 _ 0.5x10'}
  external_labels: {site: bj}
  external_url: https://console.example
"""

# what is asked: right, and the same with one thing wrong
CASES = {
    "an alert is not there before its `for`": (
        "{eval_time: 5m, alertname: HostDown, exp_alerts: []}",
        "{eval_time: 6m, alertname: HostDown, exp_alerts: []}"),
    "labels and texts are expanded": (
        "{eval_time: 6m, alertname: HostDown, exp_alerts: [{exp_labels: {severity: critical, where:"
        " rack 1, job: node, instance: a, rack: '1'}, exp_annotations: {summary: 'a 失联，0'}}]}",
        "{eval_time: 6m, alertname: HostDown, exp_alerts: [{exp_labels: {severity: critical, where:"
        " rack 1, job: node, instance: a, rack: '1'}, exp_annotations: {summary: 'a 失联，1'}}]}"),
    "an alert is kept firing": (
        "{eval_time: 6m, alertname: DiskFills, exp_alerts: [{exp_labels: {instance: a},"
        " exp_annotations: {summary: 剩余 5%}}]}",
        "{eval_time: 8m, alertname: DiskFills, exp_alerts: [{exp_labels: {instance: a},"
        " exp_annotations: {summary: 剩余 5%}}]}"),
    "an alert reads what was recorded": (
        "{eval_time: 4m, alertname: FewHosts, exp_alerts: [{exp_labels: {job: node, unit: hosts}}]}",
        "{eval_time: 3m, alertname: FewHosts, exp_alerts: [{exp_labels: {job: node, unit: hosts}}]}"),
    "an alert reads alerts of the same evaluation": (
        "{eval_time: 6m, alertname: Cascade, exp_alerts: [{exp_labels: {alertstate: firing, severity:"
        " page, where: rack 1, job: node, instance: a, rack: '1'}}]}",
        "{eval_time: 6m, alertname: Cascade, exp_alerts: []}"),
    "templates see what is external": (
        "{eval_time: 6m, alertname: Outside, exp_alerts: [{exp_labels: {site: bj, job: node, instance: a, rack: '1'},"
        " exp_annotations: {at: 'bj of https://console.example'}}]}",
        "{eval_time: 6m, alertname: Outside, exp_alerts: [{exp_labels: {job: node, instance: a, rack: '1'},"
        " exp_annotations: {at: ' of https://console.example'}}]}"),
    "an alert ends with its series": (
        "{eval_time: 15m, alertname: HostDown, exp_alerts: []}",
        "{eval_time: 13m, alertname: HostDown, exp_alerts: []}"),
}
EXPRESSIONS = {
    "recorded series": (
        "{expr: 'job:up:twice', eval_time: 1m, exp_samples: [{labels: 'job:up:twice{job=\"node\","
        " unit=\"hosts\"}', value: 4}]}",
        "{expr: 'job:up:twice', eval_time: 4m, exp_samples: [{labels: 'job:up:twice{job=\"node\","
        " unit=\"hosts\"}', value: 4}]}"),
    "between two evaluations": (
        "{expr: 'sum(up)', eval_time: 90s, exp_samples: [{labels: '{}', value: 2}]}",
        "{expr: 'sum(up)', eval_time: 90s, exp_samples: [{labels: '{a=\"b\"}', value: 2}]}"),
    "a scalar": ("{expr: '1 + 1', exp_samples: [{value: 2}]}", "{expr: '1 + 1', exp_samples: []}"),
    "nothing": ("{expr: 'absent(up)', eval_time: 3m}",
                "{expr: 'absent(down)', eval_time: 3m}"),
    "alert series": (
        "{expr: 'count(ALERTS{alertname=\"HostDown\"})', eval_time: 5m, exp_samples: [{value: 1}]}",
        "{expr: 'count(ALERTS{alertname=\"HostDown\"})', eval_time: 3m, exp_samples: [{value: 1}]}"),
    "an error": ("{expr: 'vector(1)', exp_samples: [{value: 1}]}",
                 "{expr: 'up + on(job) up', eval_time: 1m}"),
}


class RuleTests(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="fengsui-rule-tests-")
        self.addCleanup(shutil.rmtree, self.folder)

    def put(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def both(self, text, rules=RULES, stricter=False):
        """Exit code 0 or not, of both tools, and what ours printed; `stricter`: only ours minds."""
        self.put("rules.yml", rules)
        path = self.put("test.yml", "rule_files: [rules.yml]\nevaluation_interval: 1m\n" + text)
        theirs = subprocess.run([PROMTOOL, "test", "rules", path], capture_output=True, text=True,
                                check=False)
        ours = subprocess.run([CTL, "--lang", "en", "test", "rules", path], capture_output=True,
                              text=True, check=False)
        self.assertEqual(theirs.returncode == 0 and not stricter, ours.returncode == 0,
                         theirs.stdout + theirs.stderr + ours.stdout + ours.stderr)
        return ours

    def test_the_same_verdict_on_every_case(self):
        for kind, cases in (("alert_rule_test", CASES), ("promql_expr_test", EXPRESSIONS)):
            for name, pair in cases.items():
                for number, case in enumerate(pair):
                    with self.subTest(name, wrong=number == 1):
                        # Without an order promtool takes any, and cascades come out by chance.
                        ours = self.both("group_eval_order: [derived, host]\ntests:\n"
                                         f"- name: {name!r}\n  interval: 1m{INPUT}"
                                         f"  {kind}:\n  - {case}\n".replace("'an alert is not there"
                                         " before its `for`'", "early"))
                        self.assertEqual(ours.returncode, number, ours.stdout)
                        self.assertIn(f"1 tests, {number} failed", ours.stdout)
                        if number == 1:
                            self.assertRegex(ours.stdout, r"test\.yml:\d+: ")

    def test_groups_run_in_the_order_asked_for(self):
        rules = """
groups:
- {name: second, rules: [{record: b, expr: a * 2}]}
- {name: first, rules: [{record: a, expr: input + 1}]}
"""
        tests = """tests:
- interval: 1m
  input_series: [{series: input, values: '0+1x10'}]
  promql_expr_test: [{expr: b, eval_time: 0s, exp_samples: [{labels: b, value: 2}]}]
"""
        self.assertEqual(self.both("group_eval_order: [first, second]\n" + tests, rules).returncode, 0)
        # The other way round by name too: without an order promtool takes the groups by chance.
        self.assertEqual(self.both("group_eval_order: [second, first]\n" + tests, rules).returncode, 1)
        in_file_order = subprocess.run([CTL, "test", "rules", self.put("test.yml",
                                        "rule_files: [rules.yml]\nevaluation_interval: 1m\n" + tests)],
                                       capture_output=True, text=True, check=False)
        self.assertEqual(in_file_order.returncode, 1, in_file_order.stdout)

    def test_bad_files_are_named_with_line_and_reason(self):
        for text, reason in [
                ("tests: [{input_series: [{series: 'a{', values: '1'}]}]", "does not read as a series"),
                ("tests: [{input_series: [{series: a, values: '1 x'}]}]", "points are"),
                ("tests: [{alert_rule_test: [{eval_time: 1m}]}]", "alertname"),
                ("tests: [{promql_expr_test: [{exp: up}]}]", 'did you mean "expr"?'),
                ("tests: [{promql_expr_test: [{expr: up, exp_samples: [{labels: up, histogram: '{{schema:1}}'}]}]}]",
                 "native histograms are not stored"),
                ("tests: [{input_series: [{series: a, values: '{{schema:1 count:1 buckets:[1]}}x2'}]}]",
                 "native histograms are not stored"),
                ("group_eval_order: [no]\ntests: [{name: a}]", 'no group "no"')]:
            ours = self.both(text + "\n", stricter="group_eval_order" in text)
            self.assertEqual(ours.returncode, 2, ours.stdout)
            self.assertRegex(ours.stderr, r"test\.yml:\d+: ")
            self.assertIn(reason, ours.stderr)

    def test_values_may_differ_in_the_last_bits_if_that_is_asked_for(self):
        # This promtool is too old to know the key.
        for line, code in (("", 1), ("fuzzy_compare: true\n", 0)):
            path = self.put("test.yml", line + "tests:\n- promql_expr_test:\n"
                            "  - {expr: '0.1 + 0.2', exp_samples: [{value: 0.3}]}\n")
            ours = subprocess.run([CTL, "test", "rules", path], capture_output=True, text=True,
                                  check=False)
            self.assertEqual(ours.returncode, code, ours.stdout + ours.stderr)

    def test_a_rule_that_fails_is_told(self):
        ours = self.both("""tests:
- interval: 1m
  input_series: [{series: 'a{i="1"}', values: '1'}, {series: 'a{i="2"}', values: '1'}]
  promql_expr_test: [{expr: vector(1), exp_samples: [{value: 1}]}]
""", "groups: [{name: g, rules: [{alert: A, expr: a + on () a}]}]\n")
        self.assertEqual(ours.returncode, 1)
        self.assertIn('rule "A"', ours.stdout)

    def test_nothing_is_left_behind(self):
        def left():
            return [n for d in ("/dev/shm", "/tmp") if os.path.isdir(d) for n in os.listdir(d)
                    if n.startswith("fengsui-test.")]
        before = set(left())
        self.both(f"tests:\n- interval: 1m{INPUT}  promql_expr_test: [{{expr: 'vector(1)',"
                  " exp_samples: [{value: 1}]}]\n")
        self.assertEqual(set(left()) - before, set())


if __name__ == "__main__":
    if PROMTOOL is None:
        print("skipped: no promtool here")
        sys.exit(77)
    unittest.main(verbosity=2)
