#!/usr/bin/python3
"""How long from a condition that is true on a host to the notification that leaves.

A probe at 1 s, a rule without `for`, a webhook.  Each run starts a process of a new name at a
random moment and waits for the webhook that names it.  Prints the distribution.

    FENGSUI_BUILD=build/release tests/bench/latency.py [RUNS]
"""
import http.server
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
from fengsui import Lab, free_port, wait_for  # noqa: E402

RUNS = int(sys.argv[1]) if len(sys.argv) > 1 else 30

RULES = """groups:
- name: canary
  rules:
  - alert: CanaryRuns
    expr: namedprocess_namegroup_num_procs{groupname=~"canary.*"} > 0
"""
ALERTING = """route:
  receiver: hook
  group_by: [groupname]
  group_wait: 0s
  group_interval: 1s
receivers:
- name: hook
  webhook_configs: [{url: "http://127.0.0.1:%d/"}]
"""


class Hook(http.server.ThreadingHTTPServer):
    def __init__(self):
        super().__init__(("127.0.0.1", free_port()), Handler)
        self.seen = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        now = time.time()
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        for word in body.split('"'):
            if word.startswith("canary"):
                self.server.seen.setdefault(word, now)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def main():
    rng = random.Random(1)
    delays = []
    with Lab() as lab:
        hook = Hook()
        (lab.folder / "rules.yml").write_text(RULES)
        (lab.folder / "alerting.yml").write_text(ALERTING % hook.server_port)
        config = f"rules: {{evaluation_interval: 15s, files: [{lab.folder}/rules.yml]}}\n" \
                 f"alerting: {lab.folder}/alerting.yml\n"
        collector = lab.collector(config).start()
        (lab.folder / "probe.yml").write_text("sources: {processes: {interval: 1s}}\n")
        probe = lab.probe(collector, flags=["--config", lab.folder / "probe.yml"]).start()
        wait_for(lambda: collector.query("namedprocess_namegroup_num_procs"), "process groups")
        for run in range(RUNS):
            name = f"canary{run:03d}"
            program = lab.folder / name
            shutil.copy("/bin/sleep", program)
            time.sleep(rng.uniform(1, 2))  # a random moment of the tick
            started = time.time()
            process = subprocess.Popen([str(program), "600"])
            try:
                wait_for(lambda: name in hook.seen, f"the webhook of {name}", 20, 0.002)
            finally:
                process.kill()
                process.wait()
            delays.append(hook.seen[name] - started)
        probe.stop()
        collector.stop()
    delays.sort()
    quantiles = statistics.quantiles(delays, n=100, method="inclusive")
    print(f"{RUNS} runs, probe interval 1 s, ms: min {delays[0] * 1e3:.0f}  "
          f"p50 {quantiles[49] * 1e3:.0f}  p90 {quantiles[89] * 1e3:.0f}  "
          f"p99 {quantiles[98] * 1e3:.0f}  max {delays[-1] * 1e3:.0f}")
    print("all:", " ".join(f"{d * 1e3:.0f}" for d in delays))


if __name__ == "__main__":
    main()
