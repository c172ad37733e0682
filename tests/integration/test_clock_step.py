#!/usr/bin/python3
"""Somebody sets the collector's clock by an hour, forth and back: the hosts that report know better,
so no alert ends by it and none fires.  (libfaketime moves the wall clock alone.)"""
import glob
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import alert_kit as kit  # noqa: E402
from fengsui import SKIPPED, Lab, run_tests, wait_for  # noqa: E402
from test_alert_states import Host, collector_of, firing, told  # noqa: E402

LIBRARY = (glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1") or
           glob.glob("/usr/lib*/faketime/libfaketimeMT.so.1") or [None])[0]
RULES = """
groups:
- name: clock
  interval: 250ms
  rules:
  - {alert: Hot, expr: heat > 80, for: 500ms}
  - {alert: Cold, expr: heat < 5}
  - {alert: Down, expr: up == 0}
  - {alert: Gone, expr: 'absent(heat) or absent(up)'}
  - {alert: Old, expr: 'time() - timestamp(heat) > 60 or timestamp(heat) - time() > 60'}
"""
OTHERS = ("Cold", "Down", "Gone", "Old")


class Clock:
    """The wall clock of what is started while it is set."""

    def __init__(self, lab):
        self.file = lab.folder / "faketime"
        self.set(0)
        self.environment = {"LD_PRELOAD": LIBRARY, "FAKETIME_TIMESTAMP_FILE": str(self.file),
                            "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                            "NO_FAKE_STAT": "1"}

    def set(self, seconds):
        fresh = self.file.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.rename(self.file)


def evaluations(collector):
    text = collector.get("/metrics")[1].decode()
    return int(float(text.split("\nfengsui_collector_rule_evaluations_total ")[1].split("\n")[0]))


def look_on(collector, hook, began, expected):
    """Over some turns of the group nothing is as it should not be."""
    before = evaluations(collector)
    wait_for(lambda: evaluations(collector) > before + 60, "turns go on", 30)
    shown = firing(collector)
    assert [one["activeAt"] for one in shown] == [began], (shown, began)
    assert told(hook) == expected, told(hook)
    for name in OTHERS:
        assert not firing(collector, name), name
        # Before the first sample there was none; that is all there may be to tell.
        began_to = [status for status, _ in told(hook, name)].count("firing")
        assert began_to <= (name == "Gone"), (name, told(hook, name))
    at = time.time()
    written = collector.value('count_over_time(ALERTS{alertname="Hot",alertstate="firing"}[3s])', at)
    assert written and written >= 3, "ALERTS are written at the hosts' time"
    assert collector.value("up", at) == 1 and collector.value("up offset 1h", at) is None


def test_an_hour_forth_and_back_is_nothing():
    hook = kit.Hook()
    with Lab() as lab:
        clock = Clock(lab)
        ours = dict(os.environ)
        os.environ.update(clock.environment)
        collector = collector_of(lab, hook, RULES)
        os.environ.clear()
        os.environ.update(ours)
        host = Host(lab, collector)
        wait_for(lambda: collector.value("heat") == 10, "samples")
        for name in OTHERS:
            wait_for(lambda: not firing(collector, name), f"{name} is calm")
        host.set(90)
        wait_for(lambda: told(hook) == [("firing", "")], "it fires")
        began = firing(collector)[0]["activeAt"]
        for step in (3600, 0, -3600):
            clock.set(step)
            wait_for(lambda: abs(collector.value("vector(time())") - time.time() - step) < 60,
                     "the collector's clock is set")
            look_on(collector, hook, began, [("firing", "")])
        assert "go by theirs" in collector.log.read_text()
        host.set(10)
        wait_for(lambda: told(hook) == [("firing", ""), ("resolved", "")], "it ends in time, once that has lasted", 20)
        clock.set(0)
        host.set(95)
        wait_for(lambda: len(told(hook)) == 3, "and fires again", 5)
    hook.close()


if __name__ == "__main__":
    if LIBRARY is None or os.environ.get("FENGSUI_SANITIZE"):
        print("no libfaketime, or a sanitizer that must be loaded first")
        sys.exit(SKIPPED)
    run_tests(globals())
