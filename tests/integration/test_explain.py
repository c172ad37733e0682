"""Why was somebody told of an alert, or nobody: fengsuictl alerts explain, alerts route, and check
consequences, against a real collector.

Nothing waits for a time to show that something is not told: what is explained says so itself.
"""
import json
import os
import re
import subprocess
import time

from alert_kit import Hook, write_request
from fengsui import BUILD, Lab, PATIENCE, run_tests, wait_for

RULES = """
groups:
- name: host
  interval: 1s
  rules:
  - alert: Hot
    expr: heat > 80
    labels: {severity: critical}
    annotations: {summary: '{{ $labels.instance }} 过热'}
  - {alert: Slow, expr: heat > 80, for: 1h}
  - {alert: Rack, expr: rack_down > 0}
"""
ALERTING = """
route:
  receiver: desk
  group_by: [alertname, instance]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 4h
  routes:
  - {{receiver: broken, matchers: ['instance=~"both|failing"'], continue: true}}
  - {{receiver: nowhere, matchers: ['instance="nowhere"']}}
  - {{receiver: desk, matchers: ['instance="waiting"'], group_wait: 1h}}
  - {{receiver: desk, matchers: ['instance="nights"'], active_time_intervals: [long_ago]}}
  - {{receiver: broken, matchers: ['instance="failing"']}}
  - {{receiver: desk, matchers: ['alertname=~"Hot|Rack"']}}
time_intervals: [{{name: long_ago, time_intervals: [{{years: ['1970']}}]}}]
inhibit_rules:
- {{source_matchers: ['alertname="Rack"'], target_matchers: ['alertname="Hot"'], equal: [rack]}}
receivers:
- {{name: desk, webhook_configs: [{{url: 'http://127.0.0.1:{desk}/', send_resolved: true}}]}}
- {{name: broken, webhook_configs: [{{url: 'http://127.0.0.1:{broken}/'}}]}}
- {{name: nowhere}}
"""
CONFIG = "rules: {files: [rules.yml]}\nalerting: alerting.yml\n"
PLACES = ("both", "failing", "nowhere", "waiting", "nights", "silenced", "inhibited")


def ctl(collector, *arguments, code=0, language="zh"):
    done = subprocess.run(
        [str(BUILD / "fengsuictl"), "--url", f"http://127.0.0.1:{collector.http}", "--lang",
         language, *arguments], capture_output=True, text=True, check=False,
        timeout=60 * PATIENCE, env={**os.environ, "TZ": "Asia/Shanghai"})
    assert done.returncode == code, (arguments, done)
    return done.stdout + done.stderr


def verdict(collector, *words, language="zh"):
    return ctl(collector, "alerts", "explain", *words, language=language).splitlines()[0]


def write(collector, *samples):
    """(name, labels, value) each."""
    now = int(time.time() * 1000)
    code, body = collector.request(
        "POST", "/api/v1/write",
        write_request([({"__name__": name, **labels}, now, value)
                       for name, labels, value in samples]),
        {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
         "X-Prometheus-Remote-Write-Version": "0.1.0"})
    assert code // 100 == 2, body


def fingerprint_of(collector, **labels):
    found = [alert["fingerprint"]
             for alert in collector.json("/api/fengsui/v1/alerts")["data"]["alerts"]
             if labels.items() <= alert["labels"].items()]
    assert len(found) == 1, (labels, found)
    return found[0]


def explained(collector, fingerprint):
    return collector.json(f"/api/fengsui/v1/alerts/{fingerprint}/explain")["data"]


class World:
    """A collector with one alert for each way of being told or not."""

    def __init__(self, lab):
        self.desk, self.broken = Hook(), Hook()
        self.broken.answer = 503
        self.collector = lab.collector(CONFIG)
        self.put("rules.yml", RULES)
        self.put("alerting.yml", ALERTING.format(desk=self.desk.port, broken=self.broken.port))
        self.collector.start()

    def put(self, name, text):
        path = self.collector.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return str(path)

    def close(self):
        self.collector.stop()
        self.desk.close()
        self.broken.close()


