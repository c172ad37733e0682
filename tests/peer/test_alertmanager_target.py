"""A real Alertmanager as the target of our alerts: it fires, it resolves, it was down for a while, the
collector was killed in between.

What a rule of ours finds is told to it at once and again every minute; what it did not take is kept in
the store until it does.  Its own webhook says what it made of it.
"""
import json
import shutil
import subprocess
import sys
import time

import alert_kit as kit
from fengsui import SKIPPED, free_port, run_tests, wait_for

RULES = """
groups:
- name: g
  rules:
  - alert: Hot
    expr: temperature > 50
    labels: {severity: 严重}
    annotations: {summary: '{{ $labels.host }} 过热：{{ $value }}'}
"""
ALERTING = """
route: {{receiver: nowhere, group_wait: 0s, group_interval: 1s}}
receivers: [{{name: nowhere}}]
alertmanagers:
- static_configs: [{{targets: ['127.0.0.1:{port}']}}]
  path_prefix: /am/
  timeout: 5s
  basic_auth: {{username: fengsui, password: unused}}
- static_configs: [{{targets: ['127.0.0.1:{other}']}}]
"""
PEER = """
route: {{receiver: hook, group_by: [host], group_wait: 100ms, group_interval: 300ms}}
receivers:
- name: hook
  webhook_configs: [{{url: 'http://127.0.0.1:{hook}/', send_resolved: true}}]
"""


class Peer:
    """Alertmanager on a port that stays, with its data, through deaths."""

    def __init__(self, folder, hook):
        self.folder, self.port, self.process = folder, free_port(), None
        with open(f"{folder}/alertmanager.yml", "w", encoding="utf-8") as file:
            file.write(PEER.format(hook=hook.port))

    def start(self):
        with open(f"{self.folder}/alertmanager.log", "ab") as log:
            self.process = subprocess.Popen(
                ["prometheus-alertmanager", f"--config.file={self.folder}/alertmanager.yml",
                 f"--storage.path={self.folder}/am", "--cluster.listen-address=",
                 "--web.route-prefix=/am", f"--web.listen-address=127.0.0.1:{self.port}"],
                stdout=log, stderr=log)

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


def told(hook):
    """(status, host) of every alert the peer told of, in order."""
    return [(alert["status"], alert["labels"]["host"]) for status, body in hook.bodies
            for alert in json.loads(body)["alerts"]]


def metric(collector, name):
    for line in collector.get("/metrics").decode().split("\n"):
        if line.startswith(f"fengsui_collector_{name} "):
            return float(line.split()[1])
    raise AssertionError(name)


def setting():
    hook, silent = kit.Hook(), free_port()
    folder = kit.tempfile.mkdtemp(prefix="fengsui-target-")
    peer = Peer(folder, hook)
    collector = kit.Collector(RULES, ALERTING.format(port=peer.port, other=silent))
    return hook, peer, collector, folder


def alone(port):
    """The configuration without the second target."""
    return ALERTING.format(port=port, other=1).rsplit("- static_configs", 1)[0]


def hot(collector, host, value):
    collector.write(("temperature", {"host": host}, value))


def test_a_real_alertmanager_is_told():
    hook, peer, collector, folder = setting()
    peer.start()
    try:
        urls = collector.api("alertmanagers")["activeAlertmanagers"]
        assert f"http://127.0.0.1:{peer.port}/am/api/v2/alerts" in [u["url"] for u in urls], urls
        hot(collector, "a", 60)
        wait_for(lambda: ("firing", "a") in told(hook), "it fires")
        alert = json.loads(hook.bodies[0][1])["alerts"][0]
        assert alert["labels"] == {"alertname": "Hot", "host": "a", "severity": "严重"}, alert
        assert alert["annotations"] == {"summary": "a 过热：60"}, alert
        assert "temperature" in alert["generatorURL"], alert
        seen, = json.loads(kit.urllib.request.urlopen(
            f"http://127.0.0.1:{peer.port}/am/api/v2/alerts").read())
        ends = time.mktime(time.strptime(seen["endsAt"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
        assert 180 < ends - time.time() <= 241, seen

        peer.stop()  # both ends and beginnings while it is away, and a death of ours
        hot(collector, "a", 20)
        hot(collector, "b", 70)
        wait_for(lambda: metric(collector, "forward_owed") == 1, "an end is owed")
        collector.restart()
        assert metric(collector, "forward_owed") == 1
        hot(collector, "c", 80)
        peer.start()
        wait_for(lambda: {("resolved", "a"), ("firing", "b"), ("firing", "c")} <= set(told(hook)),
                 "all of it is told late", 40)
        assert told(hook).count(("firing", "a")) == 1, told(hook)

        collector.kill()  # what fires is told again by the next life, and its end
        collector.start()
        hot(collector, "b", 10)
        wait_for(lambda: ("resolved", "b") in told(hook), "its end")
        assert ("resolved", "c") not in told(hook)
        # the second target never answers: it holds up nobody, and ends are still owed to it
        assert metric(collector, "forward_owed") == 2
        assert metric(collector, "forward_retried_total") > 0
        collector.put("alerting.yml", alone(peer.port))
        assert collector.reload() == 200  # without it nothing is owed any more
        wait_for(lambda: metric(collector, "forward_owed") == 0, "no debts")
        collector.restart()
        wait_for(lambda: metric(collector, "forward_owed") == 0, "no debts after a start either")
    finally:
        peer.stop()
        collector.close()
        hook.close()
        shutil.rmtree(folder)


def test_many_alerts_go_in_batches_and_a_refusal_is_final():
    """A target of our own: 700 alerts in at most 256 a request; 400 is not tried again at once."""
    hook = kit.Hook()
    collector = kit.Collector(RULES, alone(hook.port))
    try:
        collector.write(*[("temperature", {"host": f"h{i}"}, 60) for i in range(700)])
        wait_for(lambda: metric(collector, "forward_alerts_total") >= 700, "all taken", 30)
        sizes = [len(json.loads(body)) for _, body in hook.bodies]
        assert sum(sizes) == 700 and max(sizes) <= 256, sizes
        assert len({a["labels"]["host"] for _, body in hook.bodies
                    for a in json.loads(body)}) == 700
        assert hook.authorizations[0] == "Basic ZmVuZ3N1aTp1bnVzZWQ=", hook.authorizations[0]
        hook.answer = 400
        before = len(hook.bodies)
        hot(collector, "h0", 1)
        wait_for(lambda: metric(collector, "forward_refused_total") == 1, "a refusal")
        hook.answer = 503  # but this is tried again
        hot(collector, "h1", 1)
        wait_for(lambda: len(hook.bodies) >= before + 3, "a second try", 20)
        assert metric(collector, "forward_owed") == 1
        hook.answer = 200
        wait_for(lambda: metric(collector, "forward_owed") == 0, "taken", 30)
        last = json.loads(hook.bodies[-1][1])
        assert [a["labels"]["host"] for a in last] == ["h1"] and last[0]["endsAt"] < \
            time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 2)), last
    finally:
        collector.close()
        hook.close()


if __name__ == "__main__":
    if shutil.which("prometheus-alertmanager") is None:
        print("prometheus-alertmanager is not installed")
        sys.exit(SKIPPED)
    run_tests(globals())
