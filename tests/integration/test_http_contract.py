"""What other programs rely on: Grafana's calls one by one, targets, rule filters, garbage."""
import hashlib
import json
import pathlib
import random
import re
import time
import urllib.parse

import yaml

from fengsui import Lab, run_tests, wait_for
from remote_message import STALE, metadata, series, write

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def now_ms():
    return int(time.time() * 1000)


def put(collector, labels, samples):
    code, text = write(collector, series(labels, samples))
    assert code == 204, f"{code} {text!r}"


def post(collector, path, **form):
    """Grafana puts what a user added to the data source into the URL, the rest into a form."""
    code, body = collector.request("POST", path, urllib.parse.urlencode(form, True).encode(), FORM)
    answer = json.loads(body)
    assert code == 200 and answer["status"] == "success", (path, code, body[:300])
    return answer["data"]


def test_grafana_s_calls_are_answered_as_it_expects():
    with Lab() as lab:
        collector = lab.collector().start()
        now = now_ms() // 1000
        for host in "ab":
            put(collector, {"__name__": "node_load1", "job": "node", "instance": host},
                [(float(k), (now - 60 + k * 15) * 1000) for k in range(4)])
        assert write(collector, metadata("node_load1", 2, "load"))[0] == 204
        # The health check, by form and by URL, and what a data source is.
        health = {"resultType": "scalar", "result": [4, "2"]}
        assert post(collector, "/api/v1/query", query="1+1", time="4") == health
        assert collector.json("/api/v1/query", query="1+1", time="4.000")["data"] == health
        build = collector.json("/api/v1/status/buildinfo")["data"]
        assert build["version"].startswith("3.") and "features" not in build, build
        for path in ("/rules", "/api/v1/rules/test/test", "/config/v1/rules", "/api/v1/nothing"):
            assert collector.get(path) == (404, b"404 page not found\n"), path
        # What a GET brings along is no form.
        code, body = collector.request("GET", "/api/v1/query?query=3", b"query=1", FORM)
        assert code == 200 and json.loads(body)["data"]["result"][1] == "3", body
        # A panel: form body, custom parameters in the URL, statistics.
        data = post(collector, "/api/v1/query_range?stats=all&team=x", query="node_load1",
                    start=now - 60, end=now, step=15, timeout="60s")
        assert data["resultType"] == "matrix" and len(data["result"]) == 2, data
        samples = data["stats"]["samples"]
        assert samples["totalQueryableSamples"] == 10, samples  # two series at five steps
        assert samples["totalQueryableSamplesPerStep"] == [
            [now - 60 + k * 15, 2] for k in range(5)], samples
        data = post(collector, "/api/v1/query", query='node_load1{instance="a"}', time=now)
        assert data["result"][0]["value"] == [now, "3"], data
        # At init it asks for exemplars with milliseconds for seconds.
        assert post(collector, "/api/v1/query_exemplars", query="test",
                    start=str(now * 1000), end=str(now * 1000 + 1)) == []
        # Where nothing is selected, there is nothing to say at all.
        assert collector.get("/api/v1/query_exemplars", query="1") == (204, b"")
        # Names: metrics, labels, values, by GET and POST, with its limits.
        span = {"start": now - 3600, "end": now, "limit": "40000"}
        everything = {"match[]": '{__name__!=""}'}
        assert "node_load1" in collector.json("/api/v1/label/__name__/values", **span,
                                              **everything)["data"]
        for labels in (post(collector, "/api/v1/labels", **span, **everything),
                       collector.json("/api/v1/labels", **span)["data"]):
            # The collector's own metrics are series, too.
            assert {"__name__", "instance", "job"} <= set(labels), labels
        assert collector.json("/api/v1/label/instance/values", **span,
                              **{"match[]": "node_load1"})["data"] == ["a", "b"]
        found = post(collector, "/api/v1/series", **span, **{"match[]": 'node_load1{job="node"}'})
        assert [s["instance"] for s in found] == ["a", "b"], found
        limited = collector.json("/api/v1/series", limit=1, **{"match[]": "node_load1"})
        assert len(limited["data"]) == 1 and limited["warnings"] == [
            "results truncated due to limit"], limited
        assert collector.json("/api/v1/metadata", limit="40000")["data"]["node_load1"] == [
            {"type": "gauge", "help": "load", "unit": ""}]
        # Errors it parses: 400, 422, 503.
        for parameters, code, kind in (({"query": "node_load1{"}, 400, "bad_data"),
                                       ({"query": "node_load1 + on(job) node_load1"}, 422,
                                        "execution"),
                                       ({"query": "node_load1", "timeout": "-1"}, 503, "timeout")):
            got, body = collector.get("/api/v1/query", **parameters)
            assert (got, json.loads(body)["errorType"]) == (code, kind), (got, body)
        # Notes are shown beside the panel, at most ten of a kind.
        answer = collector.json("/api/v1/query", query="rate(node_load1[5m])", time=now)
        assert answer["infos"] == [
            'PromQL info: metric might not be a counter, name does not end in '
            '_total/_sum/_count/_bucket: "node_load1" (1:6)'], answer
        query = " or ".join(f"quantile_over_time({n}, node_load1[1m])" for n in range(2, 14))
        answer = collector.json("/api/v1/query", query=query, time=now)
        assert len(answer["warnings"]) == 11, answer["warnings"]
        assert answer["warnings"][10] == "2 more warning annotations omitted", answer["warnings"]
        assert "node_load1" in collector.ctl("query", "node_load1")
        collector.stop()


