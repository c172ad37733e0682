#!/usr/bin/python3
"""Exporters on the host, scraped by the probe: what Prometheus would have, and no target's harm.

What can go wrong, each a case here:
  - series, labels, types or values are not those Prometheus has of the same page;
  - a target that hangs, drips, floods, lies or dies holds others up, leaves series behind, or
    counts as up;
  - a page half taken: its first lines stand though its last is broken;
  - a probe takes the identity of another host or of itself through what it scrapes.
"""
import gzip
import json
import os
import pathlib
import re
import shutil
import signal
import socketserver
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler

from fengsui import BUILD, PATIENCE, Lab, free_port, run_tests, wait_for

GOOD = ("# HELP pool_connections_total Connections made.\n"
        "# TYPE pool_connections_total counter\n"
        'pool_connections_total{db="a"} 7\n'
        'pool_connections_total{db="b"} 8\n'
        "# TYPE heat gauge\n"
        'heat{job="page",instance="x",site="there",port="1"} 36.6\n'
        "bare 1\n")


class Exporter:
    """A server whose every path misbehaves in its own way."""

    def __init__(self):
        exporter = self
        self.pages = {"/changing": GOOD}
        self.seen = []
        self.release = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass

            def answer(self, body, code=200, kind="text/plain; version=0.0.4", **headers):
                self.send_response(code)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):  # pylint: disable=invalid-name,too-many-branches
                exporter.seen.append((self.path, dict(self.headers)))
                good = GOOD.encode()
                try:
                    if self.path == "/hang":
                        exporter.release.wait(60)
                    elif self.path == "/drip":
                        self.send_response(200)
                        self.end_headers()
                        while not exporter.release.wait(0.05):
                            self.wfile.write(b"#")
                            self.wfile.flush()
                    elif self.path == "/flood":
                        self.send_response(200)
                        self.end_headers()
                        for i in range(100):
                            self.wfile.write(b"# " + b"x" * (1 << 20) + b"\n")
                    elif self.path == "/error":
                        self.answer(good, 503)
                    elif self.path == "/redirect":
                        self.answer(b"", 302, Location="/changing")
                    elif self.path == "/garbage":
                        self.wfile.write(bytes(range(256)) * 50)
                        self.close_connection = True
                    elif self.path == "/broken":
                        self.answer(good + b"this is no metric\n")
                    elif self.path == "/cut":
                        self.send_response(200)
                        self.send_header("Content-Length", "100000")
                        self.end_headers()
                        self.wfile.write(good)
                        self.close_connection = True
                    elif self.path == "/gzip":
                        self.answer(gzip.compress(good), Content_Encoding="gzip")
                    elif self.path == "/many":
                        self.answer("".join(f"many_{i} 1\n" for i in range(50)).encode())
                    elif self.path == "/chunked":
                        self.send_response(200)
                        self.send_header("Transfer-Encoding", "chunked")
                        self.end_headers()
                        for i in range(0, len(good), 7):
                            piece = good[i:i + 7]
                            self.wfile.write(b"%x;a=b\r\n%s\r\n" % (len(piece), piece))
                        self.wfile.write(b"0\r\nTrailer: 1\r\n\r\n")
                    elif self.path == "/open":
                        self.answer(b"# TYPE jobs counter\n# UNIT jobs \njobs_total 5.0\n# EOF\n"
                                    .replace(b"# UNIT jobs \n", b""),
                                    kind="application/openmetrics-text; version=1.0.0")
                    elif self.path == "/timed":
                        at = int(time.time() * 1000) - 60000
                        self.answer(f"late_one 1 {at}\nlate_two 2 {at}\nlate_three 3 {at + 1}\n"
                                    "now_one 4\n".encode())
                    else:
                        self.answer(exporter.pages[self.path].encode())
                except OSError:
                    self.close_connection = True

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = allow_reuse_address = True
            request_queue_size = 64

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def stop(self):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()


def targets(folder, *rows, interval="300ms", head="", name="probe.yml"):
    path = folder / name
    path.write_text(json.dumps({"sources": {"scrape": {"interval": interval,
                                                       "targets": list(rows)}}})[:-1]
                    + ("," + head if head else "") + "}")
    return path


def labels_of(result, *without):
    return {frozenset((n, v) for n, v in r["metric"].items() if n not in without)
            for r in result}


