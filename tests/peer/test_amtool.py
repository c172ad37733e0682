"""amtool and a Prometheus talk to us as to an Alertmanager; a real one stands beside us.

The same commands and the same requests go to both, and both must answer the same.  Where we differ
on purpose it says so: DELETE of an unknown silence is 404 (as in later Alertmanagers), labels may
have any UTF-8 name, and a body that does not parse is refused in our parser's words.
"""
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from fengsui import BUILD, Lab, PATIENCE, SKIPPED, free_port, run_tests, wait_for

ALERTING = """
route:
  receiver: desk
  group_by: [alertname]
  group_wait: 1s
  group_interval: 5s
  routes:
  - {receiver: db, matchers: ['team="db"', 'role=~"a|b\\\\.c"'], continue: true}
  - {receiver: all, group_by: ['...'], matchers: ['team!="web"', 'team!=""'], repeat_interval: 30m}
receivers:
- name: desk
  webhook_configs: [{url: 'http://127.0.0.1:9/hook'}]
- name: db
  email_configs: [{to: a@example.org, from: b@example.org, smarthost: 'localhost:25'}]
- name: all
  wechat_configs:
  - {api_url: 'http://127.0.0.1:9/', corp_id: ww1, api_secret: hidden, agent_id: '1', to_user: a|b, to_party: '2'}
"""
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
DATE = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| UTC)"


class Alertmanager:
    def __init__(self, lab):
        folder = lab.folder / "alertmanager"
        folder.mkdir()
        (folder / "alertmanager.yml").write_text(ALERTING)
        self.http = free_port()
        with open(folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                ["prometheus-alertmanager", f"--config.file={folder}/alertmanager.yml",
                 f"--storage.path={folder}/data", "--cluster.listen-address=",
                 f"--web.listen-address=127.0.0.1:{self.http}"], stdout=log, stderr=log)
        wait_for(lambda: request(self, "GET", "/-/ready")[0] == 200, "Alertmanager", 30)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)


