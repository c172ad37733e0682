#!/usr/bin/python3
"""People: an incident tells them one after the other until somebody acknowledges, across kills,
silences, news and ways that do not work; and everybody who was told is told the end."""
import datetime
import json
import os
import subprocess
import sys
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import alert_kit as kit  # noqa: E402

CTL = os.path.join(os.path.dirname(kit.COLLECTOR), "fengsuictl")

RULES = """
groups:
- name: host
  rules:
  - alert: TooHot
    expr: temperature_celsius > 80
    labels: {severity: critical}
    annotations: {summary: "{{ $labels.instance }} 过热"}
"""

DUTY = """
persons:
- {id: a, name: 值班员甲, ways: [{channel: hook, to: a}, {channel: spare, to: a-spare}], manager: m}
- {id: b, name: 值班员乙, ways: [{channel: hook, to: b}], manager: m}
- {id: m, name: 值班主管, ways: [{channel: hook, to: m}]}
- {id: n, name: 没有电话的人, ways: []}
rosters:
- name: primary
  layers:
  - {name: week, rotation: [a, b], length: 1w, handover: '08:30', start: '2026-01-05'}
escalations:
- name: page
  steps:
  - {notify: [{person: a}]}
  - {wait: 1s, notify: [{person: b}]}
  - {wait: 1s, notify: [{manager: true}]}
  repeat: 1s
  repeat_from: 2
- name: slow
  steps:
  - {notify: [{person: a}]}
  - {wait: 2s, notify: [{person: b}]}
  - {wait: 1h, notify: [{person: m}]}
- name: lonely
  steps:
  - {notify: [{person: n}]}
  - {wait: 1h, notify: [{person: m}]}
- name: rostered
  steps:
  - {notify: [{roster: primary}]}
  - {wait: 10m, notify: [{manager: true}]}
"""


