#!/usr/bin/env python3
"""What an agent costs on a host: CPU, memory, wire bytes, series, start-up.

usage: agents.py [-d DUMMIES] [-t SECONDS] [-r ROUNDS] AGENT...     (no AGENT: all)

DUMMIES sleeping processes make the host look busy.  Peers are scraped once a second by a client
that is not counted; our probe pushes to a collector that is not counted.  One agent after the
other, in ROUNDS (3) that share the SECONDS; medians count.  From the start to the first batch is measured
by itself, with a collector that only counts.  Results: results/agents.jsonl, and agents.md in the
work folder.
"""
import http.client
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time

import agents_table
from place import (BUILD, LIVE, PORTABLE, ROOT, RUN, end_all, fine_cpu, keep, log, make_folders,
                   output, smaps)
from servers import Fengsui

sys.path.insert(0, ROOT + "/tests/integration")
import probe_collector  # noqa: E402

WARM_SECONDS = 3
QUARTERS = 4


def write(path, text):
    with open(path, "w") as f:
        f.write(text)
    return path


def start(command, folder):
    with open(folder + "/log", "ab") as f:
        process = subprocess.Popen(command, stdout=f, stderr=subprocess.STDOUT, cwd=folder)
    LIVE.append(process)
    return process


def stop(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Exporter:
    """Something that is scraped."""
    interval_s = 1

    def __init__(self, folder, command, port):
        self.port, self.connection = port, None
        self.process = start(command, folder)

    def scrape(self, gzip=True):
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            self.connection.request("GET", "/metrics", headers={
                "Accept-Encoding": "gzip" if gzip else "identity"})
            return self.connection.getresponse().read()
        except Exception:
            self.connection.close()
            self.connection = None
            raise

    def ready(self):
        try:
            return bool(self.scrape())
        except Exception:
            return False

    def cycle(self):
        self.scrape()

    def begin(self):
        pass

    def facts(self, seconds):
        lines = self.scrape(False).decode(errors="replace").split("\n")
        series = sum(1 for line in lines if line and line[0] != "#")
        wire = len(self.scrape(True))
        return dict(series=series, wire_bytes_per_cycle=wire,
                    wire_bytes_per_sample=round(wire / series, 3))

    def end(self):
        stop(self.process)


def node_exporter(folder):
    return Exporter(folder, ["prometheus-node-exporter", "--web.listen-address=127.0.0.1:19101"],
                    19101)


def process_exporter(folder):
    config = write(folder + "/names.yml",
                   'process_names:\n  - name: "{{.Comm}}"\n    cmdline:\n    - ".+"\n')
    return Exporter(folder, ["prometheus-process-exporter", "-config.path", config,
                             "-threads=false", "-web.listen-address=127.0.0.1:19102"], 19102)


class Probe:
    """Our probe, every source once a second, and a collector to take what it says."""
    interval_s = None  # it has a clock of its own

    def __init__(self, folder, program, processes="{interval: 1s}"):
        self.server = Fengsui()
        self.server.port += 100
        collector = folder + "/collector"
        os.makedirs(collector)
        self.collector = start(self.server.command(collector), folder)
        keys = collector + "/data/keys/"
        deadline = time.monotonic() + 30
        while not (self.collector_answers() and os.path.exists(keys + "enrol.token")):
            if time.monotonic() > deadline or self.collector.poll() is not None:
                raise RuntimeError("no collector: " + open(folder + "/log").read()[-1000:])
            time.sleep(0.05)
        config = write(folder + "/probe.yml", f"sources:\n  processes: {processes}\n")
        self.process = start(
            [program, "--config", config, "--collector", self.server.endpoint(),
             "--collector-key", keys + "collector.pub", "--token", keys + "enrol.token",
             "--state", folder + "/state", "--interval", "1s"], folder)

    def collector_answers(self):
        try:
            self.server.get("/-/ready", timeout=2)
            return True
        except Exception:
            return False

    def accepted(self):
        return self.server.counter("fengsui_collector_ingest_samples_total")

    def ready(self):
        return self.accepted() > 0

    def cycle(self):
        pass

    def sent(self):
        """Bytes the probe has put on its TCP connection, by the kernel's count."""
        text = output(["ss", "-tinHO", "state", "established",
                       f"dport = :{self.server.port + 1}"])
        return sum(int(x) for x in re.findall(r"bytes_sent:(\d+)", text))

    def begin(self):
        self.sent0, self.samples0 = self.sent(), self.accepted()

    def facts(self, seconds):
        sent, samples = self.sent() - self.sent0, self.accepted() - self.samples0
        return dict(series=round(samples / seconds), wire_bytes_per_cycle=round(sent / seconds),
                    wire_bytes_per_sample=round(sent / max(samples, 1), 3))

    def end(self):
        stop(self.process)
        stop(self.collector)


AGENTS = {
    "node_exporter": node_exporter,
    "process_exporter": process_exporter,
    "fengsui-probe": lambda folder: Probe(folder, BUILD + "/fengsui-probe"),
    "fengsui-probe portable": lambda folder: Probe(folder, PORTABLE),
    "fengsui-probe portable, no processes": lambda folder: Probe(folder, PORTABLE,
                                                                 "{enabled: false}"),
}
STARTS = {"fengsui-probe": BUILD + "/fengsui-probe", "fengsui-probe portable": PORTABLE}


def start_once(program):
    """Milliseconds from the start to the first batch, and of processor until then.  The state folder
    is there, as after any start but the first."""
    folder = RUN + "/start"
    os.makedirs(folder, exist_ok=True)
    collector, found = probe_collector.Collector(), {}
    take = collector.batches

    def batches(peer, group):
        found.setdefault("ms", (time.monotonic() - begun) * 1e3)
        found.setdefault("cpu_ms", fine_cpu(process.pid) * 1e3)
        take(peer, group)
    collector.batches = batches
    begun = time.monotonic()
    process = start([program, "--collector", collector.endpoint, "--collector-key", collector.key,
                     "--state", folder + "/state", "--interval", "1s", "--instance", "start"], folder)
    try:
        collector.serve(20, lambda: "ms" in found)
    finally:
        stop(process)
        collector.end()
    return found


def measure_starts(name, times=9):
    found = [start_once(STARTS[name]) for _ in range(times)]
    keep("agents", agent=name, stage="start", ms=[round(x["ms"], 1) for x in found],
         cpu_ms=[round(x["cpu_ms"], 1) for x in found])
    log(name, "start to first batch, ms", sorted(round(x["ms"]) for x in found))
    shutil.rmtree(RUN + "/start", ignore_errors=True)


def spend(agent, seconds):
    """Lets it work for so long; returns its number of cycles."""
    cycles, at = 0, time.monotonic()
    end = at + seconds
    while at < end:
        agent.cycle()
        cycles += 1
        at += agent.interval_s or 1
        time.sleep(max(0, at - time.monotonic()))
    return cycles


def measure(name, seconds, dummies):
    folder = f"{RUN}/{re.sub(r'[^a-z]+', '_', name)}"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    started = time.monotonic()
    agent = AGENTS[name](folder)
    try:
        while not agent.ready():
            if time.monotonic() - started > 60 or agent.process.poll() is not None:
                raise RuntimeError(open(folder + "/log").read()[-1500:])
            time.sleep(0.01)
        startup = time.monotonic() - started
        spend(agent, WARM_SECONDS)
        agent.begin()
        pid, cycles, quarters = agent.process.pid, 0, []
        start0, cpu0 = time.monotonic(), fine_cpu(agent.process.pid)
        for _ in range(QUARTERS):
            before, at = fine_cpu(pid), time.monotonic()
            cycles += spend(agent, seconds / QUARTERS)
            quarters.append((fine_cpu(pid) - before) / (time.monotonic() - at) * 100)
        used, wall = fine_cpu(pid) - cpu0, time.monotonic() - start0
        held = smaps(pid)
        result = dict(agent=name, dummies=dummies, seconds=round(wall, 1), cycles=cycles,
                      cpu_pct=round(used / wall * 100, 3),
                      cpu_pct_quarters=[round(x, 2) for x in quarters],
                      cpu_ms_per_cycle=round(used / cycles * 1e3, 3),
                      cpu_pct_median=round(statistics.median(quarters), 3),
                      pss=held["Pss"], rss=held["Rss"], private_dirty=held["Private_Dirty"],
                      startup_s=round(startup, 3), **agent.facts(wall))
        keep("agents", **result)
        log(name, result)
    finally:
        agent.end()


def main():
    arguments, dummies, seconds, rounds, names = sys.argv[1:], 500, 60.0, 3, []
    while arguments:
        argument = arguments.pop(0)
        if argument == "-d":
            dummies = int(arguments.pop(0))
        elif argument == "-t":
            seconds = float(arguments.pop(0))
        elif argument == "-r":
            rounds = int(arguments.pop(0))
        elif argument in AGENTS:
            names.append(argument)
        else:
            sys.exit(__doc__ + "agents: " + ", ".join(AGENTS))
    make_folders()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    failed = 0
    try:
        for _ in range(dummies):
            LIVE.append(subprocess.Popen(["sleep", "7200"]))
        if not os.path.exists(PORTABLE):
            log("no portable probe at", PORTABLE)
        wanted = [name for name in names or AGENTS
                  if "portable" not in name or os.path.exists(PORTABLE)]
        for step, name in [(step, name) for step in range(rounds + 1) for name in wanted]:
            try:
                if step < rounds:
                    measure(name, seconds / rounds, dummies)
                elif name in STARTS:
                    measure_starts(name)
            except Exception as error:
                failed += 1
                log("FAILED", name, repr(error)[:1500])
    finally:
        end_all()
    agents_table.write()
    sys.exit(1 if failed else 0)


main()
