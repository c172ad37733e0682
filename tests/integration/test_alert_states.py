#!/usr/bin/python3
"""What Prometheus does not know of alerts: without data they are stale and not over, they end by a
condition of their own, and what comes and goes is told as that.

The probes are real; a metric in a text file is the condition."""
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import alert_kit as kit  # noqa: E402
from fengsui import Lab, run_tests, wait_for  # noqa: E402

RULES = """
groups:
- name: states
  interval: 1s
  rules:
  - alert: Hot
    expr: heat > 80
    annotations: {summary: '{{ $labels.instance }} is hot'}
  - alert: HotAverage
    expr: sum by (instance) (avg_over_time(heat[2s])) > 80
"""
BESIDE = """
alerts:
- {alert: Hot, recover: heat < 60, stale_for: 1h}
"""
FLAPS = """
alerts:
- {alert: '*', flap_changes: 4, flap_within: 6s}
"""


class Host:
    """A probe with a metric of our own."""

    def __init__(self, lab, collector):
        self.folder = lab.folder / "textfile"
        self.folder.mkdir()
        config = lab.folder / "probe.yml"
        config.write_text(f"sources:\n  textfile: {{directories: [{self.folder}], "
                          "interval: 200ms}\n")
        self.set(10)
        self.probe = lab.probe(collector, interval="200ms", flags=["--config", config]).start()

    def set(self, heat):
        fresh = self.folder / "heat.tmp"
        fresh.write_text(f"heat {heat}\n")
        fresh.rename(self.folder / "heat.prom")


def collector_of(lab, hook, rules, beside="", interval="100ms", receivers="", routes="[]"):
    folder = lab.folder / "collector"
    (folder / "rules").mkdir(parents=True)
    (folder / "rules/test.yml").write_text(rules)
    (folder / "rules/test-more.yml").write_text(beside)
    (folder / "alerting.yml").write_text(
        "route: {receiver: desk, group_by: [alertname], group_wait: 0s, "
        f"group_interval: {interval}, repeat_interval: 1h, routes: {routes}}}\n"
        "receivers:\n- name: desk\n  webhook_configs: "
        f"[{{url: 'http://127.0.0.1:{hook.port}/'}}]\n" + receivers)
    return lab.collector("rules: {evaluation_interval: 1s, files: [rules/*.yml]}\n"
                         "alerting: alerting.yml\n").start()


def alerts(collector, name="Hot"):
    return [one for one in collector.json("/api/v1/alerts")["data"]["alerts"]
            if one["labels"]["alertname"] == name]


def told(hook, name="Hot"):
    """(status, note) of everything that was told of it."""
    return [(one["status"], one["annotations"].get("fengsui_note", "").split("：")[0])
            for body in hook.accepted() for one in body["alerts"]
            if one["labels"]["alertname"] == name]


def firing(collector, name="Hot"):
    return [one for one in alerts(collector, name) if one["state"] == "firing"]


def stale(collector, name="Hot"):
    return [one for one in firing(collector, name) if "staleSince" in one]


def test_no_data_is_no_recovery():
    hook = kit.Hook()
    with Lab() as lab:
        collector = collector_of(lab, hook, RULES)
        host = Host(lab, collector)
        host.set(90)
        for name in ("Hot", "HotAverage"):
            wait_for(lambda: told(hook, name) == [("firing", "")], f"{name} is told")
        began = firing(collector)[0]["activeAt"]
        host.probe.kill()
        for name in ("Hot", "HotAverage"):
            wait_for(lambda: stale(collector, name), f"{name} is stale")
        shown = collector.json("/api/fengsui/v1/alerts")["data"]["alerts"]
        assert all(one["staleSince"] and one["flappingSince"] is None for one in shown), shown
        posted = json.loads(collector.get("/api/v2/alerts")[1])
        notes = {one["annotations"].get("fengsui_note", "").split("：")[0] for one in posted}
        assert notes == {"数据中断"}, posted
        assert b"fengsui_collector_alerts_stale 2\n" in collector.get("/metrics")[1]

        collector.kill()
        collector.start()
        assert [one["activeAt"] for one in stale(collector)] == [began], alerts(collector)
        host.probe.start()
        wait_for(lambda: firing(collector) and not stale(collector), "it fires with data again")
        assert firing(collector)[0]["activeAt"] == began
        host.set(10)
        for name in ("Hot", "HotAverage"):
            wait_for(lambda: ("resolved", "") in told(hook, name), f"{name} is over, by data")
            assert told(hook, name) == [("firing", ""), ("resolved", "")], told(hook, name)
    hook.close()


