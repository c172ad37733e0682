#!/usr/bin/python3
"""What a backup costs the acknowledgements.

A swarm of probes sends in real time, first alone, then while backups are made one after the
other: linked (the same file system) and copied.  Prints time from send to Ack of each phase, and
how far live grew while its snapshot was held.

    FENGSUI_BUILD=build/release tests/bench/backup.py [SECONDS [PROBES]]
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
SERIES = 1000


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


def phase(name, collector, folder, flags):
    backups = Backups(collector, folder, flags) if flags is not None else None
    if backups:
        backups.start()
    live = (collector.data / "live/data.mdb").stat().st_size
    told = swarm(collector, ["--realtime", "--interval", "1s", "--samples",
                             str(PROBES * SERIES * SECONDS)])
    grown = (collector.data / "live/data.mdb").stat().st_size - live
    if backups:
        backups.go = False
        backups.join()
    print(json.dumps({"phase": name, "backups": backups.made if backups else 0,
                      "seconds_a_backup": round(max(backups.seconds), 2) if backups else None,
                      "bytes_a_backup": backups.bytes if backups else None,
                      "live_grown_bytes": grown, "swarm": told}), flush=True)


with Lab() as lab:
    server = lab.collector().start()
    print(json.dumps({"phase": "fill", "swarm": swarm(server, ["--fast", "--samples", "20000000"])}),
          flush=True)
    for label, options in (("alone", None), ("linked", ()), ("copied", ("--copy",)),
                           ("alone again", None)):
        phase(label, server, lab.folder, options)
    server.stop()