def check_verdicts(collector):
    """The first line says all that somebody at night must know."""
    at = r"\d\d:\d\d:\d\d"
    for words, pattern in [
            (("Hot", "instance=both"), rf"正在告警，已于 {at} 通知 desk（webhook）；尚未送达：broken（webhook）"
             r"已试 \d+ 次，最近：.*503.*；若仍在告警，.*再次通知"),
            (("Hot", "instance=failing"), r"正在告警，还没有送达任何人：broken（webhook）已试 \d+ 次，最近：.*503.*；仍在重试"),
            (("Hot", "instance=nowhere"), r"正在告警，但无人会被通知：没有配置任何渠道的接收人 nowhere"),
            (("Hot", "instance=waiting"), rf"正在告警，尚未通知：将于 (\d\d-\d\d )?{at} 通知 desk（webhook）"),
            (("Hot", "instance=nights"), r"正在告警，未通知：因为时段 long_ago"),
            (("Hot", "instance=silenced"), rf"正在告警，未通知：因为静默 [0-9a-f]{{8}}（值班员甲：检修），到 .*{at}；"
             rf"届时仍在告警则 .*{at} 通知"),
            (("Hot", "instance=inhibited"), rf"正在告警，未通知：因为被告警 Rack .*rack=7.* 抑制，它自 {at} 起在告警"),
            (("Slow", "--instance", "both"), rf"尚未触发：条件自 {at} 起成立，需持续 1h，.*{at} 触发")]:
        line = verdict(collector, *words)
        assert re.fullmatch(pattern, line), (words, line)
    line = verdict(collector, "Hot", "instance=silenced", language="en")
    assert re.fullmatch(rf"Firing, not told: silence \w{{8}} by 值班员甲: 检修 until .*{at}; if it still "
                        rf"fires, told at .*{at}", line), line


def check_the_whole(collector):
    """Each section is there, in the API and as text."""
    fingerprint = fingerprint_of(collector, alertname="Hot", instance="both")
    told = explained(collector, fingerprint)
    assert told["verdict"]["code"] == "told" and told["incidents"] == [], told
    assert told["rule"]["group"] == "host" and told["rule"]["line"] > 0, told["rule"]
    assert [(r["receiver"], r["outcome"]) for r in told["routes"]] == [
        ("desk", "passed"), ("broken", "taken"), ("nowhere", "missed"), ("desk", "missed"),
        ("desk", "missed"), ("broken", "missed"), ("desk", "taken")], told["routes"]
    assert {m["receiver"]: m["state"] for m in told["messages"]} == {
        "desk": "accepted", "broken": "queued"}, told["messages"]
    desk, = [g for g in told["groups"] if g["receiver"] == "desk"]
    assert desk["labels"] == {"alertname": "Hot", "instance": "both"}, desk
    assert desk["integrations"][0]["next"] == "repeat", desk
    text = ctl(collector, "alerts", "explain", fingerprint[:9])
    for section in ("both 过热", "通知\n", "分组\n", "路由\n", "规则\n", "● alertname=~\"Hot|Rack\" → desk",
                    "✗ instance=\"nowhere\" → nowhere  不匹配：instance=\"nowhere\"", "当前值 90"):
        assert section in text, (section, text)
    assert json.loads(ctl(collector, "--json", "alerts", "explain", fingerprint))["data"][
        "fingerprint"] == fingerprint


def check_choices(collector):
    """What is meant must be one alert, and what is no path is refused."""
    assert "请给出指纹" in ctl(collector, "alerts", "explain", "Hot", code=1)
    assert "没有这样的" in ctl(collector, "alerts", "explain", "Nothing", code=1)
    ctl(collector, "alerts", "explain", "Hot", "Slow", code=2)
    ctl(collector, "alerts", "explain", code=2)
    ctl(collector, "alerts", "explain", "0" * 16, code=1)
    for path in ("x/explain", "0" * 16, "0" * 16 + "/explain/", "", "0" * 17 + "/explain"):
        assert collector.get("/api/fengsui/v1/alerts/" + path)[0] == 404, path