def test_probes_are_targets():
    with Lab() as lab:
        collector = lab.collector().start()
        empty = collector.json("/api/v1/targets")["data"]
        assert empty == {"activeTargets": [], "droppedTargets": [],
                         "droppedTargetCounts": {}}, empty
        probe = lab.probe(collector).start()

        def target(health):
            found = collector.json("/api/v1/targets", state="active")["data"]["activeTargets"]
            return found[0] if found and found[0]["health"] == health else None

        up = wait_for(lambda: target("up"), "the target to be up")
        assert up["scrapePool"] == "node" and up["labels"]["job"] == "node", up
        assert up["scrapeInterval"] == "1s" and up["scrapeTimeout"] == "3s", up
        assert up["lastError"] == "" and up["lastScrapeDuration"] >= 0, up
        assert up["discoveredLabels"]["__address__"] and up["scrapeUrl"] == up["globalUrl"], up
        assert abs(time.time() - time.mktime(time.strptime(up["lastScrape"][:19],
                   "%Y-%m-%dT%H:%M:%S")) + time.timezone) < 60, up
        assert collector.json("/api/v1/scrape_pools")["data"] == {"scrapePools": ["node"]}
        assert collector.json("/api/v1/scrape_pools/config", scrapePool="node")["data"] \
            == {"yaml": 'job_name: "node"\n'}
        steps = "/api/v1/targets/relabel_steps"
        assert collector.json(steps, scrapePool="node", labels='{"a":"b"}')["data"] == {"steps": []}
        for path, given, want in (
                ("/api/v1/scrape_pools/config", {}, "no scrapePool parameter provided"),
                ("/api/v1/scrape_pools/config", {"scrapePool": "x"},
                 'error retrieving scrape config: scrape pool "x" not found'),
                (steps, {}, "no scrapePool parameter provided"),
                (steps, {"scrapePool": "node"}, "no labels parameter provided"),
                (steps, {"scrapePool": "node", "labels": '{"a":1}'}, "error parsing labels"),
                (steps, {"scrapePool": "x", "labels": "{}"},
                 'error retrieving scrape config: scrape pool "x" not found')):
            code, body = collector.get(path, **given)
            answer = json.loads(body)
            assert code == 400 and answer["errorType"] == "bad_data", (path, given, answer)
            assert answer["error"].startswith(want), (path, given, answer)
        assert collector.json("/api/v1/targets", scrapePool="x")["data"]["activeTargets"] == []
        told = wait_for(lambda: collector.json("/api/v1/targets/metadata", metric="node_load1",
                                               match_target='{job="node"}')["data"], "metadata")
        assert [(t["target"], t["type"]) for t in told] == [(up["labels"], "gauge")], told
        assert "metric" not in told[0], told
        told = collector.json("/api/v1/targets/metadata", limit=3)["data"]
        assert len(told) == 3 and all(t["metric"] for t in told), told
        assert collector.json("/api/v1/targets/metadata", match_target='{job="x"}')["data"] == []
        probe.kill()
        down = wait_for(lambda: target("down"), "the target to be down")
        assert down["lastError"].startswith("silent: "), down
        key = collector.probes()[0]["key"]
        code, body = collector.request("POST", "/api/fengsui/v1/keys/revoke",
                                       json.dumps({"key": key}).encode())
        assert code == 200, (code, body)
        data = collector.json("/api/v1/targets")["data"]
        assert data["activeTargets"] == [] and len(data["droppedTargets"]) == 1, data
        assert data["droppedTargetCounts"] == {"node": 1}, data
        # As in Prometheus: of all pools, or of none.
        for parameters, counts in (({"state": "active"}, None), ({"state": "x"}, None),
                                   ({"state": "dropped"}, {"node": 1}),
                                   ({"scrapePool": "x"}, {"node": 1})):
            data = collector.json("/api/v1/targets", **parameters)["data"]
            assert data["droppedTargetCounts"] == counts, (parameters, data)
        collector.stop()


