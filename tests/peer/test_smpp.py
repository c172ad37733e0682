"""An SMPP server of another make gets our text messages, and does to us what servers do."""
import contextlib
import re
import tempfile

from fengsui import Lab, run_tests, wait_for
from node_peer import NodePeer, make_certificate

RULES = """
groups:
- name: host
  rules:
  - alert: TooHot
    expr: temperature_celsius > 80
    labels: {severity: critical, alias: 申报系统}
    annotations: {summary: '%s'}
"""
SUMMARY = "数据库主机的处理器温度过高，请检查机房空调与风扇𠮷"
CONFIG = "rules: {evaluation_interval: 1s, files: [rules.yml]}\nalerting: alerting.yml\n"
ROUTE = ("route: {receiver: duty, group_by: [instance], group_wait: 0s, group_interval: 1s}\n"
         "receivers:\n- name: duty\n  smpp_configs:\n")
ENTRY = ("  - {to: '%s', server: '127.0.0.1:%d', system_id: op, password: pw, source: '1068',"
         " signature: 【社保运维】, per_minute: 6000%s}\n")
FULL = ", disclose: full, consent: '文号1'"
LONG = FULL + ", text_bytes: 4000, text: '{{ range .Alerts }}{{ .Annotations.summary }}{{ end }}'"


class Duty:
    """A collector, and the server it sends text messages through."""

    def __init__(self, stack, keys="", phones=("13800001111",), secure=False, port=0,
                 summary=SUMMARY, password="pw", flags=()):
        self.lab = stack.enter_context(Lab())
        folder = ""
        if secure:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            make_certificate(folder)
            keys += f", tls: true, tls_config: {{ca_file: '{folder}/tls.crt'}}"
        self.password, self.certificates = password, folder
        self.peer = NodePeer("smpp_server.js", password, folder, port)
        stack.callback(lambda: self.peer.close())
        self.collector = self.lab.collector(CONFIG, flags)
        place = self.collector.folder
        (place / "rules.yml").write_text(RULES % summary)
        (place / "alerting.yml").write_text(ROUTE + "".join(
            ENTRY % (phone, self.peer.port, keys) for phone in phones))
        self.collector.start()

    def heat(self, *instances, value=90):
        text = "".join(f'temperature_celsius{{instance="{i}"}} {value}\n' for i in instances)
        code, body = self.collector.request("POST", "/api/v1/import/prometheus", text.encode())
        assert code // 100 == 2, body

    def states(self):
        rows = self.collector.json("/api/fengsui/v1/notifications")["data"]["notifications"]
        return [row["state"] for row in rows]

    def wait_states(self, *states):
        wait_for(lambda: sorted(self.states()) == sorted(states),
                 f"notifications {states}; there are {self.states()}; the peer saw "
                 f"{self.peer.events[-8:]}")

    def again(self):
        """The server dies and comes back at the same port."""
        port = self.peer.port
        self.peer.close()
        return lambda: setattr(self, "peer", NodePeer("smpp_server.js", self.password,
                                                      self.certificates, port))


def duty(**settings):
    stack = contextlib.ExitStack()
    return stack, Duty(stack, **settings)


def test_a_short_one_says_number_severity_and_alias_and_is_delivered():
    stack, d = duty()
    with stack:
        bound = d.peer.wait("bound")
        assert (bound["system_id"], bound["version"]) == ("op", 0x34), bound
        d.heat("web01")
        submit = d.peer.wait("submit")
        assert re.fullmatch(r"【社保运维】【告警】严重 编号 [0-9a-f]{8} 申报系统", submit["text"]), submit
        assert (submit["to"], submit["from"], submit["coding"], submit["ton"], submit["receipt"]) == \
            ("8613800001111", "1068", 8, 1, 1), submit
        d.wait_states("accepted")
        d.peer.tell(receipt=submit["submit"], state="ENROUTE")
        d.peer.tell(receipt=submit["submit"], state="DELIVRD")
        d.wait_states("delivered")
        d.peer.wait("receipt_answered", 2)
        d.heat("web01", value=20)
        end = d.peer.wait("message", 2)
        assert end["message"].startswith("【社保运维】【恢复】严重 编号"), end
        d.collector.stop()
        d.peer.wait("unbound")