def check_acknowledged(collector):
    ctl(collector, "alerts", "ack", "Hot", "--instance", "both", "--by", "值班员乙")
    line = verdict(collector, "Hot", "instance=both")
    assert "值班员乙 已确认" in line and "再次通知" not in line, line


def check_the_end(world):
    """An end that was told is known after the alert and its group are gone."""
    fingerprint = fingerprint_of(world.collector, alertname="Rack")
    assert "已于" in verdict(world.collector, fingerprint)
    write(world.collector, ("rack_down", {"rack": "7"}, 0))
    said = wait_for(lambda: [m for m in explained(world.collector, fingerprint)["messages"]
                             if m["tells"] == "resolved" and m["state"] == "accepted"], "the end")
    assert len(said) == 1 and said[0]["receiver"] == "desk", said
    over = wait_for(lambda: explained(world.collector, fingerprint)["groups"] == [] and
                    explained(world.collector, fingerprint), "the group to go")
    assert over["state"] == "over" and over["rule"] is None, over
    assert re.fullmatch(r"已经恢复；告警通知于 .* 送达 desk（webhook）；恢复通知于 .* 送达 desk（webhook）",
                        verdict(world.collector, fingerprint)), verdict(world.collector, fingerprint)


def test_an_alert_is_explained():
    with Lab() as lab:
        world = World(lab)
        collector = world.collector
        silence = ctl(collector, "silence", "add", "instance=silenced", "--comment", "检修", "--by", "值班员甲")
        assert silence.strip(), silence
        write(collector, ("rack_down", {"rack": "7"}, 1))
        wait_for(lambda: world.desk.accepted(), "Rack to be told")
        write(collector, *(("heat", {"instance": place, **({"rack": "7"} if place == "inhibited" else {})},
                            90) for place in PLACES))

        def is_settled():
            found = {a["labels"]["instance"]: explained(collector, a["fingerprint"])["verdict"]
                     for a in collector.json("/api/fengsui/v1/alerts")["data"]["alerts"]
                     if a["labels"]["alertname"] == "Hot"}
            return len(found) == len(PLACES) and found["both"]["code"] == "told" and \
                all(found[p]["undelivered"] and found[p]["undelivered"][0]["attempts"] > 0
                    for p in ("both", "failing"))
        wait_for(is_settled, "the first messages")
        check_verdicts(collector)
        check_the_whole(collector)
        check_choices(collector)
        check_acknowledged(collector)
        check_the_end(world)
        world.close()


# -- people --------------------------------------------------------------------------------------

DUTY = """
persons:
- {id: a, name: 值班员甲, ways: [{channel: hook, to: a}]}
- {id: b, name: 值班员乙, ways: [{channel: hook, to: b}]}
escalations:
- {name: page, steps: [{notify: [{person: a}]}, {wait: 1h, notify: [{person: b}]}]}
- {name: late, steps: [{wait: 1h, notify: [{person: b}]}]}
"""
PEOPLE = """
route:
  receiver: duty
  group_by: [alertname, instance]
  group_wait: 0s
  group_interval: 1s
  routes: [{{receiver: late, matchers: ['instance="late"']}}]
receivers: [{{name: duty, escalation: page}}, {{name: late, escalation: late}}]
contact_channels: [{{name: hook, webhook_configs: [{{url: 'http://127.0.0.1:{hook}/{{to}}'}}]}}]
"""


