"""alert_storm.py - a storm of alerts over a collector that is killed again and again.

Drivers post, end, silence and acknowledge alerts at random and write samples that rules fire on;
the storm kills the collector at random moments.  What is owed is known from what was answered
with 200, not from the collector:

    actor       does one thing at random (step), looks at what a restart must not have changed
                (after_restart), ends its part (finish), and holds what was told against what is
                owed (owed: a text for each thing missing; wrong: for each thing that must not be)

    Posted      alerts by the API, in groups, to a receiver that refuses, throttles and hangs
    Ruled       alerts of a rule without `for`, to the same
    Pending     alerts of a rule with `for`: what is pending never starts anew
    Silenced    silences, and alerts that they keep back
    Repeated    alerts that are told again and again until somebody acknowledges them
    Timed       group_wait and group_interval, to a receiver that takes everything at once
    Escalated   people, one after the other, until one of them acknowledges

Each alert has a label of its own (`n`) and fires once.  Another actor is a class and a line in
ACTORS; its receivers go into ALERTING, and what they were told is in Storm.desk or Storm.clean.
"""
import collections
import os
import random
import threading
import time

import alert_kit as kit
from alert_storm_actors import (Escalated, Pending, Posted, Repeated, Ruled, Silenced, Timed)
from alert_storm_kit import (ALERTING, DUTY, INTERVAL, REPEAT, RULES, SLACK, WAIT, Collector, Hook)

ACTORS = [Posted, Ruled, Pending, Silenced, Repeated, Timed, Escalated]


