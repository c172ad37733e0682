#!/usr/bin/python3
"""A host that falls silent is shown as silent, at once and after the collector's restart.

What can go wrong, each a case here:
  - the last values stay visible for the whole lookback;
  - after a restart the collector no longer knows which series were the silent host's;
  - the marker stays when the host is heard again.
"""
from fengsui import Lab, run_tests, wait_for


def is_shown(collector):
    return len(collector.query("node_load1")) == 1


def test_a_silent_host_stays_silent_over_a_restart_until_it_is_heard():
    with Lab() as lab:
        collector = lab.collector()
        probe = lab.probe(collector, interval="200ms")
        collector.start()
        probe.start()
        wait_for(lambda: collector.value('up{job="node"}') == 1, "the host is up")
        wait_for(lambda: is_shown(collector), "its load is known")
        probe.kill()
        wait_for(lambda: collector.value('up{job="node"}') == 0, "the host is down")
        wait_for(lambda: not is_shown(collector), "its load is not shown any more")
        collector.kill()
        collector.start()
        wait_for(lambda: not is_shown(collector), "nor after the restart")
        probe.start()
        wait_for(lambda: is_shown(collector), "its load is shown again")
        wait_for(lambda: collector.value('up{job="node"}') == 1, "the host is up again")


if __name__ == "__main__":
    run_tests(globals())