RULES = """
groups:
- name: {name}
  interval: 1h
  rules:
  - {{record: "{name}:sum", expr: sum(m), labels: {{level: "{name}"}}}}
  - {{alert: "{name}High", expr: m > 0, labels: {{severity: page}}}}
"""


def test_rules_are_filtered_and_paged():
    with Lab() as lab:
        names = ["a", "b", "c"]
        for name in names:
            (lab.folder / f"{name}.yml").write_text(RULES.format(name=name))
        collector = lab.collector(f'rules: {{files: ["{lab.folder}/[abc].yml"]}}\n').start()
        put(collector, {"__name__": "m"}, [(1.0, now_ms())])

        def rules(**parameters):
            groups = collector.json("/api/v1/rules", **parameters)["data"]["groups"]
            return [(g["name"], [r["name"] for r in g["rules"]]) for g in groups]

        everything = [(n, [f"{n}:sum", f"{n}High"]) for n in names]
        assert rules() == everything
        assert rules(**{"rule_name[]": ["aHigh", "b:sum"]}) == [("a", ["aHigh"]), ("b", ["b:sum"])]
        assert rules(**{"rule_group[]": "c"}) == everything[2:]
        assert rules(**{"rule_group[]": "x"}) == []
        assert rules(**{"file[]": f"{lab.folder}/a.yml"}) == everything[:1]
        assert rules(**{"match[]": '{severity="page"}'}) == [(n, [f"{n}High"]) for n in names]
        assert rules(**{"match[]": ['{level="a"}', '{level="b"}']}) == [
            ("a", ["a:sum"]), ("b", ["b:sum"])]
        assert rules(type="record", **{"rule_group[]": "a"}) == [("a", ["a:sum"])]

        def alerts(**parameters):
            groups = collector.json("/api/v1/rules", type="alert", **parameters)["data"]["groups"]
            return sum(len(r["alerts"]) for g in groups for r in g["rules"])

        wait_for(lambda: alerts() == 3, "the alerts to fire")
        assert alerts(exclude_alerts="true") == 0
        # Pages: each names the next, whatever filters leave out.
        page = collector.json("/api/v1/rules", group_limit=2, type="alert")["data"]
        assert [g["name"] for g in page["groups"]] == ["a", "b"], page
        page = collector.json("/api/v1/rules", group_limit=2, type="alert",
                              group_next_token=page["groupNextToken"])["data"]
        assert [g["name"] for g in page["groups"]] == ["c"] and "groupNextToken" not in page, page
        for parameters, text in (
                ({"group_next_token": "x"}, 'invalid parameter "group_next_token": group_limit '
                 'needs to be present in order to paginate over the groups'),
                ({"group_limit": "0"}, 'invalid parameter "group_limit": group_limit needs to be '
                 'greater than 0'),
                ({"group_limit": "2", "group_next_token": "x"}, 'invalid parameter '
                 '"group_next_token": invalid group_next_token \'x\'. were rule groups changed?'),
                ({"match[]": "{}"}, "match[] must contain at least one non-empty matcher")):
            code, body = collector.get("/api/v1/rules", **parameters)
            assert (code, json.loads(body)["error"]) == (400, text), (parameters, code, body)
        collector.stop()