def test_people_who_were_and_will_be_told_are_named():
    with Lab() as lab:
        hook = Hook()
        collector = lab.collector(CONFIG + "duty: duty.yml\n")
        for name, text in (("rules.yml", RULES), ("duty.yml", DUTY),
                           ("alerting.yml", PEOPLE.format(hook=hook.port))):
            (collector.folder / name).write_text(text)
        collector.start()
        write(collector, ("heat", {"instance": "now"}, 90), ("heat", {"instance": "late"}, 90))
        at = r"(\d\d-\d\d )?\d\d:\d\d:\d\d"
        wait_for(lambda: hook.accepted(), "somebody to be told")
        wait_for(lambda: "已于" in verdict(collector, "Hot", "instance=now"), "somebody to be told")
        line = verdict(collector, "Hot", "instance=now")
        assert re.fullmatch(rf"正在告警，已于 {at} 通知 值班员甲（webhook）；若无人确认，{at} 通知 值班员乙", line), line
        wait_for(lambda: re.fullmatch(rf"正在告警，尚未通知：将于 {at} 通知 值班员乙",
                                      verdict(collector, "Hot", "instance=late")), "the incident")
        told = explained(collector, fingerprint_of(collector, alertname="Hot", instance="now"))
        incident, = told["incidents"]
        assert [(p["who"], p["state"], p["tells"]) for p in incident["told"]] == \
            [("值班员甲", "accepted", "firing")], incident
        assert [(p["who"], p["channel"], p["step"]) for p in incident["will"]][0] == \
            ("值班员乙", "hook", 2), incident
        text = ctl(collector, "alerts", "explain", "Hot", "instance=now")
        assert re.search(rf"事件 \d+  无人认领\n    {at}  已通知 值班员甲  webhook  告警  已接收\n"
                         rf"    {at}  将通知 值班员乙  hook  第 2 步，若无人确认", text), text
        ctl(collector, "alerts", "ack", "Hot", "--instance", "now", "--by", "值班员丙")
        wait_for(lambda: verdict(collector, "Hot", "instance=now").endswith("值班员丙 已确认"), "an end of steps")
        assert "没有影响" in ctl(collector, "check", "consequences", str(collector.folder / "collector.yml"))
        (collector.folder / "duty.yml").write_text(DUTY.replace("name: 值班员乙, ways: [{channel: hook, to: b}]",
                                                                "name: 值班员乙, ways: []"))
        told = consequences(collector, str(collector.folder / "collector.yml"))
        assert [way["receiver"] for way in told["receivers"]["removed"]] == ["person/b"], told
        route = ctl(collector, "alerts", "route", "instance=late", "--config", str(collector.folder / "alerting.yml"),
                    "--duty", str(collector.folder / "duty.yml"))
        assert route.startswith("late\n"), route
        collector.stop()
        hook.close()


# -- routes --------------------------------------------------------------------------------------

def test_routes_of_a_file_and_of_the_collector_are_the_same():
    with Lab() as lab:
        world = World(lab)
        collector = world.collector
        path = str(collector.folder / "alerting.yml")
        for labels, names in ((("instance=both", "alertname=Hot"), "broken,desk"),
                              (("instance=nowhere",), "nowhere"), (("x=y",), "desk"), ((), "desk")):
            running = ctl(collector, "alerts", "route", *labels)
            assert running.splitlines()[0] == names, (labels, running)
            assert running == ctl(collector, "alerts", "route", *labels, "--config", path)
        ctl(collector, "alerts", "route", "x=y", "--expect", "desk")
        assert "预期是 db" in ctl(collector, "alerts", "route", "x=y", "--expect", "db", code=1)
        ctl(collector, "alerts", "route", "nonsense", code=2)
        bad = world.put("bad.yml", "route: {receiver: a, grup_by: []}\nreceivers: [{name: a}]\n")
        assert "bad.yml:1" in ctl(collector, "alerts", "route", "x=y", "--config", bad, code=2)
        world.close()


# -- consequences --------------------------------------------------------------------------------

