"""Who is on duty: swaps that outlive a kill, whom they are refused to, a file that is taken whole or
not at all, two persons of one name, and the gap that is told of before nobody is there."""
import base64
import datetime
import json
import os
import signal
import subprocess

from alert_kit import Hook
from fengsui import BUILD, Lab, run_tests, wait_for

BEIJING = datetime.timezone(datetime.timedelta(hours=8))
NOON = datetime.datetime.now(BEIJING).replace(hour=12, minute=0, second=0, microsecond=0)
DUTY = "/api/fengsui/v1/duty"

PERSONS = """\
persons:
- {id: "1001", name: 值班员甲, post: 一线, ways: [{channel: sms, to: "13800000001"}]}
- {id: "1002", name: 值班员乙, post: 一线, ways: [{channel: sms, to: "13800000002"}]}
- {id: "1003", name: 值班员乙, post: 备份, ways: [{channel: sms, to: "13800000003"}]}
"""
ROSTER = """\
rosters:
- name: primary
  title: 一线值班
  layers:
  - {rotation: ["1001"], start: 2026-01-01, handover: "08:30"%s}
escalations:
- {name: default, steps: [{notify: [{roster: primary}]}, {wait: 5m, notify: [{person: "1001"}]}]}
"""


def moment(days):
    return (NOON + datetime.timedelta(days=days)).strftime("%Y-%m-%d %H:%M")


def write_duty(collector, until=None, persons=PERSONS, more=""):
    text = persons + ROSTER % (f", until: {moment(until)}" if until else "") + more
    (collector.folder / "duty.yml").write_text(text, encoding="utf-8")


def basic(user):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{user}-secret".encode()).decode()}


def write_users(folder, **roles):
    lines = ["users:\n"]
    for user, role in roles.items():
        hashed = subprocess.run([BUILD / "fengsuictl", "users", "hash"], input=f"{user}-secret\n",
                                capture_output=True, text=True, check=True).stdout.strip()
        lines.append(f'- {{name: {user}, role: {role}, password_hash: "{hashed}"}}\n')
    path = folder / "users.yml"
    path.write_text("".join(lines))
    os.chmod(path, 0o600)


def swap(collector, user, **body):
    wanted = {"roster": "primary", "from": moment(1), "to": moment(2), "person": "1002",
              "reason": "请假", "by": "somebody else", **body}
    code, answer = collector.request("POST", DUTY + "/swap", json.dumps(wanted).encode(),
                                     {"Content-Type": "application/json", **basic(user)})
    return code, json.loads(answer) if code != 403 else answer


def on_duty(collector, days, user=None):
    at = (NOON + datetime.timedelta(days=days, hours=1)).isoformat()
    path = DUTY + "/now?at=" + at.replace("+", "%2B")
    code, body = collector.request("GET", path, headers=basic(user) if user else {})
    assert code == 200, body
    return [person["id"] for person in json.loads(body)["data"]["rosters"][0]["persons"]]


def test_a_swap_is_an_operators_and_outlives_a_kill():
    with Lab() as lab:
        collector = lab.collector("duty: duty.yml\nhttp: {users: users.yml}\n")
        write_duty(collector)
        write_users(collector.folder, zhao="viewer", qian="operator")
        collector.start()

        code, answer = swap(collector, "zhao")
        assert code == 403, (code, answer)
        code, answer = swap(collector, "qian", person="9999")
        assert code == 404 and "9999" in answer["error"], answer
        code, answer = swap(collector, "qian", person="值班员乙")
        assert code == 400 and "1002 (一线), 1003 (备份)" in answer["error"], answer
        code, answer = swap(collector, "qian")
        assert code == 200 and answer["data"] == {"number": 1}, answer
        collector.kill()  # it was answered, so it holds

        collector.start()
        assert on_duty(collector, 0, "zhao") == ["1001"]
        assert on_duty(collector, 1, "zhao") == ["1002"]
        code, body = collector.request("GET", DUTY + "/swaps", headers=basic("zhao"))
        [kept] = json.loads(body)["data"]
        assert (kept["by"], kept["reason"]) == ("qian", "请假"), kept
        # Telephone numbers are for those who call.
        for user, address in (("zhao", None), ("qian", "13800000001")):
            _, body = collector.request("GET", DUTY + "/persons", headers=basic(user))
            assert json.loads(body)["data"][0]["ways"][0].get("to") == address, (user, body)

        assert collector.request("DELETE", DUTY + "/swap/1", headers=basic("zhao"))[0] == 403
        assert collector.request("DELETE", DUTY + "/swap/1", headers=basic("qian"))[0] == 200
        assert collector.request("DELETE", DUTY + "/swap/1", headers=basic("qian"))[0] == 404
        collector.kill()
        collector.start()
        assert on_duty(collector, 1, "zhao") == ["1001"]
        assert swap(collector, "qian")[1]["data"] == {"number": 2}
        log = collector.log.read_text()
        for done in ("did=duty_swap subject=1", "did=duty_cancel subject=1"):
            assert f"user=qian {done}" in log, done
        collector.stop()


