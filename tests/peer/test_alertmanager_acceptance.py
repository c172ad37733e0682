"""Alertmanager's own acceptance scenarios, played to it and to us at once.

One server on each side; every scenario has its route, its receiver and its thread, and must see the
same on both.  Only what upstream cannot do is asked of us alone: Repeat over a death (its alerts are
not persisted), a time limit of a webhook (0.25 has none), the end of what is silenced by then, and
that 200 means kept: a death right after it loses nothing.
"""
import json
import pathlib
import shutil
import sys
import tempfile
import threading
import time
import urllib.parse

import alert_kit as kit
import test_amtool as amtool
from fengsui import Lab, PATIENCE, SKIPPED, run_tests, wait_for

CONFIG = """
global: {{resolve_timeout: 4s}}
route:
  receiver: rest
  group_by: [scenario]
  group_wait: 300ms
  group_interval: 500ms
  repeat_interval: 1h
  routes:
  - {{matchers: [scenario=repeat], receiver: repeat, repeat_interval: 10ms}}
  - {{matchers: [scenario=retry], receiver: retry}}
  - {{matchers: [scenario=batching], receiver: batching, group_wait: 2s}}
  - {{matchers: [scenario=filter], receiver: filter}}
  - {{matchers: [scenario=cold], receiver: cold, group_wait: 10m, group_interval: 10m}}
  - {{matchers: [scenario=waits], receiver: cold, group_wait: 10m, group_interval: 10m}}
inhibit_rules:
- source_match: {{scenario: inhibit, alertname: JobDown}}
  target_match: {{scenario: inhibit, alertname: InstanceDown}}
  equal: [job, zone]
- source_match: {{scenario: always, alertname: JobDown}}
  target_match: {{scenario: always, alertname: InstanceDown}}
  equal: [job]
- {{}}
receivers:
- name: rest
  webhook_configs: [{{url: 'http://127.0.0.1:{hook}/'}}]
- name: repeat
  webhook_configs: [{{url: 'http://127.0.0.1:{hook}/'}}]
- name: retry
  webhook_configs: [{{url: 'http://127.0.0.1:{bad}/'}}, {{url: 'http://127.0.0.1:{hook}/'}}]
- name: batching
  webhook_configs: [{{url: 'http://127.0.0.1:{hook}/'}}]
- name: filter
  webhook_configs:
  - {{url: 'http://127.0.0.1:{hook}/', send_resolved: true}}
  - {{url: 'http://127.0.0.1:{quiet}/', send_resolved: false}}
- name: cold
  webhook_configs: [{{url: 'http://127.0.0.1:{hook}/'}}]
"""


def instant(moment):
    whole = int(moment)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{int((moment - whole) * 1000):03d}Z"


def messages(hook, scenario):
    """What was accepted of a scenario: the sorted (name, status) of each message."""
    found = []
    for status, body in list(hook.bodies):
        message = json.loads(body)
        if message["groupLabels"].get("scenario") == scenario and status == 200:
            found.append(sorted((a["labels"]["alertname"], a["status"]) for a in message["alerts"]))
    return found


def zones(hook, scenario):
    """(name, zone) of everything a scenario was told of as firing."""
    return {(a["labels"]["alertname"], a["labels"].get("zone")) for status, body in list(hook.bodies)
            for a in json.loads(body)["alerts"] if status == 200 and a["status"] == "firing"
            and a["labels"]["scenario"] == scenario}


class Side:
    """One of the two servers, with the hooks it tells."""

    def __init__(self, server, hooks):
        self.server, self.hook, self.bad, self.quiet = server, *hooks

    def request(self, method, path, body=None):
        return amtool.request(self.server, method, path, None if body is None else json.dumps(body))

    def post(self, scenario, *names, labels=None, starts=None, ends=None):
        alerts = []
        for name in names:
            alert = {"labels": {"alertname": name, "scenario": scenario, **(labels or {})}}
            if starts is not None:
                alert["startsAt"] = instant(starts)
            if ends is not None:
                alert["endsAt"] = instant(ends)
            alerts.append(alert)
        assert self.request("POST", "/api/v2/alerts", alerts)[0] == 200

    def told(self, scenario, count=1, hook=None, seconds=20):
        return wait_for(lambda: (m := messages(hook or self.hook, scenario)) and len(m) >= count
                        and m, f"{count} messages of {scenario}", seconds)

    def until_told(self, scenario, name, status):
        wait_for(lambda: any((name, status) in m for m in messages(self.hook, scenario)),
                 f"{name} {status} of {scenario}", 20)

    def alerts(self, **filters):
        query = urllib.parse.urlencode(filters, doseq=True)
        return json.loads(self.request("GET", "/api/v2/alerts?" + query)[1])

    def silence(self, scenario, name, seconds):
        status, text = self.request("POST", "/api/v2/silences", {
            "matchers": [{"name": "scenario", "value": scenario, "isRegex": False},
                         {"name": "alertname", "value": name, "isRegex": False}],
            "startsAt": instant(time.time()), "endsAt": instant(time.time() + seconds),
            "createdBy": "值班员甲", "comment": "acceptance"})
        assert status == 200, text
        return json.loads(text)["silenceID"]