NEW_RULES = """
groups:
- name: host
  interval: 1s
  rules:
  - {alert: Hot, expr: heat > 80, labels: {severity: warning}}
  - {alert: Slow, expr: heat > 85, for: 2h}
  - {alert: Cold, expr: heat < 5}
"""


def consequences(collector, path):
    return json.loads(ctl(collector, "--json", "check", "consequences", path))


def check_consequences_of(world, collector):
    told = consequences(collector, world.put("new/collector.yml", CONFIG))
    rules = told["rules"]
    assert [r["name"] for r in rules["added"]] == ["Hot", "Cold"], rules
    gone = {r["name"]: (r["successor"], [a["state"] for a in r["alerts"]]) for r in rules["removed"]}
    assert gone == {"Hot": (True, ["firing"] * 2), "Rack": (False, [])}, gone
    assert [(r["name"], r["what"], len(r["alerts"])) for r in rules["changed"]] == [
        ("Slow", ["expr", "for"], 2)], rules
    # Hot's alerts end, so that only the others are routed.
    rows = {row["alerts"][0]["labels"]["instance"]: (row["before"], row["after"], row["regrouped"],
                                                     len(row["alerts"])) for row in told["routes"]}
    assert rows == {"silenced": (["desk"], ["desk"], ["desk"], 1),
                    "failing": (["broken", "broken"], ["desk", "desk"], [], 1)}, rows
    row, = told["receivers"]["removed"]
    assert (row["receiver"], row["channel"], row["owed"]) == ("broken", "webhook", 2), row
    assert [s["comment"] for s in told["silences"]] == ["架构"], told["silences"]
    text = ctl(collector, "check", "consequences", str(collector.folder / "new/collector.yml"),
               "--exit-code", code=1)
    for words in ("2 条触发中的告警会结束，并通知恢复；重新开始计时", "Slow：expr、for；2 条告警由新表达式决定",
                  "- broken webhook：还有 2 条未送达的通知，会被放弃", "会再次通知：desk",
                  'alertname="Rack"  值班员甲：架构'):
        assert words in text, (words, text)


def test_consequences_are_told_before_a_reload():
    with Lab() as lab:
        world = World(lab)
        collector = world.collector
        same = str(collector.folder / "collector.yml")
        assert "没有影响" in ctl(collector, "check", "consequences", same, "--exit-code")
        ctl(collector, "silence", "add", "alertname=Rack", "--comment", "架构", "--by", "值班员甲")
        ctl(collector, "silence", "add", "alertname=Hot", "--comment", "过热", "--by", "值班员甲", "--in", "1h")
        write(collector, *(("heat", {"instance": place}, 90) for place in ("failing", "silenced")))
        wait_for(lambda: [
            r for r in collector.json("/api/fengsui/v1/receivers")["data"]
            if r["name"] == "broken" and r["integrations"][0]["owed"] == 2], "owed messages")
        assert "没有影响" in ctl(collector, "check", "consequences", same, "--exit-code")
        new = ALERTING.format(desk=world.desk.port, broken=1).replace(
            "- {name: broken, webhook_configs: [{url: 'http://127.0.0.1:1/'}]}\n", "").replace(
            "receiver: broken", "receiver: desk").replace(
            "group_by: [alertname, instance]", "group_by: [alertname]")
        world.put("new/alerting.yml", new)
        world.put("new/rules.yml", NEW_RULES)
        check_consequences_of(world, collector)
        world.put("new/rules.yml", "groups: [{name: x, rules: [{alert: A, expr: 'up =='}]}]\n")
        assert "rules.yml:1" in ctl(collector, "check", "consequences",
                                    str(collector.folder / "new/collector.yml"), code=2)
        world.close()


