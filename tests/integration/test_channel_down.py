#!/usr/bin/python3
"""A channel that takes nothing any more is told through the others, and so is its recovery."""
import json
import os
import subprocess
import sys
import unittest
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import alert_kit as kit  # noqa: E402

ALERTING = """
global: {{channel_down_after: {after}}}
route:
  receiver: desk
  group_by: [alertname]
  group_wait: 0s
  group_interval: 200ms
  repeat_interval: 1h
{routes}
receivers:
- name: desk
  webhook_configs:
  - {{url: 'http://127.0.0.1:{dead}/', timeout: 2s}}
{second}
- name: spare
  webhook_configs: [{{url: 'http://127.0.0.1:{spare}/', timeout: 2s}}]
- name: nobody
"""
ROUTE = """
  routes:
  - {matchers: [alertname=NotificationChannelDown], receiver: desk}
  - {matchers: [alertname=Test], receiver: desk}
  - {matchers: [alertname=Spare], receiver: spare}
"""


class ChannelDown(unittest.TestCase):
    def start(self, routes="", second=False, after="1s"):
        self.dead, self.spare, self.second = kit.Hook(), kit.Hook(), kit.Hook()
        self.dead.answer = 503
        self.collector = kit.Collector("groups: []\n", ALERTING.format(
            routes=routes, dead=self.dead.port, spare=self.spare.port, after=after,
            second="" if not second else f"  - {{url: 'http://127.0.0.1:{self.second.port}/'}}"))
        for hook in (self.dead, self.spare, self.second):
            self.addCleanup(hook.close)
        self.addCleanup(self.collector.close)

    def post(self, name, n="1"):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.collector.http}/api/v2/alerts",
            json.dumps([{"labels": {"alertname": name, "n": n}}]).encode(),
            {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10 * kit.PATIENCE) as answer:
            self.assertEqual(answer.status, 200)

    @staticmethod
    def told(hook, status, name="NotificationChannelDown"):
        return [a for b in hook.accepted() for a in b["alerts"]
                if a["labels"]["alertname"] == name and a["status"] == status]

    def down(self):
        metrics = self.collector.get("/metrics").decode()
        return "fengsui_collector_notification_channels_down 1\n" in metrics

    def test_what_only_the_dead_channel_would_tell_goes_to_the_others_once(self):
        self.start()
        self.post("Test")
        kit.wait_for(lambda: self.told(self.spare, "firing"), 10, "the other receiver hears of it")
        alert = self.told(self.spare, "firing")[0]
        self.assertEqual(alert["labels"], {
            "alertname": "NotificationChannelDown", "severity": "critical", "receiver": "desk",
            "channel": "webhook", "index": "0"})
        self.assertIn("通知渠道不通：接收者 desk 的 webhook", alert["annotations"]["summary"])
        self.assertIn("HTTP status 503", alert["annotations"]["description"])
        self.assertTrue(self.down())
        listed = json.loads(self.collector.get("/api/v2/alerts"))
        self.assertIn("NotificationChannelDown", [a["labels"]["alertname"] for a in listed])
        self.collector.restart()
        self.assertTrue(self.down(), "a restart does not forget it")
        self.dead.answer = 200
        kit.wait_for(lambda: self.told(self.spare, "resolved"), 20, "its recovery")
        kit.wait_for(lambda: self.told(self.dead, "firing", "Test"), 10, "what was owed")
        kit.wait_for(lambda: not self.down(), 5, "the gauge")
        self.assertEqual(len(self.told(self.spare, "firing")), 1)
        self.assertEqual(self.told(self.spare, "firing", "Test"), [])

    def test_a_living_channel_of_the_route_is_enough(self):
        self.start(second=True)
        self.post("Test")
        kit.wait_for(lambda: self.told(self.second, "firing"), 10, "the other channel tells it")
        self.dead.answer = 200
        kit.wait_for(lambda: self.told(self.second, "resolved"), 20, "its recovery")
        self.assertEqual(self.spare.accepted(), [])

    def test_a_route_of_its_own_is_kept_to_and_a_trial_that_works_ends_it(self):
        self.start(routes=ROUTE.replace("NotificationChannelDown], receiver: desk",
                                        "NotificationChannelDown], receiver: spare"))
        self.dead.answer = 404  # another try would hardly change that: it comes in minutes
        self.post("Test")
        kit.wait_for(lambda: self.told(self.spare, "firing"), 10, "its route's receiver hears it")
        self.dead.answer = 200
        done = subprocess.run(
            [os.path.join(os.path.dirname(kit.COLLECTOR), "fengsuictl"), "--url",
             f"http://127.0.0.1:{self.collector.http}", "channel", "test", "desk"],
            capture_output=True, text=True, timeout=60 * kit.PATIENCE, check=False)
        self.assertEqual(done.returncode, 0, done)
        kit.wait_for(lambda: self.told(self.spare, "resolved"), 10, "its recovery")
        self.assertEqual(self.told(self.dead, "firing"), [])

    def test_a_channel_that_is_no_longer_configured_is_no_longer_down(self):
        self.start()
        self.post("Test")
        kit.wait_for(lambda: self.told(self.spare, "firing"), 10, "the other receiver hears of it")
        self.collector.put("alerting.yml", ALERTING.format(
            routes="", dead=self.dead.port, spare=self.spare.port, after="1s", second="").replace(
                f"{{url: 'http://127.0.0.1:{self.dead.port}/', timeout: 2s}}", "[]").replace(
                    "webhook_configs:\n  - []", ""))
        self.assertEqual(self.collector.reload(), 200)
        kit.wait_for(lambda: self.told(self.spare, "resolved"), 10, "its end")

    def test_a_stumble_is_not_told(self):
        self.start(after="1h")
        self.post("Test")
        kit.wait_for(lambda: len(self.dead.bodies) > 1, 10, "it fails")
        self.dead.answer = 200
        kit.wait_for(lambda: self.told(self.dead, "firing", "Test"), 20, "it is accepted")
        self.post("Spare")
        kit.wait_for(lambda: self.told(self.dead, "firing", "Spare"), 10, "and the next")
        self.assertEqual(self.spare.accepted(), [])
        self.assertFalse(self.down())


if __name__ == "__main__":
    unittest.main(verbosity=2)
