"""The same text, scraped by a real Prometheus and imported by us: the same samples, or both refuse.

A small HTTP server shows one text a path; Prometheus scrapes each as a target of its own.
"""
import http.server
import json
import shutil
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request

from fengsui import Lab, PATIENCE, SKIPPED, free_port, run_tests, wait_for

PLAIN = "text/plain; version=0.0.4"
OPEN = "application/openmetrics-text; version=1.0.0"
NOW = int(time.time())

# (text, does Prometheus take it); where we differ on purpose stands in DIFFERENT.
PROMETHEUS = [
    ("up_to 1\n", True),
    ("# HELP a b\\nc\n# TYPE a counter\n#x\n\n  # y\na{l=\"x\\\\y\\\"z\\nw\",} 1.5e3\n", True),
    ("a{ l = \"x\" , m=\"\" }\t7\nb NaN\nc +Inf\nd -inf\ne infinity\nf -0\ng .5\nh 5.\n", True),
    (f"a 1 {NOW}123\nb 9007199254740993\nc 1e-400\nd 0.1\ne 123456789012345678901234567890\n", True),
    ("a{l=\"\\t\\q\"} 1\nb{n=\"风\"} 2\n", True),
    ("# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n", True),
    ("last 1", True),
    ("a 1\nb x\n", False),
    ("a 0x1p3\n", False),
    ("a 0x10\n", False),
    ("a 1_000\n", False),
    ("a 1e999\n", False),
    ("a +nan\n", False),
    ("a 1 1.5\n", False),
    ("a 1 2 3\n", False),
    ("a{l=\"x} 1\n", False),
    ("a{l=x} 1\n", False),
    ("a{l} 1\n", False),
    ("a{,} 1\n", False),
    ("a{1l=\"x\"} 1\n", False),
    ("1a 1\n", False),
    ("a{l=\"1\",l=\"2\"} 1\n", False),
    ("a{l=\"\xff\"} 1\n".encode("latin-1"), False),
    ("# TYPE a guage\na 1\n", False),
    ("# HELP 1a b\na 1\n", False),
    ("a\n", False),
    ("=\n", False),
]
OPENMETRICS = [
    ("# TYPE a counter\n# UNIT a_seconds seconds\n# HELP a x\na_total 1\n# EOF\n", True),
    (f"a 1 {NOW}.125\nb{{l=\"x\"}} 2\n# EOF", True),
    (f"a_total 1 # {{t=\"x\"}} 2\nb_bucket{{le=\"1\"}} 3 # {{}} 4 {NOW}.5\n# EOF\n", True),
    ("# TYPE a stateset\na{a=\"b\"} 1\n# TYPE g gaugehistogram\ng_gcount 1\n# EOF\n", True),
    ("a 1\n", False),
    ("a 1\n# EOF\nb 1\n", False),
    ("a  1\n# EOF\n", False),
    ("a 1 \n# EOF\n", False),
    ("\na 1\n# EOF\n", False),
    ("# x\na 1\n# EOF\n", False),
    ("a{ l=\"x\"} 1\n# EOF\n", False),
    ("a\t1\n# EOF\n", False),
    ("a 1\r\n# EOF\n", False),
    ("# TYPE a untyped\na 1\n# EOF\n", False),
    ("# UNIT a seconds\na 1\n# EOF\n", False),
    ("# HELP a\na 1\n# EOF\n", False),
    ("a 1 NaN\n# EOF\n", False),
    ("a_total 1 # {t} 2\n# EOF\n", False),
    ("a_total 1 # {t=\"x\"}\n# EOF\n", False),
]
# We refuse what the format has no rule for and Prometheus reads by accident, and read what it
# refuses but can only be meant one way.
DIFFERENT = [
    ("a-1 5\n", PLAIN, True, False),                   # it: a is -1 at the time 5
    ("a{l=\"1\"m=\"2\"} 1\n", PLAIN, True, False),     # no comma
    ("a 1\r\n", PLAIN, False, True),                   # lines as on Windows
    ("# TYPE a info\na 1\n", PLAIN, False, True),      # a type of OpenMetrics
]


def cases():
    out = [(text, PLAIN, taken, taken) for text, taken in PROMETHEUS]
    out += [(text, OPEN, taken, taken) for text, taken in OPENMETRICS] + DIFFERENT
    return [(t if isinstance(t, bytes) else t.encode(), *rest) for t, *rest in out]


class Texts(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        text, kind, *_ = cases()[int(self.path.rsplit("/", 1)[1])]
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def scrape_all(lab, target):
    """A Prometheus that scrapes every case once; returns its port and process."""
    port = free_port()
    folder = lab.folder / "prometheus"
    folder.mkdir()
    jobs = "".join(f"  - {{job_name: c{i}, metrics_path: /{i}, static_configs: "
                   f"[{{targets: ['127.0.0.1:{target}']}}]}}\n" for i in range(len(cases())))
    config = folder / "prometheus.yml"
    config.write_text("global: {scrape_interval: 2s, scrape_timeout: 1s}\nscrape_configs:\n" + jobs)
    with open(folder / "log", "wb") as log:
        return port, subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)


def ask(port, expression):
    query = urllib.parse.urlencode({"query": expression})
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?{query}", timeout=20) as a:
        return json.loads(a.read())["data"]["result"]


OWN = {"up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_series_added",
       "scrape_samples_post_metric_relabeling"}


def samples(result):
    return {tuple(sorted((k, v) for k, v in s["metric"].items() if k not in ("job", "instance"))):
            s["value"][1] for s in result if s["metric"]["__name__"] not in OWN}


def test_the_same_text_gives_the_same_samples():
    with Lab() as lab:
        collector = lab.collector().start()
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Texts)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port, prometheus = scrape_all(lab, server.server_port)
        try:
            wait_for(lambda: len(ask(port, "scrape_samples_scraped")) == len(cases()),
                     "every text to be scraped", 60)
            lives = {s["metric"]["job"]: s["value"][1] for s in ask(port, "up")}
            for i, (text, kind, theirs, ours) in enumerate(cases()):
                assert (lives[f"c{i}"] == "1") == theirs, (text, "Prometheus", lives[f"c{i}"])
                code, answer = collector.request(
                    "POST", f"/api/v1/import/prometheus?extra_label=job=c{i}", text,
                    {"Content-Type": kind})
                assert (code == 200) == ours, (text, code, answer)
                if theirs and ours:
                    want = samples(ask(port, f'{{job="c{i}"}}'))
                    got = samples(collector.query(f'{{job="c{i}"}}'))
                    assert got == want and want, (text, got, want)
                    # And their linter reads what we export of it.
                    _, out = collector.get("/api/v1/export/prometheus",
                                           **{"match[]": f'{{job="c{i}"}}'})
                    done = subprocess.run(["promtool", "check", "metrics"], input=out, check=False,
                                          capture_output=True, timeout=60 * PATIENCE)
                    assert b"error while linting" not in done.stderr, (out, done.stderr)
        finally:
            prometheus.terminate()
            prometheus.wait(20)
            server.shutdown()
        collector.stop()


if __name__ == "__main__":
    if shutil.which("prometheus") is None or shutil.which("promtool") is None:
        print("skipped: no prometheus here")
        sys.exit(SKIPPED)
    run_tests(globals())