def test_a_host_that_is_retired_has_not_recovered():
    hook = kit.Hook()
    with Lab() as lab:
        collector = collector_of(lab, hook, RULES)
        host = Host(lab, collector)
        host.set(90)
        wait_for(lambda: told(hook) == [("firing", "")], "it is told")
        key = collector.json("/api/fengsui/v1/keys")["data"][0]["key"]
        collector.ctl("probes", "revoke", key)
        wait_for(lambda: told(hook)[-1] == ("resolved", "无数据"), "its end is told as what it is")
        assert not alerts(collector)
        host.probe.kill()
    hook.close()


def test_it_ends_by_its_own_condition():
    hook = kit.Hook()
    with Lab() as lab:
        collector = collector_of(lab, hook, RULES, BESIDE)
        host = Host(lab, collector)
        host.set(90)
        wait_for(lambda: firing(collector) and firing(collector, "HotAverage"), "both fire")
        host.set(70)
        wait_for(lambda: not alerts(collector, "HotAverage"), "the other one ends")
        assert firing(collector), "70 is not hot, but not cool either"
        wait_for(lambda: firing(collector), "it fires on over a few evaluations")
        host.set(50)
        wait_for(lambda: not alerts(collector), "50 is cool")
        wait_for(lambda: told(hook) == [("firing", ""), ("resolved", "")], "which is told")
    hook.close()


def test_what_comes_and_goes_is_told_three_times():
    hook = kit.Hook()
    with Lab() as lab:
        collector = collector_of(lab, hook, RULES, FLAPS, interval="2s")
        host = Host(lab, collector)
        for _ in range(4):
            host.set(90)
            wait_for(lambda: firing(collector), "it fires")
            host.set(10)
            wait_for(lambda: not firing(collector), "it is over")
        shown = [one for one in collector.json("/api/fengsui/v1/alerts")["data"]["alerts"]
                 if one["labels"]["alertname"] == "Hot"]
        assert len(shown) == 1 and shown[0]["flappingSince"], shown
        collector.kill()
        collector.start()
        wait_for(lambda: ("resolved", "") in told(hook), "it has settled", 30)
        assert told(hook) == [("firing", ""), ("firing", "抖动"), ("resolved", "")], told(hook)
        assert collector.ctl("check", "rules", lab.folder / "collector/rules/test.yml",
                             lab.folder / "collector/rules/test-more.yml")
    hook.close()


def test_the_end_of_a_short_alert_is_told_when_it_has_lasted():
    """Over a kill as well; and it tells when it began and ended, not when it was told."""
    hook = kit.Hook()
    with Lab() as lab:
        collector = collector_of(lab, hook, RULES, FLAPS.replace("6s", "60s"), interval="1ms")
        host = Host(lab, collector)
        host.set(90)
        shown = wait_for(lambda: firing(collector), "it fires")[0]
        wait_for(lambda: told(hook) == [("firing", "")], "it is told")
        host.set(10)
        wait_for(lambda: not firing(collector), "it is over")
        over = time.time()
        collector.kill()
        collector.start()
        wait_for(lambda: told(hook) == [("firing", ""), ("resolved", "")], "it has lasted", 30)
        last = hook.accepted()[-1]["alerts"][0]
        started, ended = (kit.seconds_of(last[key]) for key in ("startsAt", "endsAt"))
        assert started == kit.seconds_of(hook.accepted()[0]["alerts"][0]["startsAt"]), (last, shown)
        assert started < ended <= over, (last, over)
    hook.close()


if __name__ == "__main__":
    run_tests(globals())
