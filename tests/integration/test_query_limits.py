"""What questions to the store, and answers that nobody takes, may cost.

What is claimed: every route that reads the store has a deadline and says so when it is over, names a
pattern that takes too long, and ends when its client hangs up; an answer counts until it is taken, so
many large ones at once are refused with the API's error and take no more memory than is allowed; who
does not take an answer is let go, and then all is as before.  Meanwhile small questions are answered,
the duty officer's pages too, and what is written is stored.
"""
import json
import re
import socket
import threading
import time
import urllib.parse

import snappy

from fengsui import Lab, run_tests, wait_for
from remote_reader import EQ, HEADERS, RE, SAMPLES, XOR_CHUNKS, accepts, ask, query

SERIES, POINTS = 80, 11000
TOTAL = 128 << 20
CONFIG = """
promql: {max_concurrency: 2, max_memory: 64MiB, max_total_memory: 128MiB}
http: {send_timeout: 1s}
retention: {raw: forever}
"""
# More than sockets take of what nobody reads.
LARGE = {"query": "last_over_time(big[1d])", "start": 1_700_000_000,
         "end": 1_700_000_000 + POINTS - 1, "step": 1}
READERS = 8


def put(collector, lines):
    code, body = collector.request("POST", "/api/v1/import/prometheus", "".join(lines).encode())
    assert code == 200, (code, body)


def metric(collector, name):
    code, body = collector.get("/metrics")
    assert code == 200, (code, body)
    return int(re.search(rb"^fengsui_collector_http_%s (\d+)$" % name.encode(), body, re.M)[1])


def idle(collector):
    return metric(collector, "requests_running") == 0 and \
        metric(collector, "query_memory_bytes") == 0


def told(collector, path, **parameters):
    """(status, type, text)"""
    code, body = collector.get(path, **parameters)
    said = json.loads(body)
    return code, said.get("errorType"), said.get("error", "")


class Reader:
    """Asks, and takes no more than it is told to."""

    def __init__(self, collector, path, body=None, **parameters):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        self.socket.connect(("127.0.0.1", collector.http))
        target = f"{path}?{urllib.parse.urlencode(parameters)}"
        head = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items()) if body else ""
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        self.socket.sendall(f"{'POST' if body else 'GET'} {target} HTTP/1.1\r\nHost: a\r\n"
                            f"{head}{length}\r\n".encode() + (body or b""))

    def take(self, count):
        got = b""
        while len(got) < count:
            piece = self.socket.recv(count - len(got))
            assert piece, got
            got += piece
        return got


def trickle(collector, readers):
    """Is one let go?  If not, each takes another byte."""
    try:
        return metric(collector, "clients_slow_total") > 0 or not [r.take(1) for r in readers]
    except ConnectionError:
        return False  # in between


def duty_officer(collector):
    for path in ("/api/v1/alerts", "/api/v1/rules", "/api/v1/targets", "/api/v2/alerts",
                 "/api/fengsui/v1/alerts", "/api/fengsui/v1/incidents", "/api/fengsui/v1/probes"):
        code, body = collector.get(path)
        assert code == 200, (path, code, body)


def test_large_answers_that_nobody_takes_are_bounded_and_let_go():
    with Lab() as lab:
        collector = lab.collector(CONFIG).start()
        put(collector, [f'big{{n="{n}"}} {n}.5 1699999999000\n' for n in range(SERIES)])
        readers = [Reader(collector, "/api/v1/query_range", **LARGE) for _ in range(READERS)]
        statuses = [reader.take(len("HTTP/1.1 200"))[-3:] for reader in readers]
        served = statuses.count(b"200")
        assert 1 <= served < READERS and set(statuses) <= {b"200", b"503", b"422"}, statuses
        assert 0 < metric(collector, "query_memory_bytes") <= TOTAL
        # Who reads slowly keeps nobody from asking something small, and nobody from writing.
        assert collector.value("vector(41) + 1") == 42
        put(collector, ["meanwhile 1\n"])
        duty_officer(collector)
        # A byte now and then is not enough.
        taking = [reader for reader, status in zip(readers, statuses) if status == b"200"]
        wait_for(lambda: trickle(collector, taking), "one to be let go", 30, 0.1)
        wait_for(lambda: metric(collector, "clients_slow_total") == served, "all to be let go", 30)
        wait_for(lambda: idle(collector), "memory that is given back")
        refused = next((r for r, status in zip(readers, statuses) if status != b"200"))
        assert b"{" in refused.socket.recv(4096)
        assert collector.value("meanwhile") == 1
        result = collector.json("/api/v1/query_range", **LARGE)["data"]["result"]
        assert len(result) == SERIES and all(len(row["values"]) == POINTS for row in result)
        wait_for(lambda: idle(collector), "memory that is given back")
        collector.stop()


