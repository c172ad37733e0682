#!/usr/bin/python3
"""What a backfill costs the acknowledgements of live ingest.

A swarm of probes sends in real time, by turns alone and while a year of the same hosts is written
by remote write, as fast as the collector takes it.  Prints time from send to Ack of each turn, and
the ratio of the two; keeps it in BENCH_DIR (build/bench) as backfill.md.

    FENGSUI_BUILD=build/release tests/bench/backfill.py [TURNS [SECONDS [PROBES]]]

2 turns of each kind, of 20 s and 30 probes, are the default: 30,000 live samples a second.  The
sender of the backfill is nice: it would be another host.
"""
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
from fengsui import BUILD, Lab  # noqa: E402

TURNS = int(sys.argv[1]) if len(sys.argv) > 1 else 2
SECONDS = int(sys.argv[2]) if len(sys.argv) > 2 else 20
PROBES = int(sys.argv[3]) if len(sys.argv) > 3 else 30
SERIES = 1000
YEAR_MS = 365 * 86400 * 1000
STEP_MS = 300000
PAST_HOSTS, PAST_SERIES = 6, 100  # of the live ones
CALM = 0.3  # of a core: after a turn's backfill the store puts in order what came
CALM_SECONDS_MAX = 60
COLLECTOR = "retention: {raw: 2y}\n"


def past_requests(folder):
    """A year of some of the hosts, up to a day ago."""
    ticks = YEAR_MS // STEP_MS
    start = (int(time.time()) - 86400) * 1000 - YEAR_MS
    told = subprocess.run(
        [BUILD / "fengsui-swarm", "--write-requests", folder, "--probes", str(PAST_HOSTS),
         "--series", str(PAST_SERIES), "--interval", f"{STEP_MS}ms", "--start", str(start),
         "--samples", str(ticks * PAST_HOSTS * PAST_SERIES), "--request-ticks", "20", "--seed",
         "7"], capture_output=True, text=True, check=True)
    return json.loads(told.stdout)


class Backfill:
    """A sender that is stopped between its turns."""

    def __init__(self, collector, folder):
        self.process = subprocess.Popen(
            ["nice", "-n", "5", BUILD / "bench/blast", "-u",
             f"127.0.0.1:{collector.http}/api/v1/write", "-m", "rw", "-w", "1000000",
             *sorted(folder.glob("requests.*"))], stdout=subprocess.PIPE, text=True)
        self.process.send_signal(signal.SIGSTOP)

    def is_over(self):
        return self.process.poll() is not None

    def go(self):
        self.process.send_signal(signal.SIGCONT)

    def rest(self):
        self.process.send_signal(signal.SIGSTOP)

    def end(self):
        if not self.is_over():
            self.process.kill()
        self.process.wait()


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_until_calm(pid):
    """Polls what a process uses of a core."""
    deadline = time.monotonic() + CALM_SECONDS_MAX
    used = 1.0
    while used > CALM and time.monotonic() < deadline:
        before = cpu_seconds(pid)
        time.sleep(1)
        used = cpu_seconds(pid) - before


def own(collector):
    """Its own counters, by name."""
    rows = collector.get("/metrics")[1].decode().splitlines()
    return {row.rsplit(" ", 1)[0]: float(row.rsplit(" ", 1)[1])
            for row in rows if not row.startswith("#")}


def live(collector):
    """One turn of live ingest."""
    before, cpu = own(collector), cpu_seconds(collector.process.pid)
    done = subprocess.run(
        [BUILD / "fengsui-swarm", "--collector", f"tcp://127.0.0.1:{collector.ingest}",
         "--collector-key", collector.data / "keys/collector.pub", "--token",
         collector.data / "keys/enrol.token", "--probes", str(PROBES), "--series", str(SERIES),
         "--realtime", "--interval", "1s", "--samples", str(PROBES * SERIES * SECONDS), "--json"],
        capture_output=True, text=True, check=True)
    told, after = json.loads(done.stdout), own(collector)
    past = "fengsui_collector_remote_write_samples_accepted_total"
    commits = "fengsui_collector_store_commits_total"
    seconds = "fengsui_collector_store_commit_seconds_total"
    count = after.get(commits, 0) - before.get(commits, 0)
    return {"p50": told["lat_p50_ms"], "p99": told["lat_p99_ms"], "most": told["lat_max_ms"],
            "past": after[past] - before[past], "wall": told["wall_s"],
            "cpu": cpu_seconds(collector.process.pid) - cpu,
            "commit_ms": 1000 * (after.get(seconds, 0) - before.get(seconds, 0)) / count
            if count else 0}


def table(turns):
    rows = ["| | p50 | p99 | most | past samples/s | a commit | cores |",
            "| --- | --- | --- | --- | --- | --- | --- |"]
    for kind, turn in turns:
        rows.append(f"| {kind} | {turn['p50']:.1f} | {turn['p99']:.1f} | {turn['most']:.1f} | "
                    f"{turn['past'] / turn['wall']:.0f} | {turn['commit_ms']:.1f} | "
                    f"{turn['cpu'] / turn['wall']:.2f} |")

    def of(kind, key):
        return statistics.median(turn[key] for name, turn in turns if name == kind)
    ratios = {key: of("beside", key) / of("alone", key) for key in ("p50", "p99", "most")}
    rows.append("| ratio | " + " | ".join(f"{ratios[key]:.2f}" for key in ratios) + " | | | |")
    return "\n".join(rows) + "\n"


def main():
    turns = []
    with Lab() as lab:
        server = lab.collector(COLLECTOR).start()
        past = past_requests(lab.folder / "past")
        print(f"{past['samples']} past samples in {past['requests']} requests", flush=True)
        backfill = Backfill(server, lab.folder / "past")
        try:
            live(server)  # keys, names, pages
            for _ in range(TURNS):
                wait_until_calm(server.process.pid)
                turns.append(("alone", live(server)))
                print(turns[-1], flush=True)
                backfill.go()
                turns.append(("beside", live(server)))
                print(turns[-1], flush=True)
                assert not backfill.is_over(), "the backfill was over before the turn: give it more"
                backfill.rest()
        finally:
            backfill.end()
        server.stop()
    report = ("Milliseconds from send to Ack of " f"{PROBES * SERIES} live samples a second:\n\n" +
              table(turns))
    print(report)
    work = pathlib.Path(os.environ.get("BENCH_DIR", "build/bench"))
    work.mkdir(parents=True, exist_ok=True)
    (work / "backfill.md").write_text(report)


main()
