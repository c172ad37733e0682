"""The HTTP port of a real collector: remote write in, Prometheus's API out, errors by the letter."""
import concurrent.futures
import gzip
import http.client
import json
import math
import socket
import threading
import time
import urllib.parse

from fengsui import Lab, PATIENCE, run_tests, wait_for
from remote_message import STALE, metadata, series, write


def now_ms():
    return int(time.time() * 1000)


def put(collector, labels, samples):
    code, text = write(collector, series(labels, samples))
    assert code == 204, f"{code} {text!r}"


def error_of(collector, path, **parameters):
    code, body = collector.get(path, **parameters)
    answer = json.loads(body)
    assert answer["status"] == "error", answer
    return code, answer["errorType"], answer["error"]


def test_a_written_sample_is_visible_to_the_very_next_query():
    with Lab() as lab:
        collector = lab.collector().start()
        for i in range(200):
            put(collector, {"__name__": "fresh", "run": str(i % 7)}, [(float(i), now_ms())])
            assert collector.value(f'fresh{{run="{i % 7}"}}') == i, f"sample {i} was not visible"
        collector.stop()


def test_writers_and_readers_at_once_lose_nothing():
    with Lab() as lab:
        collector = lab.collector().start()
        start = now_ms() - 100_000

        def send(sender):
            for i in range(50):
                message = b"".join(series({"__name__": "many", "sender": str(sender), "n": str(n)},
                                          [(float(i), start + i * 1000)]) for n in range(20))
                code, text = write(collector, message)
                assert code == 204, f"{code} {text!r}"

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(send, range(8)))
        at = (start + 50_000) / 1000
        assert collector.value("count(many)", at) == 160
        assert collector.value("sum(count_over_time(many[2m]))", at) == 160 * 50
        collector.stop()