def test_every_question_has_a_deadline_and_a_true_error():
    with Lab() as lab:
        collector = lab.collector(CONFIG).start()
        now = int(time.time() * 1000)
        put(collector, ['slow{a="%s"} 1\n' % ("x" * 200)]
            + [f'many{{n="{n}"}} {k} {now - k * 1000}\n' for n in range(100) for k in range(200)])
        everything = '{__name__!=""}'
        for path, form in (("/api/v1/metadata", {}), ("/api/v1/targets/metadata", {}),
                           ("/api/v1/status/tsdb", {}), ("/api/fengsui/v1/logs", {}),
                           ("/api/v1/export/prometheus", {"match[]": everything})):
            assert collector.get(path, timeout="30s", **form)[0] == 200, path
            assert told(collector, path, timeout="0", **form) == (
                503, "timeout", "query timed out in query queue"), path
            assert told(collector, path, timeout="x", **form) == (
                400, "bad_data",
                'invalid parameter "timeout": cannot parse "x" to a valid duration'), path

        def read(message, **parameters):
            target = "/api/v1/read?" + urllib.parse.urlencode(parameters)
            return collector.request("POST", target, snappy.compress(message), HEADERS)
        # Twenty million samples, twenty thousand at a time.
        death = query(now - 10 ** 6, now, (EQ, "__name__", "many")) * 900
        assert read(death, timeout="100ms") == (503, b"query timed out in query execution\n")
        for kind in (SAMPLES, XOR_CHUNKS):
            assert read(death[:len(death) // 900] + accepts(kind), timeout="0") == (
                503, b"query timed out in query queue\n")
        blame = 'the regular expression "(x{1,30}){1,33}[yz]" takes too long'
        for kind in (SAMPLES, XOR_CHUNKS):
            code, body = ask(collector, query(0, now, (RE, "a", "(x{1,30}){1,33}[yz]"))
                             + accepts(kind))
            assert (code, body) == (400, blame.encode() + b"\n"), (code, body)
        assert told(collector, "/api/v1/export/prometheus",
                    **{"match[]": 'slow{a=~"(x{1,30}){1,33}[yz]"}'}) == (422, "execution", blame)
        # What is made of the samples is more than they are.
        code, body = read(death)
        assert code == 400 and body.startswith(b"exceeded sample limit (50000000) or the memory"), \
            (code, body)
        wait_for(lambda: idle(collector), "memory that is given back")
        collector.stop()


def test_thousands_of_selectors_are_answered():
    with Lab() as lab:
        collector = lab.collector(CONFIG.replace("64MiB", "32MiB")).start()
        count = 6000
        put(collector, [f'a{n}{{n="{n}"}} {n}\n' for n in range(count)])
        names = [f"a{n}" for n in range(count)]
        form = urllib.parse.urlencode([("match[]", name) for name in names], safe="[]")
        assert len(form) > 64 << 10
        # In the URL as many as have room, in a form all.
        for path, asked in (("/api/v1/series", 4500), ("/api/v1/label/n/values", 4500),
                            ("/federate", 4500)):
            query = form[:form.index(f"&match[]=a{asked}")]
            code, body = collector.request("GET", f"{path}?{query}")
            assert code == 200 and b"4499" in body, (path, code, body[:300])
        head = {"Content-Type": "application/x-www-form-urlencoded"}
        code, body = collector.request("POST", "/api/v1/series", form.encode(), head)
        assert code == 200, (code, body[:300])
        found = sorted(row["__name__"] for row in json.loads(body)["data"])
        assert found == sorted(names), len(found)
        code, body = collector.request("POST", "/api/v1/labels",
                                       form[:form.index("&match[]=a1000")].encode(), head)
        assert json.loads(body)["data"] == ["__name__", "n"], (code, body)
        # What they take counts, too.
        patterns = "&".join(['match[]={n=~"x.*y[0-9]"}'] * 40000).encode()
        code, body = collector.request("POST", "/api/v1/series", patterns, head)
        assert (code, json.loads(body)["error"]) == (
            422, "there is no memory left for so many selectors"), (code, body)
        wait_for(lambda: idle(collector), "memory that is given back")
        collector.stop()


def test_slow_patterns_one_after_another_keep_no_new_series_out():
    with Lab() as lab:
        config = CONFIG.replace("concurrency: 2", "concurrency: 4").replace("{send",
                                                                            "{query_threads: 4, send")
        collector = lab.collector(config).start()
        put(collector, ['slow{a="%03d%s"} 1\n' % (n, "x" * 28) for n in range(16)])
        answers, is_over = [], threading.Event()

        def storm():
            while not is_over.is_set():
                answers.append(told(collector, "/api/v1/label/a/values",
                                    **{"match[]": 'slow{a=~"[0-9]+(x{1,30}){1,33}[yz]"}'})[0])
        askers = [threading.Thread(target=storm) for _ in range(8)]
        for asker in askers:
            asker.start()
        wait_for(lambda: len(answers) >= 2, "patterns that take long")
        begun = []
        for n in range(9):
            before = len(answers)
            put(collector, ["new%d 1\n" % n])
            begun.append(len(answers) - before)
        is_over.set()
        for asker in askers:
            asker.join()
        assert set(answers) <= {200, 422}, set(answers)
        # It does not wait for any of the four that are at it: no pattern is tried under the lock.
        assert sorted(begun)[4] < 4, begun
        assert collector.value('count({__name__=~"new[0-9]"})') == 9
        collector.stop()


def test_who_hangs_up_costs_nothing_more():
    with Lab() as lab:
        collector = lab.collector(CONFIG.replace("64MiB", "3GiB").replace("128MiB", "4GiB")).start()
        now = int(time.time() * 1000)
        put(collector, [f'many{{n="{n}"}} {k} {now - k * 1000}\n'
                        for n in range(100) for k in range(200)])
        death = query(now - 10 ** 6, now, (EQ, "__name__", "many")) * 900
        reader = Reader(collector, "/api/v1/read", snappy.compress(death))
        wait_for(lambda: metric(collector, "requests_running") == 1, "the question to be asked",
                 every=0.001)
        reader.socket.close()
        wait_for(lambda: idle(collector), "its end")
        assert metric(collector, "clients_gone_total") == 1
        # While it is sent: a stream without end.
        reader = Reader(collector, "/api/v1/read", snappy.compress(death + accepts(XOR_CHUNKS)))
        assert reader.take(12) == b"HTTP/1.1 200"
        assert metric(collector, "query_memory_bytes") > 0
        reader.socket.close()
        wait_for(lambda: idle(collector), "its end")
        collector.stop()


if __name__ == "__main__":
    run_tests(globals())
