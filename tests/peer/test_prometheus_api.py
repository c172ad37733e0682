"""The query API, side by side with a Prometheus that was given the same samples.

Debian's Prometheus is a 2.x; what 3.x changed on purpose is not asked here, or said in a comment.
Every other answer must be the same: status, content type, CORS headers and, as JSON, the body.
"""
import json
import shutil
import sys
import time

import snappy

from fengsui import Lab, SKIPPED, run_tests
from prometheus_peer import Peer, ask
from remote_message import series

RULES = """
groups:
- name: g
  interval: 1h
  rules:
  - {record: "job:m:sum", expr: sum by (job) (m), labels: {level: job}}
  - {alert: Never, expr: m > 1e9, for: 5m, labels: {severity: page}, annotations: {summary: text}}
"""

CONFIG = "global: {{evaluation_interval: 1h}}\nrule_files: [{folder}/rules.yml]\n"

HEADERS = ("Content-Type", "Access-Control-Allow-Origin", "Access-Control-Allow-Methods",
           "Access-Control-Allow-Headers", "Access-Control-Expose-Headers", "Vary")


def content(body):
    try:
        return json.loads(body)
    except ValueError:
        return body


# The collector keeps its own metrics as series, too, from its first second on: what lists
# everything holds theirs among ours.
LISTS = ("/api/v1/labels", "/api/v1/label/instance/values", "/api/v1/label/__name__/values",
         "/api/v1/metadata")


def same_content(path, ours, theirs):
    if content(ours) == content(theirs):
        return True
    if path.split("?")[0] not in LISTS or "match[]" in path:
        return False
    ours, theirs = content(ours), content(theirs)
    return ours["status"] == theirs["status"] == "success" and set(theirs["data"]) <= set(
        ours["data"])