# ---- the scenarios; what each returns must be equal on both sides -----------------------------

def merge(side):
    """Overlapping posts are one alert: the earliest start, and an explicit end before a timeout's."""
    seen, now = [], time.time()
    for starts, ends in ((-5, None), (-9, None), (-3, 60), (-2, None), (-4, 90), (-1, 30)):
        side.post("merge", "A", starts=now + starts, ends=None if ends is None else now + ends)
        alert, = side.alerts(filter='scenario="merge"')
        began = amtool_time(alert["startsAt"]) - now
        ended = amtool_time(alert["endsAt"]) - now
        seen.append((round(began), round(ended) if ends is not None or ended > 10 else "timeout"))
    side.post("merge", "A", starts=now - 20, ends=now - 0.1)
    side.post("merge", "B", starts=now - 1, ends=now + 60)  # something that goes on
    side.until_told("merge", "B", "firing")
    return seen


def repeat(side):
    """An unchanged group is told again, once a group_interval."""
    side.post("repeat", "A", ends=time.time() + 600)
    found = side.told("repeat", 4)
    return [m == [("A", "firing")] for m in found[:4]]


def retry(side):
    """One of two webhooks fails twice: it is tried again, the other is told once."""
    side.bad.answer = 500
    side.post("retry", "A", ends=time.time() + 600)
    other = side.told("retry")
    wait_for(lambda: len(side.bad.bodies) >= 2, "two failures", 20)
    side.bad.answer = 200
    late = side.told("retry", hook=side.bad)
    return other, late[:1], messages(side.hook, "retry")


def batching(side):
    """What comes inside of group_wait is one message; what comes later waits for the interval."""
    now = time.time()
    side.post("batching", "A", ends=now + 600)
    side.post("batching", "B", "C", ends=now + 600)
    first = side.told("batching")[0]
    side.post("batching", "D", ends=now + 600)
    return first, side.told("batching", 2)[1]


def resolved(side):
    """An end is told; so is that of an alert nobody speaks of any more."""
    side.post("resolved", "A", ends=time.time() + 600)
    side.until_told("resolved", "A", "firing")
    side.post("resolved", "A", ends=time.time())
    side.until_told("resolved", "A", "resolved")
    side.post("timeout", "B")
    side.until_told("timeout", "B", "resolved")
    return messages(side.hook, "timeout"), messages(side.hook, "resolved")


def resolved_filter(side):
    """Who wants no ends hears none, not even beside beginnings."""
    side.post("filter", "A", ends=time.time() + 600)
    side.told("filter")
    side.post("filter", "A", ends=time.time())
    side.post("filter", "B", ends=time.time() + 600)
    side.until_told("filter", "A", "resolved")
    side.until_told("filter", "B", "firing")
    quiet = side.told("filter", 2, side.quiet)
    return [s for m in quiet for _, s in m], quiet[0], ("B", "firing") in quiet[-1]


def cold_start(side):
    """What has burned longer than group_wait is told at once; what has not, waits."""
    side.post("waits", "A", ends=time.time() + 600)
    side.post("cold", "A", starts=time.time() - 3600, ends=time.time() + 600)
    return side.told("cold"), messages(side.hook, "waits")


def silencing(side):
    """A silenced alert is not told, its neighbour is; when the silence ends, it is."""
    side.silence("silencing", "A", 4 * PATIENCE)
    side.post("silencing", "A", "B", ends=time.time() + 600)
    first = side.told("silencing")[0]
    states = sorted((a["labels"]["alertname"], a["status"]["state"])
                    for a in side.alerts(filter='scenario="silencing"'))
    side.until_told("silencing", "A", "firing")
    return first, states, side.told("silencing", 2)[1]


