#!/usr/bin/python3
"""How long from a condition that is true on a host to the message that its channel takes.

Four systems side by side in the same minutes, each with a webhook of its own:

    fengsui 1 s            a probe at 1 s, group_wait 0 s
    fengsui default        a probe at its defaults (5 s), group_wait 0 s as in our alerting.yml
    Prometheus tuned       node_exporter, scrape and evaluation 1 s, Alertmanager with group_wait 0 s
    Prometheus default     scrape and evaluation 15 s, group_wait 30 s

condition: a program leaves a metric in a text file (which our probe and node_exporter both read)
at a random moment, a rule without `for` fires on it.  dead host: a probe or exporter that was up
is killed, `up == 0`.  Each run is a host or name of its own, so that nothing is told together.

    FENGSUI_BUILD=build/release tests/bench/latency.py [--quick] [--without-peers]

Prints tables and keeps them in BENCH_DIR (build/bench) as latency.md.  About ten minutes, most of
them the default Prometheus'; --quick a third of the runs.
"""
import http.server
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import threading
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
from fengsui import Lab, free_port, wait_for  # noqa: E402

QUICK = "--quick" in sys.argv
GOALS = {("condition", "fengsui 1 s"): "p50 ≤ 0.6, p99 ≤ 1.2",
         ("condition", "fengsui default"): "p95 ≤ 6",
         ("dead host", "fengsui 1 s"): "≤ 3.5", ("dead host", "fengsui default"): "≤ 16"}
RULES = """groups:
- name: latency
  rules:
  - alert: Condition
    expr: canary_condition > 0
  - alert: HostDown
    expr: up{job="node"} == 0
"""
ROUTE = """route:
  receiver: hook
  group_by: [alertname, name, instance]
  group_wait: %s
receivers:
- name: hook
  webhook_configs: [{url: 'http://127.0.0.1:%d/'}]
"""


