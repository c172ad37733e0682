#!/usr/bin/env python3
"""Ingest, disk, memory, crash and rules of time-series stores, side by side.

usage: bench.py STAGE[,STAGE...] [SERVER...]
stages: limits gen repeat paths ingest long disk kill rules restart memory paced
Results are appended to results/stores.jsonl of the work folder; report.py makes tables.
"""
import json
import signal
import subprocess
import sys
import time

from place import BUILD, DATA, HERE, RUN, busy, cpu, end_all, keep, log, make_folders, memory, own_cpu
from running import Running, Watch, calm, send
from scale import memory_a_series, paced, restart
from servers import ALL
from sets import HOSTS, STEP_S, STEPS, end_of_sets, end_s, gen, meta, number, synth, tsgen

RUNS = number("RUNS", 5)
RULE_SECONDS = number("RULE_S", 60)
REST_SECONDS = number("REST_S", 12)   # before the kill: every store has its series at rest


def out(stage, server, **result):
    keep("stores", stage=stage, server=server, **result)
    log(stage, server, json.dumps(result)[:400])


def limits():
    printed = subprocess.run([BUILD + "/bench/limits", "-j", "-d", RUN], check=True,
                             stdout=subprocess.PIPE, text=True).stdout
    out("limits", "machine", **json.loads(printed))


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


def disk(servers):
    """Bytes a sample of all four sets, and nothing else: other work on the machine does no harm."""
    end = end_of_sets()
    for name, step_ms in (("real1", 1000), ("real15", 15000)):
        tsgen(name, "real", "-r", DATA + "/real.raw", "-i", step_ms, "-k", 1, "-s",
              (end - 1200) * 1000)
    for name in ("wide", "long", "real1", "real15"):
        for server in servers:
            ingest(server, "disk", "rw", name, settle=True).stop()


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
                wall_s=round(wall, 1), peak=memory(running.pid)["VmHWM"], other_cpu_pct=round((busy() - busy0 - used) / wall * 100),
                cpu_ms_per_round=round((used - idle * wall) / rounds * 1e3, 2) if rounds else 0)
            running.stop()


PLAIN = {"repeat": repeat, "paths": paths, "disk": disk, "kill": kill, "rules": rules, "restart": restart,
         "memory": memory_a_series, "paced": paced}


def run(stage, servers):
    if stage in ("limits", "gen"):
        {"limits": limits, "gen": gen}[stage]()
    elif stage in PLAIN:
        PLAIN[stage](servers)
    elif stage in ("ingest", "long"):
        data = "wide" if stage == "ingest" else "long"
        for server in servers:
            for mode in modes_of(server):
                running = ingest(server, stage, mode, data, settle=True)
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


if __name__ == "__main__":
    main()