NIGHTS = """
persons: [{id: '1001', name: 值班员甲}, {id: '1002', name: 值班员乙}, {id: '1003', name: 值班员丙}]
rosters:
- {name: night, title: 夜班, layers: [{rotation: ['1001', %s], start: 2026-01-01, length: 1d}]}
"""
WORKDAYS = """time_intervals:
- {{name: work, time_intervals: [{{calendar: cn-workday}}]}}
- {{name: never, time_intervals: []}}
- {{"""


def test_mutes_timers_and_duty_that_would_change_are_told_before_a_reload():
    with Lab() as lab:
        world = World(lab)
        collector = world.collector
        same = str(collector.folder / "collector.yml")
        world.put("collector.yml", CONFIG + "duty: duty.yml\n")
        world.put("duty.yml", NIGHTS % "'1002'")
        # Whether today is a workday is the holiday files' matter, of which Alertmanager's YAML says nothing.
        alerting = ALERTING.replace("time_intervals: [{{", WORKDAYS, 1).replace("}}]}}]\ninhibit", "}}]}}\ninhibit")
        alerting = alerting.format(desk=world.desk.port, broken=1).replace(
            "routes:", "routes:\n  - {receiver: broken, matchers: [alertname=Work], active_time_intervals: [work]}")
        world.put("alerting.yml", alerting)
        collector.stop()
        collector.start()
        write(collector, ("heat", {"instance": "hot", "rack": "7"}, 90), ("rack_down", {"rack": "8"}, 1),
              ("rack_down", {"rack": "7"}, 0))
        wait_for(lambda: {"Hot", "Slow", "Rack"} <= {
            alert["labels"]["alertname"]
            for alert in collector.json("/api/fengsui/v1/alerts")["data"]["alerts"]}, "alerts")
        assert "没有影响" in ctl(collector, "check", "consequences", same, "--exit-code")

        world.put("new/rules.yml", RULES)
        world.put("new/collector.yml", CONFIG + "duty: duty.yml\n")
        world.put("new/duty.yml", NIGHTS % "'1003'")
        world.put("new/alerting.yml", alerting.replace("equal: [rack]", "equal: [severity_of_racks]").replace(
            "'alertname=~\"Hot|Rack\"'", "'alertname=~\"Hot|Rack\"'], group_wait: 5m, "
            "mute_time_intervals: [work, rest").replace(
            "- {name: never, time_intervals: []}",
            "- {name: rest, time_intervals: [{calendar: cn-holiday}]}"))
        told = consequences(collector, str(collector.folder / "new/collector.yml"))
        row, = told["muting"]  # workdays and all others are every day
        assert (row["receiver"], row["becomes"], row["by"]) == ("desk", "muted", "time"), row
        assert {one["labels"]["alertname"] for one in row["alerts"]} == {"Hot", "Rack"}, row
        assert [(row["before"][0]["groupWaitMs"], row["after"][0]["groupWaitMs"], len(row["alerts"]))
                for row in told["timers"]] == [(0, 300000, 2)], told["timers"]
        assert told["intervals"] == {"added": ["rest"], "removed": ["never"], "changed": []}, told
        assert len(told["inhibit_rules"]["added"]) == len(told["inhibit_rules"]["removed"]) == 1, told
        days = [(row["before"][0]["id"], row["after"][0]["id"], row["toMs"] - row["fromMs"]) for row in told["duty"]]
        assert 14 <= len(days) <= 16 and {day[:2] for day in days} == {("1002", "1003")}, told["duty"]
        assert set(day[2] for day in days[1:-1]) == {86400000}, told["duty"]
        text = ctl(collector, "check", "consequences", str(collector.folder / "new/collector.yml"),
                   "--exit-code", code=1)
        for words in ("desk：2 条告警时段上会静音，不再通知", "desk：0s/1s/4h → 5m/1s/4h；涉及现在和最近 7 天的告警 2 条",
                      "~ 夜班", "值班员乙（1002） → 值班员丙（1003）", "+ rest", "- never", "正在触发"):
            assert words in text, (words, text)
        world.close()


if __name__ == "__main__":
    run_tests(globals())
