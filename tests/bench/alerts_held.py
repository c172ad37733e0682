#!/usr/bin/python3
"""What ten thousand active alerts cost: memory, the time to list them, and what else waits.

Ours and Alertmanager, one after the other: each gets the same alerts by POST /api/v2/alerts, each
alert a group of its own that is told to the same webhook, and is then asked for all of them.
Ours is asked by its other interfaces as well, and remote writes are timed beside that.

    FENGSUI_BUILD=build/release tests/bench/alerts_held.py [ALERTS] [REQUESTS]

Prints a table and keeps it in BENCH_DIR (build/bench) as alerts_held.md.  Goals: at most 100 MB
more while they are held, p99 of /api/v1/alerts and /api/v2/alerts at most 200 ms.
"""
import http.server
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
import alert_kit as kit  # noqa: E402

ALERTS = int(sys.argv[1]) if len(sys.argv) > 1 else 10000
REQUESTS = int(sys.argv[2]) if len(sys.argv) > 2 else 200
AT_ONCE = 500  # alerts of one POST
HELD_SECONDS = 65  # what a burst left behind is gone by then
RULES = """groups:
- name: held
  rules:
  - {alert: Held, expr: held > 0, labels: {severity: warning},
     annotations: {summary: '{{ $labels.instance }} 的指标为 {{ $value }}'}}
"""
ALERTING = """route:
  receiver: hook
  group_by: ['...']
  group_wait: 0s
  group_interval: 5m
receivers:
- name: hook
  webhook_configs: [{url: 'http://127.0.0.1:%d/'}]
"""