def test_a_bad_file_is_refused_whole_and_the_old_one_stays():
    with Lab() as lab:
        collector = lab.collector("duty: duty.yml\nrules: {files: [rules.yml]}\n")
        rules = collector.folder / "rules.yml"
        group = "groups: [{name: %s, rules: [{record: a, expr: vector(1)}]}]"
        rules.write_text(group % "before")
        write_duty(collector)
        collector.start()

        rules.write_text(group % "after")
        write_duty(collector, persons=PERSONS.replace('"1001"', '"1004"'))
        code, body = collector.request("POST", "/-/reload")
        assert code != 200 and b"duty.yml:9" in body and b"1001" in body, (code, body)
        assert b"did you mean" in body, body
        assert on_duty(collector, 0) == ["1001"]
        groups = collector.json("/api/v1/rules")["data"]["groups"]
        assert [each["name"] for each in groups] == ["before"]

        write_duty(collector, more='- {name: second, steps: [{notify: [{roster: primary}]}]}\n')
        (collector.folder / "duty.yml").write_text(
            (collector.folder / "duty.yml").read_text().replace('rotation: ["1001"]',
                                                                'rotation: ["1003"]'))
        collector.signal(signal.SIGHUP)
        wait_for(lambda: on_duty(collector, 0) == ["1003"], "the new file to be taken")
        assert collector.json("/api/v1/rules")["data"]["groups"][0]["name"] == "after"
        collector.stop()


def alerting(hook):
    return (f"route: {{receiver: hook, group_wait: 0s, group_interval: 1s, group_by: [...],\n"
            f"  routes: [{{receiver: people, matchers: ['alertname=\"Rehearsed\"']}}]}}\n"
            f"contact_channels: [{{name: sms, webhook_configs: [{{url: 'http://127.0.0.1:1/{{to}}'}}]}}]\n"
            f"receivers: [{{name: hook, webhook_configs: [{{url: 'http://127.0.0.1:{hook.port}/'"
            f", send_resolved: true}}]}}, {{name: people, escalation: default}}]\n")


def alerts_told(hook):
    return [alert for body in hook.accepted() for alert in body["alerts"]]


def who(collector, days):
    """Whom the steps of an alert would tell then, by id."""
    at = (NOON + datetime.timedelta(days=days, hours=1)).isoformat()
    data = collector.json(DUTY + "/simulate", alert="Rehearsed", at=at)["data"]
    return [[person["id"] for person in step["persons"]]
            for step in data["routes"][0]["steps"][:2]]


def test_a_gap_is_told_of_a_day_ahead_and_mended_by_a_swap():
    hook = Hook()
    with Lab() as lab:
        collector = lab.collector("duty: duty.yml\nalerting: alerting.yml\n")
        (collector.folder / "alerting.yml").write_text(alerting(hook))
        write_duty(collector, until=3)
        # Past the horizon of the look ahead, the file's own end is nobody's gap but by this.
        override = (f'  overrides: [{{from: {moment(4)}, to: {moment(90)}, person: "1003"}}]\n'
                    "escalations:")
        path = collector.folder / "duty.yml"
        path.write_text(path.read_text().replace("escalations:", override))
        done = subprocess.run([BUILD / "fengsui-collector", "--check", "--config",
                               collector.folder / "collector.yml"], capture_output=True, text=True,
                              check=True)
        # A way that alerting.yml does not have is named with its line.
        path.write_text(path.read_text().replace("channel: sms", "channel: smms", 1))
        refused = subprocess.run([BUILD / "fengsui-collector", "--check", "--config",
                                  collector.folder / "collector.yml"], capture_output=True,
                                 text=True, check=False)
        assert refused.returncode == 2 and 'duty.yml:2: there is no contact channel "smms"' in \
            refused.stderr and 'did you mean "sms"' in refused.stderr, refused
        path.write_text(path.read_text().replace("channel: smms", "channel: sms", 1))
        gap = f"nobody is on duty from {moment(3)} to {moment(4)}"
        assert f"warning: roster primary: {gap}" in done.stdout, done.stdout

        collector.start()
        [alert] = wait_for(lambda: alerts_told(hook), "the alert")
        assert alert["labels"] == {
            "alertname": "DutyCoverageGap", "job": "fengsui-collector", "kind": "gap",
            "roster": "primary", "severity": "critical"}, alert
        assert alert["annotations"]["summary"] == \
            f"值班表 primary：{moment(3)} 至 {moment(4)} 无人值班", alert
        begins = NOON + datetime.timedelta(days=3)
        told = datetime.datetime.fromisoformat(alert["startsAt"].replace("Z", "+00:00"))
        assert begins - told >= datetime.timedelta(days=1)
        page = collector.get("/metrics")[1].decode()
        assert 'fengsui_collector_duty_findings{kind="gap"} 1\n' in page
        assert 'fengsui_collector_duty_roster_persons{roster="primary"} 1\n' in page

        collector.ctl("duty", "swap", "primary", moment(3), moment(4), "1002", "--by", "班长")
        wait_for(lambda: alerts_told(hook)[-1]["status"] == "resolved", "the end to be told")
        assert collector.json(DUTY + "/coverage")["data"]["findings"] == []
        assert 'fengsui_collector_duty_findings{kind="gap"} 0\n' in \
            collector.get("/metrics")[1].decode()
        # Whoever stands in is whom a step means; the others are told as ever.
        assert [who(collector, days) for days in (2, 3)] == [[["1001"], ["1001"]],
                                                             [["1002"], ["1001"]]]
        collector.ctl("duty", "cancel", "1")
        wait_for(lambda: alerts_told(hook)[-1]["status"] == "firing", "the gap to be told again")
        collector.stop()
    hook.close()