def request(server, method, path, body=None, kind="application/json"):
    call = urllib.request.Request(f"http://127.0.0.1:{server.http}{path}",
                                  None if body is None else body.encode(),
                                  {"Content-Type": kind}, method=method)
    try:
        with urllib.request.urlopen(call, timeout=20 * PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def amtool(server, *arguments, typed=None, code=0):
    done = subprocess.run(
        ["amtool", f"--alertmanager.url=http://127.0.0.1:{server.http}", "--no-version-check",
         *arguments], input=typed, text=True, capture_output=True, timeout=60 * PATIENCE,
        check=False)
    assert done.returncode == code, (arguments, done)
    return done.stdout


def shape(text):
    """Without what differs from run to run, and columns that follow its width."""
    return re.sub(r" +", " ", re.sub(DATE, "DATE", re.sub(UUID, "UUID", text)))


def both(lab):
    collector = lab.collector("alerting: alerting.yml\n")
    (collector.folder / "alerting.yml").write_text(ALERTING)
    return collector.start()


def check_alerts(ask):
    ask("alert", "add", "CpuHigh", "host=db1", "severity=critical", "team=db", "role=a",
        "--annotation=summary=数据库", "--generator-url=http://example.org/graph")
    ask("alert", "add", "CpuHigh", "host=web1", "team=web")
    ask("alert", "add", "Posted", "host=db1", "--end=2999-01-01T00:00:00Z",
        "--start=2026-01-01T00:00:00Z")
    for output in ("simple", "extended"):
        ask("alert", "query", "-o", output)
    for matcher in ("CpuHigh", "host=~db.*", "host!=db1", "severity!~.+", "severity=",
                    "host=nowhere"):
        ask("alert", "query", matcher)
    ask("alert", "query", "--receiver=d.*")


def check_silences(ask, server):
    ask("silence", "add", "alertname=CpuHigh", "host=~db.*", "--comment=检修", "--author=甲",
        "--duration=2h")
    name = amtool(server, "silence", "query", "-q").strip()
    for arguments in (("silence", "query"), ("silence", "query", "-o", "extended"),
                      ("alert", "query"), ("alert", "query", "--silenced"),
                      ("silence", "query", "alertname=CpuHigh"), ("silence", "query", "a=b"),
                      ("silence", "query", "--created-by=甲"),
                      ("silence", "query", "--created-by=乙")):
        ask(*arguments)
    ask("silence", "update", "--duration=3h", "--comment=longer", name)
    assert amtool(server, "silence", "query", "-q").strip() == name, "the id stays"
    ask("silence", "add", "host=x", "team!=y", "role!~z|", "--comment=c", "--author=乙",
        "--start=2998-01-01T00:00:00Z", "--end=2999-01-01T00:00:00Z")
    ask("silence", "query", "-o", "extended")
    exported = amtool(server, "silence", "query", "-o", "json")
    ask("silence", "expire", *amtool(server, "silence", "query", "-q").split())
    ask("silence", "expire", name)  # again: nothing to do
    ask("silence", "query")
    ask("silence", "query", "--expired", "--within=1h")
    ask("silence", "import", typed=exported)
    ask("silence", "query", "-o", "extended")
    ask("alert", "query", "--silenced")
    ask("silence", "add", "host=", "--comment=c", code=1)


def session(server):
    """What amtool says, command by command."""
    said = []

    def ask(*arguments, typed=None, code=0):
        said.append((arguments, shape(amtool(server, *arguments, typed=typed, code=code))))
    ask("cluster", "show")
    ask("config", "routes", "show")
    for labels in (("team=db", "role=a"), ("team=db", "role=b.c"), ("team=web",), ()):
        ask("config", "routes", "test", *labels)
    check_alerts(ask)
    check_silences(ask, server)
    return said


def test_amtool_hears_the_same_from_us_and_from_an_alertmanager():
    with Lab() as lab:
        collector = both(lab)
        with Alertmanager(lab) as peer:
            mine, other = session(collector), session(peer)
            for (arguments, ours), (_, theirs) in zip(mine, other):
                if arguments[:2] == ("cluster", "show"):
                    ours, theirs = ours.split()[:3], theirs.split()[:3]
                if "update" in arguments or "expire" in arguments:
                    ours = theirs = ""  # a table of ids in no order
                if "--expired" in arguments:  # amtool ends several at a time
                    ours, theirs = sorted(ours.split("\n")), sorted(theirs.split("\n"))
                assert ours == theirs, (arguments, ours, theirs)
            assert "receiver" in amtool(collector, "config", "show")
        collector.stop()


def random_routes(chance, depth):
    signs = ("=", "!=", "=~", "!~")
    routes = []
    for _ in range(chance.randint(1, 3)):
        matchers = [f'{chance.choice("abc")}{chance.choice(signs)}"{chance.choice(("1", "2", ""))}"'
                    for _ in range(chance.randint(1, 2))]
        route = {"receiver": chance.choice(("r0", "r1", "r2")), "matchers": matchers,
                 "continue": chance.random() < 0.5}
        if depth > 0:
            route["routes"] = random_routes(chance, depth - 1)
        routes.append(route)
    return routes


def test_routes_are_taken_as_amtool_says():
    """The first line of `fengsuictl alerts route`, and of its tree what was taken."""
    chance = random.Random(20)
    with tempfile.TemporaryDirectory(prefix="fengsui-test-") as folder:
        path = os.path.join(folder, "alerting.yml")
        for number in range(12):
            tree = {"route": {"receiver": "r0", "routes": random_routes(chance, 2)},
                    "receivers": [{"name": name} for name in ("r0", "r1", "r2")]}
            with open(path, "w", encoding="utf-8") as file:
                json.dump(tree, file)
            for _ in range(3):
                labels = [f"{name}={chance.choice('12')}" for name in "abc" if chance.random() < 0.7]
                theirs = subprocess.run(
                    ["amtool", "config", "routes", "test", f"--config.file={path}", *labels],
                    text=True, capture_output=True, timeout=60, check=True).stdout.strip()
                ours = subprocess.run(
                    [str(BUILD / "fengsuictl"), "alerts", "route", "--config", path, *labels],
                    text=True, capture_output=True, timeout=60, check=True).stdout
                assert ours.splitlines()[0] == theirs, (number, tree, labels, ours, theirs)
                taken = [line.split(" → ")[1].split()[0] for line in ours.splitlines()
                         if line.strip().startswith("●")]
                assert ",".join(taken) == theirs, (ours, theirs)


SILENCE = {"matchers": [{"name": "a", "value": "b", "isRegex": False}], "comment": "c",
           "createdBy": "d", "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2999-01-01T00:00:00Z"}
MATCHER = {"name": "a", "value": "b", "isRegex": False}


def silence(**changes):
    return json.dumps({k: v for k, v in {**SILENCE, **changes}.items() if v is not None})


REFUSED = [
    ("POST", "/silences", "{"), ("POST", "/silences", "[]"), ("POST", "/silences", "{}"),
    ("POST", "/silences", silence(comment=None)), ("POST", "/silences", silence(createdBy=None)),
    ("POST", "/silences", silence(endsAt=None)), ("POST", "/silences", silence(matchers=None)),
    ("POST", "/silences", silence(startsAt=None)), ("POST", "/silences", silence(matchers=[])),
    ("POST", "/silences", silence(matchers=[{"name": "a", "value": "b"}])),
    ("POST", "/silences", silence(matchers=[MATCHER, {"name": "a", "isRegex": False}])),
    ("POST", "/silences", silence(matchers=[{**MATCHER, "value": ""}])),
    ("POST", "/silences", silence(matchers=[{**MATCHER, "value": ".*", "isRegex": True}])),
    ("POST", "/silences", silence(startsAt="2999-02-01T00:00:00Z")),
    ("POST", "/silences", silence(endsAt="2026-02-01T00:00:00Z")),
    ("POST", "/silences", silence(startsAt="x")),
    ("POST", "/silences", silence(id="0d4ce6b8-8a47-4ac5-a6d8-ab0b9b2e9e4d")),
    ("POST", "/alerts", "{"), ("POST", "/alerts", "{}"), ("POST", "/alerts", "[{}]"),
    ("POST", "/alerts", '[{"labels":{}}]'), ("POST", "/alerts", '[{"labels":{"a":""}}]'),
    ("POST", "/alerts", '[{"labels":{"a":3}}]'), ("POST", "/alerts", "[3]"),
    ("POST", "/alerts", '[{"labels":{"a":"x"},"startsAt":"bad"}]'),
    ("POST", "/alerts", '[{"labels":{"a":"x"},"generatorURL":"::bad"}]'),
    ("POST", "/alerts", '[{"labels":{"a":"x"},"startsAt":"2026-11-28T15:00:00Z",'
                        '"endsAt":"2026-11-27T15:00:00Z"},{"labels":{"good":"yes"}},'
                        '{"labels":{}}]'),
    ("GET", "/alerts?filter=x", None), ("GET", "/silences?filter=(", None),
    ("GET", "/alerts/groups?filter=x", None), ("GET", "/silence/nope", None),
    ("DELETE", "/silence/nope", None),
    ("GET", "/silence/0d4ce6b8-8a47-4ac5-a6d8-ab0b9b2e9e4d", None),
]


def test_requests_are_refused_alike():
    with Lab() as lab:
        collector = both(lab)
        with Alertmanager(lab) as peer:
            for method, path, body in REFUSED:
                mine, other = (request(server, method, "/api/v2" + path, body)
                               for server in (collector, peer))
                why = (method, path, body, mine, other)
                assert mine[0] == other[0] and mine[0] >= 400, why
                own_words = "failed, because" in other[1] or "bad matcher" in other[1]
                if own_words:
                    assert json.loads(mine[1]) and mine[1][:30] == other[1][:30] or \
                        "matcher" in mine[1], why
                else:
                    assert mine[1] == other[1], why
            kept = [json.loads(request(server, "GET", "/api/v2/alerts")[1])
                    for server in (collector, peer)]
            assert [a["labels"] for a in kept[0]] == [{"good": "yes"}], kept
            assert [a["fingerprint"] for a in kept[0]] == [a["fingerprint"] for a in kept[1]], kept
        collector.stop()


def members(value):
    """The names of all members, down to the leaves."""
    if isinstance(value, dict):
        return {k: members(v) for k, v in value.items() if k != "mutedBy"}  # since 0.28
    return [members(v) for v in value] if isinstance(value, list) else type(value).__name__


def test_answers_have_the_same_members_and_merge_alike():
    posts = [  # one alert, told again and again: what counts is where the ends come out
        {"startsAt": "2026-01-01T00:00:10Z", "endsAt": "2999-01-01T00:00:00Z"},
        {"startsAt": "2026-01-01T00:00:05Z", "endsAt": "2998-01-01T00:00:00Z"},
        {"startsAt": "2026-01-01T00:00:20Z"},
        {"startsAt": "0001-01-01T00:00:00Z", "endsAt": "2999-06-01T00:00:00Z"},
    ]
    with Lab() as lab:
        collector = both(lab)
        with Alertmanager(lab) as peer:
            for times in posts:
                seen = []
                for server in (collector, peer):
                    body = json.dumps([{"labels": {"alertname": "M", "team": "db", "role": "a",
                                                   "empty": ""},
                                        "annotations": {"n": times["startsAt"]},
                                        "generatorURL": "http://example.org/g", **times}])
                    assert request(server, "POST", "/api/v2/alerts", body)[0] == 200
                    alert, = json.loads(request(server, "GET", "/api/v2/alerts")[1])
                    seen.append((alert["startsAt"], alert["endsAt"], alert["annotations"],
                                 alert["receivers"], alert["labels"]))
                assert seen[0] == seen[1], (times, seen)
            for server in (collector, peer):
                request(server, "POST", "/api/v2/silences", silence())
            for path in ("/alerts", "/silences", "/receivers", "/alerts/groups"):
                mine, other = (wait_for(lambda: json.loads(
                    request(server, "GET", "/api/v2" + path)[1]), path)
                               for server in (collector, peer))
                assert members(mine) == members(other), (path, mine, other)
                if path in ("/receivers", "/alerts/groups"):
                    names = [[r.get("name") or r["receiver"]["name"] for r in side]
                             for side in (mine, other)]
                    assert sorted(names[0]) == sorted(names[1]), names
            mine, other = (json.loads(request(server, "GET", "/api/v2/status")[1])
                           for server in (collector, peer))
            assert set(mine) == set(other) and set(mine["versionInfo"]) == \
                set(other["versionInfo"]), (mine, other)
        collector.stop()


PROMETHEUS = """
global: {{evaluation_interval: 1s}}
rule_files: [rules.yml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]}}
"""
RULES = """
groups:
- name: g
  rules:
  - alert: FromOutside
    expr: vector(time()) < {end}
    labels: {{severity: 严重}}
    annotations: {{summary: from a Prometheus}}
"""


def test_a_prometheus_sends_its_alerts_here():
    with Lab() as lab:
        collector = both(lab)
        folder = lab.folder / "prometheus"
        folder.mkdir()
        (folder / "prometheus.yml").write_text(PROMETHEUS.format(port=collector.http))
        (folder / "rules.yml").write_text(RULES.format(end=int(time.time() + 12 * PATIENCE)))
        with open(folder / "log", "wb") as log:
            prometheus = subprocess.Popen(
                ["prometheus", f"--config.file={folder}/prometheus.yml",
                 f"--storage.tsdb.path={folder}/data", "--rules.alert.resend-delay=1s",
                 f"--web.listen-address=127.0.0.1:{free_port()}"], stdout=log, stderr=log)
        try:
            alert, = wait_for(lambda: collector.json("/api/v2/alerts"), "the alert", 30)
            assert alert["labels"] == {"alertname": "FromOutside", "severity": "严重"}, alert
            assert alert["generatorURL"].startswith("http"), alert
            wait_for(lambda: collector.json("/api/v2/alerts") == [], "its end", 40)
        finally:
            prometheus.terminate()
            prometheus.wait(20)
        collector.stop()


if __name__ == "__main__":
    if any(shutil.which(name) is None
           for name in ("amtool", "prometheus-alertmanager", "prometheus")):
        print("amtool, prometheus-alertmanager and prometheus are not all installed")
        sys.exit(SKIPPED)
    run_tests(globals())