class Hook(http.server.ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True

    def __init__(self):
        self.count, self.lock = 0, threading.Lock()
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                with hook.lock:
                    hook.count += 1
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


def memory_kib(pid):
    """(RSS, anonymous): the latter without pages of files, which the system may take any time."""
    rows = dict(line.split(":") for line in
                pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    return tuple(int(rows[name].split()[0]) for name in ("Rss", "Anonymous"))


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def call(port, path, body=None):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}",
                                     None if body is None else json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


def timed(what, times):
    """Milliseconds: (median, p99, worst)."""
    spent = []
    for _ in range(times):
        start = time.monotonic()
        what()
        spent.append((time.monotonic() - start) * 1e3)
    spent.sort()
    return statistics.median(spent), spent[min(len(spent) - 1, int(len(spent) * 0.99))], spent[-1]


def alert(i):
    return {"labels": {"alertname": "HostDiskFull", "severity": "warning",
                       "instance": f"web{i:05}", "job": "node", "mountpoint": "/data/app",
                       "site": "unicom", "device": "/dev/mapper/vg0-data"},
            "annotations": {"summary": f"web{i:05} 的 /data/app 只剩 3% 可用",
                            "description": "先看日志是否没有轮转，再看上传目录。"},
            "generatorURL": "http://127.0.0.1:9470/graph?g0.expr=disk_free_ratio+%3C+0.05"}


def post(port):
    start = time.monotonic()
    for first in range(0, ALERTS, AT_ONCE):
        call(port, "/api/v2/alerts", [alert(i) for i in range(first, min(first + AT_ONCE, ALERTS))])
    return time.monotonic() - start


def settle(hook, pid):
    """Until every group was told and the processor rests."""
    kit.wait_for(lambda: hook.count >= ALERTS, 300, "a message of every alert")
    told = time.monotonic()

    def rests():
        before = cpu_seconds(pid)
        time.sleep(1)
        return cpu_seconds(pid) - before < 0.05
    kit.wait_for(rests, 60, "rest")
    return told


def rest_cpu(pid, seconds=5):
    before = cpu_seconds(pid)
    time.sleep(seconds)
    return (cpu_seconds(pid) - before) / seconds * 100


def measure(name, port, pid, hook, paths, rows):
    call(port, paths[0])
    rss, anonymous = memory_kib(pid)
    start, cpu = time.monotonic(), cpu_seconds(pid)
    posting = post(port)
    told = settle(hook, pid) - start
    rss_after, anonymous_after = memory_kib(pid)
    rows.append((name, "POST of all, s", f"{posting:.2f}"))
    rows.append((name, "all told, s", f"{told:.1f}"))
    rows.append((name, "processor until then, s", f"{cpu_seconds(pid) - cpu:.1f}"))
    rows.append((name, "memory idle, RSS / anonymous MiB",
                 f"{rss / 1024:.0f} / {anonymous / 1024:.0f}"))
    rows.append((name, "more when all are told, RSS / anonymous MiB",
                 f"{(rss_after - rss) / 1024:.1f} / {(anonymous_after - anonymous) / 1024:.1f}"))
    rows.append((name, "processor at rest, % of a core", f"{rest_cpu(pid):.1f}"))
    for path in paths:
        size = len(call(port, path))
        median, p99, worst = timed(lambda p=path: call(port, p), REQUESTS)
        rows.append((name, f"GET {path} ({size / 1e6:.1f} MB), ms p50 / p99 / max",
                     f"{median:.0f} / {p99:.0f} / {worst:.0f}"))
    time.sleep(HELD_SECONDS)
    rss_asked, anonymous_asked = memory_kib(pid)
    rows.append((name, "more while they are held, RSS / anonymous MiB",
                 f"{(rss_asked - rss) / 1024:.1f} / {(anonymous_asked - anonymous) / 1024:.1f}"))


def write_latency(collector):
    """Remote writes of one sample: what an acknowledged batch waits for."""
    return timed(lambda: collector.write(("other", {"instance": "web01"}, 1)), REQUESTS)


def ours(rows):
    hook = Hook()
    collector = kit.Collector(RULES, ALERTING % hook.server_port)
    name = "fengsui"
    try:
        for _ in range(5):
            collector.write(("other", {"instance": "web01"}, 1))
        rows.append((name, "remote write without alerts, ms p50 / p99 / max",
                     "%.1f / %.1f / %.1f" % write_latency(collector)))
        measure(name, collector.http, collector.process.pid, hook,
                ["/api/v2/alerts", "/api/v2/alerts/groups", "/api/fengsui/v1/alerts"], rows)
        rows.append((name, "remote write with alerts, ms p50 / p99 / max",
                     "%.1f / %.1f / %.1f" % write_latency(collector)))
        stop = threading.Event()

        def ask():
            while not stop.is_set():
                call(collector.http, "/api/v2/alerts")
        asker = threading.Thread(target=ask)
        asker.start()
        rows.append((name, "remote write while alerts are listed, ms p50 / p99 / max",
                     "%.1f / %.1f / %.1f" % write_latency(collector)))
        rows.append((name, "GET /-/ready while alerts are listed, ms p50 / p99 / max",
                     "%.1f / %.1f / %.1f" % timed(lambda: call(collector.http, "/-/ready"),
                                                  REQUESTS)))
        rows.append((name, "POST of one alert while they are listed, ms p50 / p99 / max",
                     "%.1f / %.1f / %.1f" % timed(
                         lambda: call(collector.http, "/api/v2/alerts", [alert(0)]), REQUESTS)))
        stop.set()
        asker.join()
        collector.close()
    finally:
        if collector.process.poll() is None:
            collector.kill()
        hook.shutdown()


def ours_by_rule(rows):
    """The same number of a rule's own."""
    hook = Hook()
    collector = kit.Collector(RULES, ALERTING % hook.server_port, interval="15s")
    name = "fengsui, own rule"
    try:
        collector.write(("held", {"instance": "none"}, 0))
        rss, anonymous = memory_kib(collector.process.pid)
        start = time.monotonic()
        for first in range(0, ALERTS, 1000):
            collector.write(*[("held", {"instance": f"web{i:05}", "job": "node"}, 1)
                              for i in range(first, min(first + 1000, ALERTS))])
        told = settle(hook, collector.process.pid) - start
        rss_after, anonymous_after = memory_kib(collector.process.pid)
        rows.append((name, "all told, s", f"{told:.1f}"))
        rows.append((name, "more when all are told, and their series, RSS / anonymous MiB",
                     f"{(rss_after - rss) / 1024:.1f} / {(anonymous_after - anonymous) / 1024:.1f}"))
        for path in ("/api/v1/alerts", "/api/v2/alerts", "/api/fengsui/v1/alerts"):
            size = len(call(collector.http, path))
            median, p99, worst = timed(lambda p=path: call(collector.http, p), REQUESTS)
            rows.append((name, f"GET {path} ({size / 1e6:.1f} MB), ms p50 / p99 / max",
                         f"{median:.0f} / {p99:.0f} / {worst:.0f}"))
        time.sleep(HELD_SECONDS)
        rss_held, anonymous_held = memory_kib(collector.process.pid)
        rows.append((name, "more while they are held, RSS / anonymous MiB",
                     f"{(rss_held - rss) / 1024:.1f} / {(anonymous_held - anonymous) / 1024:.1f}"))
        collector.close()
    finally:
        if collector.process.poll() is None:
            collector.kill()
        hook.shutdown()


def alertmanager(rows):
    hook = Hook()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="fengsui-held-"))
    (folder / "alertmanager.yml").write_text(ALERTING % hook.server_port)
    port = kit.free_port()
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            [shutil.which("prometheus-alertmanager"), f"--config.file={folder}/alertmanager.yml",
             f"--storage.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}",
             "--cluster.listen-address="], stdout=log, stderr=log)
    try:
        def ready():
            try:
                return call(port, "/-/ready")
            except OSError:
                return None
        kit.wait_for(ready, 30, "Alertmanager")
        measure("Alertmanager", port, process.pid, hook,
                ["/api/v2/alerts", "/api/v2/alerts/groups"], rows)
    finally:
        process.kill()
        process.wait()
        hook.shutdown()
        shutil.rmtree(folder)


def main():
    rows = []
    ours(rows)
    ours_by_rule(rows)
    if shutil.which("prometheus-alertmanager"):
        alertmanager(rows)
    load = os.getloadavg()
    text = f"{ALERTS} active alerts, {REQUESTS} requests of each kind; load average at the end " \
           f"{load[0]:.1f} {load[1]:.1f} {load[2]:.1f}\n\n| | what | value |\n| --- | --- | --- |\n"
    text += "".join(f"| {' | '.join(row)} |\n" for row in rows)
    print(text)
    place = pathlib.Path(os.environ.get("BENCH_DIR", "build/bench"))
    place.mkdir(parents=True, exist_ok=True)
    (place / "alerts_held.md").write_text(text)


if __name__ == "__main__":
    main()
