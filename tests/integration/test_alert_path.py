#!/usr/bin/python3
"""From a sample to a message: firing, resolved, retries, kill -9 and restart."""
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import alert_kit as kit  # noqa: E402

RULES = """
groups:
- name: host
  rules:
  - alert: TooHot
    expr: temperature_celsius > 80
    labels: {severity: critical}
    annotations: {summary: '{{ $labels.instance }} 温度过高：{{ $value | humanize }} 度'}
  - alert: SlowlyHot
    expr: temperature_celsius > 50
    for: 3s
    labels: {severity: warning}
- name: recorded
  rules:
  - record: instance:temperature:max
    expr: max by (instance) (temperature_celsius)
  - alert: RecordedHot
    expr: instance:temperature:max > 1000
"""

ALERTING = """
global: {{smtp_smarthost: '127.0.0.1:{mail}', smtp_from: 'fengsui@example.cn', smtp_require_tls: false}}
route:
  receiver: desk
  group_by: [alertname, instance]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 1h
receivers:
- name: desk
  webhook_configs: [{{url: 'http://127.0.0.1:{hook}/hook', send_resolved: true, timeout: 2s}}]
  email_configs: [{{to: 'duty@example.cn', send_resolved: true}}]
"""


class AlertPath(unittest.TestCase):
    def setUp(self):
        self.hook, self.mail = kit.Hook(), kit.Mail()
        self.collector = kit.Collector(
            RULES, ALERTING.format(hook=self.hook.port, mail=self.mail.port))

    def tearDown(self):
        self.collector.close()
        self.hook.close()
        self.mail.close()

    def heat(self, value, instance="web01"):
        self.collector.write(("temperature_celsius", {"instance": instance, "job": "node"}, value))

    def told(self, name, status):
        return [b for b in self.hook.accepted()
                if b["groupLabels"]["alertname"] == name and b["status"] == status]

    def ledger(self):
        return [(b["groupLabels"]["alertname"], b["status"]) for b in self.hook.accepted()]

    def test_a_condition_is_told_at_once_and_its_end_too(self):
        start = time.time()
        self.heat(90)
        kit.wait_for(lambda: self.told("TooHot", "firing"), 5, "webhook about TooHot")
        self.assertLess(self.hook.times[0] - start, 0.5 * kit.PATIENCE)
        body = self.told("TooHot", "firing")[0]
        self.assertEqual(list(body), ["receiver", "status", "alerts", "groupLabels",
                                      "commonLabels", "commonAnnotations", "externalURL",
                                      "version", "groupKey", "truncatedAlerts"])
        self.assertEqual(body["version"], "4")
        self.assertEqual(body["groupKey"], '{}:{alertname="TooHot", instance="web01"}')
        alert = body["alerts"][0]
        self.assertEqual(alert["labels"], {"alertname": "TooHot", "instance": "web01",
                                           "job": "node", "severity": "critical"})
        self.assertEqual(alert["annotations"]["summary"], "web01 温度过高：90 度")
        self.assertEqual(alert["endsAt"], "0001-01-01T00:00:00Z")
        active = [a for a in self.collector.api("alerts")["alerts"]
                  if a["labels"]["alertname"] == "TooHot"]
        self.assertEqual(active[0]["state"], "firing")
        self.assertEqual(active[0]["value"], "9e+01")
        self.heat(20)
        kit.wait_for(lambda: self.told("TooHot", "resolved"), 5, "end of TooHot")
        self.assertEqual(self.told("TooHot", "resolved")[0]["alerts"][0]["status"], "resolved")

    def test_a_mail_says_it_in_chinese(self):
        self.heat(90)
        kit.wait_for(lambda: self.mail.mails, 5, "mail about TooHot")
        sender, recipients, raw = self.mail.mails[0]
        self.assertEqual((sender, recipients), ("fengsui@example.cn", ["duty@example.cn"]))
        self.assertIn(b"Subject: =?UTF-8?B?", raw)
        message = self.mail.parsed()[0]
        self.assertIn("【告警】TooHot web01", message["Subject"])
        text = message.get_content()
        for part in ("web01 温度过高：90 度", "当前值：90", "severity = critical", "开始时间："):
            self.assertIn(part, text)
        self.assertTrue(message["Message-ID"].endswith("@fengsui>"))
        self.assertIsNotNone(message["Date"])

    def test_a_restart_neither_forgets_what_is_pending_nor_tells_twice(self):
        self.heat(90)
        kit.wait_for(lambda: self.told("TooHot", "firing"), 5, "webhook about TooHot")
        kit.wait_for(lambda: [a for a in self.collector.api("alerts")["alerts"]
                              if a["state"] == "pending"], 5, "SlowlyHot is pending")
        before = {a["labels"]["alertname"]: a["activeAt"]
                  for a in self.collector.api("alerts")["alerts"]}
        self.collector.restart()
        after = {a["labels"]["alertname"]: a["activeAt"]
                 for a in self.collector.api("alerts")["alerts"]}
        self.assertEqual(before, after)
        kit.wait_for(lambda: self.heat(90) or self.told("SlowlyHot", "firing"), 8,
                     "SlowlyHot fires")
        self.assertEqual(len(self.told("TooHot", "firing")), 1)
        self.heat(20)
        kit.wait_for(lambda: self.told("SlowlyHot", "resolved") and
                     self.told("TooHot", "resolved"), 5, "both end")
        self.assertEqual(len(self.hook.accepted()), 4, self.ledger())

    def test_what_a_kill_left_unsent_is_sent_once_after_the_restart(self):
        self.hook.answer = 503
        self.heat(90)
        kit.wait_for(lambda: self.hook.bodies, 5, "a first try")
        self.collector.kill()
        self.hook.answer = 200
        refused = [k for k, b in zip(self.hook.keys, self.hook.bodies) if b[0] == 503]
        tries = len(self.hook.bodies)
        self.collector.start()
        kit.wait_for(lambda: self.told("TooHot", "firing"), 5, "webhook after the restart")
        self.assertIn(self.hook.keys[tries], refused, "the same message id")
        self.assertEqual(self.hook.bodies[tries][1], self.hook.bodies[0][1], "the same bytes")
        self.heat(20)
        kit.wait_for(lambda: self.told("TooHot", "resolved"), 5, "its end")
        self.assertEqual(len(self.told("TooHot", "firing")), 1)

    def test_a_receiver_that_is_down_gets_everything_in_order_later(self):
        self.hook.answer = 500
        self.heat(90)
        kit.wait_for(lambda: self.hook.bodies, 5, "a first try")
        self.heat(20)
        kit.wait_for(lambda: not self.collector.api("alerts")["alerts"], 5, "TooHot ends")
        self.hook.answer = 200
        kit.wait_for(lambda: self.told("TooHot", "resolved"), 20, "the end arrives")
        told = [b["status"] for b in self.hook.accepted()
                if b["groupLabels"]["alertname"] == "TooHot"]
        self.assertEqual(told, ["firing", "resolved"])

    def test_alerts_and_recordings_are_series(self):
        self.heat(60)

        def value(query):
            result = self.collector.api("query?query=" + query)["result"]
            return [r["value"][1] for r in result]
        kit.wait_for(lambda: value("instance:temperature:max") == ["60"], 5, "a recorded series")
        kit.wait_for(lambda: value('ALERTS%7Balertname="SlowlyHot",alertstate="firing"%7D') ==
                     ["1"], 8, "ALERTS")
        self.heat(10)
        kit.wait_for(lambda: value("ALERTS") == [], 8, "ALERTS ends with a stale marker")

    def test_the_rules_api_has_prometheus_shape(self):
        self.heat(90)
        kit.wait_for(lambda: self.told("TooHot", "firing"), 5, "webhook about TooHot")
        groups = self.collector.api("rules")["groups"]
        self.assertEqual([g["name"] for g in groups], ["host", "recorded"])
        rule = groups[0]["rules"][0]
        self.assertEqual((rule["name"], rule["state"], rule["type"], rule["health"]),
                         ("TooHot", "firing", "alerting", "ok"))
        self.assertEqual(rule["query"], "temperature_celsius > 80")
        self.assertEqual(groups[1]["rules"][0]["type"], "recording")

    def test_a_bad_rule_is_refused_by_a_reload_and_the_old_ones_go_on(self):
        self.collector.put("rules/test.yml", "groups: [{name: a, rules: [{alert: X, expr: 'raet(x[1m])'}]}]")
        with self.assertRaises(kit.urllib.error.HTTPError) as refusal:
            self.collector.reload()
        self.assertIn("rate", refusal.exception.read().decode())
        self.heat(90)
        kit.wait_for(lambda: self.told("TooHot", "firing"), 5, "the old rules still run")
        self.collector.put("rules/test.yml", RULES.replace("> 80", "> 85"))
        self.collector.reload()
        self.assertEqual(self.collector.api("rules")["groups"][0]["rules"][0]["query"],
                         "temperature_celsius > 85")
        self.heat(90)
        kit.wait_for(lambda: [a for a in self.collector.api("alerts")["alerts"]
                              if a["labels"]["alertname"] == "TooHot"], 5, "still firing")
        self.assertEqual(len(self.told("TooHot", "firing")), 1, "not told again")


if __name__ == "__main__":
    unittest.main(verbosity=2)