def test_pages_become_series_and_bad_ones_take_nothing_with_them():
    exporter = Exporter()
    bad = ["hang", "drip", "flood", "error", "redirect", "garbage", "broken", "cut", "gzip"]
    with Lab() as lab:
        collector = lab.collector().start()
        rows = [{"url": exporter.url("/" + path), "job": path, "timeout": "250ms"}
                for path in bad + ["changing", "chunked", "open", "timed"]]
        rows[2]["body_size_limit"] = "2MiB"
        rows += [{"url": exporter.url("/many"), "job": "many", "sample_limit": 49},
                 {"url": exporter.url("/many"), "job": "few", "drop": "many_.[0-9]",
                  "sample_limit": 10},
                 {"url": exporter.url("/many"), "job": "some", "keep": "many_4.|other"},
                 {"url": "http://localhost:1/", "job": "nobody"}]
        agent = lab.probe(collector, interval="300ms",
                          flags=("--config", targets(lab.folder, *rows), "--instance", "app-1"))
        agent.start()
        down, up = set(bad + ["many", "nobody"]), {"changing", "chunked", "open", "timed", "few",
                                                   "some", "node"}

        def states(value):
            return {r["metric"]["job"] for r in collector.query(f"up == {value}")}
        wait_for(lambda: states(1) == up and states(0) == down, "every target's state")
        want = labels_of(collector.query('{job="changing"}'), "job")
        assert frozenset({("__name__", "heat"), ("instance", "app-1"), ("port", "1"),
                          ("site", "there"), ("exported_job", "page"),
                          ("exported_instance", "x")}) in want, want
        assert collector.value('pool_connections_total{job="changing",db="b"}') == 8
        assert labels_of(collector.query('{job="chunked"}'), "job") == want
        for job in down:
            found = labels_of(collector.query('{job="%s"}' % job), "job", "instance")
            names = {dict(labels)["__name__"] for labels in found}
            assert names == {"up", "scrape_duration_seconds", "scrape_samples_scraped",
                             "scrape_samples_post_metric_relabeling", "scrape_series_added"}, \
                f"{job}: {names}"
        assert collector.value('jobs_total{job="open"}') == 5
        assert len(collector.query('{job="few",__name__=~"many_.*"}')) == 10
        assert len(collector.query('{job="some",__name__=~"many_.*"}')) == 10
        assert collector.value('scrape_samples_scraped{job="some"}') == 50
        assert collector.value('scrape_samples_post_metric_relabeling{job="some"}') == 10
        late = float(collector.query('timestamp(late_one)')[0]["value"][1])
        now = float(collector.query('timestamp(now_one)')[0]["value"][1])
        assert 50 < now - late < 90, (late, now)
        assert collector.value("late_two") == 2 and collector.value("late_three") == 3
        meta = collector.json("/api/v1/metadata", metric="pool_connections_total")["data"]
        assert meta["pool_connections_total"][0]["type"] == "counter", meta
        assert meta["pool_connections_total"][0]["help"] == "Connections made.", meta
        assert collector.value('scrape_duration_seconds{job="hang"}') >= 0.2

        # Hanging ones delay neither the others nor the host's own metrics.
        def newest(expression):
            return float(collector.query(f"timestamp({expression})")[0]["value"][1])
        for expression in ('bare{job="changing"}', 'node_load1{job="node"}'):
            first = newest(expression)
            wait_for(lambda e=expression, f=first: newest(e) >= f + 1, f"{expression} to go on", 6)
        assert "/hang is down: no answer in time" in agent.log.read_text()
        assert "/error is down: the server answered with status 503" in agent.log.read_text()
        headers = next(headers for path, headers in exporter.seen if path == "/changing")
        assert "openmetrics" in headers["Accept"] and "Accept-Encoding" not in headers, headers

        exporter.pages["/changing"] = 'pool_connections_total{db="a"} 9\n'
        wait_for(lambda: collector.value('pool_connections_total{job="changing",db="a"}') == 9,
                 "the new value")
        wait_for(lambda: not collector.query('pool_connections_total{job="changing",db="b"}'),
                 "the end of a series that left the page")
        exporter.stop()
        wait_for(lambda: states(1) == {"node"}, "the end of all targets")
        wait_for(lambda: not collector.query('{job="changing",__name__!~"up|scrape_.*"}'),
                 "the end of its series")
        agent.stop()


def test_a_hanging_target_holds_up_neither_a_reload_nor_the_end():
    exporter = Exporter()
    with Lab() as lab:
        collector = lab.collector().start()
        rows = [{"url": exporter.url("/hang"), "job": "hang", "timeout": "5m", "interval": "3s"},
                {"url": exporter.url("/changing"), "job": "changing"}]
        agent = lab.probe(collector, interval="300ms",
                          flags=("--config", targets(lab.folder, *rows)))
        agent.start()

        def hanging():
            return sum(path == "/hang" for path, _ in exporter.seen)
        for before in range(2):
            wait_for(lambda b=before: hanging() > b, "a scrape that hangs")
            began = time.monotonic()
            if before == 0:
                agent.signal(signal.SIGHUP)
        agent.stop()
        assert time.monotonic() - began < 2 * PATIENCE
    exporter.stop()