def test_a_long_one_is_put_together_again_and_no_pair_is_split():
    text = "一" * 60 + "𠮷" * 70 + "告警正文"
    stack, d = duty(keys=LONG, summary=text)
    with stack:
        d.heat("web01")
        message = d.peer.wait("message")
        assert message["message"] == "【社保运维】" + text, message
        parts = d.peer.all("submit")
        assert message["parts"] == 4 == parts[0]["total"], parts
        assert len({p["reference"] for p in parts}) == 1 and [p["part"] for p in parts] == [1, 2, 3, 4]
        assert all(len(p["text"].encode("utf-16-be")) <= 134 for p in parts)
        for each in parts[:-1]:
            d.peer.tell(receipt=each["submit"], state="DELIVRD", form="decimal")
        d.peer.wait("receipt_answered", 3)
        assert d.states() == ["accepted"], "one part is still out"
        d.peer.tell(receipt=parts[-1]["submit"], state="UNDELIV", form="decimal")
        d.wait_states("failed")
        assert "UNDELIV, error 027" in d.collector.ctl("channel", "log")


def test_receipts_in_decimal_and_before_the_answer():
    stack, d = duty()
    with stack:
        d.peer.tell(receipts="DELIVRD", form="decimal", early=True)
        d.heat("web01", "web02", "web03")
        d.wait_states("delivered", "delivered", "delivered")


def test_throttled_within_a_window():
    stack, d = duty(keys=", window: 2")
    with stack:
        d.peer.wait("bound")
        d.peer.tell(throttle=2)
        d.heat(*[f"web{i}" for i in range(6)])
        d.wait_states(*["accepted"] * 6)
        assert len(d.peer.all("refused")) == 2, "it kept quiet after the first"
        assert len(d.peer.all("bound")) == 1


def test_all_share_one_session():
    stack, d = duty(phones=("13800001111", "+8613900002222", "0086111"))
    with stack:
        d.heat("web01")
        d.wait_states(*["accepted"] * 3)
        assert {m["to"] for m in d.peer.all("message")} == {"8613800001111", "8613900002222", "0086111"}
        assert len(d.peer.all("bound")) == 1


def test_cut_in_mid_message_goes_on_where_it_was():
    stack, d = duty(keys=LONG + ", window: 1", summary="长" * 300)
    with stack:
        d.peer.wait("bound")
        d.peer.tell(drop_after=2)
        d.heat("web01")
        d.peer.wait("cut")
        message = d.peer.wait("message")
        assert message["message"] == "【社保运维】" + "长" * 300
        # The answers to the first two were seen: they are not submitted again.
        assert [s["part"] for s in d.peer.all("submit")] == [1, 2, 3, 4, 5], d.peer.all("submit")
        d.wait_states("accepted")


def test_a_hang_is_noticed_and_what_was_not_answered_comes_again():
    stack, d = duty(keys=", timeout: 500ms")
    with stack:
        d.peer.wait("bound")
        d.peer.tell(swallow=1)
        d.heat("web01")
        d.peer.wait("bound", 2)  # a session whose answer is overdue is made again
        d.wait_states("accepted")
        assert len(d.peer.all("submit")) == 2, "twice, for nobody could know: at least once"


def test_the_link_is_kept_alive_and_missed():
    stack, d = duty(keys=", enquire_link: 200ms, timeout: 400ms")
    with stack:
        d.peer.wait("enquired", 3)
        assert len(d.peer.all("bound")) == 1
        d.peer.tell(hang=True)
        d.peer.wait("bound", 2)
        d.peer.tell(hang=False)
        d.peer.tell(enquire=True)
        d.peer.wait("enquiry_answered")
        d.peer.tell(unknown=True)
        assert d.peer.wait("nack")["nack"] == 3
        d.peer.tell(unbind=True)
        d.peer.wait("unbind_answered")
        d.peer.wait("bound", 3)
        d.heat("web01")
        d.wait_states("accepted")


def test_a_server_that_comes_late_is_found():
    stack, d = duty()
    with stack:
        d.peer.wait("bound")
        back = d.again()
        d.heat("web01")
        wait_for(lambda: d.states() == ["queued"], "the message is owed")
        back()
        d.peer.wait("message")
        d.wait_states("accepted")
        assert len(d.peer.all("submit")) == 1