def test_a_recorded_series_has_its_labels_and_ends_with_its_input():
    rule = """
groups:
- name: g
  interval: 200ms
  rules:
  - {record: "job:m:sum", expr: "sum by (job, level) (m)", labels: {level: rule, team: duty}}
"""
    with Lab() as lab:
        (lab.folder / "rules.yml").write_text(rule)
        collector = lab.collector(f'rules: {{files: ["{lab.folder}/rules.yml"]}}\n').start()
        message = b"".join(series({"__name__": "m", "job": "j", "instance": host,
                                   "level": "input"}, [(2.0, now_ms())]) for host in "ab")
        assert write(collector, message)[0] == 204
        recorded = wait_for(lambda: collector.query("job:m:sum"), "a recorded sample")
        assert [(r["metric"], r["value"][1]) for r in recorded] == [
            ({"__name__": "job:m:sum", "job": "j", "level": "rule", "team": "duty"}, "4")], recorded
        for host in "ab":
            put(collector, {"__name__": "m", "job": "j", "instance": host, "level": "input"},
                [(STALE, now_ms())])
        wait_for(lambda: collector.query("job:m:sum") == [], "the recorded series to end")
        assert collector.value("count_over_time(job:m:sum[5m])") >= 1
        collector.stop()


def test_expressions_are_given_as_trees():
    with Lab() as lab:
        collector = lab.collector().start()

        def parse(query):
            return collector.json("/api/v1/parse_query", query=query)["data"]

        assert parse("1.5") == {"type": "numberLiteral", "val": "1.5"}
        assert parse("-(Inf)") == {"type": "unaryExpr", "op": "-", "expr": {
            "type": "parenExpr", "expr": {"type": "numberLiteral", "val": "+Inf"}}}
        tree = parse('sum by (job) (rate(m{a!~"b"}[5m] offset 1m @ 2.5))')
        assert (tree["type"], tree["op"], tree["grouping"], tree["without"], tree["param"]) == (
            "aggregation", "sum", ["job"], False, None), tree
        call = tree["expr"]
        assert call["func"] == {"name": "rate", "argTypes": ["matrix"], "variadic": 0,
                                "returnType": "vector"}, call
        selector = call["args"][0]
        assert selector == {
            "type": "matrixSelector", "name": "m", "range": 300000, "offset": 60000,
            "timestamp": 2500, "startOrEnd": None, "anchored": False, "smoothed": False,
            "matchers": [{"name": "a", "type": "!~", "value": "b"},
                         {"name": "__name__", "type": "=", "value": "m"}]}, selector
        tree = parse("a / on(x) group_left(y) b > bool 1")
        assert (tree["op"], tree["bool"], tree["matching"]) == (">", True, None), tree
        assert tree["lhs"]["matching"] == {
            "card": "many-to-one", "on": True, "labels": ["x"], "include": ["y"],
            "fillValues": {"lhs": None, "rhs": None}}, tree
        tree = parse("max_over_time(m[1h:5m] @ end())")["args"][0]
        assert (tree["type"], tree["range"], tree["step"], tree["startOrEnd"]) == (
            "subquery", 3600000, 300000, "end"), tree
        assert parse("round(m)")["func"]["variadic"] == 1
        assert parse('label_join(m, "a", "b", "c", "d")')["func"]["variadic"] == -1
        quantiles = parse('histogram_quantiles(m, "q", 0.1, 0.2, 0.3)')["func"]
        assert (quantiles["argTypes"], quantiles["variadic"]) == (
            ["vector", "string", "scalar", "scalar"], 9), quantiles
        # A name in the braces is a matcher at its place, and no name.
        quoted = parse('{a="1","m.n",b="2"}')
        assert quoted["name"] == "" and [m["name"] for m in quoted["matchers"]] == [
            "a", "__name__", "b"], quoted
        parse("(" * 60 + "m" + ")" * 60)
        code, body = collector.get("/api/v1/parse_query", query="m{")
        assert (code, json.loads(body)["error"]) == (400, 'invalid parameter "query": 1:3: parse '
                                                     'error: unexpected end of input inside braces')
        collector.stop()


