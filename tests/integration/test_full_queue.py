"""More queries than there is room for, among them some that would never end, while probes send.

What is claimed: nobody waits past the timeout, not even behind a thousand others; who does not get a
place is told so at once; each error says what it was; what the collector says of itself and what the
duty officer sees and does stands in no line with them; the samples of that time are all
acknowledged and stored, none stands still until the storm is over; and afterwards all is as before.
"""
import json
import re
import selectors
import socket
import subprocess
import time
import urllib.parse

from fengsui import BUILD, Lab, PATIENCE, run_tests, wait_for

TIMEOUT_MS = int(2500 * min(PATIENCE, 2))  # all that ask have asked by then
WAITING_MAX = 1024  # QUERY_QUEUE_MAX
ASKED = WAITING_MAX + 100
CONFIG = f"""
promql: {{max_concurrency: 2, timeout: {TIMEOUT_MS}ms, max_samples: 5000000, max_memory: 128MiB}}
"""
# Few samples, no end: windows of three hours of a second each, at 11,000 steps, again and again.
ENDLESS = {"query": " + ".join(f"quantile_over_time(0.{n}, vector(1)[3h:1s])" for n in range(10, 99)),
           "start": 0, "end": 11000, "step": 1}
# Questions for names, which wait behind the others, for less long.
NAMES = [(path, {"match[]": "up", "timeout": f"{TIMEOUT_MS // 2}ms"})
         for path in ("/api/v1/labels", "/api/v1/label/job/values", "/api/v1/series", "/federate")]
PROBES, SERIES, TICKS = 8, 20, 40


def swarm(collector):
    """Probes that send a tick each 100 ms; what came of it is in its output."""
    keys = collector.data / "keys"
    return subprocess.Popen(
        [BUILD / "fengsui-swarm", "--collector", f"tcp://127.0.0.1:{collector.ingest}",
         "--collector-key", keys / "collector.pub", "--token", keys / "enrol.token", "--probes",
         str(PROBES), "--series", str(SERIES), "--samples", str(PROBES * SERIES * TICKS),
         "--interval", "100ms", "--realtime", "--json"], stdout=subprocess.PIPE, text=True)


def request_of(path, parameters):
    target = f"{path}?{urllib.parse.urlencode(parameters)}"
    return f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()


class Storm:
    """Many connections of one question each, that is sent whole before any answer is read."""

    def __init__(self, collector, count):
        self.selector = selectors.DefaultSelector()
        self.answers = []
        endless = request_of("/api/v1/query_range", ENDLESS)
        early = [endless] * 10 + [request_of(path, form) for path, form in NAMES]
        connections = [socket.create_connection(("127.0.0.1", collector.http))
                       for _ in range(count)]
        self.begin = time.monotonic()
        for n, connection in enumerate(connections):
            connection.sendall(early[n] if n < len(early) else endless)
            connection.setblocking(False)
            self.selector.register(connection, selectors.EVENT_READ, bytearray())

    def read(self):
        """All answers; how long the storm was."""
        deadline = time.monotonic() + 60 * PATIENCE
        while self.selector.get_map():
            assert time.monotonic() < deadline, f"{len(self.selector.get_map())} are not answered"
            for key, _ in self.selector.select(1):
                piece = key.fileobj.recv(65536)
                key.data.extend(piece)
                if not piece:
                    self.selector.unregister(key.fileobj)
                    key.fileobj.close()
                    self.answers.append(bytes(key.data))
        return time.monotonic() - self.begin


def verdict(answer):
    """(status, type, text, may come again)"""
    head, body = answer.split(b"\r\n\r\n", 1)
    said = json.loads(body)
    return int(head.split()[1]), said["errorType"], said["error"], b"\r\nRetry-After: 1" in head


def ask(collector, path, **parameters):
    code, body = collector.get(path, **parameters)
    said = json.loads(body)
    return code, said.get("errorType"), said.get("error", "")


