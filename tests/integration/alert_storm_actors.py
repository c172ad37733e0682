"""alert_storm_actors.py - who does what in a storm, and what each is owed; see alert_storm.py."""
import collections
import time

from alert_storm_kit import (ERRORS, FOR, INTERVAL, PERSONS, REPEAT, SLACK, STEP, WAIT, instant,
                             made_at, seconds_of)


class Episode:
    """One alert, from its firing to its end."""

    def __init__(self, n, labels, started):
        self.n, self.labels, self.started = n, labels, started
        self.known = None      # when its post was answered
        self.ending = None     # when its end was posted
        self.ended = None      # when that was answered


class Actor:
    def __init__(self, storm, rng):
        self.storm, self.rng = storm, rng
        self.episodes = {}
        self.count = 0

    def name(self):
        self.count += 1
        return f"{type(self).__name__}-{self.count}"

    def begin(self, labels=None, n=None):
        """Posts an alert of this actor's own."""
        n = n or self.name()
        labels = {"alertname": type(self).__name__, "n": n, **(labels or {})}
        now = time.time()
        episode = self.episodes[n] = Episode(n, labels, now)
        episode.known = self.storm.collector.post_alerts(
            {"labels": labels, "startsAt": instant(now), "endsAt": instant(now + 36000)})
        return episode

    def end(self, episode):
        now = episode.ending = time.time()
        episode.ended = self.storm.collector.post_alerts(
            {"labels": episode.labels, "startsAt": instant(episode.started),
             "endsAt": instant(now)})

    def active(self):
        return [e for e in self.episodes.values() if e.ending is None]

    def step(self):
        raise NotImplementedError

    def after_restart(self):
        pass

    def tick(self):
        """What hosts say every second; nothing for what is said once."""

    def finish(self):
        pass

    def owed(self):
        return []

    def wrong(self):
        return []


def told(messages):
    """{n: (first told as firing at, first told as resolved at)} of messages; None: never."""
    found = {}
    for delivery in messages:
        for alert in delivery.body["alerts"]:
            n = alert["labels"].get("n")
            firing, resolved = found.get(n, (None, None))
            if alert["status"] == "firing":
                firing = firing or delivery.at
            else:
                resolved = resolved or delivery.at
            found[n] = (firing, resolved)
    return found


def without_news(messages):
    """Messages that say nothing which the one before to the same group had not said."""
    before, wrong = {}, []
    for delivery in messages:
        key = (delivery.path, delivery.body["groupKey"])
        firing, resolved = before.get(key, (set(), set()))
        now = {s: {a["labels"]["n"] for a in delivery.body["alerts"] if a["status"] == s}
               for s in ("firing", "resolved")}
        if not (now["firing"] - firing or now["resolved"] - resolved):
            wrong.append(f"told twice: {key} {now} as {delivery.key}")
        before[key] = (now["firing"], now["resolved"])
    return wrong


class Posted(Actor):
    """Alerts of many groups, to the receiver that misbehaves."""
    MOST = 40
    kind = "posted"

    def start_one(self):
        self.begin({"rack": f"r{self.rng.randrange(30)}"})

    def step(self):
        active = self.active()
        if len(active) < 2 or (len(active) < self.MOST and self.rng.random() < 0.6):
            for _ in range(self.rng.randint(1, 4)):
                self.start_one()
        else:
            self.end(self.rng.choice(active))

    def messages(self):
        return [d for d in self.storm.desk.messages()
                if d.body["groupLabels"]["alertname"] == type(self).__name__]

    def owed(self):
        heard, missing = told(self.messages()), []
        for episode in self.episodes.values():
            firing, resolved = heard.get(episode.n, (None, None))
            if firing is None and self.was_due(episode):
                missing.append(f"{episode.n} never told as firing")
            if firing is not None and episode.ended is not None and resolved is None:
                missing.append(f"the end of {episode.n} never told")
        return missing

    def was_due(self, episode):
        """It fired over a whole group_interval with the collector up (or fires still)."""
        if episode.ending is None:
            return True
        return self.storm.was_up(episode.known, episode.ending, 1.0 + SLACK)

    def wrong(self):
        messages = self.messages()
        ended = {n for n, e in self.episodes.items() if e.ending is not None}
        return without_news(messages) + [
            f"{n} told as resolved while it fires" for n, (_, resolved) in told(messages).items()
            if resolved is not None and n not in ended]