def silence_delete(side):
    """A silence that is deleted is over at the next look."""
    name = side.silence("delete", "A", 600)
    side.post("delete", "A", "B", ends=time.time() + 600)
    first = side.told("delete")[0]
    assert side.request("DELETE", f"/api/v2/silence/{name}")[0] == 200
    state = json.loads(side.request("GET", f"/api/v2/silence/{name}")[1])["status"]["state"]
    side.until_told("delete", "A", "firing")
    return first, state, side.told("delete", 2)[1]


def add_silence(side):
    """What was added is there as it was said; the list finds it by a matcher."""
    name = side.silence("add", "Nobody", 600)
    one = json.loads(side.request("GET", f"/api/v2/silence/{name}")[1])
    many = json.loads(side.request("GET", "/api/v2/silences?filter=" +
                                   urllib.parse.quote('alertname="Nobody"'))[1])
    return (one["status"]["state"], one["createdBy"], one["comment"], one["matchers"],
            [s["id"] == name for s in many])


def inhibiting(side):
    """The cause is told, what it explains is not; when the cause ends, it is."""
    now = time.time() + 600
    side.post("inhibit", "JobDown", labels={"job": "x", "zone": "aa"}, ends=now)
    side.post("inhibit", "InstanceDown", labels={"job": "x", "zone": "aa"}, ends=now)
    side.post("inhibit", "InstanceDown", labels={"job": "x", "zone": "ab"}, ends=now)
    side.post("inhibit", "test", labels={"job": "x", "zone": "aa"}, ends=now)
    told = {("JobDown", "aa"), ("InstanceDown", "ab"), ("test", "aa")}
    wait_for(lambda: told <= zones(side.hook, "inhibit"), "what is not hidden", 20)
    before = zones(side.hook, "inhibit")
    side.post("inhibit", "JobDown", labels={"job": "x", "zone": "aa"}, ends=time.time())
    wait_for(lambda: ("InstanceDown", "aa") in zones(side.hook, "inhibit"), "what it hid", 20)
    return sorted(before)


def always_inhibiting(side):
    """What fires and ends under its cause is never told, and the cause's end frees nothing."""
    now = time.time() + 600
    side.post("always", "JobDown", "test", labels={"job": "x"}, ends=now)
    side.post("always", "InstanceDown", labels={"job": "x"}, ends=now)
    first = side.told("always")[0]
    side.post("always", "InstanceDown", labels={"job": "x"}, ends=time.time())
    side.post("always", "JobDown", labels={"job": "x"}, ends=time.time())
    side.until_told("always", "JobDown", "resolved")
    return first, [m for m in messages(side.hook, "always") if ("InstanceDown", "firing") in m]


def current_status(side):
    """GET shows what fires now, as it stands now."""
    side.post("status", "A", ends=time.time() + 600)
    side.post("status", "B", ends=time.time() + 4)
    before = sorted(a["labels"]["alertname"] for a in side.alerts(filter='scenario="status"'))
    wait_for(lambda: len(side.alerts(filter='scenario="status"')) == 1, "one has ended", 20)
    wait_for(lambda: side.alerts(filter='scenario="status"')[0]["status"]["state"] == "active",
             "it has been looked at", 20)
    name = side.silence("status", "A", 600)
    keys = ("inhibitedBy", "silencedBy", "state")
    wait_for(lambda: [side.alerts(filter='scenario="status"')[0]["status"][k] for k in keys] ==
             [[], [name], "suppressed"], "it is silenced", 20)
    return before


def filter_request(side):
    """Filters by label and by state."""
    now = time.time() + 600
    side.silence("get", "C", 600)
    side.post("get", "A", "B", "C", ends=now)
    side.told("get")
    found = []
    for filters in ({}, {"filter": 'alertname="A"'}, {"filter": ['alertname=~"A|C"']},
                    {"filter": 'alertname!="A"'}, {"filter": 'alertname!~"A|B"'},
                    {"filter": ['alertname="A"', 'alertname="B"']}, {"silenced": "false"},
                    {"active": "false"}, {"inhibited": "false"}, {"receiver": "rest"},
                    {"receiver": "no.*"}):
        mine = [filters["filter"]] if isinstance(filters.get("filter"), str) else \
            list(filters.get("filter", []))
        alerts = side.alerts(**{**filters, "filter": mine + ['scenario="get"']})
        found.append((sorted(filters.items(), key=str),
                      sorted(a["labels"]["alertname"] for a in alerts)))
    return found


