#!/usr/bin/python3
"""A disk whose every sync takes a second: acknowledgements are slow, nothing else is.

The collector preloads tests/fault/io_world.c, which lets each fsync, fdatasync and synchronous
write of the data folder take a second.  Meanwhile queries, pages and metrics answer, no probe is
taken for silent, and the collector's own numbers say what is slow.
"""
import os
import sys
import threading
import time

from fengsui import BUILD, SKIPPED, Lab, run_tests, wait_for

LIBRARY = BUILD / "tests" / "libio_world.so"
SYNC_MS = 1000


def watch_answers(collector, stop, worst):
    """Asks without a pause; keeps the longest answer of each kind."""
    while not stop.is_set():
        for path in ("/api/v1/query?query=up", "/-/ready", "/metrics", "/api/v1/alerts"):
            begun = time.monotonic()
            code, _ = collector.get(path)
            taken = time.monotonic() - begun
            assert code == 200, (path, code)
            worst[path] = min(worst.get(path, taken), taken)
        stop.wait(0.05)


def test_a_sync_of_a_second_slows_acknowledgements_only():
    with Lab() as lab:
        rules = lab.folder / "silent.yml"
        rules.write_text("groups:\n- name: silent\n  rules:\n"
                         "  - {alert: HostDown, expr: up == 0}\n")
        collector = lab.collector(f"rules: {{evaluation_interval: 1s, files: [{rules}]}}\n")
        slow = lab.folder / "slow"
        settings = {"LD_PRELOAD": str(LIBRARY), "IO_WORLD_FOLDER": str(collector.data),
                    "IO_WORLD_SYNC_MS": str(SYNC_MS), "IO_WORLD_SLOW_WHEN": str(slow)}
        os.environ.update(settings)
        try:
            collector.start()
        finally:
            for name in settings:
                del os.environ[name]
        probe = lab.probe(collector, interval="1s").start()
        wait_for(lambda: collector.query("up == 1"), "the probe's first samples", 60)
        slow.touch()
        stop, best = threading.Event(), {}
        asking = threading.Thread(target=watch_answers, args=(collector, stop, best))
        asking.start()
        commits = "fengsui_collector_store_commits_total"
        seconds = "fengsui_collector_store_commit_seconds_total"

        def numbers():
            rows = dict(line.split(" ") for line in collector.get("/metrics")[1].decode().splitlines()
                        if line.startswith((commits + " ", seconds + " ")))
            return float(rows[commits]), float(rows[seconds])
        first = numbers()
        # Each of two syncs at least, and of the first one some may have been quick.
        wait_for(lambda: numbers()[0] >= first[0] + 4, "commits to go on", 120)
        last = numbers()
        stop.set()
        asking.join()
        each = (last[1] - first[1]) / (last[0] - first[0] + 1)
        assert each >= SYNC_MS / 1000, f"commits took {each:.2f} s, and nobody was told"
        # What waits for no disk: the quickest answer of a kind comes within a fraction of a sync.
        for path, taken in best.items():
            assert taken < SYNC_MS / 1000 / 2, f"{path} waits for the disk: {taken:.2f} s"
        alerts = collector.json("/api/v1/alerts")["data"]["alerts"]
        assert not alerts, f"a slow disk is no silent host: {alerts}"
        newest = collector.value("time() - timestamp(node_boot_time_seconds)")
        assert newest < 15, f"samples come {newest:.1f} s late"
        assert probe.alive()


if __name__ == "__main__":
    if not LIBRARY.exists():
        print(f"skipped: there is no {LIBRARY}")
        sys.exit(SKIPPED)
    run_tests(globals())