def test_a_probe_can_ask_and_never_assert():
    exporter = Exporter()
    exporter.pages["/page"] = ('up{job="node"} 17\nheat{job="node",instance="other",site="x"} 1\n'
                               'heat{job="node",instance="other",site="y"} 2\n')
    page = exporter.url("/page")
    with Lab() as lab:
        collector = lab.collector().start()
        other = lab.probe(collector, name="other", interval="300ms",
                          flags=("--instance", "other"))
        rows = [{"url": page, "job": "asked", "instance": "me:3307"},
                {"url": page, "job": "node", "instance": "other"},      # another's identity
                {"url": page, "job": "stolen", "instance": "other"},    # another's name
                {"url": page, "job": "below", "instance": "me:9100"},   # a name of its own
                {"url": page, "job": "deeper", "instance": "me:9100:1"},  # and below that
                {"url": page, "job": "honored", "honor_labels": True},
                {"url": page, "job": "mine", "instance": "me2:1"}]      # not below "me"
        nearer = lab.probe(collector, name="nearer", interval="300ms",
                           flags=("--instance", "me:9100"))
        agent = lab.probe(collector, name="me", interval="300ms", flags=(
            "--config", targets(lab.folder, *rows, head='"labels": {"site": "zhongta"}'),
            "--instance", "me"))
        other.start()
        nearer.start()
        wait_for(lambda: len(collector.query('up{job="node"}')) == 2, "whose names are taken")
        agent.start()
        wait_for(lambda: collector.query('up{job="stolen"} == 1'), "the scrapes")
        wait_for(lambda: len(collector.query('up{job="node"}')) == 3, "all probes")
        instances = labels_of(collector.query("group by (job, instance) (up)"))
        names = {(dict(l)["job"], dict(l)["instance"]) for l in instances}
        assert names == {("asked", "me:3307"), ("stolen", "me"), ("honored", "me"),
                         ("mine", "me"), ("node", "me"), ("node", "other"), ("node", "me:9100")}, names
        assert collector.value('up{job="node",instance="me",site="zhongta"}') == 1
        assert collector.value('up{job="node",instance="other"}') == 1
        # The page's own up is nobody's identity where Prometheus keeps it, too; else it is gone.
        assert {r["metric"]["exported_job"] for r in collector.query("up == 17")} == {"node"}
        assert len(collector.query('up{job="node"}')) == 3, collector.query('up{job="node"}')
        found = labels_of(collector.query('heat{job="asked"}'), "__name__")
        assert found == {frozenset({("job", "asked"), ("instance", "me:3307"), ("site", "zhongta"),
                                    ("exported_job", "node"), ("exported_instance", "other"),
                                    ("exported_site", site)}) for site in "xy"}, found
        assert collector.query('heat{instance="me",job="node",exported_instance="other"}')
        assert not collector.query('heat{instance=~"other|me:9100.*"}')
        agent.stop()
        other.stop()
        nearer.stop()
    exporter.stop()


def test_no_page_brings_the_probe_down():
    exporter = Exporter()
    at = int(time.time() * 1000) - 60000
    # Two samples that are one series once the target's labels are added, at one time.
    exporter.pages["/twins"] = (f'twin{{job="x"}} 1 {at}\ntwin{{exported_job="x"}} 2 {at}\n'
                                f"far 3 {2 ** 63 - 1}\npast 4 {-2 ** 63}\nplain 5\n")
    exporter.pages["/dropped"] = "".join(f"d{i} 1\n" for i in range(400_000)) + "kept 6\n"
    with Lab() as lab:
        collector = lab.collector().start()
        rows = [{"url": exporter.url("/twins"), "job": "twins"},
                {"url": exporter.url("/dropped"), "job": "dropped", "keep": "kept",
                 "interval": "3s"}]
        agent = lab.probe(collector, interval="300ms",
                          flags=("--config", targets(lab.folder, *rows)))
        agent.start()
        wait_for(lambda: collector.value('plain{job="twins"}') == 5, "the page with times")
        assert collector.value('twin{exported_job="x"}') == 1
        wait_for(lambda: collector.value('kept{job="dropped"}') == 6, "the page of dropped ones", 60)
        assert collector.value('scrape_samples_scraped{job="dropped"}') == 400_001
        assert agent.alive()
        status = pathlib.Path(f"/proc/{agent.process.pid}/status").read_text()
        peak = int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1))
        # Had it remembered them all, 20 MiB more.
        assert os.environ.get("FENGSUI_SANITIZE") or peak < 16 << 10, f"{peak} KiB at the peak"
        # A marker would lie behind what the series says next: only the others end.
        exporter.pages["/twins"] = "no page at all\n"
        wait_for(lambda: not collector.query('plain{job="twins"}'), "the end of the page")
        assert collector.value('twin{exported_job="x"}') == 1
        agent.stop()
    exporter.stop()


