#!/usr/bin/python3
"""A collector that was down looks at what it missed when the probes have delivered it: what still
holds has its true start, what came and went is noted, pages nobody, and is a line of the next message.

The collector is killed (-9), the probe is real and keeps what it measures meanwhile."""
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


def lines(hook, receiver):
    """What a receiver was told beside the alerts of its messages: the names of what passed, one list
    a message that said so.  A message has alerts of its own, whatever it says besides."""
    bodies = [body for body in hook.accepted() if body["receiver"] == receiver]
    assert all(body["alerts"] for body in bodies), bodies
    return [sorted(one["alertname"] for one in body["past"]["alerts"])
            for body in bodies if "past" in body]


def test_what_passed_is_a_line_of_the_next_message_and_no_message_of_its_own():
    hook, robot, mail = kit.Hook(), kit.Robot(), kit.Mail()
    with Lab() as lab:
        collector = collector_of(lab, hook, RULES, receivers=f"""
- name: rooms
  webhook_configs: [{{url: 'http://127.0.0.1:{hook.port}/'}}]
  wecom_configs: [{{url: 'http://127.0.0.1:{robot.port}/', per_minute: 1000}}]
  email_configs: [{{to: desk@example.org, from: fengsui@example.org, require_tls: false,
                   smarthost: '127.0.0.1:{mail.port}'}}]
""", routes="[{matchers: ['alertname=\"Warm\"'], receiver: rooms}]")
        host = Host(lab, collector)
        wait_for(lambda: collector.value("heat:double") == 20, "the first samples")
        set_at, changed_at = down(collector, host, 90, 2.5)
        spool_until(host, collector, changed_at + 1.5)
        collector.start()
        wait_for(lambda: len(past(collector)) == 2, "the notes", 30)

        # Nothing fires, so nobody has heard a word; and a kill forgets nothing of what is owed.
        collector.kill()
        collector.start()
        wait_for(lambda: collector.value("heat") == 10, "samples")
        assert not hook.bodies and not robot.bodies, (hook.bodies, robot.bodies)

        # Warm has a message to say: the line of Warm goes with it, to both, and it goes once.
        host.set(50)
        wait_for(lambda: told(hook, "Warm") == [("firing", "")] and robot.bodies and mail.mails,
                 "it is told")
        assert lines(hook, "rooms") == [["Warm"]] and lines(hook, "desk") == [], hook.bodies
        said = robot.bodies[0]["text"]["content"].strip()
        assert said.endswith("\n【补记】停机期间起止的告警 1 项"), said
        written = mail.parsed()[0].get_content()
        assert "\n【补记】停机期间起止的告警 1 项：Warm " in written, written
        collector.kill()
        collector.start()
        wait_for(lambda: firing(collector, "Warm"), "it still fires")
        host.set(90)
        wait_for(lambda: told(hook) == [("firing", "")], "the other receiver's message")
        text = hook.accepted()[-1]["past"]["text"]
        assert text.startswith("【补记】停机期间起止的告警 1 项：Hot "), text
        host.set(10)
        wait_for(lambda: told(hook)[1:] == [("resolved", "")] and
                 told(hook, "Warm")[1:] == [("resolved", "")] and len(robot.bodies) == 2, "the ends")
        assert lines(hook, "rooms") == [["Warm"]] and lines(hook, "desk") == [["Hot"]], hook.bodies
        assert "补记" not in str(robot.bodies[1]), robot.bodies
    hook.close()
    robot.close()
    mail.close()


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
        assert -1 < kit.seconds_of(hot["startsAt"]) - set_at - 1 < SLACK, (hot, set_at)
        assert -1 < kit.seconds_of(hot["endsAt"]) - changed_at < SLACK, (hot, changed_at)
        assert hot["annotations"]["summary"].endswith("is at 180"), hot
        assert -1 < kit.seconds_of(notes["Warm"]["startsAt"]) - set_at < SLACK, notes

        # It fires a second after it became true, and not after it was seen.
        shown = wait_for(lambda: firing(collector), "what lasts")[0]
        assert -1 < kit.seconds_of(shown["activeAt"]) - last_at < SLACK, (shown, last_at)
        wait_for(lambda: told(hook) == [("firing", "")], "it is told, and nothing of the past")
        started = [one["startsAt"] for body in hook.accepted() for one in body["alerts"]
                   if one["labels"]["alertname"] == "Hot"]
        assert -1 < kit.seconds_of(started[0]) - last_at - 1 < SLACK, (started, last_at)
        assert collector.value(f"max_over_time(heat:double[{int(time.time() - set_at)}s])") == 180
        assert collector.value('count_over_time(ALERTS{alertname="Hot",alertstate="firing"}[1m])')
        wait_for(lambda: "began and ended: 2;" in collector.log.read_text(), "the line of the log")
        assert "are not written" not in collector.log.read_text()
        assert "Hot" in collector.ctl("alerts", "past")

        # A restart repeats none of it.
        collector.kill()
        collector.start()
        wait_for(lambda: firing(collector), "it still fires")
        host.set(10)
        wait_for(lambda: told(hook) == [("firing", ""), ("resolved", "")], "it ends once")
        assert len(past(collector)) == 2 and not alerts(collector), past(collector)
        assert sorted(sum(lines(hook, "desk"), [])) == ["Hot", "Warm"], hook.bodies
    hook.close()


if __name__ == "__main__":
    run_tests(globals())
