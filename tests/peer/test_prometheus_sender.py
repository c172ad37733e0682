"""A real Prometheus writes to us, and its own tools read what we answer.

Prometheus scrapes itself and remote-writes to the collector; then every sample that both hold must
be the same in both, promtool must be able to query us, and /metrics must satisfy its linter.
"""
import json
import shutil
import subprocess
import sys
import time
import urllib.parse
import urllib.request

from fengsui import Lab, PATIENCE, SKIPPED, free_port, run_tests, wait_for

CONFIG = """
global: {{scrape_interval: 1s, external_labels: {{sender: peer}}}}
scrape_configs:
  - job_name: self
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
remote_write:
  - url: http://127.0.0.1:{collector}/api/v1/write
    metadata_config: {{send_interval: 1s}}
    queue_config: {{batch_send_deadline: 500ms}}
"""


def ask(port, expression, at):
    query = urllib.parse.urlencode({"query": expression, "time": at})
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?{query}", timeout=20) as a:
        return json.loads(a.read())["data"]["result"]


def key(metric):
    return tuple(sorted((k, v) for k, v in metric.items() if k != "sender"))


class Prometheus:
    def __init__(self, lab, collector):
        self.port = free_port()
        self.folder = lab.folder / "prometheus"
        self.folder.mkdir()
        config = self.folder / "prometheus.yml"
        config.write_text(CONFIG.format(port=self.port, collector=collector.http))
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={self.folder}/data",
                 f"--web.listen-address=127.0.0.1:{self.port}"], stdout=log, stderr=log)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)


def test_prometheus_writes_and_both_answer_the_same():
    with Lab() as lab:
        collector = lab.collector().start()
        with Prometheus(lab, collector) as prometheus:
            wait_for(lambda: (collector.value('count_over_time(up{job="self"}[5m])') or 0) >= 8,
                     "eight scrapes to arrive", 60)
            # A time that both have surely passed, looked back at from the same instant.
            at = int(time.time()) - 3
            ours = {key(s["metric"]): s["values"]
                    for s in collector.query('{job="self"}[4s]', at)}
            theirs = {key(s["metric"]): s["values"]
                      for s in ask(prometheus.port, '{job="self"}[4s]', at)}
            assert len(theirs) > 300, len(theirs)
            assert set(ours) == set(theirs), set(ours) ^ set(theirs)
            different = [k for k in theirs if ours[k] != theirs[k]]
            assert not different, (len(different), different[0], ours[different[0]],
                                   theirs[different[0]])
            # What 2.x and 3.x define alike (rate's ends and extrapolation differ).
            for expression in ("sum by (code) (prometheus_http_requests_total)",
                               'count by (job) ({job="self"})', "go_goroutines * 2 > 1",
                               "max_over_time(go_goroutines[3s]) - on(instance) group_left up",
                               "histogram_quantile(0.9, prometheus_http_response_size_bytes_bucket)"
                               ):
                mine, other = ({key(s["metric"]): s["value"] for s in result} for result in (
                    collector.query(expression, at), ask(prometheus.port, expression, at)))
                assert mine == other and mine, (expression, mine, other)
            known = wait_for(lambda: collector.json("/api/v1/metadata",
                                                    metric="prometheus_http_requests_total")["data"],
                             "metadata", 20)
            assert known["prometheus_http_requests_total"][0]["type"] == "counter", known
            metrics = collector.get("/metrics")[1].decode()
            for line in metrics.splitlines():
                if line.startswith("fengsui_collector_remote_write_samples_rejected_total"):
                    assert line.endswith(" 0"), line
        collector.stop()


def promtool(*arguments, typed=None):
    return subprocess.run(["promtool", *arguments], input=typed, text=True, capture_output=True,
                          timeout=60 * PATIENCE, check=False)


def test_promtool_reads_us():
    with Lab() as lab:
        collector = lab.collector().start()
        url = f"http://127.0.0.1:{collector.http}"
        wait_for(lambda: collector.query("fengsui_collector_http_requests_total")
                 or collector.query('{__name__=~"fengsui_collector.+"}'), "own samples", 30)
        done = promtool("query", "instant", url, "vector(1)")
        assert done.returncode == 0 and "=> 1 @" in done.stdout, done
        now = int(time.time())
        done = promtool("query", "range", f"--start={now - 60}", f"--end={now}", "--step=30s", url,
                        "1 + 1")
        assert done.returncode == 0 and done.stdout.count("2 @") == 3, done
        done = promtool("query", "labels", url, "__name__")
        assert done.returncode == 0 and "fengsui_collector" in done.stdout, done
        done = promtool("query", "series", "--match={__name__=~\"fengsui_.*\"}", url)
        assert done.returncode == 0 and "fengsui_collector" in done.stdout, done
        metrics = collector.get("/metrics")[1].decode()
        done = promtool("check", "metrics", typed=metrics)
        assert done.returncode == 0, done.stdout + done.stderr
        collector.stop()


if __name__ == "__main__":
    if shutil.which("prometheus") is None or shutil.which("promtool") is None:
        print("prometheus and promtool are not installed")
        sys.exit(SKIPPED)
    run_tests(globals())
