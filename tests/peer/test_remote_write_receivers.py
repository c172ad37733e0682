"""A real Prometheus and a real VictoriaMetrics get what we store, through an outage of both.

They die and come back, so does the collector, twice, once with a backlog that its log does not hold
any more; then every sample is the same at all three, and so are the answers to queries.
"""
import json
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

from fengsui import Lab, SKIPPED, free_port, run_tests, wait_for
from remote_message import STALE, metadata, series, write

CONFIG = """
remote_write:
  - {{url: "http://127.0.0.1:{prometheus}/api/v1/write", name: prometheus, queue_config: {queue},
     metadata_config: {{send_interval: 1s}},
     write_relabel_configs: [{{source_labels: [job], regex: fengsui-collector, action: drop}},
                             {{target_label: site, replacement: unicom}}]}}
  - {{url: "http://127.0.0.1:{victoria}/api/v1/write", name: victoria, queue_config: {queue},
     write_relabel_configs: [{{source_labels: [job], regex: fengsui-collector, action: drop}},
                             {{target_label: site, replacement: unicom}}]}}
"""
QUEUE = ("{batch_send_deadline: 100ms, max_samples_per_send: 200, max_shards: 8, "
         "min_backoff: 20ms, max_backoff: 200ms}")
SERIES = 20


class Peer:
    def __init__(self, lab, name, command):
        self.port, self.name, self.process = free_port(), name, None
        self.folder = lab.folder / name
        self.folder.mkdir()
        self.command = command(self)

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, cwd=self.folder)
        wait_for(lambda: self.get("/-/healthy" if self.name == "prometheus" else "/health"),
                 self.name, 30)

    def end(self, number=signal.SIGTERM):
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(60)
            self.process = None

    def get(self, path, **parameters):
        query = "?" + urllib.parse.urlencode(parameters) if parameters else ""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}{query}", timeout=20) as a:
            return a.read()

    def ask(self, expression, at):
        return json.loads(self.get("/api/v1/query", query=expression, time=at))["data"]["result"]


def prometheus_command(peer):
    (peer.folder / "prometheus.yml").write_text("global: {}\n")
    return ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data",
            f"--web.listen-address=127.0.0.1:{peer.port}", "--web.enable-remote-write-receiver",
            "--log.level=warn"]


def victoria_command(peer):
    return ["victoria-metrics", "-storageDataPath=data", f"-httpListenAddr=127.0.0.1:{peer.port}",
            "-retentionPeriod=12", "-loggerLevel=WARN"]


def key(metric):
    return tuple(sorted((k, v) for k, v in metric.items() if k != "site"))


class Load:
    """Some series that go up, one that ends with a marker; a step a second, in the last hour."""

    def __init__(self, collector):
        self.collector, self.step = collector, 0
        self.base_ms = (int(time.time()) - 3000) * 1000

    def send(self, steps):
        first, self.step = self.step, self.step + steps
        message = metadata("requests_total", 1, "how many")
        for part in range(SERIES):
            message += series({"__name__": "requests_total", "part": f"{part:02}", "zone": "gov"},
                              [(s * (part + 0.5), self.base_ms + s * 1000)
                               for s in range(first, self.step)])
        message += series({"__name__": "ends"},
                          [(STALE if s > 30 else s, self.base_ms + s * 1000)
                           for s in range(first, min(self.step, 32))]) if first < 32 else b""
        code, text = write(self.collector, message)
        assert code == 204, text

    def now(self):
        return (self.base_ms + (self.step - 1) * 1000) / 1000


def samples_at(ask, at):
    return {key(s["metric"]): [(round(t * 1000), v) for t, v in s["values"]]
            for s in ask('requests_total[2h]', at)}


def victoria_samples(peer):
    found = {}
    for line in peer.get("/api/v1/export", **{"match[]": "requests_total"}).splitlines():
        row = json.loads(line)
        rows = sorted(zip(row["timestamps"], row["values"]))
        found.setdefault(key(row["metric"]), []).extend(rows)
    return found


def as_numbers(found):
    return {k: [(t, float(v)) for t, v in rows] for k, rows in found.items()}


def test_both_have_all_after_an_outage():
    with Lab() as lab:
        prometheus = Peer(lab, "prometheus", prometheus_command)
        victoria = Peer(lab, "victoria", victoria_command)
        try:
            prometheus.start()
            victoria.start()
            collector = lab.collector(CONFIG.format(
                prometheus=prometheus.port, victoria=victoria.port, queue=QUEUE)).start()
            load = Load(collector)
            load.send(20)
            wait_for(lambda: len(prometheus.ask("requests_total", load.now())) == SERIES
                     and len(victoria_samples(victoria)) == SERIES, "the first samples", 30)
            # Prometheus owns what it acknowledged even after this; VictoriaMetrics keeps the
            # newest in memory and asks for a friendlier end.
            prometheus.end(signal.SIGKILL)
            victoria.end()
            for _ in range(20):
                load.send(20)
            collector.stop()  # cuts the log: what waits is spilled
            collector.start()
            load.send(100)
            collector.kill()
            collector.start()
            load.send(100)
            prometheus.start()
            victoria.start()

            def pending():
                text = collector.get("/metrics")[1].decode()
                return [float(line.split()[-1]) for line in text.splitlines()
                        if line.startswith("fengsui_collector_remote_out_samples_pending{")]
            wait_for(lambda: sum(pending()) == 0, "the backlog to be taken", 60)
            at = load.now()
            ours = as_numbers(samples_at(collector.query, at))
            assert len(ours) == SERIES and all(len(v) == load.step for v in ours.values())
            wait_for(lambda: as_numbers(samples_at(prometheus.ask, at)) == ours,
                     "the same samples at Prometheus", 30)
            wait_for(lambda: as_numbers(victoria_samples(victoria)) == ours,
                     "the same samples at VictoriaMetrics", 30)
            # What all three define alike: the ends of ranges they do not.
            for expression in ("sum(requests_total)", "max by (part) (requests_total)",
                               'count(requests_total{site="unicom"})',
                               "sum by (zone) (max_over_time(requests_total[5m]))"):
                mine = {key(s["metric"]): float(s["value"][1])
                        for s in collector.query(expression.replace('{site="unicom"}', ""), at)}
                for peer in (prometheus, victoria):
                    other = {key(s["metric"]): float(s["value"][1])
                             for s in peer.ask(expression, at)}
                    assert mine == other, (expression, peer.name, mine, other)
            # A series that ended has ended there, too, at once and not five minutes later.
            ended = (load.base_ms + 31_000) / 1000
            assert prometheus.ask("ends", ended - 1) and not prometheus.ask("ends", ended)
            assert collector.query("ends", ended - 1) and not collector.query("ends", ended)
            known = json.loads(prometheus.get("/api/v1/status/tsdb"))["data"]
            assert known["headStats"]["numSeries"] >= SERIES + 1
            text = collector.get("/metrics")[1].decode()
            for what in ("samples_refused_total", "samples_lost_total", "commits_lost_total"):
                for line in text.splitlines():
                    if line.startswith(f"fengsui_collector_remote_out_{what}"):
                        assert line.endswith(" 0"), line
            collector.stop()
        finally:
            prometheus.end(signal.SIGKILL)
            victoria.end(signal.SIGKILL)


if __name__ == "__main__":
    if shutil.which("prometheus") is None or shutil.which("victoria-metrics") is None:
        print("prometheus and victoria-metrics are not installed")
        sys.exit(SKIPPED)
    run_tests(globals())