class Ruled(Posted):
    """The same, made by a rule from samples."""
    kind = "ruled"

    def start_one(self):
        n, now = self.name(), time.time()
        episode = self.episodes[n] = Episode(n, {}, now)
        episode.known = self.storm.collector.sample("temperature_celsius", n, 90)

    def end(self, episode):
        episode.ending = time.time()
        episode.ended = self.storm.collector.sample("temperature_celsius", episode.n, 20)

    def after_restart(self):
        self.tick()

    def tick(self):
        """The next samples of the hosts: what a restart has missed waits for them, five minutes at most."""
        heard = told(self.messages())
        samples = [("temperature_celsius", {"instance": e.n, "n": e.n, "job": "node"},
                    90 if e.ending is None else 20) for e in self.episodes.values()
                   if e.ending is None or heard.get(e.n, (None, None))[1] is None]
        if samples:
            self.storm.collector.write(*samples)


class Pending(Actor):
    """A rule with `for`: its clock does not start anew, and it fires when it is due."""

    def __init__(self, storm, rng):
        super().__init__(storm, rng)
        self.active_at = {}
        self.errors = []

    def step(self):
        if len(self.active()) < 6:
            n, now = self.name(), time.time()
            episode = self.episodes[n] = Episode(n, {}, now)
            episode.known = self.storm.collector.sample("slow_celsius", n, 90)
            return
        heard = told(self.storm.clean.messages())
        for episode in self.active():
            if episode.n in heard or self.rng.random() < 0.02:
                episode.ending = time.time()
                episode.ended = self.storm.collector.sample("slow_celsius", episode.n, 20)
                return

    def after_restart(self):
        self.look()

    def look(self):
        for alert in self.storm.collector.api("alerts")["alerts"]:
            if alert["labels"]["alertname"] != "Pending":
                continue
            n = alert["labels"]["n"]
            first = self.active_at.setdefault(n, alert["activeAt"])
            # A step that was missed may show that it began a little earlier; never later.
            earlier = seconds_of(first) - seconds_of(alert["activeAt"])
            if not 0 <= earlier <= 0.25:
                self.errors.append(f"{n} was pending since {first}, now since {alert['activeAt']}")

    def owed(self):
        heard = told(self.storm.clean.messages())
        return [f"{e.n} never told as firing" for e in self.active() if e.n not in heard]

    def wrong(self):
        wrong = list(self.errors)
        for delivery in self.storm.clean.messages():
            for alert in delivery.body["alerts"]:
                episode = self.episodes.get(alert["labels"]["n"])
                if episode is None or alert["status"] != "firing":
                    continue
                fired = seconds_of(alert["startsAt"])
                due = self.storm.first_up(episode.known + 0.25 + FOR)
                if fired < episode.started + FOR - 0.01 or self.storm.is_late(due, fired):
                    wrong.append(f"{episode.n} pending since {episode.started:.3f} was due at "
                                 f"{due:.3f}, and fired at {fired:.3f}")
        return wrong


class Silenced(Actor):
    """Silences that were answered with 200 are there after every restart, once, and work."""

    def __init__(self, storm, rng):
        super().__init__(storm, rng)
        self.silences = {}  # id -> [n, state, time of the request to end it]
        self.comments = set()
        self.errors = []

    def step(self):
        on = [i for i, s in self.silences.items() if s[1] == "active"]
        if len(on) > 8 and self.rng.random() < 0.7:
            self.expire(self.rng.choice(on))
            return
        n, now = self.name(), time.time()
        self.comments.add(n)
        body = {"matchers": [{"name": "n", "value": n, "isRegex": False}],
                "startsAt": instant(now - 1), "endsAt": instant(now + 36000),
                "createdBy": "值班员甲", "comment": n}
        try:
            status, answer = self.storm.collector.call("POST", "/api/v2/silences", body)
        except ERRORS:
            return  # made or not, but never twice
        assert status == 200, (status, answer)
        self.silences[answer["silenceID"]] = [n, "active", None]
        self.begin({"rack": n}, n)

    def expire(self, silence_id):
        silence = self.silences[silence_id]
        silence[2] = time.time()
        status, answer = self.storm.collector.insist(
            lambda: self.storm.collector.call("DELETE", f"/api/v2/silence/{silence_id}"))
        assert status == 200, (status, answer)
        silence[1] = "expired"

    def after_restart(self):
        status, listed = self.storm.collector.call("GET", "/api/v2/silences")
        assert status == 200
        found = {s["id"]: s for s in listed}
        for silence_id, (n, state, _) in self.silences.items():
            silence = found.get(silence_id)
            if silence is None:
                self.errors.append(f"the silence of {n} is lost")
            elif (silence["status"]["state"], silence["comment"]) != (state, n):
                self.errors.append(f"the silence of {n} is {silence['status']}, not {state}")
        comments = collections.Counter(s["comment"] for s in listed)
        self.errors += [f"{c} silences of {n}" for n, c in comments.items() if c > 1]

    def finish(self):
        for silence_id in [i for i, s in self.silences.items() if s[1] == "active"][::2]:
            self.expire(silence_id)

    def messages(self):
        return [d for d in self.storm.desk.messages()
                if d.body["groupLabels"]["alertname"] == "Silenced"]

    def owed(self):
        heard = told(self.messages())
        return [f"{n} never told although its silence ended"
                for n, state, _ in self.silences.values() if state == "expired" and n not in heard]

    def wrong(self):
        heard, wrong = told(self.messages()), list(self.errors)
        for n, _, expiring in self.silences.values():
            firing = heard.get(n, (None, None))[0]
            if firing is not None and (expiring is None or firing < expiring):
                wrong.append(f"{n} was told while it was silenced")
        return wrong + without_news(self.messages())