def test_cardinality_and_features():
    with Lab() as lab:
        collector = lab.collector().start()
        message = b"".join(series({"__name__": f"m{n % 3}", "instance": f"host{n}", "job": "j"},
                                  [(1.0, now_ms())]) for n in range(300))
        assert write(collector, message)[0] == 204
        data = collector.json("/api/v1/status/tsdb", limit=2)["data"]
        # At least: the collector's own metrics are series, too.
        assert data["headStats"]["numSeries"] >= 300 and data["headStats"]["numLabelPairs"] >= 304
        # Series of few samples have one chunk each, which is still open.
        head = data["headStats"]
        assert 300 <= head["chunkCount"] <= head["numSeries"], head
        assert data["seriesCountByMetricName"] == [{"name": "m0", "value": 100},
                                                   {"name": "m1", "value": 100}], data
        top = data["labelValueCountByLabelName"]
        assert [t["name"] for t in top] == ["instance", "__name__"] and top[0]["value"] >= 300, top
        assert data["seriesCountByLabelValuePair"][0] == {"name": "job=j", "value": 300}, data
        names = collector.json("/api/v1/status/tsdb")["data"]["seriesCountByMetricName"]
        assert 3 <= len(names) <= 10 and names[2] == {"name": "m2", "value": 100}, names
        features = collector.json("/api/v1/features")["data"]
        assert features["promql_functions"]["info"] and features["promql_operators"]["limitk"]
        assert collector.json("/api/v1/notifications")["data"] == []
        assert collector.get("/api/v1/notifications/live") == (204, b"")
        assert collector.json("/api/v1/status/tsdb/blocks")["data"] == {"blocks": []}
        assert collector.request("POST", "/api/fengsui/v1/store/settle")[0] == 200
        blocks = collector.json("/api/v1/status/tsdb/blocks")["data"]["blocks"]
        assert sum(b["stats"]["numSeries"] for b in blocks) >= 300, blocks
        assert blocks[0]["minTime"] <= now_ms() and len(blocks[0]["ulid"]) == 26, blocks
        collector.stop()


HASH = "$argon2id$v=19$m=65536,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNo"
CONFIG = """\
external_url: 'http://watch.example:9470/"烽燧"'
http: {query_threads: 3, users: users.yml}
ingest: {window: 1536KiB, scrape_jobs: [redis, "a: b"]}
rules: {files: "rules/*.yml"}
retention: {raw: forever}
promql: {lookback: 90s}
"""


