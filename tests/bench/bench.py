#!/usr/bin/env python3
"""Ingest, disk, memory, queries, crash and rules of time-series stores, side by side.

usage: bench.py STAGE[,STAGE...] [SERVER...]
stages: limits gen repeat paths ingest long kill rules
Results are appended to results/stores.jsonl of the work folder; report.py makes tables.
"""
import json
import os
import signal
import shutil
import statistics
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request

from place import (BUILD, DATA, HERE, LIVE, RUN, busy, cpu, end_all, keep, log, make_folders,
                   memory, own_cpu, results)
from servers import ALL


def number(name, default):
    return int(os.environ.get(name, default))


HOSTS, STEPS = number("HOSTS", 120), number("STEPS", 240)
LONG_HOSTS, LONG_STEPS = number("LHOSTS", 10), number("LSTEPS", 5760)
RUNS, QUERY_RUNS = number("RUNS", 3), number("QRUNS", 21)
RULE_SECONDS = number("RULE_S", 60)
REST_SECONDS = number("REST_S", 12)   # before the kill: every store has its series at rest
CALM_SECONDS = number("CALM_S", 15)   # at most, before a run, for the machine to be quiet
NICE = number("NICE", 0)  # below 0 (root only): other work matters less
STEP_S, SHARDS = 15, 4


def out(stage, server, **result):
    keep("stores", stage=stage, server=server, **result)
    log(stage, server, json.dumps(result)[:400])


def renice():
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    except OSError:
        pass


def calm(percent=12):
    """Waits (bounded) for the rest of the machine to be quiet for 2 s."""
    start, quiet = time.monotonic(), 0
    while time.monotonic() - start < CALM_SECONDS and quiet < 2:
        before = busy()
        time.sleep(1)
        quiet = quiet + 1 if (busy() - before) * 100 < percent else 0
    return quiet >= 2


