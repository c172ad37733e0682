#!/usr/bin/python3
"""What a backup costs the acknowledgements.

A swarm of probes sends in real time, first alone, then while backups are made one after the
other: linked (the same file system) and copied.  Prints time from send to Ack of each phase, and
how far live grew while its snapshot was held.

    FENGSUI_BUILD=build/release tests/bench/backup.py [SECONDS [PROBES [LOAD]]]

LOAD is samples a second; `half`: half of what the collector takes at most, which is measured first.
Without it each probe sends a tick a second.
"""
import json
import pathlib
import shutil
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
from fengsui import BUILD, Lab  # noqa: E402

SECONDS = int(sys.argv[1]) if len(sys.argv) > 1 else 20
PROBES = int(sys.argv[2]) if len(sys.argv) > 2 else 100
LOAD = sys.argv[3] if len(sys.argv) > 3 else ""
SERIES = 1000
STEP_S = 15  # between two ticks, where LOAD says how fast they come
GOAL_MS = 100  # that a backup may add to an acknowledgement


def swarm(collector, extra):
    done = subprocess.run(
        [BUILD / "fengsui-swarm", "--collector", f"tcp://127.0.0.1:{collector.ingest}",
         "--collector-key", collector.data / "keys/collector.pub", "--token",
         collector.data / "keys/enrol.token", "--probes", str(PROBES), "--series", str(SERIES),
         "--json", *extra], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


class Backups(threading.Thread):
    def __init__(self, collector, folder, flags):
        super().__init__(daemon=True)
        self.collector, self.folder, self.flags = collector, folder, flags
        self.go, self.made, self.seconds, self.bytes = True, 0, [], 0

    def run(self):
        while self.go:
            target = self.folder / f"backup-{self.made}"
            begun = time.monotonic()
            told = json.loads(self.collector.ctl("--json", "backup", *self.flags, target))["data"]
            self.seconds.append(time.monotonic() - begun)
            self.bytes = told["sizeBytes"]
            self.made += 1
            shutil.rmtree(target)


def pace(rate):
    """The swarm's arguments for so many samples a second; 0: a tick a second."""
    if rate == 0:
        return ["--realtime", "--interval", "1s", "--samples", str(PROBES * SERIES * SECONDS)]
    return ["--realtime", "--interval", f"{STEP_S}s", "--speed",
            f"{rate * STEP_S / (PROBES * SERIES):.2f}", "--samples", str(round(rate * SECONDS))]


def phase(name, collector, folder, flags, rate):
    backups = Backups(collector, folder, flags) if flags is not None else None
    if backups:
        backups.start()
    live = (collector.data / "live/data.mdb").stat().st_size
    told = swarm(collector, pace(rate))
    grown = (collector.data / "live/data.mdb").stat().st_size - live
    if backups:
        backups.go = False
        backups.join()
    print(json.dumps({"phase": name, "backups": backups.made if backups else 0,
                      "seconds_a_backup": round(max(backups.seconds), 2) if backups else None,
                      "bytes_a_backup": backups.bytes if backups else None,
                      "live_grown_bytes": grown, "swarm": told}), flush=True)
    return told


def main():
    with Lab() as lab:
        server = lab.collector().start()
        fill = swarm(server, ["--fast", "--samples", "20000000"])
        print(json.dumps({"phase": "fill", "swarm": fill}), flush=True)
        rate = fill["samples_per_s"] / 2 if LOAD == "half" else float(LOAD or 0)
        told = {}
        for label, options in (("alone", None), ("linked", ()), ("copied", ("--copy",)),
                               ("alone again", None)):
            told[label] = phase(label, server, lab.folder, options, rate)
        server.stop()
    print("\n| | samples/s | p50 | p99 | most, ms |\n| --- | --- | --- | --- | --- |")
    for label, row in told.items():
        print(f"| {label} | {row['samples_per_s']:.0f} | {row['lat_p50_ms']:.1f} | "
              f"{row['lat_p99_ms']:.1f} | {row['lat_max_ms']:.1f} |")
    alone = min(told[label]["lat_max_ms"] for label in ("alone", "alone again"))
    for label in ("linked", "copied"):
        more = told[label]["lat_max_ms"] - alone
        print(f"{label}: the slowest took {more:.0f} ms more"
              f"{'' if more <= GOAL_MS else f', more than {GOAL_MS}'}")


main()