def test_the_configuration_in_force_is_shown():
    with Lab() as lab:
        collector = lab.collector(CONFIG, flags=["--retention", "400d"])
        folder, file = collector.folder, collector.folder / "collector.yml"
        token = "t" * 43
        digest = hashlib.blake2b(token.encode(), digest_size=32).hexdigest()
        (folder / "users.yml").write_text(
            f'users:\n- {{name: li, role: viewer, password_hash: "{HASH}"}}\n'
            f'tokens:\n- {{name: root, role: admin, token_hash: "blake2b:{digest}"}}\n')
        root = {"Authorization": f"Bearer {token}"}

        def ask(path, method="GET"):
            code, body = collector.request(method, path, b"" if method == "POST" else None, root)
            return code, json.loads(body)["data"] if body[:1] == b"{" else body

        def shown():
            code, data = ask("/api/v1/status/config")
            assert code == 200 and list(data) == ["yaml"], (code, data)
            return data["yaml"]

        def runtime():
            return ask("/api/v1/status/runtimeinfo")[1]
        collector.start()
        first = shown()
        for line in (f'data: "{collector.data}"', f'  listen: "127.0.0.1:{collector.http}"',
                     f'  listen: "tcp://127.0.0.1:{collector.ingest}"', '  window: 1536KiB',
                     f'  users: "{folder}/users.yml"', f'  files: ["{folder}/rules/*.yml"]',
                     '  scrape_jobs: ["redis", "a: b"]', '  query_threads: 3',
                     '  raw: "400d"', '  logs: "180d"', '  lookback: 1m30s', '  timeout: 2m',
                     'external_url: "http://watch.example:9470/\\"烽燧\\""',
                     '  evaluation_interval: 15s', 'quota: 0'):
            assert line in first.splitlines(), (line, first)
        assert "argon2" not in first and digest not in first and token not in first, first
        began = runtime()
        assert began["reloadConfigSuccess"] is True and began["storageRetention"] == "400d", began
        # A reload takes rules and policy, and says that the rest waits; what is shown is in force.
        (folder / "policy.yml").write_text("rules: []\n")
        file.write_text(CONFIG.replace("90s", "7m").replace("{files", "{evaluation_interval: 7s, files")
                        + "policy: policy.yml\n")
        assert ask("/-/reload", "POST")[0] == 200
        want = first.replace("evaluation_interval: 15s", "evaluation_interval: 7s").replace(
            "quota: 0\n", f'policy: "{folder}/policy.yml"\nquota: 0\n')
        assert shown() == want, shown()
        assert ask("/api/v1/status/flags")[1]["query.lookback-delta"] == "1m30s"
        assert "waits for a restart" in collector.log.read_text()
        again = runtime()
        assert again["lastConfigTime"] > began["lastConfigTime"], (began, again)
        # One that is refused changes nothing of it.
        file.write_text("nonsense: 1\n")
        assert ask("/-/reload", "POST")[0] == 500
        assert shown() == want and runtime()["reloadConfigSuccess"] is False
        assert runtime()["lastConfigTime"] == again["lastConfigTime"]
        # What is shown is a configuration: started with it and no flags, it is the same.
        collector.stop()
        file.write_text(want)
        collector.arguments = ["--config", file]
        collector.start()
        assert shown() == want, shown()
        collector.stop()


def test_own_metrics_are_there_as_json():
    with Lab() as lab:
        collector = lab.collector().start()
        text = collector.get("/metrics")[1].decode()
        types = dict(line.split()[2:] for line in text.splitlines() if line.startswith("# TYPE"))
        names = [re.split("[{ ]", line)[0] for line in text.splitlines() if line[:1] != "#"]
        families = collector.json("/api/v1/status/self_metrics")["data"]
        # The same families and series as the text has, in order; those without a series are not.
        assert [f["name"] for f in families] == sorted(set(names))
        for family in families:
            name, kind = family["name"], family["type"].lower()
            assert kind == types[name] and family["help"] and "unit" not in family, family
            assert len(family["metric"]) == names.count(name), family
            assert all(isinstance(m[kind]["value"], (int, float)) for m in family["metric"]), family
        name = "fengsui_collector_http_requests_total"
        family, = collector.json("/api/v1/status/self_metrics",
                                 metric_name_pattern="fengsui_.*_http_requests_t.tal")["data"]
        first = family["metric"][0]
        assert family["name"] == name and family["type"] == "COUNTER", family
        assert first["label"] == [{"name": "code", "value": "2xx"}], first
        assert first["counter"]["value"] >= 2, first
        # A part of a name is none; what is no expression is told.
        assert collector.json("/api/v1/status/self_metrics",
                              metric_name_pattern="http_requests")["data"] == []
        code, body = collector.get("/api/v1/status/self_metrics", metric_name_pattern="(")
        assert code == 400 and b'invalid parameter \\"metric_name_pattern\\"' in body, body
        collector.stop()


