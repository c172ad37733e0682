"""A mail server of another make takes our mails, and a third make reads them."""
import contextlib
import json
import tempfile

from fengsui import Lab, run_tests, wait_for
from node_peer import NodePeer, make_certificate

RULES = """
groups:
- name: host
  rules:
  - alert: 温度过高
    expr: temperature_celsius > 80
    labels: {severity: critical}
    annotations: {summary: '{{ $labels.instance }} 的处理器温度 {{ $value }} 度，请检查机房空调与风扇，必要时降低负载'}
"""
CONFIG = "rules: {evaluation_interval: 1s, files: [rules.yml]}\nalerting: alerting.yml\n"
ALERTING = """
global: {{smtp_smarthost: 'localhost:{port}', smtp_from: 烽燧 <fengsui@example.cn>}}
route: {{receiver: duty, group_by: [instance], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}
receivers:
- name: duty
  email_configs:
  - {{to: '{to}', auth_username: fengsui, auth_password: correct, send_resolved: true,
     tls_config: {{ca_file: '{folder}/tls.crt'}}}}
"""


@contextlib.contextmanager
def duty(to="值班员甲 <jia@example.cn>"):
    with Lab() as lab, tempfile.TemporaryDirectory() as folder:
        make_certificate(folder)
        with NodePeer("smtp_server.js", "correct", folder) as peer:
            collector = lab.collector(CONFIG)
            (collector.folder / "rules.yml").write_text(RULES)
            (collector.folder / "alerting.yml").write_text(
                ALERTING.format(port=peer.port, to=to, folder=folder))
            yield collector.start(), peer


def heat(collector, value=90, instance="web01"):
    text = f'temperature_celsius{{instance="{instance}"}} {value}\n'
    assert collector.request("POST", "/api/v1/import/prometheus", text.encode())[0] // 100 == 2


def mails(peer, count):
    peer.wait("mail", count)
    return [each["mail"] for each in peer.all("mail")]


def ledger(collector):
    return json.loads(collector.ctl("channel", "log", "--json"))["data"]["notifications"]


def test_encrypted_with_a_login_in_chinese_and_threaded():
    with duty() as (collector, peer):
        heat(collector)
        beginning = mails(peer, 1)[0]
        login = peer.wait("login")
        assert (login["login"], login["password"], login["secure"]) == ("fengsui", "correct", True)
        assert beginning["subject"].startswith(
            "【告警】温度过高 web01：web01 的处理器温度 90 度，请检查机房空调与风扇，必要时降低负载"), beginning
        assert "级别：critical" in beginning["text"] and beginning["from"] == \
            {"name": "烽燧", "address": "fengsui@example.cn"}, beginning
        assert beginning["header_to"] == ["jia@example.cn"], beginning
        assert beginning["to"] == ["jia@example.cn"] and "inReplyTo" not in beginning
        heat(collector, value=20)
        end = mails(peer, 2)[1]
        assert end["subject"].startswith("【恢复】"), end
        assert end["inReplyTo"] == beginning["messageId"] and end["messageId"] != beginning["messageId"]
        assert end["references"] in (beginning["messageId"], [beginning["messageId"]]), end
        wait_for(lambda: [r["state"] for r in ledger(collector)] == ["accepted"] * 2, "both in the ledger")
        heat(collector)
        assert "inReplyTo" not in mails(peer, 3)[2], "another beginning, another thread"


def test_the_end_refers_to_the_beginning_over_a_restart():
    with duty() as (collector, peer):
        heat(collector)
        beginning = mails(peer, 1)[0]
        wait_for(lambda: [r["state"] for r in ledger(collector)] == ["accepted"], "the ledger")
        collector.kill()
        collector.start()
        heat(collector, value=20)
        assert mails(peer, 2)[1]["inReplyTo"] == beginning["messageId"]


def test_a_retry_has_the_same_id():
    with duty() as (collector, peer):
        peer.tell(refuse_data=[451, 451])
        heat(collector)
        got = mails(peer, 3)
        assert [each.get("code") for each in got] == [451, 451, None]
        assert len({each["messageId"] for each in got}) == 1, got
        wait_for(lambda: [(r["state"], r["attempts"]) for r in ledger(collector)] == [("accepted", 3)],
                 "it was accepted at the third try")


def test_a_recipient_refused_for_now_is_tried_again_alone():
    with duty(to="jia@example.cn, 乙 <yi@example.cn>, bing@example.cn") as (collector, peer):
        peer.tell(refuse={"yi@example.cn": [451, 452], "bing@example.cn": [550]})
        heat(collector)
        got = mails(peer, 2)
        assert [each["to"] for each in got] == [["jia@example.cn"], ["yi@example.cn"]], got
        assert got[0]["messageId"] == got[1]["messageId"]
        assert [(e["refused"], e["code"]) for e in peer.all("refused")] == [
            ("yi@example.cn", 451), ("bing@example.cn", 550), ("yi@example.cn", 452)]
        wait_for(lambda: [(r["state"], r["attempts"]) for r in ledger(collector)] == [("accepted", 3)],
                 "all that can have it have it")


def test_who_is_refused_for_now_makes_no_other_wait():
    with duty(to="jia@example.cn, yi@example.cn") as (collector, peer):
        peer.tell(refuse={"yi@example.cn": [451] * 40})
        heat(collector)
        mails(peer, 1)
        heat(collector, value=20)
        end = mails(peer, 2)[1]
        assert (end["subject"][:4], end["to"]) == ("【恢复】", ["jia@example.cn"]), end
        assert [row["state"] for row in ledger(collector)] == ["queued"] * 2, "what yi is owed"
        collector.kill()
        collector.start()
        peer.tell(refuse={})
        wait_for(lambda: [m["to"] for m in mails(peer, 4)[2:]] == [["yi@example.cn"]] * 2,
                 "yi's two mails, after a restart, and nobody else's")


def test_a_refusal_of_all_for_good_is_told():
    with duty() as (collector, peer):
        peer.tell(refuse={"jia@example.cn": [550] * 9})
        heat(collector)
        wait_for(lambda: [r for r in ledger(collector) if "nobody of that name" in r["reason"]],
                 "the reason in the ledger")
        assert peer.all("mail") == [] and ledger(collector)[0]["state"] == "queued"


if __name__ == "__main__":
    run_tests(globals())