def test_refused():
    stack, d = duty()
    with stack:
        d.peer.tell(refuse=0x0B)
        bad = d.collector.ctl("--lang", "en", "channel", "test", "duty", code=1)
        assert "0x0B, destination number not allowed" in bad, bad
        d.peer.tell(refuse=0)
        good = d.collector.ctl("--lang", "en", "channel", "test", "duty")
        assert "accepted" in good and d.peer.wait("message")["message"].startswith("【社保运维】【测试】")


def test_a_wrong_password():
    stack, d = duty(password="other")
    with stack:
        d.peer.wait("refused")
        bad = d.collector.ctl("--lang", "en", "channel", "test", "duty", code=1)
        assert "wrong password" in bad, bad
        config = d.collector.folder / "alerting.yml"
        config.write_text(config.read_text().replace("password: pw", "password: other"))
        assert d.collector.request("POST", "/-/reload", b"")[0] == 200
        d.peer.wait("bound")
        d.heat("web01")
        d.wait_states("accepted")


def test_by_tls():
    stack, d = duty(secure=True)
    with stack:
        d.heat("web01")
        d.peer.wait("message")
        d.wait_states("accepted")


def test_killed_between_acceptance_and_receipt():
    stack, d = duty()
    with stack:
        d.heat("web01")
        d.wait_states("accepted")
        d.heat("web02")
        d.wait_states("accepted", "accepted")
        ids = [each["submit"] for each in d.peer.all("submit")]
        d.collector.kill()
        d.collector.start()
        d.peer.wait("bound", 2)
        d.peer.tell(receipt=ids[0], state="DELIVRD", form="decimal")
        d.peer.tell(receipt=ids[1], state="EXPIRED", form="hex")
        d.wait_states("delivered", "failed")
        d.peer.wait("receipt_answered", 2)
        assert len(d.peer.all("submit")) == 2, "accepted, so not sent again"


PERSONS = """
persons:
- {id: a, name: 值班员甲, ways: [{channel: sms, to: '13800001111'}, {channel: sms, to: '13900002222'}]}
escalations: [{name: page, steps: [{notify: [{person: a}]}, {wait: 1h, notify: [{person: a}]}]}]
"""


def test_a_receipt_that_says_no_makes_a_person_be_told_another_way():
    with contextlib.ExitStack() as stack:
        lab = stack.enter_context(Lab())
        peer = stack.enter_context(NodePeer("smpp_server.js", "pw"))
        collector = lab.collector(CONFIG + "duty: duty.yml\n")
        (collector.folder / "rules.yml").write_text(RULES % SUMMARY)
        (collector.folder / "duty.yml").write_text(PERSONS)
        (collector.folder / "alerting.yml").write_text(
            "route: {receiver: duty, group_by: [instance], group_wait: 0s, group_interval: 1s}\n"
            "receivers: [{name: duty, escalation: page}]\n"
            "contact_channels:\n- name: sms\n  smpp_configs:\n"
            + ENTRY % ("{to}", peer.port, ""))
        collector.start()
        text = b'temperature_celsius{instance="web01"} 90\n'
        assert collector.request("POST", "/api/v1/import/prometheus", text)[0] // 100 == 2
        first = peer.wait("message")
        assert first["to"] == "8613800001111" and "【告警】事件1 严重 编号" in first["message"], first
        peer.tell(receipt=peer.wait("submit")["submit"], state="UNDELIV")
        assert peer.wait("message", 2)["to"] == "8613900002222"
        peer.tell(receipt=peer.wait("submit", 2)["submit"], state="DELIVRD")

        def states():
            rows = collector.json("/api/fengsui/v1/notifications")["data"]["notifications"]
            return [row["state"] for row in rows]
        wait_for(lambda: states() == ["delivered", "fallback"], f"both ways; there are {states()}")


def test_killed_before_the_answer():
    stack, d = duty()
    with stack:
        d.peer.wait("bound")
        d.peer.tell(swallow=1)
        d.heat("web01")
        d.peer.wait("submit")
        d.collector.kill()
        d.collector.start()
        d.peer.wait("message")
        d.wait_states("accepted")
        assert len(d.peer.all("submit")) == 2


if __name__ == "__main__":
    run_tests(globals())