class Repeated(Actor):
    """Told every REPEAT seconds until it is acknowledged, and not again after that."""

    def __init__(self, storm, rng):
        super().__init__(storm, rng)
        self.acknowledged = {}  # n -> when that was answered
        self.errors = []

    def fingerprints(self):
        status, answer = self.storm.collector.insist(
            lambda: self.storm.collector.call("GET", "/api/fengsui/v1/alerts"))
        assert status == 200
        return {a["labels"].get("n"): a for a in answer["data"]["alerts"]
                if a["labels"]["alertname"] == "Repeated"}

    def step(self):
        waiting = [e for e in self.active() if e.n not in self.acknowledged]
        if len(waiting) < 4:
            self.begin({"kind": "repeated"})
            return
        done = [e for e in self.active() if e.n in self.acknowledged]
        if len(done) > 10:
            self.end(self.rng.choice(done))
        elif self.rng.random() < 0.1:
            self.acknowledge(self.rng.choice(waiting))

    def acknowledge(self, episode):
        alert = self.fingerprints()[episode.n]
        status, answer = self.storm.collector.insist(lambda: self.storm.collector.call(
            "POST", "/api/fengsui/v1/alerts/acknowledge",
            {"fingerprint": alert["fingerprint"], "by": "值班员甲", "comment": episode.n}))
        assert status == 200, (status, answer)
        self.acknowledged[episode.n] = time.time()

    def after_restart(self):
        alerts = self.fingerprints()
        for episode in self.active():
            alert = alerts.get(episode.n)
            if alert is None:
                self.errors.append(f"{episode.n} is lost")
                continue
            by = (alert["acknowledged"] or {}).get("comment")
            if by != (episode.n if episode.n in self.acknowledged else None):
                self.errors.append(f"{episode.n} is acknowledged by {alert['acknowledged']}")

    def told_times(self):
        times = collections.defaultdict(list)
        for delivery in self.storm.clean.messages():
            for alert in delivery.body["alerts"]:
                if alert["labels"]["alertname"] == "Repeated" and alert["status"] == "firing":
                    times[alert["labels"]["n"]].append((delivery.at, made_at(delivery.key)))
        return times

    def owed(self):
        times = self.told_times()
        return [f"{e.n} never told" for e in self.active() if e.n not in times]

    def wrong(self):
        wrong, times = list(self.errors), self.told_times()
        for n, stamps in times.items():
            for (_, before), (at, made) in zip(stamps, stamps[1:]):
                if made - before < REPEAT - 0.01:
                    wrong.append(f"{n} repeated after {made - before:.3f} s")
                due = self.storm.first_up(before + REPEAT + 0.5)
                if self.storm.is_late(due, at):
                    wrong.append(f"{n} told at {before:.3f} was due again at {due:.3f}, and "
                                 f"told at {at:.3f}")
            acknowledged = self.acknowledged.get(n)
            late = [m for _, m in stamps if acknowledged is not None and m > acknowledged]
            if late:
                wrong.append(f"{n}, acknowledged at {acknowledged:.3f}, was told at {late}")
        return wrong