def test_numbers_and_times_are_written_as_prometheus_writes_them():
    with Lab() as lab:
        collector = lab.collector().start()
        base = now_ms() // 1000 * 1000 - 20_000
        values = [1.0, 0.1, 1e21, 1e-7, 123456789012345680.0, math.inf, -math.inf, math.nan, -0.0]
        texts = ["1", "0.1", "1e+21", "1e-07", "123456789012345680", "+Inf", "-Inf", "NaN", "-0"]
        put(collector, {"__name__": "n"}, [(v, base + i * 1000) for i, v in enumerate(values)])
        points = collector.query("n[1m]", (base + 10_000) / 1000)[0]["values"]
        assert [p[1] for p in points] == texts, points
        code, raw = collector.get("/api/v1/query", query="n", time=str(base / 1000 + 0.007))
        assert f"[{base // 1000}.007,\"1\"]".encode() in raw, raw
        code, raw = collector.get("/api/v1/query", query="n", time=str(base // 1000))
        assert f"[{base // 1000},\"1\"]".encode() in raw, raw
        assert collector.json("/api/v1/query", query="nothing_here")["data"] == {
            "resultType": "vector", "result": []}
        assert collector.json("/api/v1/query", query="1+1", time="4")["data"] == {
            "resultType": "scalar", "result": [4, "2"]}
        assert collector.json("/api/v1/query", query='"text"', time="4")["data"] == {
            "resultType": "string", "result": [4, "text"]}
        collector.stop()


def test_scalars_are_written_without_exponent():
    with Lab() as lab:
        collector = lab.collector().start()
        for expression, text in (("1e-7", "0.0000001"), ("1e21", "1000000000000000000000"),
                                 ("1/0", "+Inf"), ("0.5", "0.5")):
            answer = collector.json("/api/v1/query", query=expression, time="4")["data"]
            assert answer == {"resultType": "scalar", "result": [4, text]}, answer
        collector.stop()


def test_ranges_form_bodies_and_limits():
    with Lab() as lab:
        collector = lab.collector().start()
        base = now_ms() // 60_000 * 60_000 - 600_000
        for host in "ab":
            put(collector, {"__name__": "g", "instance": host},
                [(i, base + i * 15_000) for i in range(40)])
        form = urllib.parse.urlencode({"query": "g", "start": base / 1000,
                                       "end": base / 1000 + 300, "step": "15"}).encode()
        code, body = collector.request("POST", "/api/v1/query_range?step=30&limit=1", form, {
            "Content-Type": "application/x-www-form-urlencoded"})
        answer = json.loads(body)
        assert code == 200 and answer["data"]["resultType"] == "matrix", answer
        assert answer["warnings"] == ["results truncated due to limit"], answer
        assert len(answer["data"]["result"]) == 1
        assert len(answer["data"]["result"][0]["values"]) == 21, "the form's step wins"
        for start in (0, base / 1000):
            result = collector.json("/api/v1/query_range", query="1", start=start,
                                    end=start + 10, step=5)["data"]
            assert result["resultType"] == "matrix" and len(result["result"][0]["values"]) == 3
        collector.json("/api/v1/query_range", query="1", start=0, end=11000, step=1)
        assert error_of(collector, "/api/v1/query_range", query="1", start=0, end=11001, step=1) \
            == (400, "bad_data", "exceeded maximum resolution of 11,000 points per timeseries. "
                "Try decreasing the query resolution (?step=XX)")
        collector.stop()


def test_errors_are_prometheus_errors():
    with Lab() as lab:
        collector = lab.collector().start()
        query, query_range = "/api/v1/query", "/api/v1/query_range"
        cases = [
            (query, {"query": "up", "time": "x"}, 400, "bad_data",
             'invalid parameter "time": Invalid time value for \'time\': cannot parse "x" to a '
             'valid timestamp'),
            (query, {"query": "up", "timeout": "x"}, 400, "bad_data",
             'invalid parameter "timeout": cannot parse "x" to a valid duration'),
            (query_range, {"query": "up", "start": "2", "end": "1", "step": "1"}, 400, "bad_data",
             'invalid parameter "end": end timestamp must not be before start time'),
            (query_range, {"query": "up", "start": "1", "end": "2", "step": "0"}, 400, "bad_data",
             'invalid parameter "step": zero or negative query resolution step widths are not '
             'accepted. Try a positive integer'),
            (query_range, {"query": "up", "end": "2", "step": "1"}, 400, "bad_data",
             'invalid parameter "start": cannot parse "" to a valid timestamp'),
            (query_range, {"query": "up[1m]", "start": "1", "end": "2", "step": "1"}, 400,
             "bad_data", 'invalid parameter "query": invalid expression type "range vector" for '
             'range query, must be Scalar or instant Vector'),
            ("/api/v1/series", {}, 400, "bad_data", "no match[] parameter provided"),
            ("/api/v1/series", {"match[]": '{a=~".*"}'}, 400, "bad_data", None),
            ("/api/v1/series", {"match[]": "{}"}, 400, "bad_data",
             'invalid parameter "match[]": match[] must contain at least one non-empty matcher'),
            (query, {"query": "1 == 1"}, 400, "bad_data", 'invalid parameter "query": 1:3: parse '
             'error: comparisons between scalars must use BOOL modifier'),
            ("/api/v1/query_exemplars", {"query": "x{"}, 400, "bad_data", None),
            ("/api/v1/rules", {"type": "odd"}, 400, "bad_data",
             'invalid parameter "type": not supported value "odd"'),
        ]
        for path, parameters, code, kind, text in cases:
            got = error_of(collector, path, **parameters)
            assert got[:2] == (code, kind), (parameters, got)
            assert text is None or got[2] == text, (parameters, got)
        code, kind, text = error_of(collector, query, query="sum(rate(up[5m])")
        assert (code, kind) == (400, "bad_data"), text
        assert text.startswith('invalid parameter "query": 1:') and "parse error: " in text, text
        assert collector.get("/rules") == (404, b"404 page not found\n")
        assert collector.get("/api/v1/rules/test/test") == (404, b"404 page not found\n")
        assert collector.request("DELETE", query)[0] == 405
        collector.stop()


def test_names_values_and_series():
    with Lab() as lab:
        collector = lab.collector().start()
        at = now_ms()
        for name, host in (("up", "a"), ("up", "b"), ("load", "a"), ("温度", "c")):
            put(collector, {"__name__": name, "instance": host, "a.b": "x"}, [(1.0, at)])
        names = collector.json("/api/v1/labels", **{"match[]": ["up", "load"]})["data"]
        assert names == ["__name__", "a.b", "instance"], names
        values = collector.json("/api/v1/label/instance/values")["data"]
        assert [v for v in values if len(v) == 1] == ["a", "b", "c"], values
        values = collector.json("/api/v1/label/instance/values", **{"match[]": ["up", "load"]})
        assert values["data"] == ["a", "b"], values
        assert collector.json("/api/v1/label/U__a_2e_b/values")["data"] == ["x"]
        assert "温度" in collector.json("/api/v1/label/__name__/values")["data"]
        limited = collector.json("/api/v1/label/__name__/values", limit=1)
        assert len(limited["data"]) == 1 and limited["warnings"], limited
        found = collector.json("/api/v1/series", **{"match[]": ["up", '{instance="a"}']})["data"]
        ours = [s for s in found if s.get("a.b") == "x"]
        assert [(s["__name__"], s["instance"]) for s in ours] == [
            ("load", "a"), ("up", "a"), ("up", "b")], found
        assert collector.json("/api/v1/label/nothing/values")["data"] == []
        collector.stop()


def test_metadata_arrives_with_remote_write():
    with Lab() as lab:
        collector = lab.collector().start()
        put(collector, {"__name__": "early_total"}, [(1.0, now_ms())])
        code, _ = write(collector, metadata("early_total", 1, "came after its series")
                        + metadata("late_seconds", 3, "comes before"))
        assert code == 204
        put(collector, {"__name__": "late_seconds_bucket", "le": "+Inf"}, [(1.0, now_ms())])
        known = collector.json("/api/v1/metadata", metric="early_total")["data"]
        assert known["early_total"] == [
            {"type": "counter", "help": "came after its series", "unit": ""}], known
        known = collector.json("/api/v1/metadata")["data"]
        assert any(v[0]["help"] == "comes before" for v in known.values()), known
        collector.stop()


def test_bad_writes_leave_the_good_ones():
    with Lab() as lab:
        collector = lab.collector().start()
        good = series({"__name__": "good"}, [(1.0, now_ms())])
        bad = series({"instance": "nameless"}, [(1.0, now_ms())])
        code, text = write(collector, good + bad)
        assert code == 400 and b"labels: 1" in text, (code, text)
        assert collector.value("good") == 1
        assert write(collector, b"rubbish", compress=False)[0] == 400
        assert write(collector, good[:-3])[0] == 400
        assert write(collector, good, {"Content-Encoding": "zstd"})[0] == 415
        assert write(collector, good, {"Content-Type": "application/json"})[0] == 415
        future = series({"__name__": "future"}, [(1.0, now_ms() + 3_600_000)])
        code, text = write(collector, future)
        assert code == 400 and b"future: 1" in text, (code, text)
        code, text = collector.get("/metrics")
        metrics = text.decode()
        assert 'remote_write_samples_rejected_total{reason="labels"} 1' in metrics, metrics
        assert "fengsui_collector_remote_write_malformed_total 2" in metrics, metrics
        collector.stop()


def test_a_stale_marker_ends_a_series():
    with Lab() as lab:
        collector = lab.collector().start()
        at = now_ms()
        put(collector, {"__name__": "ends"}, [(1.0, at - 2000)])
        assert collector.value("ends") == 1
        put(collector, {"__name__": "ends"}, [(STALE, at - 1000)])
        assert collector.query("ends") == []
        assert collector.value("ends", (at - 1500) / 1000) == 1
        collector.stop()


def test_federation_gives_the_latest_samples():
    with Lab() as lab:
        collector = lab.collector().start()
        at = now_ms()
        put(collector, {"__name__": "fed", "job": "x\"y"}, [(1.0, at - 1000), (2.0, at)])
        code, body = collector.get("/federate", **{"match[]": "fed"})
        assert code == 200
        assert body.decode() == f'# TYPE fed untyped\nfed{{job="x\\"y",instance=""}} 2 {at}\n', body
        collector.stop()


def test_federation_spells_names_as_the_reader_can_read_them():
    # As expfmt.Negotiate() of prometheus/common: the last escaping on the way to the classic text format.
    newest = ("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
              "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2")
    cases = [
        (None, "underscores", '# TYPE u_8_ untyped\nu_8_{l_x="q",instance=""}'),
        ("text/plain", "underscores", '# TYPE u_8_ untyped\nu_8_{l_x="q",instance=""}'),
        ("text/plain;escaping=allow-utf-8", "allow-utf-8",
         '# TYPE "u.8é" untyped\n{"u.8é","l.x"="q",instance=""}'),
        ("text/plain; version=0.0.4; escaping=dots", "dots",
         '# TYPE u_dot_8__ untyped\nu_dot_8__{l_dot_x="q",instance=""}'),
        ("text/plain;escaping=values", "values",
         '# TYPE U__u_2e_8_e9_ untyped\nU__u_2e_8_e9_{U__l_2e_x="q",instance=""}'),
        ("text/plain;escaping=nothing", "underscores", "# TYPE u_8_ untyped\nu_8_{"),
        (newest, "allow-utf-8", '# TYPE "u.8é" untyped\n'),
        ("text/plain;q=0.9,a/b;escaping=dots;q=0.5", "underscores", "# TYPE u_8_ untyped\n"),
        ("a/b;escaping=dots,text/plain;q=0.5", "dots", "# TYPE u_dot_8__ untyped\n"),
    ]
    with Lab() as lab:
        collector = lab.collector().start()
        at = now_ms()
        put(collector, {"__name__": "u.8é", "l.x": "q"}, [(1.0, at)])
        for accept, word, begins in cases:
            connection = http.client.HTTPConnection("127.0.0.1", collector.http, timeout=30)
            connection.request("GET", "/federate?match%5B%5D=%7B%22u.8%C3%A9%22%7D",
                               headers={} if accept is None else {"Accept": accept})
            answer = connection.getresponse()
            body = answer.read().decode()
            assert answer.getheader("Content-Type") == \
                f"text/plain; version=0.0.4; charset=utf-8; escaping={word}", accept
            assert body.startswith(begins) and body.endswith(f" 1 {at}\n"), (accept, body)
            connection.close()
        collector.stop()


def test_answers_shrink_for_those_who_can_unpack_them():
    with Lab() as lab:
        collector = lab.collector().start()
        at = now_ms()
        message = b"".join(series({"__name__": "wide", "n": str(n)}, [(1.0, at)])
                           for n in range(500))
        assert write(collector, message)[0] == 204
        plain = collector.get("/api/v1/query", query="wide", time=at / 1000)[1]
        code, packed = collector.request("GET", f"/api/v1/query?query=wide&time={at / 1000}",
                                         headers={"Accept-Encoding": "gzip"})
        assert code == 200 and len(packed) * 5 < len(plain)
        assert gzip.decompress(packed) == plain
        collector.stop()


# Looks through 36,000 values for each of 11,000 steps, again and again: minutes of work in little memory.
SLOW = {"query": " + ".join(f"quantile_over_time(0.{n}, vector(time() % 7919)[10h:1s])"
                            for n in range(10, 99)),
        "start": "100000", "end": "111000", "step": "1"}


def running(collector):
    for line in collector.get("/metrics")[1].decode().splitlines():
        if line.startswith("fengsui_collector_http_requests_running "):
            return int(line.split()[1])
    return None


def test_a_client_that_hangs_up_ends_its_query():
    with Lab() as lab:
        collector = lab.collector().start()
        connection = socket.create_connection(("127.0.0.1", collector.http))
        connection.sendall(f"GET /api/v1/query_range?{urllib.parse.urlencode(SLOW)} HTTP/1.1\r\n"
                           f"Host: x\r\n\r\n".encode())
        wait_for(lambda: running(collector) == 2, "the query to run")  # it and /metrics
        connection.close()
        started = time.monotonic()
        wait_for(lambda: running(collector) == 1, "the query to end", 10)
        assert time.monotonic() - started < 3 * PATIENCE
        assert b"fengsui_collector_http_clients_gone_total 1" in collector.get("/metrics")[1]
        collector.stop()


def test_a_query_that_takes_too_long_is_a_timeout():
    with Lab() as lab:
        collector = lab.collector().start()
        started = time.monotonic()
        code, kind, _ = error_of(collector, "/api/v1/query_range", timeout="0.2", **SLOW)
        assert time.monotonic() - started < 3 * PATIENCE
        assert (code, kind) == (503, "timeout"), (code, kind)
        collector.stop()


def test_a_query_that_needs_too_much_memory_fails_alone():
    with Lab() as lab:
        collector = lab.collector("promql: {max_memory: 64MiB, max_total_memory: 8MiB}\n").start()
        for i, (expression, told) in enumerate((
                ("count_over_time(vector(1)[10h:1ms])", "needs more than the 67108864 bytes"),
                ("count_over_time(vector(1)[2h:10ms])", "all queries together need more than the "
                 "8388608 bytes"))):
            code, kind, text = error_of(collector, "/api/v1/query", query=expression, time="100000")
            assert (code, kind) == (422, "execution") and told in text, (code, kind, text)
            put(collector, {"__name__": "meanwhile"}, [(float(i), now_ms())])
            assert collector.value("meanwhile") == i
        collector.stop()


def test_slow_queries_hold_no_write_up():
    with Lab() as lab:
        collector = lab.collector().start()
        threads = [threading.Thread(target=collector.get, args=("/api/v1/query_range",),
                                    kwargs={**SLOW, "timeout": "3"}) for _ in range(6)]
        for thread in threads:
            thread.start()
        for i in range(20):
            started = time.monotonic()
            put(collector, {"__name__": "meanwhile"}, [(float(i), now_ms())])
            assert time.monotonic() - started < 2 * PATIENCE
        for thread in threads:
            thread.join()
        collector.stop()


def test_the_rest_of_the_port():
    with Lab() as lab:
        collector = lab.collector().start()
        assert collector.get("/-/healthy")[0] == 200
        assert collector.request("HEAD", "/-/healthy") == (200, b"")
        # As Prometheus: no HEAD where the answer is data.
        for path in ("/api/v1/query?query=1", "/api/v1/label/a/values", "/api/v1/rules",
                     "/federate", "/metrics"):
            assert collector.request("HEAD", path)[0] == 405, path
        info = collector.json("/api/v1/status/buildinfo")["data"]
        assert info["version"].startswith("3.") and "features" not in info, info
        for path in ("config", "flags", "runtimeinfo", "tsdb"):
            assert isinstance(collector.json(f"/api/v1/status/{path}")["data"], dict)
        assert collector.json("/api/v1/rules")["data"] == {"groups": []}
        assert collector.json("/api/v1/alerts")["data"] == {"alerts": []}
        assert collector.json("/api/v1/query_exemplars", query="test", start="1700000000000",
                              end="1700000001000")["data"] == []
        assert collector.json("/api/v1/format_query", query="sum  by(a)(b)")["data"] \
            == "sum by (a) (b)"
        status = collector.json("/api/fengsui/v1/status")["data"]
        assert status["ready"] is True and status["probes"]["up"] == 0, status
        assert collector.json("/api/fengsui/v1/logs")["data"] == {"lines": []}
        assert collector.request("POST", "/api/fengsui/v1/store/settle")[0] == 200
        assert collector.request("POST", "/-/reload")[0] == 200
        code, body = collector.request("POST", "/api/fengsui/v1/keys/approve", b'{"key":"zz"}')
        assert code in (400, 404), (code, body)
        code, body = collector.request("POST", "/api/fengsui/v1/keys/token", b'{"uses":2}')
        assert code == 200 and json.loads(body)["data"]["token"], body
        collector.stop()


if __name__ == "__main__":
    run_tests(globals())