class Storm:
    """Drives the actors, kills the collector, and judges."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.desk, self.clean = Hook(seed), Hook()
        self.collector = Collector(RULES, ALERTING.format(
            desk=self.desk.port, clean=self.clean.port, wait=int(WAIT * 1000),
            interval=int(INTERVAL * 1000), repeat=int(REPEAT * 1000)), duty=DUTY)
        self.outages = []  # (killed at, ready again at)
        self.resumed = []  # (ready, first try of what was owed)
        self.actors = [kind(self, random.Random(self.rng.random())) for kind in ACTORS]
        self.locks = [threading.Lock() for _ in self.actors]
        self.stopping, self.failure = threading.Event(), None
        self.stalls, self.done = [], threading.Event()
        self.watcher = threading.Thread(target=self.watch_disk, daemon=True)
        self.watcher.start()

    # What the collector's absence excuses.

    def first_up(self, due):
        """The first moment at or after `due` at which the collector was up."""
        for killed, ready in self.outages:
            if killed <= due < ready:
                return ready
        return due

    def was_up(self, start, end, seconds):
        """Was it up for so long in one piece between start and end?"""
        at = start
        for killed, ready in self.outages:
            if ready <= start or killed >= end:
                continue
            if killed - at >= seconds:
                return True
            at = max(at, ready)
        return end - at >= seconds

    def watch_disk(self):
        """Notes when the machine, its disk above all, took a tenth of a second for nothing."""
        with open(os.path.join(self.collector.folder, "pulse"), "wb") as file:
            while not self.done.is_set():
                begun = time.time()
                file.seek(0)
                file.write(b"x")
                file.flush()
                os.fsync(file.fileno())
                self.done.wait(0.05)
                if time.time() - begun > 0.2:
                    self.stalls.append((begun, time.time()))

    def is_late(self, due, at):
        """More than a second, and what the machine kept everybody waiting for in between."""
        stalled = sum(min(end, at) - max(begun, due) for begun, end in self.stalls
                      if begun < at and end > due)
        return at > due + SLACK + stalled

    # The storm.

    def drive(self, actor, lock, rng):
        while not self.stopping.is_set():
            try:
                with lock:
                    actor.step()
            except Exception as error:  # whatever it is, the test fails with it
                self.failure = self.failure or f"{type(actor).__name__}: {error!r}"
                self.stopping.set()
            self.stopping.wait(rng.uniform(0.02, 0.15))

    def kill_once(self):
        owed = self.desk.owed()
        self.collector.kill()
        killed = time.time()
        before = len(self.desk.all())
        self.collector.start()
        self.outages.append((killed, time.time()))
        for actor, lock in zip(self.actors, self.locks):
            with lock:
                actor.after_restart()
        if owed:
            ready, at = self.outages[-1][1], self.time_of_next_try(before)
            self.resumed.append((ready, at))

    def time_of_next_try(self, before):
        kit.wait_for(lambda: len(self.desk.all()) > before, 10, "what is owed is tried again")
        return self.desk.all()[before].at

    def run(self, kills, pause):
        """Kills `kills` times, at random moments between pause[0] and pause[1] seconds."""
        drivers = [threading.Thread(target=self.drive, daemon=True,
                                    args=(a, lock, random.Random(self.rng.random())))
                   for a, lock in zip(self.actors, self.locks)]
        for driver in drivers:
            driver.start()
        try:
            for _ in range(kills):
                self.stopping.wait(self.rng.uniform(*pause))
                if self.stopping.is_set():
                    break
                self.kill_once()
        finally:
            self.stopping.set()
            for driver in drivers:
                driver.join()
        assert self.failure is None, self.failure

    def judge(self):
        """Waits until everything owed was told; returns what must not be."""
        for actor in self.actors:
            actor.finish()
        self.desk.be_good()
        missing = []

        ticked = time.monotonic()

        def nothing_missing():
            nonlocal ticked
            if time.monotonic() > ticked + 1:
                ticked = time.monotonic()
                for actor in self.actors:
                    actor.tick()
            missing[:] = [text for actor in self.actors for text in actor.owed()]
            return not missing and not self.desk.owed() and not self.clean.owed()
        try:
            kit.wait_for(nothing_missing, 60, "what is owed")
        except AssertionError as error:
            raise AssertionError(f"{error}; {len(missing)} missing: {missing[:10]}; the collector "
                                 f"has {self.of_missing(missing)}") from None
        for actor in self.actors:
            actor.after_restart()
        return [text for actor in self.actors for text in actor.wrong()] + self.duplicates() + [
            f"what was owed was tried {at - ready:.3f} s after a restart"
            for ready, at in self.resumed if self.is_late(ready, at)]

    def of_missing(self, missing):
        """What the collector says of the alerts that were not told of."""
        text = " ".join(missing).split()
        alerts = self.collector.call("GET", "/api/fengsui/v1/alerts")[1]["data"]["alerts"]
        return [{k: a[k] for k in ("labels", "state", "activeAt", "status")} for a in alerts
                if a["labels"].get("n") in text]

    def duplicates(self):
        """A message accepted twice needs a kill between: it was in flight."""
        wrong = []
        for hook in (self.desk, self.clean):
            accepted = collections.defaultdict(list)
            for delivery in hook.all():
                if delivery.accepted:
                    accepted[delivery.key].append(delivery)
            for key, deliveries in accepted.items():
                if any(d.body != deliveries[0].body for d in deliveries):
                    wrong.append(f"two messages are both {key}")
                for one, two in zip(deliveries, deliveries[1:]):
                    if not any(one.at <= ready and killed <= two.at
                               for killed, ready in self.outages):
                        wrong.append(f"{key} accepted at {one.at:.3f} and again at {two.at:.3f}")
        return wrong

    def doubled(self):
        return sum(len([d for d in hook.all() if d.accepted]) - len(hook.messages())
                   for hook in (self.desk, self.clean))

    def summary(self):
        return (f"{len(self.outages)} kills, {sum(len(a.episodes) for a in self.actors)} alerts, "
                f"{len(self.desk.messages()) + len(self.clean.messages())} messages, "
                f"{self.doubled()} accepted twice, "
                f"{sum(not d.accepted for d in self.desk.all())} refused; owed again at most "
                f"{max((at - ready for ready, at in self.resumed), default=0):.3f} s after a restart; "
                f"{len(self.stalls)} stalls of the machine")

    def close(self):
        self.desk.be_good()
        self.done.set()
        self.watcher.join()
        try:
            self.collector.close()
        finally:
            self.desk.close()
            self.clean.close()
