#!/usr/bin/python3
"""A receiver of remote write is down for an hour of data, while the collector is killed twice.

Probes that are played send the hour as fast as it is taken.  The receiver comes back, dies in the
middle of what it missed, comes back again: nothing is lost, and nothing comes twice.
"""
import json
import subprocess
import threading
import time

from fengsui import BUILD, Lab, PATIENCE, run_tests, wait_for
from remote_receiver import Receiver
from test_remote_write_out import metric

PROBES, SERIES, INTERVAL, HOUR = 10, 200, 15, 3600
SAMPLES = PROBES * SERIES * (HOUR // INTERVAL)


def played(collector, start):
    """The hour, through whatever happens to the collector."""
    done = subprocess.run(
        [BUILD / "fengsui-swarm", "--collector", f"tcp://127.0.0.1:{collector.ingest}",
         "--collector-key", collector.data / "keys/collector.pub", "--token",
         collector.data / "keys/enrol.token", "--probes", str(PROBES), "--series", str(SERIES),
         "--interval", f"{INTERVAL}s", "--samples", str(SAMPLES), "--start", str(start * 1000),
         # Slow enough to be met by the kills: the hour in some ten seconds.
         "--speed", "360", "--json"], capture_output=True, text=True, check=False,
        timeout=300 * PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["samples"] == SAMPLES, told
    return told


def test_an_hour_of_data_outlives_the_receiver_and_the_collector():
    with Lab() as lab, Receiver() as receiver:
        collector = lab.collector(
            "remote_write:\n"
            f"  - {{url: '{receiver.url()}', name: peer,\n"
            "     queue_config: {batch_send_deadline: 50ms, min_backoff: 10ms, max_backoff: 200ms},\n"
            "     write_relabel_configs: [\n"
            "       {source_labels: [instance], regex: 'swarm-.*', action: keep},\n"
            "       {source_labels: [__name__], regex: up, action: drop}]}\n").start()
        receiver.stop()
        results = []
        sender = threading.Thread(
            target=lambda: results.append(played(collector, int(time.time()) - HOUR)))
        sender.start()
        for kill in (1, 2):
            # Ended once in good order, so that the log is cut and what waits lies in files; then
            # killed, in the middle of what comes next.
            wait_for(lambda k=kill: metric(collector, "samples_pending") > k * SAMPLES // 5,
                     "a part of the hour", 60)
            collector.stop()
            collector.start()
            before = metric(collector, "samples_pending")
            wait_for(lambda b=before: metric(collector, "samples_pending") > b, "more of it", 60)
            collector.kill()
            collector.start()
        sender.join()
        assert len(results) == 1, "the swarm did not get through"
        assert list((collector.data / "remote/spill").glob("*.spill"))
        receiver.start()
        wait_for(lambda: sum(map(len, receiver.accepted)) > SAMPLES // 4, "what was missed", 120)
        receiver.stop()
        receiver.start()
        wait_for(lambda: metric(collector, "samples_pending") == 0, "the rest of it", 240)
        samples = receiver.samples()
        assert len(samples) == len({(key, ms) for key, ms, _ in samples}), \
            f"{len(samples)}: something came twice"
        assert len(samples) == SAMPLES, (len(samples), SAMPLES)
        for name in ("samples_lost_total", "commits_lost_total", "samples_refused_total"):
            assert metric(collector, name) == 0, name
        collector.stop()


if __name__ == "__main__":
    run_tests(globals())
