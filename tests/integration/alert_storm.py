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

Each alert has a label of its own (`n`) and fires once.  Another actor is a class and a line in
ACTORS; its receivers go into ALERTING, and what they were told is in Storm.desk or Storm.clean.
"""
import collections
import http.client
import json
import os
import random
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import alert_kit as kit

ERRORS = (OSError, http.client.HTTPException, urllib.error.URLError)
SLACK = 1.0 * kit.PATIENCE  # how late a timer may be
WAIT, INTERVAL = 1.5, 2.0   # Timed
REPEAT = 2.0                # Repeated
FOR = 2.0                   # Pending

RULES = f"""
groups:
- name: storm
  interval: 250ms
  rules:
  - {{alert: Ruled, expr: temperature_celsius > 80, labels: {{kind: ruled}}}}
  - {{alert: Pending, expr: slow_celsius > 80, for: {int(FOR * 1000)}ms, labels: {{kind: pending}}}}
"""
ALERTING = """
route:
  receiver: desk
  group_by: [alertname, rack]
  group_wait: 100ms
  group_interval: 1s
  repeat_interval: 12h
  routes:
  - {{matchers: [kind=timed], receiver: clean, group_wait: {wait}ms, group_interval: {interval}ms}}
  - {{matchers: [kind=repeated], receiver: clean, group_by: [n], group_wait: 0s,
     group_interval: 500ms, repeat_interval: {repeat}ms}}
  - {{matchers: [kind=pending], receiver: clean, group_by: [n], group_wait: 0s}}
receivers:
- name: desk
  webhook_configs: [{{url: 'http://127.0.0.1:{desk}/desk', timeout: 1s}}]
- name: clean
  webhook_configs: [{{url: 'http://127.0.0.1:{clean}/clean', timeout: 5s}}]
"""


def instant(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1000) % 1000:03}Z"


def seconds_of(text):
    """Unix seconds of an RFC 3339 text in UTC."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    parsed = time.strptime(whole + " UTC", "%Y-%m-%dT%H:%M:%S %Z")
    import calendar
    return calendar.timegm(parsed) + float("0." + (fraction or "0"))


def made_at(key):
    """When a message was composed: its key begins with 44 bits of Unix milliseconds."""
    return (int(key, 16) >> 20) / 1000


Delivery = collections.namedtuple("Delivery", "at key body accepted")


class Hook:
    """A webhook receiver that answers at random, or 200 to everything."""

    def __init__(self, seed=None):
        self.rng = random.Random(seed) if seed is not None else None
        self.deliveries, self.lock, self.closing = [], threading.Lock(), threading.Event()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                at = time.time()
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                mood = hook.mood()
                if mood == "hang":
                    hook.note(at, self.headers["Idempotency-Key"], body, False)
                    hook.closing.wait(2)
                if mood in ("hang", "cut"):
                    hook.note(at, self.headers["Idempotency-Key"], body, False)
                    self.close_connection = True
                    return
                hook.note(at, self.headers["Idempotency-Key"], body, mood == 200)
                self.send_response(mood)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 256
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # a client that was killed

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def mood(self):
        with self.lock:
            if self.rng is None:
                return 200
            return self.rng.choices([200, 500, 429, "hang", "cut"], [70, 10, 10, 3, 7])[0]

    def be_good(self):
        with self.lock:
            self.rng = None

    def note(self, at, key, body, accepted):
        with self.lock:
            self.deliveries.append(Delivery(at, key, body, accepted))

    def all(self):
        with self.lock:
            return list(self.deliveries)

    def messages(self):
        """Each accepted message once, in the order of acceptance."""
        seen = {}
        for delivery in self.all():
            if delivery.accepted:
                seen.setdefault(delivery.key, delivery)
        return list(seen.values())

    def owed(self):
        """Keys that came and were never accepted."""
        deliveries = self.all()
        return {d.key for d in deliveries} - {d.key for d in deliveries if d.accepted}

    def close(self):
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()


class Collector(kit.Collector):
    def call(self, method, path, body=None):
        """(status, answer); raises one of ERRORS if it cannot be known what became of it."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", data,
                                         {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10 * kit.PATIENCE) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def insist(self, what, seconds=30):
        """Does it until it is answered: what a caller does who is not answered."""
        deadline = time.monotonic() + seconds * kit.PATIENCE
        while True:
            try:
                return what()
            except ERRORS as error:
                assert time.monotonic() < deadline, f"no answer within {seconds} s: {error}"
                time.sleep(0.01)

    def post_alerts(self, *alerts):
        status, answer = self.insist(lambda: self.call("POST", "/api/v2/alerts", list(alerts)))
        assert status == 200, (status, answer)
        return time.time()

    def sample(self, name, n, value):
        self.insist(lambda: self.write((name, {"instance": n, "n": n, "job": "node"}, value)))
        return time.time()


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
        key = (delivery.body["receiver"], delivery.body["groupKey"])
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
        """The next tick of the hosts: what a restart has missed waits for it, five minutes at most."""
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
            if alert["activeAt"] != first:
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


ACTORS = [Posted, Ruled, Pending, Silenced, Repeated, Timed]


class Storm:
    """Drives the actors, kills the collector, and judges."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.desk, self.clean = Hook(seed), Hook()
        self.collector = Collector(RULES, ALERTING.format(
            desk=self.desk.port, clean=self.clean.port, wait=int(WAIT * 1000),
            interval=int(INTERVAL * 1000), repeat=int(REPEAT * 1000)))
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

        def nothing_missing():
            missing[:] = [text for actor in self.actors for text in actor.owed()]
            return not missing and not self.desk.owed() and not self.clean.owed()
        try:
            kit.wait_for(nothing_missing, 60, "what is owed")
        except AssertionError as error:
            raise AssertionError(f"{error}; {len(missing)} missing: {missing[:10]}") from None
        for actor in self.actors:
            actor.after_restart()
        return [text for actor in self.actors for text in actor.wrong()] + self.duplicates() + [
            f"what was owed was tried {at - ready:.3f} s after a restart"
            for ready, at in self.resumed if self.is_late(ready, at)]

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