def ctl(*arguments, code=0):
    done = subprocess.run([BUILD / "fengsuictl", "--lang", "zh", "duty", *map(str, arguments)],
                          capture_output=True, text=True, check=False)
    assert done.returncode == code, (arguments, done)
    return done.stdout + done.stderr


def test_two_persons_of_one_name_are_told_apart():
    with Lab() as lab:
        collector = lab.collector("duty: duty.yml\n")
        write_duty(collector)
        file = collector.folder / "duty.yml"
        good = file.read_text()
        file.write_text(good.replace('rotation: ["1001"]', "rotation: [值班员乙]"))
        said = ctl("check", file, code=2)
        assert 'duty.yml:9: rotation: "值班员乙" is the name of several persons; write the id: ' \
            '"1002" (一线), "1003" (备份)' in said, said
        file.write_text(good)
        assert "没有问题" in ctl("check", file)

        table = collector.folder / "table.csv"
        rows = "日期,值班人员\r\n2026-12-01,值班员甲\r\n2026-12-02,%s\r\n"
        table.write_bytes((rows % "值班员乙").encode("gb18030"))
        said = ctl("import", table, "--file", file, code=1)
        assert "table.csv:3" in said and "1002（一线）、1003（备份）" in said, said
        table.write_bytes((rows % "1003").encode("gb18030"))
        layer = ctl("import", table, "--file", file, "--handover", "08:30")
        # A later layer wins, so it goes below the one that is there.
        added = "".join(f"  {line}\n" for line in layer.splitlines()[1:])
        file.write_text(good.replace("escalations:", added + "escalations:"))
        collector.start()
        for day, person in (("2026-12-01 09:00", "值班员甲（1001"), ("2026-12-03 08:00", "值班员乙（1003")):
            said = collector.ctl("--lang", "zh", "duty", "now", "--at", day)
            assert person in said, (day, said)
        said = collector.ctl("--lang", "zh", "duty", "show", "primary", "--from", "2026-12-01",
                             "--to", "2026-12-03")
        assert "2026-12-02  三    工作日" in said and "08:30-24:00 值班员乙（1003）" in said, said
        collector.stop()


def test_a_years_holidays_are_checked_and_installed():
    with Lab() as lab:
        folder = lab.folder
        (folder / "holidays").mkdir()
        file = folder / "duty.yml"
        roster = ROSTER % ", restrict: [{days: workday}]"
        file.write_text("holidays: holidays\n" + PERSONS +
                        roster.replace("  layers:", "  cover: [{days: workday}]\n  layers:"))
        assert "年的节假日文件" in ctl("check", file)
        source = folder / "new.json"
        year = NOON.year
        days = [{"name": "元旦", "date": f"{year}-01-01", "isOffDay": True},
                {"name": "元旦", "date": f"{year}-01-04", "isOffDay": False}]
        source.write_text(json.dumps({"year": year, "papers": [], "days": days + days[:1]}))
        assert f"{year}-01-01 is there twice" in ctl("import", source, "--file", file, code=1)
        source.write_text(json.dumps({"year": year, "papers": [], "days": days}))
        said = ctl("import", source, "--file", file)
        assert "放假 1 天，调休上班 1 天" in said and "--write" in said, said
        installed = folder / "holidays" / f"{year}.json"
        assert not installed.exists()
        ctl("import", source, "--file", file, "--write")
        assert json.loads(installed.read_text())["days"] == days
        assert f"缺少 {year} 年" not in ctl("check", file)


if __name__ == "__main__":
    run_tests(globals())