class Hook(http.server.ThreadingHTTPServer):
    """Notes when it first heard of an alert, by its `name` or `instance`."""
    daemon_threads = True

    def __init__(self):
        self.seen = {}
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()
                now = time.time()
                for alert in json.loads(body)["alerts"]:
                    labels = alert["labels"]
                    what = labels.get("name") if labels["alertname"] == "Condition" \
                        else "down " + labels["instance"]
                    if alert["status"] == "firing":
                        hook.seen.setdefault(what, now)

            def log_message(self, *_):
                pass
        super().__init__(("127.0.0.1", free_port()), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class System:
    """One of the four; start() returns when a host of it is up."""

    def __init__(self, lab, name, runs, dead_runs, longest):
        self.lab, self.name, self.runs, self.dead_runs, self.longest = \
            lab, name, runs, dead_runs, longest
        self.folder = lab.folder / name.replace(" ", "-")
        self.text = self.folder / "text"
        self.text.mkdir(parents=True)
        self.hook = Hook()
        self.rng = random.Random(name)
        self.results = {"condition": [], "dead host": []}
        self.error = None

    def conditions(self):
        for run in range(self.runs):
            name = f"canary{run:03}"
            file = self.text / f"{name}.prom"
            fresh = self.text / f"{name}.new"
            time.sleep(self.rng.uniform(0, self.phase))  # a random moment of the period
            fresh.write_text(f'canary_condition{{name="{name}"}} 1\n')
            started = time.time()
            fresh.rename(file)
            wait_for(lambda n=name: n in self.hook.seen, f"{self.name}: {name}", self.longest, 0.002)
            self.results["condition"].append(self.hook.seen[name] - started)
            file.unlink()

    def dead_hosts(self):
        for run in range(self.dead_runs):
            host = f"dead{run:03}"
            process = self.new_host(host)
            time.sleep(self.rng.uniform(0, self.phase))
            started = time.time()
            process.kill()
            process.wait()
            key = f"down {host}"
            wait_for(lambda k=key: k in self.hook.seen, f"{self.name}: {host} is down",
                     self.longest, 0.002)
            self.results["dead host"].append(self.hook.seen[key] - started)

    def run(self):
        try:
            self.conditions()
            self.dead_hosts()
        except Exception as error:  # told at the end, with what there is
            self.error = error


class Ours(System):
    def __init__(self, lab, interval, *sizes):
        super().__init__(lab, "fengsui " + ("default" if interval is None else f"{interval} s"),
                         *sizes)
        self.interval, self.phase = interval, interval or 5

    def start(self):
        (self.folder / "rules.yml").write_text(RULES)
        (self.folder / "alerting.yml").write_text(ROUTE % ("0s", self.hook.server_port))
        self.collector = self.lab.collector(
            f"rules: {{evaluation_interval: 15s, files: [{self.folder}/rules.yml]}}\n"
            f"alerting: {self.folder}/alerting.yml\n", name=self.folder.name).start()
        self.new_host("host")

    def new_host(self, host):
        folder = self.folder / host
        folder.mkdir()
        own = f"sources: {{textfile: {{directories: [{self.text}]}}}}\n" if host == "host" else ""
        (folder / "probe.yml").write_text(f"instance: {host}\n{own}")
        probe = self.lab.probe(self.collector, name=f"{self.folder.name}/{host}",
                               interval=f"{self.interval or 5}s",
                               flags=["--config", folder / "probe.yml"]).start()
        wait_for(lambda: self.collector.value(f'up{{instance="{host}"}}') == 1,
                 f"{host} is up", 60, 0.1)
        wait_for(lambda: self.collector.query(f'node_load1{{instance="{host}"}}'), "its samples")
        return probe.process


class Peers(System):
    def __init__(self, lab, interval, wait, kind, *sizes):
        super().__init__(lab, f"Prometheus {kind}", *sizes)
        self.interval, self.wait, self.phase = interval, wait, interval
        self.processes, self.targets = [], {}

    def spawn(self, *command):
        with open(self.folder / "log", "ab") as log:
            process = subprocess.Popen([str(c) for c in command], stdout=log, stderr=log,
                                       cwd=self.folder)
        self.processes.append(process)
        return process

    def start(self):
        (self.folder / "rules.yml").write_text(RULES)
        (self.folder / "alertmanager.yml").write_text(
            ROUTE % (f"{self.wait}s", self.hook.server_port))
        self.port, manager = free_port(), free_port()
        self.write_targets()
        (self.folder / "prometheus.yml").write_text(f"""global:
  scrape_interval: {self.interval}s
  evaluation_interval: {self.interval}s
rule_files: [rules.yml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{manager}']}}]}}]}}
scrape_configs:
- job_name: node
  scrape_timeout: {min(self.interval, 10)}s
  file_sd_configs: [{{files: [targets.json], refresh_interval: 1s}}]
""")
        self.spawn("prometheus-alertmanager", f"--config.file={self.folder}/alertmanager.yml",
                   f"--storage.path={self.folder}/manager",
                   f"--web.listen-address=127.0.0.1:{manager}", "--cluster.listen-address=")
        self.spawn("prometheus", f"--config.file={self.folder}/prometheus.yml",
                   f"--storage.tsdb.path={self.folder}/data",
                   f"--web.listen-address=127.0.0.1:{self.port}")
        self.new_host("host")

    def write_targets(self):
        fresh = self.folder / "targets.new"
        fresh.write_text(json.dumps([{"targets": [f"127.0.0.1:{port}"], "labels": {"instance": h}}
                                     for h, port in self.targets.items()]))
        fresh.rename(self.folder / "targets.json")

    def is_up(self, host):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/query?query=up%7Binstance"
                                    f"=%22{host}%22%7D", timeout=10) as answer:
            result = json.loads(answer.read())["data"]["result"]
        return bool(result) and result[0]["value"][1] == "1"

    def new_host(self, host):
        port = free_port()
        process = self.spawn("prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{port}",
                             f"--collector.textfile.directory={self.text}")
        # Those that are dead already would be told again and again.
        self.targets = {h: p for h, p in self.targets.items() if h == "host"}
        self.targets[host] = port
        self.write_targets()
        wait_for(lambda: self.is_up(host), f"{self.name}: {host} is up", 120, 0.1)
        return process

    def stop(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()


def row(system, kind, base):
    found = sorted(system.results[kind])
    if not found:
        return [system.name, "0"] + [""] * 6
    cuts = statistics.quantiles(found, n=100, method="inclusive") if len(found) > 1 else found * 99
    ratio = f"{cuts[49] / base:.1f}" if base else ""
    return [system.name, str(len(found))] + [
        f"{x:.2f}" for x in (cuts[49], cuts[94], cuts[98], found[-1])] + [
            ratio, GOALS.get((kind, system.name), "")]


def report(systems):
    load = os.getloadavg()
    text = f"Seconds; load average at the end {load[0]:.1f} {load[1]:.1f} {load[2]:.1f}, " \
           f"{os.cpu_count()} cores.  Ratio: median by the one of fengsui 1 s.\n"
    for kind in ("condition", "dead host"):
        text += f"\n| {kind} | runs | p50 | p95 | p99 | max | ratio | goal |\n" + \
            "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
        first = systems[0].results[kind]
        base = statistics.median(first) if first else 0
        text += "".join(f"| {' | '.join(row(s, kind, base))} |\n" for s in systems)
    for system in systems:
        if system.error:
            text += f"\n{system.name} ended early: {system.error}\n"
    print(text)
    place = pathlib.Path(os.environ.get("BENCH_DIR", "build/bench"))
    place.mkdir(parents=True, exist_ok=True)
    (place / "latency.md").write_text(text)


def main():
    less = 3 if QUICK else 1
    peers = "--without-peers" not in sys.argv and all(
        shutil.which(p) for p in ("prometheus", "prometheus-alertmanager",
                                  "prometheus-node-exporter"))
    with Lab() as lab:
        systems = [Ours(lab, 1, 90 // less, 12 // less, 60),
                   Ours(lab, None, 36 // less, 8 // less, 60)]
        if peers:
            systems += [Peers(lab, 1, 0, "tuned", 90 // less, 12 // less, 60),
                        Peers(lab, 15, 30, "default", 9 // less, 4 // less + 1, 150)]
        try:
            for system in systems:
                system.start()
            threads = [threading.Thread(target=system.run) for system in systems]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            for system in systems:
                if isinstance(system, Peers):
                    system.stop()
    report(systems)
    sys.exit(any(system.error for system in systems))


if __name__ == "__main__":
    main()