class Escalation(unittest.TestCase):
    def collector(self, escalation="page", group_by="[alertname, instance]", wait="0s"):
        self.hook = kit.Hook()
        self.addCleanup(self.hook.close)
        url = f"http://127.0.0.1:{self.hook.port}"
        collector = kit.Collector(RULES, f"""
route: {{receiver: duty, group_by: {group_by}, group_wait: {wait}, group_interval: 1s}}
receivers:
- {{name: duty, escalation: {escalation}}}
contact_channels:
- {{name: hook, webhook_configs: [{{url: '{url}/{{to}}'}}]}}
- {{name: spare, webhook_configs: [{{url: '{url}/{{to}}'}}]}}
""", duty=DUTY)
        self.addCleanup(collector.close)
        return collector

    def heat(self, collector, instance, value):
        """Keeps a series fresh by naming it once: rules look back five minutes."""
        collector.write(("temperature_celsius", {"instance": instance}, value))

    def told(self, instance=None, status=None):
        """Who was told, in order: (path without slash, status), each message once."""
        seen, told = set(), []
        for path, key, (answer, body) in zip(list(self.hook.paths), list(self.hook.keys),
                                             list(self.hook.bodies)):
            message = json.loads(body)
            if answer // 100 != 2 or key in seen:
                continue
            seen.add(key)
            if instance and all(a["labels"]["instance"] != instance for a in message["alerts"]):
                continue
            if status and message["status"] != status:
                continue
            told.append(path[1:])
        return told

    def message(self, person):
        at = list(self.hook.paths).index("/" + person)
        return json.loads(self.hook.bodies[at][1])

    def incidents(self, collector, state="active"):
        return json.loads(collector.get(
            f"/api/fengsui/v1/incidents?state={state}"))["data"]["incidents"]

    def incident(self, collector, number=1):
        return json.loads(collector.get(f"/api/fengsui/v1/incidents/{number}"))["data"]

    def kinds(self, collector, number=1):
        return [event["kind"] for event in self.incident(collector, number)["events"]]

    def post(self, collector, path, body):
        request = urllib.request.Request(
            f"http://127.0.0.1:{collector.http}{path}", json.dumps(body).encode(),
            {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())

    def acknowledge(self, collector, number=1):
        self.post(collector, "/api/fengsui/v1/incidents/acknowledge",
                  {"incident": number, "by": "值班员乙", "comment": "在看"})

    def test_steps_until_acknowledged_and_everybody_hears_the_end(self):
        collector = self.collector()
        self.heat(collector, "web1", 90)
        # a, b, manager, and again from b on: never silent
        kit.wait_for(lambda: self.told("web1")[:5] == ["a", "b", "m", "b", "m"], 15,
                     "five steps")
        first = [t for p, t in zip(self.hook.paths, self.hook.times)][:3]
        self.assertGreater(first[1] - first[0], 0.8)
        self.acknowledge(collector)
        told = len(self.told("web1"))
        incident = self.incident(collector)
        self.assertEqual(incident["state"], "acknowledged")
        self.assertIsNone(incident["nextStepAt"])
        self.assertEqual(incident["next"], [])
        # Another incident is the clock: its third step is two seconds away.
        self.heat(collector, "web2", 90)
        kit.wait_for(lambda: len(self.told("web2")) >= 3, 15, "the other one's third step")
        self.assertLessEqual(len(self.told("web1")) - told, 1)  # one may have been under way
        self.heat(collector, "web1", 20)
        kit.wait_for(lambda: sorted(self.told("web1", "resolved")) == ["a", "b", "m"], 10,
                     "the end, to each who was told")
        kit.wait_for(lambda: [i["number"] for i in self.incidents(collector)] == [2], 5,
                     "the first is closed")
        kinds = self.kinds(collector)
        self.assertEqual(kinds[0], "opened")
        self.assertEqual(kinds[-1], "closed")
        self.assertEqual(kinds.count("acknowledged"), 1)
        by = next(e for e in self.incident(collector)["events"] if e["kind"] == "acknowledged")
        self.assertEqual((by["person"]["id"], by["text"]), ("值班员乙", "在看"))
        self.assertEqual(len(self.incidents(collector, "all")), 2)

    def test_a_kill_loses_and_repeats_no_step(self):
        collector = self.collector("slow")
        self.heat(collector, "web1", 90)
        kit.wait_for(lambda: self.told() == ["a"], 10, "the first step")
        collector.kill()
        began = self.hook.times[0]
        collector.start()
        kit.wait_for(lambda: self.told() == ["a", "b"], 10, "the second step")
        if kit.PATIENCE == 1:
            self.assertLess(self.hook.times[-1] - began, 4)
        self.assertEqual([i["number"] for i in self.incidents(collector)], [1])
        self.acknowledge(collector)
        collector.restart()
        self.assertEqual(self.incident(collector)["state"], "acknowledged")
        self.heat(collector, "web1", 20)
        kit.wait_for(lambda: sorted(self.told(status="resolved")) == ["a", "b"], 10, "the end")
        self.assertEqual(self.told(status="firing"), ["a", "b"])

    def test_news_after_an_acknowledgement_begin_again(self):
        collector = self.collector("slow", "[alertname]")
        self.heat(collector, "web1", 90)
        kit.wait_for(lambda: self.told() == ["a"], 10, "the first step")
        self.acknowledge(collector)
        self.assertEqual(self.incident(collector)["state"], "acknowledged")
        self.heat(collector, "web2", 90)
        kit.wait_for(lambda: self.incident(collector)["state"] == "open", 10, "open again")
        kit.wait_for(lambda: self.told("web2")[-1:] == ["b"], 10, "the second step again")
        self.assertEqual(set(self.told("web2")), {"a", "b"})
        self.assertIn("reopened", self.kinds(collector))

    def test_who_is_quicker_than_the_groups_wait_is_not_forgotten(self):
        collector = self.collector("slow", wait="2s")
        self.heat(collector, "web1", 90)

        def alerts():
            return [a for a in json.loads(collector.get("/api/fengsui/v1/alerts"))["data"]
                    ["alerts"] if a["status"]["state"] == "active"]
        fingerprint = kit.wait_for(alerts, 10, "the alert")[0]["fingerprint"]
        self.post(collector, "/api/fengsui/v1/alerts/acknowledge",
                  {"fingerprint": fingerprint, "by": "值班员乙"})
        kit.wait_for(lambda: self.incidents(collector), 10, "the incident")
        self.assertEqual(self.incident(collector)["state"], "acknowledged")
        self.assertEqual(self.told(), [])
        self.post(collector, "/api/fengsui/v1/incidents/unacknowledge", {"incident": 1})
        kit.wait_for(lambda: self.told() == ["a"], 10, "the first step after all")

    def test_nobody_does_not_keep_anybody_waiting(self):
        collector = self.collector("lonely")
        self.heat(collector, "web1", 90)
        kit.wait_for(lambda: self.told() == ["m"], 10, "the second step, an hour early")
        self.assertIn("nobody", self.kinds(collector))

    def test_a_silence_makes_steps_wait(self):
        collector = self.collector("slow")
        self.heat(collector, "web1", 90)
        kit.wait_for(lambda: self.told() == ["a"], 10, "the first step")
        silence = self.post(collector, "/api/v2/silences", {
            "matchers": [{"name": "instance", "value": "web1", "isRegex": False}],
            "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z",
            "createdBy": "t", "comment": "t"})["silenceID"]
        kit.wait_for(lambda: "muted" in self.kinds(collector), 10, "the incident is muted")
        self.heat(collector, "web2", 90)  # the clock
        kit.wait_for(lambda: self.told("web2") == ["a", "b"], 10, "the other one's second step")
        self.assertEqual(self.told("web1"), ["a"])
        urllib.request.urlopen(urllib.request.Request(
            f"http://127.0.0.1:{collector.http}/api/v2/silence/{silence}", method="DELETE"))
        kit.wait_for(lambda: self.told("web1") == ["a", "b"], 10, "the second step after all")
        self.assertIn("unmuted", self.kinds(collector))

    def test_a_way_that_is_refused_gives_place_to_the_next(self):
        collector = self.collector("slow")
        self.hook.answers["/a"] = 400
        self.heat(collector, "web1", 90)
        kit.wait_for(lambda: self.told()[:1] == ["a-spare"], 8, "the other way")
        events = self.incident(collector)["events"]
        fallback = next(e for e in events if e["kind"] == "fallback")
        self.assertIn("400", fallback["text"])
        first = next(e for e in events if e["kind"] == "told")
        kit.wait_for(lambda: next(e for e in self.incident(collector)["events"]
                                  if e["kind"] == "told")["messageState"] == "fallback", 5,
                     "the first way's row says so")
        self.assertEqual((first["channel"], first["person"]["name"]), ("hook", "值班员甲"))
        self.hook.answers["/b"] = 400  # b has no other way: the next step does not wait an hour
        kit.wait_for(lambda: "m" in self.told(), 10, "the next step at once")

    def test_a_link_shows_a_page_and_acknowledges_when_asked(self):
        collector = self.collector("slow")
        self.heat(collector, "web1", 90)
        kit.wait_for(lambda: self.told() == ["a"], 10, "the first step")
        message = self.message("a")
        self.assertEqual(message["incident"], "1")
        url = message["acknowledgeURL"]
        self.assertTrue(url.startswith(f"http://127.0.0.1:{collector.http}/acknowledge?"), url)
        with urllib.request.urlopen(url) as answer:
            self.assertIn("我来处理", answer.read().decode())
            self.assertIn("default-src 'none'", answer.headers["Content-Security-Policy"])
        self.assertEqual(self.incident(collector)["state"], "open")
        for wrong in (url[:-1], url.replace("incident=1", "incident=2"),
                      url.replace("person=a", "person=b")):
            with self.assertRaises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(wrong, b"")
            self.assertEqual(refused.exception.code, 403)
        collector.restart()  # the key is kept
        with urllib.request.urlopen(url, b"") as answer:
            self.assertIn("已认领", answer.read().decode())
        kit.wait_for(lambda: self.incident(collector)["state"] == "acknowledged", 5,
                     "acknowledged")
        event = next(e for e in self.incident(collector)["events"]
                     if e["kind"] == "acknowledged")
        self.assertEqual(event["person"]["id"], "值班员甲（a）")
        self.heat(collector, "web1", 20)
        kit.wait_for(lambda: not self.incidents(collector), 10, "closed")
        with self.assertRaises(urllib.error.HTTPError) as late:
            urllib.request.urlopen(url, b"")
        self.assertEqual(late.exception.code, 410)

    def test_any_minute_can_be_rehearsed(self):
        collector = self.collector("rostered")

        def ask(at):
            query = urllib.parse.urlencode([("alert", "TooHot"), ("label", "instance=web1"),
                                            ("label", "severity=critical"), ("at", at)])
            return json.loads(collector.get(f"/api/fengsui/v1/duty/simulate?{query}"))["data"]
        first = ask("2027-02-05T03:00:00+08:00")
        later = ask("2027-02-12T03:00:00+08:00")
        # As people write it, in the zone of duty.yml, which is not that of this machine.
        for text in ("2027-02-05 03:00", "2027-02-05T03:00", "1801767600"):
            self.assertEqual(ask(text), first, text)
        ago = datetime.datetime.fromisoformat(ask("2h")["at"].replace("Z", "+00:00")).timestamp()
        self.assertAlmostEqual(ago, time.time() - 7200, delta=60)
        refused = urllib.parse.urlencode({"alert": "TooHot", "at": "tomorrow"})
        with self.assertRaises(urllib.error.HTTPError) as wrong:
            urllib.request.urlopen(
                f"http://127.0.0.1:{collector.http}/api/fengsui/v1/duty/simulate?{refused}")
        told = json.loads(wrong.exception.read())["error"]
        self.assertEqual(wrong.exception.code, 400)
        for example in ('"at"', "tomorrow", "2026-12-31 08:30", "2026-12-31T08:30:00+08:00", "2h"):
            self.assertIn(example, told)
        names = [[p["name"] for p in step["persons"]] for step in first["routes"][0]["steps"][:2]]
        others = [[p["name"] for p in step["persons"]] for step in later["routes"][0]["steps"][:2]]
        self.assertEqual(sorted([names[0][0], others[0][0]]), ["值班员乙", "值班员甲"])
        self.assertEqual([names[1], others[1]], [["值班主管"]] * 2)
        self.assertEqual(first["routes"][0]["steps"][1]["at"], "2027-02-04T19:10:00.000Z")
        printed = subprocess.run([CTL, "--url", f"http://127.0.0.1:{collector.http}", "duty",
                                  "simulate", "--alert", "TooHot", "--at", "2027-02-05 03:00",
                                  "severity=critical", "instance=web1"],
                                 capture_output=True, text=True, check=False,
                                 env={**os.environ, "TZ": "CST-8"})
        self.assertEqual(printed.returncode, 0, printed.stderr)
        self.assertIn(names[0][0], printed.stdout)
        self.assertIn("03:10", printed.stdout)

    def test_without_a_duty_file_local_time_is_the_collectors(self):
        before = os.environ.get("TZ")
        os.environ["TZ"] = "ABC-3:30"
        self.addCleanup(lambda: os.environ.pop("TZ") if before is None
                        else os.environ.update(TZ=before))
        collector = kit.Collector(RULES, "route: {receiver: none}\nreceivers: [{name: none}]\n")
        self.addCleanup(collector.close)
        query = urllib.parse.urlencode({"alert": "TooHot", "at": "2027-02-05 03:00"})
        data = json.loads(collector.get(f"/api/fengsui/v1/duty/simulate?{query}"))["data"]
        self.assertEqual(data["at"], "2027-02-04T23:30:00.000Z")

    def test_without_a_route_the_incident_is_over(self):
        collector = self.collector("slow")
        self.heat(collector, "web1", 90)
        kit.wait_for(lambda: self.told() == ["a"], 10, "the first step")
        collector.put("alerting.yml", "route: {receiver: none}\nreceivers: [{name: none}]\n"
                                      "contact_channels:\n"
                                      "- {name: hook, webhook_configs: [{url: 'http://x/{to}'}]}\n"
                                      "- {name: spare, webhook_configs: [{url: 'http://x/{to}'}]}\n")
        self.assertEqual(collector.reload(), 200)
        kit.wait_for(lambda: not self.incidents(collector), 5, "closed")
        self.assertIn("no route", self.incident(collector)["events"][-1]["text"])
        collector.put("alerting.yml", "route: {receiver: duty}\nreceivers:\n"
                                      "- {name: duty, escalation: pgae}\n")
        with self.assertRaises(urllib.error.HTTPError) as refused:
            collector.reload()
        self.assertIn("pgae", refused.exception.read().decode())


if __name__ == "__main__":
    sys.exit(kit.run_together(Escalation))