def test_real_exporters_give_the_series_that_prometheus_has_of_them():
    if not shutil.which("prometheus") or not shutil.which("prometheus-node-exporter"):
        print("prometheus and prometheus-node-exporter are not installed: not compared")
        return
    with Lab() as lab:
        node, port = free_port(), free_port()
        jobs = {"exporter": f"127.0.0.1:{node}", "itself": f"127.0.0.1:{port}"}
        exporter = subprocess.Popen(  # pylint: disable=consider-using-with
            ["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{node}"],
            stderr=subprocess.DEVNULL)
        try:
            compare_with_prometheus(lab, jobs, port)
        finally:
            exporter.kill()
            exporter.wait()


def compare_with_prometheus(lab, jobs, port):
    (lab.folder / "prometheus.yml").write_text(json.dumps({
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [{"job_name": job, "static_configs": [{"targets": [target]}]}
                           for job, target in jobs.items()]}))
    with open(lab.folder / "prometheus.log", "wb") as log:
        prometheus = subprocess.Popen(  # pylint: disable=consider-using-with
            ["prometheus", f"--config.file={lab.folder}/prometheus.yml",
             f"--storage.tsdb.path={lab.folder}/tsdb", f"--web.listen-address=127.0.0.1:{port}"],
            stdout=log, stderr=log)
    try:
        collector = lab.collector().start()
        rows = [{"url": f"http://{target}/metrics", "job": job} for job, target in jobs.items()]
        agent = lab.probe(collector, interval="1s", flags=(
            "--config", targets(lab.folder, *rows, interval="1s")))
        agent.start()

        def theirs(expression):
            url = f"http://127.0.0.1:{port}/api/v1/query?query=" + urllib.request.quote(expression)
            with urllib.request.urlopen(url, timeout=20) as answer:
                return json.load(answer)["data"]["result"]

        for job in jobs:
            expression = '{job="%s"}' % job

            def differ(expression=expression):
                mine = labels_of(collector.query(expression), "instance")
                peers = labels_of(theirs(expression), "instance")
                # A page of Prometheus's own has what its last scrapes have done.
                return not mine or not peers or mine ^ peers
            wait_for(lambda d=differ: not d(), f"the same series of {job}", 30)
            kinds = collector.json("/api/v1/metadata")["data"]
            url = f"http://127.0.0.1:{port}/api/v1/metadata"
            with urllib.request.urlopen(url, timeout=20) as answer:
                peers = json.load(answer)["data"]
            # What others have under the same name has a help text of its own.
            others = {r["metric"]["__name__"] for r in collector.query(
                'group by (__name__) ({job!~"exporter|itself",__name__=~".+"})')}
            for name in {r["metric"]["__name__"] for r in collector.query(expression)} - others:
                if name in peers and name in kinds:
                    assert peers[name][0]["type"] == kinds[name][0]["type"], name
                    helps = [{k["help"] for k in side[name]} for side in (peers, kinds)]
                    assert helps[0] & helps[1], (name, helps)
        still = '{__name__=~"node_(uname_info|boot_time_seconds|memory_MemTotal_bytes)",' \
                'job="exporter"}'
        mine = {r["metric"]["__name__"]: r["value"][1] for r in collector.query(still)}
        peers = {r["metric"]["__name__"]: r["value"][1] for r in theirs(still)}
        assert mine.keys() == peers.keys() and len(mine) == 3
        assert all(float(mine[name]) == float(peers[name]) for name in mine), (mine, peers)
        agent.stop()
    finally:
        prometheus.kill()
        prometheus.wait()


def test_what_is_not_valid_is_refused_by_name():
    cases = [
        ({"url": "https://127.0.0.1/metrics", "job": "a"}, "https is not spoken here"),
        ({"url": "127.0.0.1:9100", "job": "a"}, "expected http://HOST:PORT/PATH"),
        ({"url": "http://127.0.0.1:99999/", "job": "a"}, "bad port"),
        ({"url": "http://127.0.0.1/"}, "job"),
        ({"url": "http://127.0.0.1/", "job": "a", "dorp": "x"}, 'did you mean "drop"'),
        ({"url": "http://127.0.0.1/", "job": "a", "keep": "("}, "bad regular expression"),
        ({"url": "http://127.0.0.1/", "job": "a", "labels": {"job": "b"}}, "labels.job"),
    ]
    with Lab() as lab:
        for row, words in cases:
            done = subprocess.run(
                [BUILD / "fengsui-probe", "--check", "--config", targets(lab.folder, row),
                 "--state", lab.folder / "state"], capture_output=True, text=True,
                timeout=60 * PATIENCE, check=False)
            assert done.returncode == 2, (row, done.returncode, done.stdout, done.stderr)
            assert words in done.stderr and "probe.yml:1" in done.stderr, (row, done.stderr)


if __name__ == "__main__":
    run_tests(globals())