class Timed(Actor):
    """A group is told group_wait after its first alert; a second one at the next interval."""

    def __init__(self, storm, rng):
        super().__init__(storm, rng)
        self.seconds = {}  # n of a group's first -> of its second

    def step(self):
        heard = told(self.storm.clean.messages())
        for episode in self.active():
            n = episode.n
            if n in heard and n not in self.seconds and "second" not in episode.labels:
                second = self.begin({"kind": "timed", "rack": n, "second": "1"})
                self.seconds[n] = second.n
                return
            if self.seconds.get(n) in heard:
                self.end(self.episodes[self.seconds[n]])
                self.end(episode)
                return
        if len(self.active()) < 12:
            n = self.name()
            self.begin({"kind": "timed", "rack": n}, n)

    def owed(self):
        heard = told(self.storm.clean.messages())
        return [f"{e.n} never told" for e in self.active() if e.n not in heard]

    def wrong(self):
        wrong, heard = [], told(self.storm.clean.messages())
        for n, episode in self.episodes.items():
            at = heard.get(n, (None, None))[0]
            if at is None or "second" in episode.labels:
                continue
            due = self.storm.first_up(episode.known + WAIT)
            if at < episode.started + WAIT - 0.01 or self.storm.is_late(due, at):
                wrong.append(f"{n} was due at {due:.3f}, and told at {at:.3f}")
            second = self.episodes.get(self.seconds.get(n))
            told_second = heard.get(second.n, (None, None))[0] if second else None
            if told_second is not None:
                flush = at
                while flush < second.known:
                    flush = self.storm.first_up(flush + INTERVAL)
                if self.storm.is_late(flush, told_second):
                    wrong.append(f"{second.n}, in a group told at {at:.3f}, was due at "
                                 f"{flush:.3f}, and told at {told_second:.3f}")
        return wrong


class Escalated(Actor):
    """Person after person is told, once each and in time, until somebody says "I am on it"; who was
    told the beginning is told the end."""

    def __init__(self, storm, rng):
        super().__init__(storm, rng)
        self.acknowledged = {}  # n -> when that was answered
        self.errors = []

    def messages(self):
        return [d for d in self.storm.clean.messages()
                if d.body["groupLabels"].get("n") in self.episodes]

    def heard(self):
        """{n: {person: {status: when composed}}}"""
        found = collections.defaultdict(lambda: collections.defaultdict(dict))
        for delivery in self.messages():
            found[delivery.body["groupLabels"]["n"]][delivery.path].setdefault(
                delivery.body["status"], made_at(delivery.key))
        return found

    def number(self, n):
        return next(int(d.body["incident"]) for d in self.messages()
                    if d.body["groupLabels"]["n"] == n)

    def step(self):
        heard = self.heard()
        told = [e for e in self.active() if e.n in heard]
        finished = [e for e in told if e.n in self.acknowledged or len(heard[e.n]) == len(PERSONS)]
        if len(self.active()) < 12:
            self.begin({"kind": "escalated"})
        elif len(finished) > 6:
            self.end(self.rng.choice(finished))
        elif told and self.rng.random() < 0.2:
            self.acknowledge(self.rng.choice(told))

    def acknowledge(self, episode):
        if episode.n in self.acknowledged:
            return
        status, answer = self.storm.collector.insist(lambda: self.storm.collector.call(
            "POST", "/api/fengsui/v1/incidents/acknowledge",
            {"incident": self.number(episode.n), "by": "值班员甲", "comment": episode.n}))
        assert status == 200, (status, answer)
        self.acknowledged[episode.n] = time.time()

    def after_restart(self):
        heard = self.heard()
        for episode in self.active():
            if episode.n not in heard:
                continue
            number = self.number(episode.n)
            status, answer = self.storm.collector.insist(
                lambda: self.storm.collector.call("GET", f"/api/fengsui/v1/incidents/{number}"))
            expected = "acknowledged" if episode.n in self.acknowledged else "open"
            if status != 200 or answer["data"]["state"] != expected:
                self.errors.append(f"incident {number} of {episode.n} is {answer}, not {expected}")

    def owed(self):
        heard, missing = self.heard(), []
        for episode in self.episodes.values():
            persons = heard.get(episode.n, {})
            if episode.ending is None and episode.n not in self.acknowledged:
                missing += [f"{p} never told of {episode.n}" for p in PERSONS if p not in persons]
            if episode.ended is not None:
                missing += [f"{p} never told the end of {episode.n}" for p, said in persons.items()
                            if "firing" in said and "resolved" not in said]
        return missing

    def wrong(self):
        wrong = list(self.errors) + without_news(self.messages())
        for n, persons in self.heard().items():
            fired = [persons.get(p, {}).get("firing") for p in PERSONS]
            for number, (before, at) in enumerate(zip(fired, fired[1:]), 2):
                if at is None:
                    continue
                if before is None:
                    wrong.append(f"{n}: step {number} without the one before")
                    continue
                due = self.storm.first_up(before + STEP)
                # A step that a restart made late does not put off those after it.
                early = at < fired[0] + (number - 1) * STEP - 0.05
                if early or self.storm.is_late(due, at):
                    wrong.append(f"{n}: step {number} was due at {due:.3f}, told at {at:.3f}")
            acknowledged = self.acknowledged.get(n)
            late = [at for at in fired if acknowledged and at and at > acknowledged]
            if late:
                wrong.append(f"{n}, acknowledged at {acknowledged:.3f}, was told at {late}")
        return wrong
