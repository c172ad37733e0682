"""Helpers of the alert tests: a collector, its samples, a webhook receiver and a mail server.

Nothing here knows the collector's insides: samples go in by remote write, messages come out by
HTTP and SMTP.
"""
import base64
import concurrent.futures
import datetime
import email
import email.header
import email.policy
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import snappy

from fengsui import free_port

COLLECTOR = os.path.join(os.environ.get("FENGSUI_BUILD", "build/release"), "fengsui-collector")
PATIENCE = int(os.environ.get("FENGSUI_PATIENCE", "1"))  # sanitizers slow everything down


def wait_for(what, seconds, why):
    """Polls until what() is true and returns its value; fails by name after a deadline."""
    deadline = time.monotonic() + seconds * PATIENCE
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {why}")
        time.sleep(0.005)


def seconds_of(text):
    """RFC 3339 with up to nine digits of a second."""
    head, _, tail = text.rstrip("Z").partition(".")
    return datetime.datetime.fromisoformat(head + "+00:00").timestamp() + float("0." + (tail or "0"))


# ---- remote write 1.0, written by hand: four messages and three kinds of field ----------------

def _varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(number, payload):
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def write_request(samples):
    """samples: list of (labels dict, unix ms, value)."""
    body = b""
    for labels, ts_ms, value in samples:
        series = b""
        for name in sorted(labels):
            series += _field(1, _field(1, name.encode()) + _field(2, labels[name].encode()))
        sample = b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(ts_ms)
        series += _field(2, sample)
        body += _field(1, series)
    return snappy.compress(body)


# ---- the outside world ------------------------------------------------------------------------

class Hook:
    """A webhook receiver; `answer` may be changed to fail or hang."""

    def __init__(self, port=0):
        self.bodies, self.keys, self.times, self.authorizations = [], [], [], []
        self.paths, self.answers = [], {}  # by path, where one differs from
        self.answer = 200
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = hook.answers.get(self.path, hook.answer)
                hook.paths.append(self.path)
                hook.times.append(time.time())
                hook.keys.append(self.headers["Idempotency-Key"])
                hook.authorizations.append(self.headers["Authorization"])
                hook.bodies.append((status, body))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def accepted(self):
        """Each accepted message once: what a kill cut off between the answer and the ledger comes
        again under the same key, as it must, and a receiver tells it by that key."""
        seen = {}
        for key, (status, body) in zip(list(self.keys), list(self.bodies)):
            if status // 100 == 2:
                seen.setdefault(key, json.loads(body))
        return list(seen.values())

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Robot:
    """A chat robot: answers HTTP 200 and says in a code whether it took the message.  `code` may
    be changed; past `per_minute` it throttles, as the real ones do."""

    def __init__(self, code_name="errcode", throttled=45009, per_minute=10**9):
        self.code, self.paths, self.bodies, self.times, self.refused = 0, [], [], [], 0
        robot = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                now, code = time.time(), robot.code
                if sum(now - t < 60 for t in robot.times) >= per_minute:
                    code = throttled
                if code == 0:
                    robot.times.append(now)
                    robot.paths.append(self.path)
                    robot.bodies.append(body)
                else:
                    robot.refused += 1
                answer = json.dumps({code_name: code, "errmsg": "said the robot"}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/robot?token=t0ken"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Mail:
    """A real SMTP server (aiosmtpd)."""

    def __init__(self):
        from aiosmtpd.controller import Controller
        mails = self.mails = []

        class Handler:
            async def handle_DATA(self, server, session, envelope):
                mails.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
                return "250 OK"

        self.port = free_port()
        self.controller = Controller(Handler(), hostname="127.0.0.1", port=self.port)
        self.controller.start()

    def parsed(self):
        return [email.message_from_bytes(content, policy=email.policy.default)
                for _, _, content in self.mails]

    def close(self):
        self.controller.stop()


class Collector:
    def __init__(self, rules, alerting, interval="1s", duty=None, more=""):
        self.folder = tempfile.mkdtemp(prefix="fengsui-alert-")
        os.makedirs(os.path.join(self.folder, "rules"))
        self.put("rules/test.yml", rules)
        self.put("alerting.yml", alerting)
        self.http, self.ingest = free_port(), free_port()
        if duty is not None:
            self.put("duty.yml", duty)
            more += "duty: duty.yml\n"
        self.put("collector.yml", f"rules: {{evaluation_interval: {interval}, "
                                  "files: [rules/*.yml]}\nalerting: alerting.yml\n"
                                  f"external_url: 'http://127.0.0.1:{self.http}'\n" + more)
        self.process = None
        self.log = open(os.path.join(self.folder, "log"), "ab")
        self.start()

    def put(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as f:
            f.write(text)

    def start(self):
        self.process = subprocess.Popen(
            [COLLECTOR, "--config", os.path.join(self.folder, "collector.yml"), "--data",
             os.path.join(self.folder, "data"), "--http", f"127.0.0.1:{self.http}", "--ingest",
             f"tcp://127.0.0.1:{self.ingest}"], stdout=self.log, stderr=self.log)
        wait_for(self.is_ready, 20, "collector ready")

    def is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError("the collector ended:\n" + self.own_log())
        try:
            return self.get("/-/ready") is not None
        except (urllib.error.URLError, ConnectionError, socket.timeout):
            return False

    def own_log(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", timeout=5) as answer:
            return answer.read()

    def api(self, path):
        return json.loads(self.get("/api/v1/" + path))["data"]

    def write(self, *samples):
        """(name, labels, value[, unix ms]) each; returns when they are committed."""
        now = int(time.time() * 1000)
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http}/api/v1/write",
            write_request([({"__name__": s[0], **s[1]}, s[3] if len(s) > 3 else now, s[2])
                           for s in samples]),
            {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
             "X-Prometheus-Remote-Write-Version": "0.1.0"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status // 100 == 2

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def restart(self):
        self.kill()
        self.start()

    def reload(self):
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}/-/reload", b"",
                                         method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status

    def close(self):
        """Ends it politely; it must end cleanly."""
        self.process.terminate()
        code = self.process.wait(timeout=20)
        log = self.own_log()
        self.log.close()
        shutil.rmtree(self.folder)
        assert code == 0, f"exit code {code}:\n{log}"


def decoded_text(message):
    return base64.b64decode(message.get_payload()).decode()


def run_together(case, workers=3):
    """Runs the tests of a case beside each other: they mostly wait.  Each has a collector of its
    own.  Returns the exit code."""
    def run(test):
        result = unittest.TestResult()
        began = time.monotonic()
        test.run(result)
        return test, result, time.monotonic() - began

    failed = 0
    tests = unittest.defaultTestLoader.loadTestsFromTestCase(case)
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for test, result, seconds in pool.map(run, tests):
            wrong = result.errors + result.failures
            print(f"{'FAIL' if wrong else 'ok  '} {test.id().split('.')[-1]} ({seconds:.1f} s)")
            for _, text in wrong:
                print(text)
            failed += bool(wrong)
    print(f"{tests.countTestCases()} tests, {failed} failed")
    return 1 if failed or tests.countTestCases() == 0 else 0