def silenced_end(side):
    """Told, silenced, ended: what is told of the end.  Here we differ: whoever was told a beginning is
    told the end."""
    side.post("quiet", "A", ends=time.time() + 600)
    side.told("quiet")
    side.silence("quiet", "A", 600)
    side.post("quiet", "A", ends=time.time())
    for number in range(2):  # twice something new of the same group has been told
        side.post("quiet", f"B{number}", ends=time.time() + 600)
        side.until_told("quiet", f"B{number}", "firing")
    return any(("A", "resolved") in m for m in messages(side.hook, "quiet"))


SCENARIOS = (merge, repeat, retry, batching, resolved, resolved_filter, cold_start, silencing,
             silence_delete, add_silence, inhibiting, always_inhibiting, current_status,
             filter_request)


def amtool_time(text):
    whole, _, rest = text.rstrip("Z").partition(".")
    return time.mktime(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) - time.timezone + \
        (float("0." + rest) if rest else 0)


# ---- playing ----------------------------------------------------------------------------------

def hooks():
    return [kit.Hook() for _ in range(3)]


def play(sides, scenarios=SCENARIOS):
    """Every scenario on every side at once: {(scenario, side): what it returned}."""
    seen = {}

    def one(scenario, number):
        try:
            seen[scenario.__name__, number] = scenario(sides[number])
        except Exception as error:  # shown with what the other side saw
            seen[scenario.__name__, number] = f"{type(error).__name__}: {error}"

    threads = [threading.Thread(target=one, args=(s, n)) for s in scenarios
               for n in range(len(sides))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen


class PeerServer(amtool.Alertmanager):
    """A real Alertmanager with a configuration of one's own."""

    def __init__(self, lab, text):
        amtool.ALERTING, kept = text, amtool.ALERTING
        try:
            super().__init__(lab)
        finally:
            amtool.ALERTING = kept


def our_server(lab, text, name="collector"):
    folder = lab.folder / name
    folder.mkdir(exist_ok=True)
    (folder / "alerting.yml").write_text(text)
    return lab.collector("alerting: alerting.yml\n", name=name).start()


def text_for(own_hooks):
    return CONFIG.format(hook=own_hooks[0].port, bad=own_hooks[1].port, quiet=own_hooks[2].port)


def test_every_scenario_is_the_same_on_both_sides():
    with Lab() as lab:
        mine, other = hooks(), hooks()
        collector = our_server(lab, text_for(mine))
        with PeerServer(lab, text_for(other)) as peer:
            seen = play([Side(collector, mine), Side(peer, other)], SCENARIOS + (silenced_end,))
            wrong = [f"{s.__name__}\n  ours:   {seen[s.__name__, 0]}\n  theirs: {seen[s.__name__, 1]}"
                     for s in SCENARIOS
                     if seen[s.__name__, 0] != seen[s.__name__, 1]
                     or isinstance(seen[s.__name__, 0], str)]
            assert not wrong, "\n".join(wrong)
            assert (seen["silenced_end", 0], seen["silenced_end", 1]) == (True, False), seen
            check_config_reads_what_status_shows(lab.folder, collector)
        collector.stop()


def check_config_reads_what_status_shows(folder, collector):
    original = collector.json("/api/v2/status")["config"]["original"]
    path = pathlib.Path(folder) / "shown.yml"
    path.write_text(original)
    done = amtool.subprocess.run(["amtool", "check-config", str(path)], capture_output=True,
                                 text=True, timeout=60, check=False)
    assert done.returncode == 0 and "SUCCESS" in done.stdout, (done, original)


def test_a_reload_repeats_nothing():
    """Both sides: the group goes on after it, its old alert is not told again, a new one is."""
    def reload(side):
        side.post("reload", "A", ends=time.time() + 600)
        first = side.told("reload")
        assert side.request("POST", "/-/reload")[0] == 200
        side.post("reload", "B", ends=time.time() + 600)
        side.until_told("reload", "B", "firing")
        return first, messages(side.hook, "reload")

    with Lab() as lab:
        mine, other = hooks(), hooks()
        collector = our_server(lab, text_for(mine))
        with PeerServer(lab, text_for(other)) as peer:
            seen = play([Side(collector, mine), Side(peer, other)], [reload])
            assert seen["reload", 0] == seen["reload", 1] and len(seen["reload", 0][1]) == 2, seen
        collector.stop()


# ---- ours alone -------------------------------------------------------------------------------

ALONE = """
route:
  receiver: hook
  group_by: [alertname]
  group_wait: 0s
  group_interval: 300ms
  repeat_interval: 2500ms
receivers:
- name: hook
  webhook_configs: [{{url: 'http://127.0.0.1:{hook}/', timeout: 500ms}}]
"""


def count(hook, name, status="firing"):
    return sum(a["labels"]["alertname"] == name and a["status"] == status
               for message in hook.accepted() for a in message["alerts"])


def test_repeat_goes_on_over_a_death():
    """The next repetition comes when it was due, neither at the start nor a whole interval later."""
    with Lab() as lab:
        hook = kit.Hook()
        collector = our_server(lab, ALONE.format(hook=hook.port))
        side = Side(collector, [hook, hook, hook])
        side.post("x", "A", ends=time.time() + 3600)
        wait_for(lambda: count(hook, "A") == 1, "the first time", 20)
        collector.kill()
        collector.start()
        side.post("x", "B", ends=time.time() + 3600)
        wait_for(lambda: count(hook, "B") == 1, "something new after the start", 20)
        wait_for(lambda: count(hook, "A") == 2, "the second time", 20)
        times = [t for t, (_, body) in zip(hook.times, hook.bodies)
                 if json.loads(body)["groupLabels"]["alertname"] == "A"]
        assert 2.4 <= times[1] - times[0] <= 4.5 * PATIENCE, times
        collector.stop()
        hook.close()


def test_200_means_kept():
    """A post is answered, and that instant we are killed: it is told by the next life."""
    with Lab() as lab:
        hook = kit.Hook()
        collector = our_server(lab, ALONE.format(hook=hook.port))
        side = Side(collector, [hook, hook, hook])
        for number in range(5):
            side.post("x", f"K{number}", ends=time.time() + 3600)
            collector.kill()
            collector.start()
        for number in range(5):
            wait_for(lambda: count(hook, f"K{number}") >= 1, f"K{number}", 20)
        assert sum(count(hook, f"K{n}") for n in range(5)) == 5, hook.bodies
        collector.stop()
        hook.close()


def test_a_webhook_that_hangs_is_tried_again():
    with Lab() as lab:
        hung, sockets = kit.socket.create_server(("127.0.0.1", 0)), []
        port = hung.getsockname()[1]
        collector = our_server(lab, ALONE.format(hook=port))
        Side(collector, [None] * 3).post("x", "A", ends=time.time() + 3600)
        for _ in range(2):  # two connections are taken and never answered
            hung.settimeout(20 * PATIENCE)
            sockets.append(hung.accept()[0])
        for one in [hung, *sockets]:
            one.close()
        hook = kit.Hook(port)
        wait_for(lambda: count(hook, "A") == 1, "it is told", 30)
        collector.stop()
        hook.close()


GROUPS = 20000


def test_no_number_of_groups_drops_an_alert():
    """Alertmanager has a limit after which alerts of new groups are dropped; here there is none."""
    with Lab() as lab:
        hook = kit.Hook()
        collector = our_server(lab, ALONE.format(hook=hook.port).replace("[alertname]", "['...']")
                               .replace("group_wait: 0s", "group_wait: 1h"))
        ends = instant(time.time() + 3600)
        for first in range(0, GROUPS, 5000):
            body = [{"labels": {"alertname": "G", "n": f"{first + i:05d}"}, "endsAt": ends}
                    for i in range(5000)]
            assert amtool.request(collector, "POST", "/api/v2/alerts", json.dumps(body))[0] == 200
        for _ in range(2):  # and they are all there after a death
            wait_for(lambda: f"fengsui_collector_alert_groups {GROUPS}\n" in
                     amtool.request(collector, "GET", "/metrics")[1], "all groups", 60)
            collector.kill()
            collector.start()
        groups = collector.json("/api/v2/alerts/groups")
        assert len({g["labels"]["n"] for g in groups}) == GROUPS
        collector.stop()
        hook.close()


if __name__ == "__main__":
    if any(shutil.which(name) is None for name in ("amtool", "prometheus-alertmanager")):
        print("amtool and prometheus-alertmanager are not both installed")
        sys.exit(SKIPPED)
    run_tests(globals())
