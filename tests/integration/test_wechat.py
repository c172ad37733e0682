#!/usr/bin/python3
"""An application of WeCom, as Alertmanager's wechat_configs: token, message, codes, what is told."""
import json
import os
import subprocess
import sys
import threading
import unittest
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import alert_kit as kit  # noqa: E402

RULES = """
groups:
- name: host
  rules:
  - alert: TooHot
    expr: temperature_celsius > 80
    labels: {severity: critical, alias: 申报系统, team: db}
    annotations: {summary: "{{ $labels.instance }} 的温度 {{ $value }} 度"}
"""
ALERTING = """
global:
  wechat_api_url: '%s/cgi-bin/'
  wechat_api_secret: 's3cret/+'
  wechat_api_corp_id: 'ww1'
route: {receiver: desk, group_by: [instance], group_wait: 0s, group_interval: 1s}
receivers:
- name: desk
  wechat_configs:
  - agent_id: '1000002'
    to_user: 'wang|{{ .CommonLabels.team }}'
    to_party: '2'
    per_minute: 6000
"""
FULL = """    message: '{{ range .Alerts }}{{ .Annotations.summary }}{{ end }}'
    message_type: markdown
    send_resolved: true
    disclose: full
    consent: '文号1'
"""


class WeCom:
    """Hands out tokens, takes messages; `worn` tokens are not taken any more."""

    def __init__(self):
        self.asked, self.messages, self.worn, self.code = [], [], set(), 0
        self.answer, self.pause = {}, threading.Event()
        self.pause.set()
        wecom = self

        class Handler(BaseHTTPRequestHandler):
            def say(self, **answer):
                text = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_GET(self):
                url = urllib.parse.urlsplit(self.path)
                query = dict(urllib.parse.parse_qsl(url.query))
                wecom.asked.append((url.path, query))
                wecom.pause.wait(20)
                if query.get("corpsecret") != "s3cret/+":
                    return self.say(errcode=40001, errmsg="invalid credential")
                return self.say(errcode=0, errmsg="ok", access_token=f"t{len(wecom.asked)}",
                                expires_in=7200)

            def do_POST(self):
                url = urllib.parse.urlsplit(self.path)
                token = dict(urllib.parse.parse_qsl(url.query))["access_token"]
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if token in wecom.worn:
                    return self.say(errcode=42001, errmsg="access_token expired")
                if wecom.code != 0:
                    return self.say(errcode=wecom.code, errmsg="said WeCom")
                wecom.messages.append((url.path, token, body))
                return self.say(errcode=0, errmsg="ok", **wecom.answer)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class WeChat(unittest.TestCase):
    def setUp(self):
        self.wecom = WeCom()
        self.addCleanup(self.wecom.close)

    def collector(self, more="", alerting=ALERTING):
        collector = kit.Collector(RULES, alerting % self.wecom.url + more)
        self.addCleanup(collector.close)
        return collector

    def heat(self, collector, *instances, value=90):
        collector.write(*[("temperature_celsius", {"instance": i}, value) for i in instances])

    def messages(self, count):
        kit.wait_for(lambda: len(self.wecom.messages) >= count, 8, f"{count} messages")
        return self.wecom.messages

    def test_one_token_for_all_and_no_names_unless_allowed(self):
        collector = self.collector()
        self.heat(collector, "web01", "web02", "web03")
        texts = lambda: "".join(b["text"]["content"] for _, _, b in self.wecom.messages)
        kit.wait_for(lambda: texts().count("严重 申报系统 编号") == 3, 8, "three alerts")
        self.assertNotIn("web", texts())
        self.assertTrue(all(b["touser"] == "wang|db" for _, _, b in self.wecom.messages))
        path, token, body = self.wecom.messages[0]
        self.assertEqual((path, token), ("/cgi-bin/message/send", "t1"))
        self.assertEqual((body["touser"], body["toparty"], body["totag"], body["agentid"],
                          body["msgtype"]), ("wang|db", "2", "", "1000002", "text"))
        self.assertEqual(self.wecom.asked, [("/cgi-bin/gettoken", {
            "corpid": "ww1", "corpsecret": "s3cret/+"})])
        self.heat(collector, "web01", value=20)  # send_resolved is false, as in Alertmanager
        self.heat(collector, "web04")
        kit.wait_for(lambda: texts().count("编号") == 4, 8, "a fourth")
        self.assertNotIn("已恢复", texts())

    def test_who_comes_while_a_token_is_asked_for_waits_for_it(self):
        lists = "".join("  - {agent_id: '1', to_user: u%d}\n" % i for i in range(12))
        self.wecom.pause.clear()
        collector = self.collector(lists)
        self.heat(collector, "web01")
        kit.wait_for(lambda: self.wecom.asked, 5, "the first to ask")
        self.heat(collector, "web02")
        kit.wait_for(lambda: collector.get("/api/v2/alerts").count(b"web02"), 5, "the second alert")
        self.wecom.pause.set()
        kit.wait_for(lambda: {b["touser"] for _, _, b in self.wecom.messages} >=
                     {f"u{i}" for i in range(12)}, 8, "everybody")
        self.assertEqual(len(self.wecom.asked), 1)

    def test_a_worn_token_is_renewed_once(self):
        collector = self.collector(FULL)
        self.heat(collector, "web01")
        self.assertEqual(self.messages(1)[0][2]["markdown"]["content"], "web01 的温度 90 度")
        self.wecom.worn = {"t1"}
        self.heat(collector, "web01", value=20)
        self.assertEqual(self.messages(2)[1][1], "t2")
        self.assertIn("notifications_retried_total 0\n", collector.get("/metrics").decode())
        self.wecom.worn = {f"t{i}" for i in range(1, 200)}
        self.heat(collector, "web02")
        kit.wait_for(lambda: "token expired" in collector.own_log(), 8, "the reason")
        asked = len(self.wecom.asked)
        self.assertGreaterEqual(asked, 3)
        self.wecom.worn = set()
        self.messages(3)

    def test_codes_are_read(self):
        self.wecom.code = 81013
        self.wecom.answer = {"invaliduser": "wang"}
        collector = self.collector()
        self.heat(collector, "web01")
        kit.wait_for(lambda: "answered 81013, nobody of those" in collector.own_log(), 5, "the reason")
        self.wecom.code = 0
        self.heat(collector, "web02")
        kit.wait_for(lambda: "not to invaliduser: wang" in collector.own_log(), 5, "who was not reached")
        self.assertNotIn("s3cret", collector.own_log())

    def test_a_wrong_secret_is_told(self):
        collector = self.collector(alerting=ALERTING.replace("s3cret/+", "wrong"))
        self.heat(collector, "web01")
        kit.wait_for(lambda: "answered 40001, secret not valid" in collector.own_log(), 5, "the reason")
        self.assertNotIn("wrong", collector.own_log())

    def test_it_can_be_tried(self):
        collector = self.collector()

        def channel_test():
            return subprocess.run(
                [os.path.join(os.path.dirname(kit.COLLECTOR), "fengsuictl"), "--lang", "en", "--url",
                 f"http://127.0.0.1:{collector.http}", "channel", "test", "desk"],
                capture_output=True, text=True, timeout=60 * kit.PATIENCE, check=False)
        good = channel_test()
        self.assertEqual((good.returncode, good.stdout.count("accepted")), (0, 1), good)
        self.assertTrue(self.wecom.messages[0][2]["text"]["content"].startswith("【测试】"))
        self.wecom.code = 60020
        bad = channel_test()
        self.assertEqual(bad.returncode, 1)
        self.assertIn("our address is not on the application's list", bad.stdout)

    def test_it_is_shown_as_alertmanager_s_with_the_secret_left_out(self):
        collector = self.collector(FULL)
        shown = json.loads(collector.get("/api/v2/status"))["config"]["original"]
        for line in ("  wechat_configs:", '      api_secret: "<secret>"', '      corp_id: "ww1"',
                     '      message_type: "markdown"', '      to_party: "2"'):
            self.assertIn(line + "\n", shown)
        self.assertNotIn("s3cret", shown)

    def test_what_cannot_work_or_tells_too_much_is_refused(self):
        for more, reason in [("    message: '{{ .Alerts }}'\n", "disclose: full"),
                             ("    disclose: full\n", "must name the written consent"),
                             ("    message_type: card\n", "message_type"),
                             ("    api_secret: a\n    api_secret_file: b\n", "either api_secret or"),
                             ("    api_url: 'ftp://x/'\n", "no http:// or https:// URL"),
                             ("    to_tag: '{{ .Bad '\n", "to_tag")]:
            with self.assertRaises(AssertionError) as caught:
                self.collector(more)
            self.assertIn(reason, str(caught.exception))


if __name__ == "__main__":
    unittest.main(verbosity=2)
