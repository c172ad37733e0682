"""alert_storm_kit.py - what a storm blows on: rules and routes, receivers that misbehave, a collector that
is asked until it answers."""
import calendar
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
# How late a timer may be: the long form holds it to a second, on a machine of its own.
SLACK = float(os.environ.get("FENGSUI_STORM_SLACK", "3")) * kit.PATIENCE
WAIT, INTERVAL = 1.5, 2.0   # Timed
REPEAT = 2.0                # Repeated
FOR = 2.0                   # Pending
STEP = 1.0                  # Escalated

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
  - {{matchers: [kind=escalated], receiver: people, group_by: [n], group_wait: 0s,
     group_interval: 500ms}}
receivers:
- {{name: people, escalation: page}}
- name: desk
  webhook_configs: [{{url: 'http://127.0.0.1:{desk}/desk', timeout: 1s}}]
- name: clean
  webhook_configs: [{{url: 'http://127.0.0.1:{clean}/clean', timeout: 5s}}]
contact_channels:
- {{name: hook, webhook_configs: [{{url: 'http://127.0.0.1:{clean}/{{to}}', timeout: 5s}}]}}
"""
PERSONS = ("first", "second", "third")
DUTY = f"""
persons: [{", ".join(f"{{id: {p}, name: 值班员, ways: [{{channel: hook, to: {p}}}]}}" for p in PERSONS)}]
escalations:
- name: page
  steps:
  - {{notify: [{{person: first}}]}}
  - {{wait: {int(STEP * 1000)}ms, notify: [{{person: second}}]}}
  - {{wait: {int(STEP * 1000)}ms, notify: [{{person: third}}]}}
  repeat: 12h
"""


def instant(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1000) % 1000:03}Z"


def seconds_of(text):
    """Unix seconds of an RFC 3339 text in UTC."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    parsed = time.strptime(whole + " UTC", "%Y-%m-%dT%H:%M:%S %Z")
    return calendar.timegm(parsed) + float("0." + (fraction or "0"))


def made_at(key):
    """When a message was composed: its key begins with 44 bits of Unix milliseconds."""
    return (int(key, 16) >> 20) / 1000


Delivery = collections.namedtuple("Delivery", "at key body accepted path")


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
                    hook.note(at, self, body, False)
                    hook.closing.wait(2)
                if mood in ("hang", "cut"):
                    hook.note(at, self, body, False)
                    self.close_connection = True
                    return
                hook.note(at, self, body, mood == 200)
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

    def note(self, at, request, body, accepted):
        with self.lock:
            self.deliveries.append(Delivery(at, request.headers["Idempotency-Key"], body, accepted,
                                            request.path[1:]))

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