def test_what_is_switched_off_says_so_in_prometheus_words():
    with Lab() as lab:
        collector = lab.collector().start()
        for path in ("search/metric_names", "search/label_names", "search/label_values",
                     "admin/tsdb/snapshot"):
            method = "POST" if "admin" in path else "GET"
            code, body = collector.request(method, f"/api/v1/{path}")
            said = json.loads(body)
            assert (code, said["errorType"]) == (500, "unavailable"), (path, code, body)
            assert said["error"] in ("search API disabled", "admin APIs disabled"), said
        assert collector.request("POST", "/api/v1/otlp/v1/metrics", b"")[0] == 404
        # Waiting for a thread is in a question's time; how long it was is in the statistics.
        code, body = collector.get("/api/v1/query", query="1", timeout="0")
        assert (code, json.loads(body)["error"]) == (503, "query timed out in query queue"), body
        timings = collector.json("/api/v1/query", query="1",
                                 stats="all")["data"]["stats"]["timings"]
        assert 0 < timings["execQueueTime"] <= timings["execTotalTime"], timings
        collector.stop()


def test_what_is_served_is_described():
    with Lab() as lab:
        collector = lab.collector().start()
        code, text = collector.get("/api/v1/openapi.yaml")
        described = yaml.safe_load(text)
        assert code == 200 and described["openapi"] == "3.1.0", text[:200]
        # The route table as it is written, against what is said of it.
        source = (pathlib.Path(__file__).parents[2] / "collector/http/api.c").read_text()
        macros = {"BOTH": "HTTP_GET | HTTP_POST", "CHANGE": "HTTP_POST | HTTP_PUT"}
        table = {(m.strip()[len("HTTP_"):].lower(), path)
                 for methods, path in re.findall(r'^    \{([A-Z_ |]+), "(/[^"]*)",', source, re.M)
                 for m in macros.get(methods, methods).split("|")}
        said, ids = set(), []
        for path, methods in described["paths"].items():
            for method, operation in methods.items():
                stars = re.sub(r"{\w+}", "*", path)
                # A star at the end stands for all that follows.
                said.add((method, stars if (method, stars) in table else stars.split("*")[0] + "*"
                          if "*" in stars else stars))
                ids.append(operation["operationId"])
                assert operation["summary"] and "200" in operation["responses"], (method, path)
                in_path = [p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"]
                assert in_path == re.findall(r"{(\w+)}", path), (method, path)
        assert said == table and len(table) > 60, said ^ table
        assert len(ids) == len(set(ids)), ids
        # The parameters are those that the garbage below is tried on.
        for path, known in ROUTES.items():
            if "/label/" not in path:
                names = [p["name"] for p in described["paths"][path]["get"]["parameters"]]
                assert set(known) <= set(names), (path, names)
        post = described["paths"]["/api/v2/alerts"]["post"]
        assert post["description"] == "Least role: operator, or writer.", post
        assert described["paths"]["/api/v1/query"]["post"]["parameters"][0] == {
            "name": "query", "in": "query", "required": True, "schema": {"type": "string"}}
        collector.stop()


def test_experiments_can_be_switched_off():
    with Lab() as lab:
        collector = lab.collector("promql: {experimental_functions: false}\n").start()
        for query in ("info(m)", "m anchored", "m + fill(0) m", "limitk(1, m)", "step()"):
            code, body = collector.get("/api/v1/query", query=query)
            assert code == 400 and b"not enabled" in body, (query, code, body)
        assert collector.json("/api/v1/features")["data"]["promql_functions"]["info"] is False
        collector.stop()


# Routes with the parameters they know; each parameter gets every piece of garbage.
ROUTES = {
    "/api/v1/query": ("query", "time", "timeout", "limit", "lookback_delta", "stats", "explain"),
    "/api/v1/query_range": ("query", "start", "end", "step", "timeout", "limit"),
    "/api/v1/query_exemplars": ("query", "start", "end"),
    "/api/v1/format_query": ("query",),
    "/api/v1/parse_query": ("query",),
    "/api/v1/labels": ("match[]", "start", "end", "limit"),
    "/api/v1/label/instance/values": ("match[]", "start", "end", "limit"),
    "/api/v1/series": ("match[]", "start", "end", "limit"),
    "/api/v1/metadata": ("metric", "limit", "limit_per_metric"),
    "/api/v1/targets": ("state", "scrapePool"),
    "/api/v1/targets/metadata": ("match_target", "metric", "limit"),
    "/api/v1/rules": ("type", "rule_name[]", "rule_group[]", "file[]", "match[]",
                      "exclude_alerts", "group_limit", "group_next_token"),
    "/api/v1/status/tsdb": ("limit",),
    "/api/v1/status/self_metrics": ("metric_name_pattern",),
    "/api/v1/scrape_pools/config": ("scrapePool",),
    "/api/v1/targets/relabel_steps": ("scrapePool", "labels"),
    "/federate": ("match[]",),
}
GOOD = {"query": "m", "start": "1", "end": "2", "step": "1", "match[]": "m", "group_limit": "1"}
GARBAGE = ["", " ", "x", "-1", "0", "1e400", "-1e400", "NaN", "Inf", "9" * 40, "1_000", "0x10", "1.5",
           "9223372036854775807", "-9223372036854775808", "18446744073709551616", "1;2", "{", "}",
           "{}", "m{", "m[", "m]", "(((((", "\x00", "a\x00b", "\xff\xfe", "%", "%zz", "\n", "\r\n",
           "'", '"', "`", "\\", "🔥", "烽燧", "U__", "U__zz_", "../../etc", "<script>", "null",
           "true", "[]", "a" * 5000, "(" * 2000, "m+" * 900 + "m", "m{a=~\"" + "(a*)*" * 30 + "\"}",
           "m[99999999999y]", "m @ 1e300", "m offset -99999y", "m[1s:1ms]", "2015-13-45T99:99:99Z",
           "0000-00-00T00:00:00Z", "9999-12-31T23:59:59.999999999+23:59",
           "-292273086-05-16T16:47:06Z", "292277025-08-18T07:12:54.999999999Z"]


def test_garbage_is_refused_and_harms_nothing():
    with Lab() as lab:
        collector = lab.collector().start()
        put(collector, {"__name__": "m", "instance": "a"}, [(1.0, now_ms())])
        pick = random.Random(20231122)
        requests = [(path, {**{k: v for k, v in GOOD.items() if k in known}, name: text})
                    for path, known in ROUTES.items() for name in known for text in GARBAGE]
        for path, known in ROUTES.items():  # several at once
            requests += [(path, {name: pick.choice(GARBAGE) for name in known})
                         for _ in range(20)]
        for n, (path, parameters) in enumerate(requests):
            encoded = urllib.parse.urlencode(parameters)
            if n % 2 == 0:
                code, answer = collector.request("GET", f"{path}?{encoded}")
            else:
                code, answer = collector.request("POST", path, encoded.encode(), FORM)
            late = code == 503 and "timeout" in parameters and b'"timeout"' in answer
            assert code in (200, 204) or 400 <= code < 500 or late, (path, parameters, code, answer)
            if path.startswith("/api") and (code == 200 or answer.startswith(b"{")):
                status = json.loads(answer)["status"]
                assert status == ("success" if code == 200 else "error"), (path, answer)
        # Not even URL encoding that decodes to nothing, nor a label's name of any kind.
        for raw in ("/api/v1/query?query=%", "/api/v1/query?%zz=%zz&&&=", "/api/v1/query?query",
                    "/api/v1/label/%00/values", "/api/v1/label/%ff/values", "/api/v1/label/U__/values",
                    "/api/v1/label/U__ffffff_/values", "/api/v1/label//values", "/api/v1/label/%2f/values",
                    "/api/v1/label/" + "a" * 3000 + "/values"):
            code, _ = collector.request("GET", raw)
            assert code == 200 or 400 <= code < 500, (raw, code)
        assert collector.value("m") == 1
        collector.stop()


if __name__ == "__main__":
    run_tests(globals())
