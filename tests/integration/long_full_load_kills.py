#!/usr/bin/python3
"""A collector under full load is killed with -9 a hundred times, at random moments.

Probes send over the real wire as fast as they are taken, remote write goes to now, to late times
and to days that only roll-ups keep; deletes, settling (flush, merge, expiry, roll-up), backups
and queries go on (kill_kit.py).  After every kill `fengsuictl store verify` is clean, and every
sample that was acknowledged is there once, what was deleted is not, and hours that are rolled up say
what their samples said.  At the end a backup of all of it, restored, says the same.

    long_full_load_kills.py [KILLS [SEED]]        100 kills, some ten minutes
"""
import contextlib
import random
import sys
import time

from fengsui import Lab, wait_for
from kill_kit import (KEPT_DAYS, Backup, Gone, Late, Old, Queries, Settle, Swarm, UNANSWERED,
                      verify)

KILLS = int(sys.argv[1]) if len(sys.argv) > 1 else 100
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time())
CONFIG = f"retention: {{raw: {KEPT_DAYS}d, rollup_5m: forever, rollup_1h: forever}}\n"
LIFE = (0.3, 5.0)  # seconds
COUNTERS = ("commits", "flushes", "checkpoints", "rollups_made", "quarantined", "samples_stored",
            "rollup_samples_left_out")


@contextlib.contextmanager
def all_turns(actors):
    """No outcome of a promise is open."""
    with contextlib.ExitStack() as held:
        for actor in actors:
            held.enter_context(actor.turn)
        yield


def own(collector):
    """Its own counters of the store, summed over their labels."""
    told = dict.fromkeys(COUNTERS, 0.0)
    for row in collector.get("/metrics")[1].decode().splitlines():
        name = row.split("{")[0].split(" ")[0]
        for counter in COUNTERS:
            if name == f"fengsui_collector_store_{counter}_total":
                told[counter] += float(row.rsplit(" ", 1)[1])
    return told


def check(collector, actors):
    for actor in actors:
        assert actor.wrong is None, f"{type(actor).__name__}: {actor.wrong!r}"
        actor.check()


def live(collector, actors, chance):
    """A life of random length, in which what can be seen of the swarm is noted."""
    end = time.monotonic() + chance.uniform(*LIFE)
    counters = own(collector)
    while time.monotonic() < end:
        with contextlib.suppress(*UNANSWERED):
            actors[0].note()
        time.sleep(min(0.3, max(end - time.monotonic(), 0)))  # the moment of the blow is random
    with contextlib.suppress(*UNANSWERED):
        counters = own(collector)
    return counters


def campaign(lab, collector, actors):
    chance, begun = random.Random(SEED), time.monotonic()
    total = dict.fromkeys(COUNTERS, 0.0)
    for kill in range(1, KILLS + 1):
        counters = live(collector, actors, chance)
        collector.kill()
        total = {name: total[name] + counters[name] for name in COUNTERS}
        with all_turns(actors):
            verify(collector.data)
            restarted = time.monotonic()
            collector.start()
            ready = time.monotonic() - restarted
            check(collector, actors)
        if kill % 10 == 0 or kill == KILLS:
            print(f"{kill} kills in {time.monotonic() - begun:.0f} s, ready in {ready:.2f} s, " +
                  ", ".join(f"{type(a).__name__} {a.done}" for a in actors) + "; " +
                  ", ".join(f"{name} {total[name]:.0f}" for name in COUNTERS), flush=True)
    assert total["quarantined"] == 0, "something was quarantined"
    return total


def settle(collector):
    assert collector.request("POST", "/api/fengsui/v1/store/settle?days=true", b"",
                             timeout=300)[0] == 200


def main():
    print(f"seed {SEED}", flush=True)
    with Lab() as lab:
        collector = lab.collector(CONFIG).start()
        actors = [kind(collector, SEED)
                  for kind in (Swarm, Late, Old, Gone, Settle, Backup, Queries)]
        for actor in actors:
            actor.start()
        wait_for(lambda: all(actor.done > 0 for actor in actors[1:4]), "samples", 60)
        total = campaign(lab, collector, actors)
        for actor in reversed(actors):
            actor.end()
        check(collector, actors)
        settle(collector)
        check(collector, actors)
        backup = lab.folder / "last"
        collector.ctl("backup", backup)
        collector.stop()
        verify(collector.data)
        restored = lab.collector(CONFIG, name="restored")
        restored.ctl("restore", backup, restored.data)
        restored.start()
        for actor in actors:
            actor.collector = restored
        check(restored, actors)
        restored.stop()
        if KILLS >= 100:
            assert total["rollups_made"] > 0 and total["flushes"] > 0 and actors[5].done > 0, \
                "the campaign was of nothing"
        print(f"ok   {KILLS} kills", flush=True)


main()
