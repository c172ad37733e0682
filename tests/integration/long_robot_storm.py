#!/usr/bin/python3
"""A thousand alerts within ten seconds, through a robot that takes twenty messages a minute.

Every one of them is named in a digest, the robot refuses nothing and is never told more than it
takes, and the critical ones go by another channel at once, whatever waits for the robot.
"""
import json
import os
import sys
import threading
import time
import unittest
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import alert_kit as kit  # noqa: E402

COUNT, SECONDS, CRITICAL_EVERY = 1000, 10, 20
ALERTING = """
route:
  receiver: chat
  group_by: [alertname, instance]
  group_wait: 0s
  routes:
  - {{matchers: [severity=critical], receiver: pager, continue: true}}
  - {{receiver: chat}}
receivers:
- name: chat
  wecom_configs: [{{url: '{robot}', disclose: full, consent: '文号1'}}]
- name: pager
  webhook_configs: [{{url: 'http://127.0.0.1:{hook}/'}}]
"""


class RobotStorm(unittest.TestCase):
    def setUp(self):
        self.robot, self.hook = kit.Robot(per_minute=20), kit.Hook()
        self.collector = kit.Collector("groups: []\n", ALERTING.format(
            robot=self.robot.url, hook=self.hook.port))
        for end in (self.robot.close, self.hook.close, self.collector.close):
            self.addCleanup(end)
        self.posted = {}

    def storm(self):
        begun = time.time()
        for i in range(COUNT):
            name = f"web{i:04}"
            severity = "warning" if i % CRITICAL_EVERY else "critical"
            body = [{"labels": {"alertname": "Storm", "instance": name, "severity": severity}}]
            request = urllib.request.Request(
                f"http://127.0.0.1:{self.collector.http}/api/v2/alerts", json.dumps(body).encode(),
                {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=10 * kit.PATIENCE) as answer:
                self.assertEqual(answer.status, 200)
            self.posted[name] = time.time()
            time.sleep(max(0, begun + (i + 1) * SECONDS / COUNT - time.time()))

    def test_all_are_named_none_is_dropped_and_criticals_do_not_wait(self):
        begun = time.time()
        storm = threading.Thread(target=self.storm)
        storm.start()
        kit.wait_for(lambda: self.robot.bodies, 5, "the first message")
        self.assertLess(self.robot.times[0] - begun, 2 * kit.PATIENCE)
        storm.join()
        self.assertEqual(len(self.posted), COUNT)

        def missing():
            text = "\n".join(b["text"]["content"] for b in self.robot.bodies)
            return [name for name in self.posted if f"Storm {name}" not in text]
        kit.wait_for(lambda: not missing(), 300, "every name")
        self.assertEqual(self.robot.refused, 0)
        times = self.robot.times
        busiest = max(sum(0 <= t - start < 60 for t in times) for start in times)
        self.assertLessEqual(busiest, 20)
        self.assertTrue(all(len(b["text"]["content"].encode()) <= 2048
                            for b in self.robot.bodies))
        paged = {a["labels"]["instance"]: at for at, (_, body) in
                 zip(self.hook.times, self.hook.bodies) for a in json.loads(body)["alerts"]}
        self.assertEqual(len(paged), COUNT // CRITICAL_EVERY)
        latest = max(at - self.posted[name] for name, at in paged.items())
        self.assertLess(latest, 1 * kit.PATIENCE)
        print(f"{COUNT} alerts in {len(times)} messages, the last after {times[-1] - begun:.1f} s, "
              f"at most {busiest} a minute, the first after {times[0] - begun:.2f} s; criticals "
              f"after {latest:.2f} s at most", file=sys.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