def requests(now):
    """Methods, paths and form bodies that both must answer alike."""
    start = now - 60
    at, span = f"time={now}", f"start={start}&end={now}"
    query, query_range = "/api/v1/query", "/api/v1/query_range"
    gets = [f"{query}?query={q}&{at}" for q in (
        "m", "m offset 10s", "m[35s]", "sum(m)", "rate(b_total[40s])", "1", '"text"', "time()",
        "m == 7", "m > bool 6", "topk(1, m)", "absent(nothing)", "-m", "m and on(job) b_total",
        "label_replace(m, 'instance', 'x', 'instance', '.*')", "count_values('v', m)",
        "quantile(0.5, m)", "m * on(instance) group_left b_total",
        "max_over_time(m[60s:7s])", "m @ end()", f"m @ {start + 9}", "m on(job) m", 'm "abc"', 'm "abcdefghijklmnop"', "m 12345678901234", "m abcdefghijklmnop", "m 5m", "m =~ m", "sum by (m", "m @", "m @ x", "1h30", "m{a}", "m{a=b}", "m{1}", "topk(m)", "sum()", "rate()", "m bool m", "m and 1", "m ! m", "m && m", "m{__name__='x'}", "count_values(1, m)", "m[0s]", "sum(m) by", "a.b", "\\", "m{a='b' c='d'}", "sum(m", "m{", "sum)", "m]",
        "m}", "1 == 1", "foo\nbar{", "{}", "m{a='b',}", "'x", "1 %2B ", "sum(1)", "rate(m)")]
    gets += [f"{query}?query=m&time={t}" for t in (
        "abc", "1e400", "2015-07-01", "2015-07-01T20:10:51.781Z", "2015-07-01T20:10:51+08:00")]
    gets += [f"{query}?query=time()&time={t}" for t in (
        "1435781430.7814", "-1.5", "1.0005", "0", "1e3", "1435781451.7")]
    gets += [f"{query}?query=", query, f"{query}?query=m&timeout=x", f"{query}?query=m&timeout=1e30"]
    gets += [f"{query_range}?query={q}&{span}&step={s}" for q, s in (
        ("m", "10"), ("m", "10s"), ("rate(b_total[33s])", "7"), ("1", "20"), ("m", "-1"),
        ("m", "x"), ("m", ""), ("m", "0.001"), ("m", "0.0001"), ("m", "1e20"), ("m", "1.001"),
        ("nothing", "10"), ("time()", "20"))]
    gets += [f"{query_range}?query=m&start={start}&step=1", f"{query_range}?query=m&end=1&step=1",
             f"{query_range}?query=m&start=2&end=1&step=1",
             f"{query_range}?query=m&start=x&end=1&step=1"]
    gets += ["/api/v1/query_exemplars" + q for q in (
        "", "?query=test&start=1700000000000&end=1700000001000", "?query=m&start=2&end=1",
        "?query=m&start=x")]
    gets += ["/api/v1/format_query?query=" + q for q in (
        "sum  by(x)(m)", "", "m{", 'm{a="b"}>  bool 1', "rate(m [5m]  offset 1w )")]
    gets += ["/api/v1/labels" + q for q in (
        "", "?match[]=m", "?match[]=m&match[]=b_total", "?match[]=m{", "?match[]={}",
        '?match[]={a=~".*"}', "?match[]=", "?start=x", "?end=x", "?start=2&end=1", "?start=1&end=2",
        f"?{span}")]
    gets += ["/api/v1/label/" + q for q in (
        "instance/values", "instance/values?match[]=m", "instance/values?match[]={}",
        "__name__/values", "nothing/values", "instance/values?start=x",
        "instance/values?start=1&end=2", "instance", "/values", "%ff/values", "a%ffb/values")]
    gets += ["/api/v1/series" + q for q in (
        "", "?match[]=m", "?match[]={}", "?match[]=m&match[]=b_total", "?match[]=m&start=x",
        "?match[]=m&start=2&end=1", "?match[]=m[1m]", "?match[]=m{", "?match[]=nothing")]
    gets += ["/api/v1/metadata" + q for q in ("", "?limit=x", "?limit=0", "?metric=nothing")]
    gets += ["/api/v1/targets/metadata" + q for q in ("", "?limit=x", '?match_target={job="x"}',
                                                      "?match_target={")]
    gets += ["/api/v1/rules?type=odd", "/api/v1/alerts", "/api/v1/alertmanagers",
             "/api/v1/status/walreplay", "/api/v1/scrape_pools",
             "/api/v1", "/api/v1/", "/api/v1/nothing", "/nothing", "/-/quit", "/-/reload",
             "/api/v1/admin/tsdb/delete_series?match[]=m", "/federate", "/federate?match[]=m",
             "/federate?match[]=m{", "/federate?match[]=m&match[]=b_total"]
    cases = [("GET", path, None) for path in gets]
    cases += [("POST", query, f"query=m&{at}"), ("POST", f"{query}?{at}", "query=m"),
              ("POST", query_range, f"query=m&{span}&step=10"),
              ("POST", "/api/v1/labels", "match[]=m"), ("POST", "/api/v1/series", "match[]=m"),
              ("POST", "/api/v1/label/instance/values", ""), ("PUT", f"{query}?query=1", ""),
              ("DELETE", "/api/v1/series?match[]=m", None), ("POST", "/federate?match[]=m", ""),
              ("POST", "/-/quit", ""), ("PUT", "/-/quit", ""),
              ("OPTIONS", query, None), ("OPTIONS", "/api/v1/nothing", None)]
    return cases + deletes(now)


def deletes(now):
    """Deletes, and after each what is left of d: a sample each 10 s of the last ten minutes.

    Few a series, ascending, away from the end: else its own queries make a 2.42 forget some."""
    path = "/api/v1/admin/tsdb/delete_series"
    left = [("GET", f"/api/v1/query?query=d[15m]&time={now}", None),
            ("GET", f"/api/v1/query?query=count_over_time(d[15m])&time={now}", None),
            ("GET", f"/api/v1/query_range?query=sum(d)&start={now - 700}&end={now}&step=20", None)]
    cases = list(left)
    for method, wish, body in (
            ("POST", "", ""), ("POST", "?match[]=d{", ""), ("POST", "?match[]=d&start=x", ""),
            ("POST", "?match[]=d&end=x", ""), ("POST", "?match[]=nothing", ""),
            ("POST", f"?match[]=d&start={now}&end={now - 600}", ""),
            ("POST", "", f"match[]=d{{instance=~'a|x'}}&match[]=d{{instance='c'}}&end={now - 550}"),
            ("POST", f"?match[]=d{{instance='c'}}&start={now - 400}&end={now - 400}", ""),
            ("POST", f"?match[]=d{{instance='a'}}&start={now - 300}&end={now - 200}", ""),
            ("PUT", f"?match[]=d{{instance='b'}}&start={now - 300}.001&end={now - 200}", ""),
            ("POST", f"?match[]=d{{instance!~'a|c'}}&start={now - 150}&end={now - 140}", ""),
            ("POST", "?match[]=d{instance='b'}", ""), ("POST", "?match[]={__name__='d'}", "")):
        cases += [(method, path + wish, body), *left]
        if "instance!~" in wish:
            cases += [("POST", "/api/v1/admin/tsdb/clean_tombstones", ""), *left]
    return cases