def deaths(collector):
    """Queries of death, each of which gets its own answer."""
    query, span = "/api/v1/query", "/api/v1/query_range"
    assert ask(collector, query, query="sum_over_time(vector(1)[1000d:1s])")[:2] == (422, "execution")
    assert ask(collector, query, query="(" * 5000 + "1" + ")" * 5000)[:2] == (400, "bad_data")
    assert ask(collector, span, query="up", start=0, end=10 ** 9, step=1)[:2] == (400, "bad_data")
    # A pattern that takes too long is named, whoever asks.
    line = 'slow{a="%s"} 1\n' % ("x" * 200)
    assert collector.request("POST", "/api/v1/import/prometheus", line.encode())[0] == 200
    slow = 'slow{a=~"(x{1,30}){1,33}[yz]"}'
    blame = 'the regular expression "(x{1,30}){1,33}[yz]" takes too long'
    assert ask(collector, query, query=slow) == (422, "execution", blame)
    for path in ("labels", "label/a/values", "series"):
        found = ask(collector, f"/api/v1/{path}", **{"match[]": slow})
        assert found == (422, "execution", blame), (path, found)
    for path, form in NAMES:
        assert ask(collector, path, **{**form, "timeout": "0"}) == (
            503, "timeout", "query timed out in query queue"), path
        assert ask(collector, path, **{**form, "timeout": "x"}) == (
            400, "bad_data",
            'invalid parameter "timeout": cannot parse "x" to a valid duration'), path
    code, kind, text = ask(collector, span, timeout="100ms", **ENDLESS)
    assert (code, kind, text) == (503, "timeout", "query timed out in query execution"), text


def running(collector):
    """Requests that a pool has, by /metrics."""
    code, body = collector.get("/metrics")
    assert code == 200, (code, body)
    return int(re.search(rb"^fengsui_collector_http_requests_running (\d+)$", body, re.M)[1])


def duty_officer(collector):
    """What is looked at and done at 3 a.m."""
    for path in ("/api/v1/alerts", "/api/v1/rules", "/api/v1/targets", "/api/v2/alerts",
                 "/api/v2/alerts/groups", "/api/v2/silences", "/api/fengsui/v1/status",
                 "/api/fengsui/v1/session", "/api/fengsui/v1/alerts", "/api/fengsui/v1/incidents",
                 "/api/fengsui/v1/jobs", "/api/fengsui/v1/probes", "/api/fengsui/v1/notifications"):
        code, body = collector.get(path)
        assert code == 200, (path, code, body)
    code, body = collector.get("/api/fengsui/v1/processes", instance="swarm-0")
    assert code == 404 and b"no process table" in body, (code, body)
    silence = {"matchers": [{"name": "a", "value": "b", "isRegex": False}],
               "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z",
               "createdBy": "值班员甲", "comment": "查询堵塞"}
    code, body = collector.request("POST", "/api/v2/silences", json.dumps(silence).encode(),
                                   {"Content-Type": "application/json"})
    assert code == 200, (code, body)


def test_a_full_queue_ends_by_its_timeouts_and_ingest_does_not_notice():
    with Lab() as lab:
        collector = lab.collector(CONFIG).start()
        before = ask(collector, "/api/v1/query", query="1+1")
        sender = swarm(collector)
        everything = '{instance=~"swarm-.*",__name__!="up"}'
        wait_for(lambda: collector.query(f"count({everything})"), "the first ticks", 20)
        storm = Storm(collector, ASKED)
        # The loop is nobody's: who asks how it is gets an answer.
        assert collector.get("/-/healthy")[0] == 200
        wait_for(lambda: running(collector) >= WAITING_MAX, "metrics that tell of a full queue")
        duty_officer(collector)
        seconds = storm.read()
        verdicts = [verdict(answer) for answer in storm.answers]
        refused = [v for v in verdicts if v[1] == "unavailable"]
        late = [v[2] for v in verdicts if v[1] == "timeout"]
        assert all(v[0] == 503 for v in verdicts) and len(refused) + len(late) == ASKED, \
            set(verdicts)
        assert refused and all(v[2:] == ("too many requests are waiting", True) for v in refused)
        assert set(late) == {"query timed out in query execution",
                             "query timed out in query queue"}, set(late)
        # Two run at a time: had each had its own second, it would have taken minutes.
        assert len(late) >= WAITING_MAX and seconds < 30 * PATIENCE, (len(late), seconds)
        deaths(collector)

        out, _ = sender.communicate(timeout=60 * PATIENCE)
        told = json.loads(out)
        assert sender.returncode == 0 and told["complete"], told
        assert told["samples"] == told["samples_planned"] and told["resumes"] == 0, told
        assert told["refusals"] == 0 and told["inflight"] == 0, told
        # None waited for the storm to be over: acknowledgements went on in between.
        assert told["lat_max_ms"] < 1000 * seconds, (told, seconds)
        # The swarm's ticks run up to a second ahead of the clock.
        rows = collector.query(f"{everything}[5m]", time.time() + 5)
        stored = sum(len(row["values"]) for row in rows)
        assert stored == told["samples"], (stored, told)
        assert ask(collector, "/api/v1/query", query="1+1") == before == (200, None, "")
        collector.stop()


if __name__ == "__main__":
    run_tests(globals())
