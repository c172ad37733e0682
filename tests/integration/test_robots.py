#!/usr/bin/python3
"""Robots in the chats of DingTalk, WeCom and Feishu, and text messages: what they are told, how it
is signed, what their codes mean, and that a storm neither breaks a limit nor loses a name."""
import base64
import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
import threading
import time
import unittest
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import alert_kit as kit  # noqa: E402

RULES = """
groups:
- name: host
  rules:
  - alert: TooHot
    expr: temperature_celsius > 80
    labels: {severity: critical, alias: 申报系统}
    annotations: {summary: "{{ $labels.instance }} 的温度 {{ $value }} 度"}
"""

ROUTE = """
route:
  receiver: desk
  group_by: [alertname, instance]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 1h
receivers:
- name: desk
"""
SECRET = "SECthis-is-secret"


class Robots(unittest.TestCase):
    def collector(self, receivers, secret=True):
        alerting = ROUTE + receivers
        original = kit.Collector.put

        def put(collector, name, text):
            original(collector, name, text)
            if name == "alerting.yml" and secret:
                original(collector, "secret", SECRET + "\n")
                os.chmod(os.path.join(collector.folder, "secret"), 0o600)
        kit.Collector.put = put
        try:
            collector = kit.Collector(RULES, alerting)
        finally:
            kit.Collector.put = original
        self.addCleanup(collector.close)
        return collector

    def robot(self, **settings):
        robot = kit.Robot(**settings)
        self.addCleanup(robot.close)
        return robot

    def heat(self, collector, value=90, instances=("web01",)):
        collector.write(*[("temperature_celsius", {"instance": i, "job": "node"}, value)
                          for i in instances])

    def test_dingtalk_is_signed_and_calls_by_number(self):
        robot = self.robot()
        collector = self.collector(
            f"  dingtalk_configs: [{{url: '{robot.url}', secret_file: secret, disclose: full, consent: '文号1',"
            " at_mobiles: ['13800001111']}]\n")
        self.heat(collector)
        kit.wait_for(lambda: robot.bodies, 5, "the message")
        body, query = robot.bodies[0], urllib.parse.parse_qs(robot.paths[0].split("?")[1])
        stamp = query["timestamp"][0]
        self.assertLess(abs(int(stamp) / 1000 - time.time()), 60 * kit.PATIENCE)
        self.assertEqual(query["token"], ["t0ken"])
        self.assertEqual(base64.b64decode(query["sign"][0]), hmac.new(
            SECRET.encode(), f"{stamp}\n{SECRET}".encode(), hashlib.sha256).digest())
        self.assertEqual(body["msgtype"], "text")
        self.assertEqual(body["at"], {"atMobiles": ["13800001111"], "atUserIds": [],
                                      "isAtAll": False})
        self.assertIn("【告警】TooHot web01", body["text"]["content"])
        self.assertIn("web01 的温度 90 度", body["text"]["content"])
        self.assertTrue(body["text"]["content"].endswith(" @13800001111"))

    def test_wecom_hears_no_names_unless_allowed_and_hears_the_end(self):
        robot = self.robot()
        collector = self.collector(
            f"  wecom_configs: [{{url: '{robot.url}', at_users: [duty], at_all: true}}]\n")
        self.heat(collector)
        kit.wait_for(lambda: robot.bodies, 5, "the message")
        text = robot.bodies[0]["text"]
        self.assertEqual(text["mentioned_list"], ["duty", "@all"])
        number = re.fullmatch(r"【告警】1 项\n1\. \[告警中\] 严重 申报系统 编号 ([0-9a-f]{8})\n",
                              text["content"]).group(1)
        self.heat(collector, value=20)
        kit.wait_for(lambda: len(robot.bodies) > 1, 5, "the end")
        self.assertEqual(robot.bodies[1]["text"]["content"],
                         f"【恢复】1 项\n1. [已恢复] 严重 申报系统 编号 {number}\n")

    def test_feishu_is_signed_in_the_body_and_nobody_is_called_by_a_label(self):
        robot = self.robot(code_name="code")
        collector = self.collector(
            f"  feishu_configs: [{{url: '{robot.url}', secret_file: secret, disclose: full, consent: '文号1'}}]\n")
        self.heat(collector, instances=('<at user_id="all"></at>',))
        kit.wait_for(lambda: robot.bodies, 5, "the message")
        body = robot.bodies[0]
        self.assertEqual(base64.b64decode(body["sign"]), hmac.new(
            f"{body['timestamp']}\n{SECRET}".encode(), b"", hashlib.sha256).digest())
        self.assertEqual(body["msg_type"], "text")
        self.assertNotIn("<", body["content"]["text"])
        self.assertIn("＜at user_id", body["content"]["text"])

    def test_a_refusal_in_the_body_is_no_success(self):
        robot = self.robot()
        robot.code = 310000
        collector = self.collector(f"  dingtalk_configs: [{{url: '{robot.url}'}}]\n")
        self.heat(collector)
        kit.wait_for(lambda: "the robot answered 310000" in collector.own_log(), 5, "the reason")
        self.assertIn("said the robot", collector.own_log())
        self.assertNotIn("t0ken", collector.own_log())
        self.assertIn("fengsui_collector_notifications_sent_total 0\n",
                      collector.get("/metrics").decode())

    def test_an_answer_without_a_code_is_no_success(self):
        hook = kit.Hook()
        self.addCleanup(hook.close)
        collector = self.collector(f"  wecom_configs: [{{url: 'http://127.0.0.1:{hook.port}/'}}]\n")
        self.heat(collector)
        kit.wait_for(lambda: "the answer has no code" in collector.own_log(), 5, "the reason")

    def test_a_busy_robot_is_asked_again(self):
        robot = self.robot()
        robot.code = -1
        collector = self.collector(f"  wecom_configs: [{{url: '{robot.url}'}}]\n")
        self.heat(collector)
        kit.wait_for(lambda: robot.refused, 5, "the first try")
        robot.code = 0
        kit.wait_for(lambda: robot.bodies, 10, "the message")

    def test_a_storm_is_told_whole_within_the_limit(self):
        robot, mail = self.robot(per_minute=20), kit.Mail()
        self.addCleanup(mail.close)
        collector = self.collector(
            f"  wecom_configs: [{{url: '{robot.url}', disclose: full, consent: '文号1'}}]\n"
            "  email_configs: [{to: 'duty@example.cn', require_tls: false,"
            f" smarthost: '127.0.0.1:{mail.port}', from: 'a@example.cn'}}]\n")
        names = [f"web{i:02}" for i in range(100)]
        start = time.monotonic()
        self.heat(collector, instances=names)
        kit.wait_for(lambda: robot.bodies, 5, "the first message")

        def told():
            text = "\n".join(b["text"]["content"] for b in robot.bodies)
            return all(name in text for name in names)
        kit.wait_for(told, 50, "every name")
        self.assertEqual(robot.refused, 0)
        self.assertTrue(all(len(b["text"]["content"].encode()) <= 2048 for b in robot.bodies))
        self.assertTrue(any("【汇总】" in b["text"]["content"] for b in robot.bodies))
        kit.wait_for(lambda: len(mail.mails) == len(names), 20, "a mail of each")
        print(f"{len(names)} alerts in {len(robot.bodies)} messages, "
              f"{time.monotonic() - start:.1f} s", file=sys.stderr)

    def test_what_waits_for_its_turn_is_held_against_what_mutes_it_by_then(self):
        robot = self.robot()
        collector = self.collector(
            f"  wecom_configs: [{{url: '{robot.url}', disclose: full, consent: '文号1'}}]\n"
            "inhibit_rules: [{source_matchers: [alertname=RackDown],"
            " target_matchers: [instance=~\"web03|web04\"]}]\n")
        self.heat(collector, instances=("web01",))
        kit.wait_for(lambda: robot.bodies, 5, "the first message, at once")
        self.heat(collector, instances=("web02", "web03", "web04", "web05"))  # they wait together
        request = urllib.request.Request(
            f"http://127.0.0.1:{collector.http}/api/v2/alerts", json.dumps(
                [{"labels": {"alertname": "RackDown", "instance": "rack"}}]).encode(),
            {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            self.assertEqual(answer.status, 200)

        def told():
            return "\n".join(b["text"]["content"] for b in robot.bodies)
        kit.wait_for(lambda: "web05" in told() and "RackDown" in told(), 20, "those not inhibited")
        self.assertIn("web02", told())
        self.assertNotIn("web03", told())
        self.assertNotIn("web04", told())

    def test_what_would_tell_too_much_is_refused(self):
        for config, reason in [
                ("url: 'http://x/', text: '{{ .Alerts }}'", "disclose: full"),
                ("url: 'http://x/', disclose: full", "must name the written consent"),
                ("url: 'ftp://x/'", "no http:// or https:// URL"),
                ("url: 'http://x/', secret: a, secret_file: secret", "either secret or"),
                ("url: 'http://x/', at_users: ['a\"b']", "no user id"),
                ("url: 'http://x/', at_mobile: ['1']", "at_mobiles")]:
            with self.assertRaises(AssertionError) as caught:
                self.collector(f"  dingtalk_configs: [{{{config}}}]\n")
            self.assertIn(reason, str(caught.exception))
        with self.assertRaises(AssertionError) as caught:
            self.collector("  wecom_configs: [{url: 'http://x/', secret: a}]\n")
        self.assertIn("signs nothing", str(caught.exception))

    def gateway(self, answer):
        """An SMS gateway; returns its URL and what it was sent: (method, path, body)."""
        seen = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                seen.append((self.command, self.path, self.rfile.read(
                    int(self.headers.get("Content-Length", 0))).decode()))
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
            do_GET = do_POST

            def log_message(self, *args):
                pass
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f"http://127.0.0.1:{server.server_address[1]}", seen

    def test_a_text_message_by_a_template_in_json(self):
        url, seen = self.gateway(b'{"code": "0"}')
        collector = self.collector(
            f"  sms_configs:\n  - to: '13800001111'\n    url: '{url}/send?user={{phone}}'\n"
            "    body: '{\"to\":[\"{phone}\"],\"content\":\"{text}\",\"key\":\"{secret}\"}'\n"
            "    secret_file: secret\n    signature: 【运维】\n    success: '\"code\":\\s*\"0\"'\n")
        self.heat(collector)
        kit.wait_for(lambda: seen, 5, "the text message")
        method, path, body = seen[0]
        self.assertEqual((method, path), ("POST", "/send?user=13800001111"))
        body = json.loads(body)
        self.assertEqual((body["to"], body["key"]), (["13800001111"], SECRET))
        self.assertRegex(body["content"], r"^【运维】【告警】严重 编号 \w{8} 申报系统$")
        kit.wait_for(lambda: "fengsui_collector_notifications_sent_total 1\n" in
                     collector.get("/metrics").decode(), 5, "accepted")

    def test_a_text_message_by_get_is_encoded_and_an_answer_that_says_no_is_a_failure(self):
        url, seen = self.gateway(b"ERROR:balance")
        collector = self.collector(
            f"  sms_configs: [{{to: '138', url: '{url}/?n={{phone}}&m={{text}}', success: '^OK',"
            " disclose: full, consent: '文号1', text: '{{ (index .Alerts 0).Labels.instance }}'}]\n")
        self.heat(collector, instances=("a&b=c 中",))
        kit.wait_for(lambda: seen, 5, "the text message")
        self.assertEqual(seen[0][:2], ("GET", "/?n=138&m=a%26b%3Dc%20%E4%B8%AD"))
        kit.wait_for(lambda: "ERROR:balance" in collector.own_log(), 5, "the reason")

    def test_a_template_that_cannot_work_is_refused(self):
        for config, reason in [("url: 'http://x/?p={phone}'", "has a {text}"),
                               ("url: 'http://x/?m={text}&u={user}'", "{user} is not known"),
                               ("url: 'http://x/?m={text}&k={secret}'", "{secret} is not known"),
                               ("url: 'http://x/{text}', success: '('", "sms_configs.success")]:
            with self.assertRaises(AssertionError) as caught:
                self.collector(f"  sms_configs: [{{to: '1', {config}}}]\n")
            self.assertIn(reason, str(caught.exception))

    def ctl(self, collector, *arguments):
        return subprocess.run(
            [os.path.join(os.path.dirname(kit.COLLECTOR), "fengsuictl"), "--lang", "en", "--url",
             f"http://127.0.0.1:{collector.http}", *arguments], capture_output=True, text=True,
            timeout=60 * kit.PATIENCE, check=False)

    def test_a_channel_can_be_tried(self):
        robot, hook = self.robot(), kit.Hook()
        self.addCleanup(hook.close)
        collector = self.collector(f"  wecom_configs: [{{url: '{robot.url}'}}]\n"
                                   f"  webhook_configs: [{{url: 'http://127.0.0.1:{hook.port}/'}}]\n"
                                   "- {name: nobody}\n")
        good = self.ctl(collector, "channel", "test", "desk")
        self.assertEqual(good.returncode, 0, good)
        self.assertEqual(good.stdout.count("accepted"), 2)
        self.assertTrue(robot.bodies[0]["text"]["content"].startswith("【测试】"))
        self.assertEqual(hook.accepted()[0]["alerts"][0]["labels"]["alertname"], "FengsuiTest")
        robot.code = 93000
        bad = self.ctl(collector, "channel", "test", "desk")
        self.assertEqual(bad.returncode, 1)
        self.assertIn("the robot answered 93000, key unknown", bad.stdout)
        bad = json.loads(self.ctl(collector, "channel", "test", "desk", "--json").stdout)
        self.assertEqual([(i["channel"], i["state"]) for i in bad["data"]["integrations"]],
                         [("webhook", "accepted"), ("wecom", "failed")])
        for receiver, reason in (("desck", "no receiver of that name"),
                                 ("nobody", "has no channel")):
            none = self.ctl(collector, "channel", "test", receiver)
            self.assertEqual(none.returncode, 1)
            self.assertIn(reason, none.stderr)
        self.assertEqual(json.loads(collector.get("/api/v1/alerts"))["data"]["alerts"], [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