def test_answers_are_prometheus_answers():
    with Lab() as lab:
        (lab.folder / "rules.yml").write_text(RULES)
        collector = lab.collector(
            f"rules: {{evaluation_interval: 1h, files: [{lab.folder}/rules.yml]}}\n").start()
        with Peer(lab, CONFIG.format(folder=lab.folder)) as peer:
            now = int(time.time())
            message = b"".join(
                series({"__name__": "m", "job": "j", "instance": host},
                       [(float(k), (now - 60 + k * 7) * 1000) for k in range(8)])
                for host in "abc")
            message += series({"__name__": "b_total", "job": "j", "instance": "a"},
                              [(float(k) * 3, (now - 60 + k * 7) * 1000) for k in range(8)])
            message += b"".join(
                series({"__name__": "d", "instance": host},
                       [(float(k), (now - 600 + k * 10) * 1000) for k in range(61)])
                for host in "abc")
            for port in (collector.http, peer.port):
                code, _, text = ask(port, "POST", "/api/v1/write", snappy.compress(message), {
                    "Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
                    "X-Prometheus-Remote-Write-Version": "0.1.0"})
                assert code == 204, (code, text)
            different = []
            cases = requests(now)
            for method, path, body in cases:
                # Of a page of another site: reading is allowed (changing is not, unlike theirs).
                reads = method in ("GET", "OPTIONS") and path.startswith("/api")
                headers = {"Origin": "http://elsewhere"} if reads else {}
                if body:
                    headers["Content-Type"] = "application/x-www-form-urlencoded"
                ours, theirs = (ask(port, method, path, body, headers)
                                for port in (collector.http, peer.port))
                if "Content-Type" in ours[1]:  # Prometheus 3 says how it has escaped names, 2 did not
                    ours[1]["Content-Type"] = ours[1]["Content-Type"].replace(
                        "; escaping=underscores", "")
                if ours[0] != theirs[0] or not same_content(path, ours[2], theirs[2]) or any(
                        ours[1].get(h) != theirs[1].get(h) for h in HEADERS):
                    different.append((method, path, body, ours, theirs))
            assert len(cases) > 140, len(cases)
            assert not different, f"{len(different)} of {len(cases)}: " + "\n".join(
                f"{d[0]} {d[1]} {d[2]}\n  ours   {d[3][0]} {d[3][2][:300]}\n"
                f"  theirs {d[4][0]} {d[4][2][:300]}\n  "
                + str([(h, d[3][1].get(h), d[4][1].get(h)) for h in HEADERS
                       if d[3][1].get(h) != d[4][1].get(h)]) for d in different[:20])
        collector.stop()


def shape(value):
    """What is left of JSON when numbers, texts and times may differ."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return type(value).__name__ if not isinstance(value, (int, float)) or isinstance(value, bool) \
        else "number"


def test_answers_about_the_server_have_prometheus_s_shape():
    with Lab() as lab:
        (lab.folder / "rules.yml").write_text(RULES)
        collector = lab.collector(
            f"rules: {{evaluation_interval: 1h, files: [{lab.folder}/rules.yml]}}\n").start()
        with Peer(lab, CONFIG.format(folder=lab.folder)) as peer:
            for path in ("/api/v1/rules", "/api/v1/rules?type=alert", "/api/v1/rules?type=record",
                         "/api/v1/status/buildinfo", "/api/v1/status/runtimeinfo",
                         "/api/v1/status/config",
                         "/api/v1/targets", "/api/v1/status/tsdb",
                         "/api/v1/query?query=1&stats=all"):
                ours, theirs = (shape(content(ask(port, "GET", path)[2]))["data"]
                                for port in (collector.http, peer.port))
                # A superset: 3.x added keys, and lists may hold other things.
                missing = [key for key in theirs if key not in ours]
                assert not missing, (path, missing, ours)
                for key, want in theirs.items():
                    if isinstance(want, str):
                        assert ours[key] == want, (path, key, ours[key], want)
                if "rules" in path:
                    assert ours == theirs, (path, ours, theirs)
        collector.stop()


if __name__ == "__main__":
    if shutil.which("prometheus") is None:
        print("skipped: prometheus is not installed")
        sys.exit(SKIPPED)
    run_tests(globals())
