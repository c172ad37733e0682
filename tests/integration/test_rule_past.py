#!/usr/bin/python3
"""A collector that was down looks at what it missed when the probes have delivered it: what still
holds has its true start, what came and went is noted and pages nobody.

The collector is killed (-9), the probe is real and keeps what it measures meanwhile."""
import datetime
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import alert_kit as kit  # noqa: E402
from fengsui import Lab, run_tests, wait_for  # noqa: E402
from test_alert_states import Host, alerts, collector_of, firing, told  # noqa: E402

RULES = """
groups:
- name: past
  interval: 250ms
  rules:
  - record: heat:double
    expr: 2 * heat
  - alert: Hot
    expr: heat:double > 160
    for: 1s
    annotations: {summary: '{{ $labels.instance }} is at {{ $value }}'}
  - alert: Warm
    expr: heat > 40
"""


SLACK = 1.5 * kit.PATIENCE  # of a sample and of a step


def seconds(text):
    """RFC 3339 with up to nine digits of a second."""
    head, _, tail = text.rstrip("Z").partition(".")
    return datetime.datetime.fromisoformat(head + "+00:00").timestamp() + float("0." + (tail or "0"))


def spool_until(host, collector, since):
    """Returns when the probe has measured for a while that it cannot deliver."""
    assert not collector.alive()
    wait_for(lambda: time.time() > since, "time goes by", 30)
    assert host.probe.alive()


def down(collector, host, heat, lasting, after=10):
    """Kills the collector, sets the heat for a time and another after it; starts it again.
    Returns when the heat was set, and when it was changed."""
    collector.kill()
    host.set(heat)
    set_at = time.time()
    spool_until(host, collector, set_at + lasting)
    host.set(after)
    changed_at = time.time()
    return set_at, changed_at


def past(collector):
    return collector.json("/api/fengsui/v1/alerts/past")["data"]["alerts"]


def test_a_condition_of_the_past_is_a_note_and_one_that_lasts_has_its_true_start():
    hook = kit.Hook()
    with Lab() as lab:
        collector = collector_of(lab, hook, RULES)
        host = Host(lab, collector)
        wait_for(lambda: collector.value("heat:double") == 20, "the first samples")

        # Hot for a while when nobody looks, then hot again when the collector is back.
        set_at, changed_at = down(collector, host, 90, 2.5)
        spool_until(host, collector, changed_at + 1)
        host.set(85)
        last_at = time.time()
        spool_until(host, collector, last_at + 1.5)
        collector.start()
        wait_for(lambda: len(past(collector)) == 2, "the notes", 30)
        notes = {one["labels"]["alertname"]: one for one in past(collector)}
        assert set(notes) == {"Hot", "Warm"}, notes
        hot = notes["Hot"]
        assert -1 < seconds(hot["startsAt"]) - set_at - 1 < SLACK, (hot, set_at)
        assert -1 < seconds(hot["endsAt"]) - changed_at < SLACK, (hot, changed_at)
        assert hot["annotations"]["summary"].endswith("is at 180"), hot
        assert -1 < seconds(notes["Warm"]["startsAt"]) - set_at < SLACK, notes

        # It fires a second after it became true, and not after it was seen.
        shown = wait_for(lambda: firing(collector), "what lasts")[0]
        assert -1 < seconds(shown["activeAt"]) - last_at < SLACK, (shown, last_at)
        wait_for(lambda: told(hook) == [("firing", "")], "it is told, and nothing of the past")
        started = [one["startsAt"] for body in hook.accepted() for one in body["alerts"]
                   if one["labels"]["alertname"] == "Hot"]
        assert -1 < seconds(started[0]) - last_at - 1 < SLACK, (started, last_at)
        assert collector.value(f"max_over_time(heat:double[{int(time.time() - set_at)}s])") == 180
        assert collector.value('count_over_time(ALERTS{alertname="Hot",alertstate="firing"}[1m])')
        assert "began and ended: 2;" in collector.log.read_text()
        assert "Hot" in collector.ctl("alerts", "past")

        # A restart repeats none of it.
        collector.kill()
        collector.start()
        wait_for(lambda: firing(collector), "it still fires")
        host.set(10)
        wait_for(lambda: told(hook) == [("firing", ""), ("resolved", "")], "it ends once")
        assert len(past(collector)) == 2 and not alerts(collector), past(collector)
    hook.close()


if __name__ == "__main__":
    run_tests(globals())