class Watch(threading.Thread):
    """Peak memory of one process, looked at every 0.25 s."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.ending, self.peak = pid, False, {}

    def run(self):
        while not self.ending:
            try:
                for key, value in memory(self.pid).items():
                    self.peak[key] = max(value, self.peak.get(key, 0))
            except OSError:
                return
            time.sleep(0.25)


class Running:
    """A server in a folder of its own."""

    def __init__(self, server, fresh=True, wait=True, **options):
        self.server, self.folder = server, f"{RUN}/{server.name}"
        if fresh:
            shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder, exist_ok=True)
        command = server.command(self.folder, **options)
        self.started = time.monotonic()
        self.log = open(self.folder + "/log", "ab")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT,
                                        env={**os.environ, **server.env}, cwd=self.folder,
                                        preexec_fn=renice)
        self.pid = self.process.pid
        LIVE.append(self.process)
        if wait:
            self.wait_for("vector(1)", None, lambda result: True)

    def wait_for(self, expression, at, good, limit_s=600):
        """Seconds from exec until the query answers and good(result)."""
        while time.monotonic() - self.started < limit_s:
            if self.process.poll() is not None:
                with open(self.folder + "/log") as f:
                    raise RuntimeError("server exited: " + f.read()[-2000:])
            try:
                if good(self.server.query(expression, at)):
                    return time.monotonic() - self.started
            except Exception:
                pass
            time.sleep(0.005)
        raise RuntimeError("not ready in time")

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        try:
            self.process.wait(120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def rest(self, limit_s=60):
        """Waits until it uses < 3 % CPU for 3 s; CPU seconds used meanwhile."""
        start, quiet, deadline = cpu(self.pid), 0, time.monotonic() + limit_s
        while time.monotonic() < deadline and quiet < 3:
            before = cpu(self.pid)
            time.sleep(1)
            quiet = quiet + 1 if cpu(self.pid) - before < 0.03 else 0
        return cpu(self.pid) - start


# -- data ---------------------------------------------------------------------------------------

def meta(name):
    with open(f"{DATA}/{name}.json") as f:
        return json.load(f)


def end_s(name):
    about = meta(name)
    return (about["start_ms"] + about["steps"] * about["step_ms"]) // 1000


def frames(name):
    return [f"{DATA}/{name}.{shard}" for shard in range(meta(name)["shards"])]


def tsgen(name, *arguments):
    printed = subprocess.run([BUILD + "/bench/tsgen", *map(str, arguments), "-o",
                              f"{DATA}/{name}"], check=True, stdout=subprocess.PIPE,
                             text=True).stdout
    with open(f"{DATA}/{name}.json", "w") as f:
        f.write(printed)
    log("made", name, printed.strip())


def synth(name, hosts, steps, start_s, form="rw", seed=1):
    tsgen(name, "synth", "-p", DATA + "/profile.tsv", "-i", STEP_S * 1000, "-k", SHARDS, "-S",
          seed, "-H", hosts, "-n", steps, "-s", start_s * 1000, "-f", form, "-b",
          2000 if form == "rw" else 10000)


def limits():
    printed = subprocess.run([BUILD + "/bench/limits", "-j", "-d", RUN], check=True,
                             stdout=subprocess.PIPE, text=True).stdout
    out("limits", "machine", **json.loads(printed))


def gen():
    raw, profile = DATA + "/real.raw", DATA + "/profile.tsv"
    if not os.path.exists(raw):
        subprocess.run(["zstd", "-q", "-d", HERE + "/data/real.raw.zst", "-o", raw], check=True)
    if not os.path.exists(profile):
        with open(profile, "w") as f:
            subprocess.run([BUILD + "/bench/tsgen", "profile", raw, str(STEP_S)], check=True,
                           stdout=f)
    end = number("END", int(time.time())) // STEP_S * STEP_S - 120
    synth("wide", HOSTS, STEPS, end - STEPS * STEP_S)
    for form in ("text", "json"):
        synth("wide_" + form, HOSTS, max(STEPS // 4, 1), end - STEPS * STEP_S, form)
    synth("long", LONG_HOSTS, LONG_STEPS, end - LONG_STEPS * STEP_S)


def sender(server, mode, name, first=0, end=None, folder=None):
    """The command that sends a data set, or some steps of it."""
    if mode in ("native", "backlog"):
        keys = f"{folder}/data/keys/"
        command = [BUILD + "/fengsui-swarm", "--collector", server.endpoint(),
                   "--collector-key", keys + "collector.pub", "--token", keys + "enrol.token",
                   "--json", "--from", str(first)]
        command += ["--backlog"] if mode == "backlog" else []
        return command + (["--until", str(end)] if end else []) + ["--frames", *frames(name)]
    return [BUILD + "/bench/blast", "-u", f"127.0.0.1:{server.port}{server.modes[mode]}", "-m",
            mode, "-f", str(first), *(["-t", str(end)] if end else []), *frames(name)]


def send(running, mode, name, wait=True, **steps):
    process = subprocess.Popen(sender(running.server, mode, name, folder=running.folder,
                                      **steps), stdout=subprocess.PIPE, text=True,
                               preexec_fn=renice)
    LIVE.append(process)
    if not wait:
        return process
    printed = process.communicate()[0]
    return json.loads(printed)


# -- ingest -------------------------------------------------------------------------------------

def sender_cpu(sent):
    return sent["sender_cpu_s"] + sent.get("coding_cpu_s", 0)


def ingest(server, stage, mode, name="wide", settle=False, end=None):
    """Sends a set to a fresh server; returns it running."""
    was_calm = calm()
    running = Running(server)
    time.sleep(1)
    idle = memory(running.pid)
    watch = Watch(running.pid)
    watch.start()
    cpu0, busy0, own0, wall0 = cpu(running.pid), busy(), own_cpu(), time.monotonic()
    sent = send(running, mode, name, end=end)
    used, wall = cpu(running.pid) - cpu0, time.monotonic() - wall0
    other = (busy() - busy0 - used - sender_cpu(sent) - (own_cpu() - own0)) / wall * 100
    after = running.rest()
    watch.ending = True
    samples, series = sent["samples"], meta(name)["series"]
    result = dict(mode=mode, data=name, calm_before=was_calm, other_cpu_pct=round(other, 1),
                  **sent, cpu_s=round(used, 2), after_cpu_s=round(after, 2),
                  samples_per_cpu_s=round(samples / max(used + after, 0.01)),
                  idle_rss=idle["VmRSS"], peak_rss=memory(running.pid)["VmHWM"],
                  peak_anon=watch.peak.get("RssAnon", 0), series=series,
                  anon_per_series=round((watch.peak.get("RssAnon", 0) - idle["RssAnon"]) /
                                        series))
    if settle:
        cpu0, wall0 = cpu(running.pid), time.monotonic()
        server.settle(running.folder)
        disk = server.disk(running.folder)
        result.update(settle_s=round(time.monotonic() - wall0, 2),
                      settle_cpu_s=round(cpu(running.pid) - cpu0, 2), disk=disk,
                      bytes_per_sample=round(disk["settled"] / samples, 4),
                      bytes_per_sample_total=round(disk["total"] / samples, 4))
    out(stage, server.name, **result)
    return running


def modes_of(server, paths=False):
    found = ["rw"] + (["native", "backlog"] if getattr(server, "native", False) else [])
    return found + [mode for mode in server.modes if paths and mode != "rw"]


def repeat(servers):
    """The servers in turn, again and again: a drift of the machine hits all of them."""
    for _ in range(RUNS):
        for server in servers:
            for mode in modes_of(server):
                ingest(server, "repeat", mode, end=max(STEPS // 2, 1)).stop()


def paths(servers):
    """Formats that only some take: the best path of each counts."""
    for _ in range(RUNS):
        for server in servers:
            for mode in modes_of(server, paths=True):
                if mode not in ("rw", "native", "backlog"):
                    ingest(server, "paths", mode, "wide_" + mode).stop()


# -- queries ------------------------------------------------------------------------------------

DAY = 86400
CPU = 'rate(node_cpu_seconds_total{mode!="idle"}[5m])'
QUERIES = [  # name, data set, kind, expression or path, seconds back, step
    ("one value", "wide", "query", 'node_load1{instance="host-0003:9100"}', 0, 0),
    ("one series, all hosts", "wide", "query",
     'node_scrape_collector_success{collector="cpu"}', 0, 0),
    ("cpu by host 1h/15s", "wide", "range", f"sum by (instance)({CPU})", 3600, 15),
    ("mem % by host 1h/15s", "wide", "range",
     "100*(1-node_memory_MemAvailable_bytes/node_memory_MemTotal_bytes)", 3600, 15),
    ("topk 5 net, all hosts", "wide", "query",
     "topk(5, sum by (instance)(rate(node_network_receive_bytes_total[5m])))", 0, 0),
    ("regex hosts net 1h/15s", "wide", "range", "sum(rate(node_network_receive_bytes_total"
     '{instance=~"host-00[0-4].:9100",device!="lo"}[5m]))', 3600, 15),
    ("count all series", "wide", "query", 'count({__name__=~".+"})', 0, 0),
    ("label values instance", "wide", "path", "/api/v1/label/instance/values?", 3600, 0),
    ("metric names", "wide", "path", "/api/v1/label/__name__/values?", 3600, 0),
    ("series of one metric", "wide", "path",
     "/api/v1/series?match%5B%5D=node_network_receive_bytes_total&", 3600, 0),
    ("cpu by host 24h/60s", "long", "range", f"sum by (instance)({CPU})", DAY, 60),
    ("cpu by host 24h/5m", "long", "range", f"sum by (instance)({CPU})", DAY, 300),
    ("cpu one host 24h/60s", "long", "range", "sum(rate(node_cpu_seconds_total"
     '{mode!="idle",instance="host-0003:9100"}[5m]))', DAY, 60),
    ("raw one series 24h", "long", "query",
     'node_memory_MemAvailable_bytes{instance="host-0003:9100"}[24h]', 0, 0),
    ("one series 24h/15s", "long", "range",
     'node_memory_MemAvailable_bytes{instance="host-0003:9100"}', DAY, 15),
    ("max_over_time 24h all hosts", "long", "query", "max_over_time(node_load1[24h])", 0, 0),
    ("count all series 24h/5m", "long", "range", 'count({__name__=~"node_.+"})', DAY, 300),
]


def query_url(server, query, nocache):
    _, data, kind, text, back, step = query
    end = end_s(data) - STEP_S
    start = max(end - back, meta(data)["start_ms"] // 1000)
    if kind == "query":
        path = "/api/v1/query?" + urllib.parse.urlencode({"query": text, "time": end})
    elif kind == "range":
        path = "/api/v1/query_range?" + urllib.parse.urlencode(
            {"query": text, "start": start, "end": end, "step": step})
    else:
        path = text + urllib.parse.urlencode({"start": start, "end": end})
    return server.base() + path + ("&" + server.nocache if nocache else "")


def shape(kind, body):
    """(series, points) of an answer: answers of different servers must agree on it."""
    data = json.loads(body)["data"]
    if kind == "path":
        return len(data), 0
    found = data["result"]
    return len(found), sum(len(one.get("values", (0,))) for one in found)


def queries(running, data):
    server = running.server
    for nocache in ([True, False] if server.nocache else [False]):
        for query in QUERIES:
            if query[1] != data:
                continue
            url = query_url(server, query, nocache)
            try:
                with urllib.request.urlopen(url, timeout=300) as answer:
                    series, points = shape(query[2], answer.read())
            except Exception as error:
                out("query", server.name, query=query[0], data=data, error=str(error))
                continue
            cpu0 = cpu(running.pid)
            printed = subprocess.run(
                ["curl", "-s", "-m", "300", "-o", "/dev/null", "-w",
                 "%{time_total} %{size_download} %{http_code}\\n",
                 url + f"&_n=[1-{QUERY_RUNS}]"], stdout=subprocess.PIPE, text=True).stdout
            lines = [line.split() for line in printed.split("\n") if line]
            times = sorted(float(line[0]) * 1e3 for line in lines)
            out("query", server.name, query=query[0], data=data, nocache=nocache,
                cached=bool(server.nocache) and not nocache,
                median_ms=round(statistics.median(times), 3), min_ms=round(times[0], 3),
                max_ms=round(times[-1], 3), runs=len(times), bytes=int(lines[0][1]),
                code=lines[0][2], series=series, points=points,
                cpu_ms=round((cpu(running.pid) - cpu0) * 1e3 / len(times), 2))


# -- crash --------------------------------------------------------------------------------------

def present(server):
    """How many samples of the wide set can be queried, metric by metric."""
    with open(DATA + "/profile.tsv") as f:
        names = sorted({line.split("\t")[0].split("{")[0] for line in f if line[0] != "#"})
    span = meta("wide")["steps"] * STEP_S + 3600
    count = 0
    for name in names:
        result = server.query(f"sum(count_over_time({name}[{span}s]))", end_s("wide"),
                              "&nocache=1" if server.nocache else "")
        count += int(float(result[0]["value"][1])) if result else 0
    return count


def kill(servers):
    """A quarter of the wide set, a pause, then more at full speed and kill -9 amid that."""
    about, quarter = meta("wide"), max(STEPS // 4, 1)
    for run in range(RUNS):
        for server in servers:
            running = Running(server)
            first = send(running, "rw", "wide", end=quarter)
            time.sleep(REST_SECONDS)
            process = send(running, "rw", "wide", wait=False, first=quarter)
            # Half of what the rest would take at the speed of the first quarter.
            time.sleep(max(first["wall_s"] * (1.2 + 0.2 * run), 0.1))
            running.stop(signal.SIGKILL)
            sent = json.loads(process.communicate()[0])
            accepted = first["samples"] + sent["samples"]
            back = Running(server, fresh=False, wait=False)
            answers = back.wait_for("vector(1)", None, lambda result: True)
            early = about["start_ms"] / 1000 + STEP_S * min(4, quarter)
            try:
                full = back.wait_for("count(node_load1)", early, lambda result: result and
                                     float(result[0]["value"][1]) == about["hosts"], 30)
            except RuntimeError:
                full = -1  # that part of what was accepted is gone
            time.sleep(3)  # the newest samples may need a moment to be searchable
            have = present(server)
            out("kill", server.name, run=run, accepted=accepted, under_way=sent["inflight"],
                present=have, lost=max(0, accepted - have), answers_s=round(answers, 3),
                full_s=round(full, 3))
            back.stop()


# -- rules --------------------------------------------------------------------------------------

def rules(servers):
    """What 100 alert rules cost beyond the idle server, each over every host, once a second."""
    path = HERE + "/rules.yml"
    with open(path) as f:
        count = f.read().count("- alert:")
    start = int(time.time()) // STEP_S * STEP_S - 14 * 60
    synth("live", HOSTS, (14 * 60 + 8 * 60) // STEP_S, start, seed=2)
    for server in servers:
        if server.rule_counters is None:
            continue
        idle = None
        for case, options in (("none", {}), ("rules", dict(rules=path, interval="1s"))):
            running = Running(server, **options)
            send(running, "rw", "live")
            time.sleep(8)
            counters = [server.counter(name) for name in server.rule_counters]
            cpu0, busy0, wall0 = cpu(running.pid), busy(), time.monotonic()
            time.sleep(RULE_SECONDS)
            used, wall = cpu(running.pid) - cpu0, time.monotonic() - wall0
            if idle is None:
                idle = used / wall
            evaluations, failures = (server.counter(name) - before for name, before in
                                     zip(server.rule_counters, counters))
            rounds = evaluations / count
            out("rules", server.name, case=case, rules=count, hosts=HOSTS,
                rounds=round(rounds, 1), failures=failures, cpu_s=round(used, 2),
                wall_s=round(wall, 1), other_cpu_pct=round((busy() - busy0 - used) / wall * 100),
                cpu_ms_per_round=round((used - idle * wall) / rounds * 1e3, 2) if rounds else 0)
            running.stop()


def run(stage, servers):
    if stage in ("limits", "gen"):
        {"limits": limits, "gen": gen}[stage]()
    elif stage in ("repeat", "paths", "kill", "rules"):
        {"repeat": repeat, "paths": paths, "kill": kill, "rules": rules}[stage](servers)
    elif stage in ("ingest", "long"):
        data = "wide" if stage == "ingest" else "long"
        for server in servers:
            for mode in modes_of(server):
                running = ingest(server, stage, mode, data, settle=True)
                if mode == "rw":
                    queries(running, data)
                running.stop()
    else:
        sys.exit("no stage " + stage)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    servers = [ALL[name] for name in sys.argv[2:]] or list(ALL.values())
    make_folders()
    for server in servers:
        keep("versions", server=server.name, version=server.version())
    try:
        for stage in sys.argv[1].split(","):
            log("==", stage)
            run(stage, servers)
    finally:
        end_all()


main()
