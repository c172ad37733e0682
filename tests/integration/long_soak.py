#!/usr/bin/python3
"""Two hours of a host on which everything comes and goes: the probe's memory and files stay flat.

Processes of thirty names live for moments or minutes, log files are written, rotated and deleted, file
systems are mounted and interfaces made and taken away, and the collector is cut off now and then.
Compared are the second and the last quarter of the time: what a probe has to learn it knows by then.
Needs root (namespaces, mounts); has processes of its own only.  Seconds: FENGSUI_SOAK_SECONDS (7200).
"""
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import time

from fengsui import Lab, SKIPPED, run_tests, wait_for
from test_bad_links import processor_seconds, status_bytes
from test_link_cut import Link, api, in_namespace, samples

SECONDS = float(os.environ.get("FENGSUI_SOAK_SECONDS", "7200"))
NAMES = 30
GROWTH_BYTES = 768 << 10  # between the quarters: what an allocator may move about
CONFIG = """
interval: 1s
cpu_limit: 100
sources:
  processes: {{interval: 1s}}
  filesystem: {{interval: 1s}}
logs:
- path: {folder}/logs/*.log
  templates: 100
"""


class Churn:
    """What comes and goes, a little at each step."""

    def __init__(self, lab, link):
        self.rng = random.Random(7)
        self.link, self.processes, self.mounts, self.interfaces = link, [], [], []
        self.logs = lab.folder / "logs"
        self.logs.mkdir()
        self.mount_root = lab.folder / "mounts"
        self.programs = lab.folder / "programs"
        self.programs.mkdir()
        for i in range(NAMES):
            shutil.copy("/bin/sleep", self.programs / f"worker-{i}")

    def step(self):
        self.processes = [p for p in self.processes if p.poll() is None]
        for _ in range(self.rng.randrange(12)):
            name = self.programs / f"worker-{self.rng.randrange(NAMES)}"
            seconds = self.rng.choice([0.01, 0.3, 2, 20, 60])
            self.processes.append(subprocess.Popen([name, str(seconds)]))
        name = f"app-{self.rng.randrange(8)}.log"
        with open(self.logs / name, "a", encoding="utf-8") as f:
            f.writelines(f"{time.time():.3f} INFO request {self.rng.randrange(10 ** 6)} done in "
                         f"{self.rng.randrange(900)} ms\n" for _ in range(200))
        if self.rng.random() < 0.2:
            os.replace(self.logs / name, self.logs / f"{name}.1")
        if self.rng.random() < 0.1:
            (self.logs / f"{name}.1").unlink(missing_ok=True)
        self.turn(self.mounts, 3, self.mount, self.unmount)
        self.turn(self.interfaces, 6, self.make_interface, self.take_interface)

    def turn(self, held, most, make, take):
        if self.rng.random() < 0.3 and len(held) < most:
            held.append(make())
        elif self.rng.random() < 0.3 and held:
            take(held.pop(self.rng.randrange(len(held))))

    def mount(self):
        place = self.mount_root / str(self.rng.randrange(10))
        place.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "soak", place], check=True)
        return place

    def unmount(self, place):
        subprocess.run(["umount", place], check=True)

    def make_interface(self):
        # Of few names: series of new ones are kept for as long as an epoch lasts, and would be growth.
        name = f"soak{self.rng.randrange(8)}"
        subprocess.run(["ip", "-n", self.link.far, "link", "add", name, "type", "veth", "peer", "name",
                        name + "p"], check=False, capture_output=True)
        return name

    def take_interface(self, name):
        subprocess.run(["ip", "-n", self.link.far, "link", "del", name], check=False,
                       capture_output=True)

    def end(self):
        for process in self.processes:
            process.kill()
            process.wait()
        for place in self.mounts:
            self.unmount(place)


def series_now(link, collector):
    """How many series the probe has defined in this epoch: what its memory goes by."""
    text = api(link, collector, "/api/v1/query?query=fengsui_probe_series")
    found = json.loads(text)["data"]["result"] if text else []
    return float(found[0]["value"][1]) if found else 0


def quarters(values):
    part = len(values) // 4
    return statistics.median_low(values[part:2 * part]), statistics.median_low(values[-part:])


def test_memory_and_files_stay_flat_while_everything_comes_and_goes():
    with Lab() as lab, Link() as link:
        collector = lab.collector(flags=["--ingest", "tcp://10.77.0.1:9471"])
        in_namespace(collector, link.near)
        wait_for(lambda: api(link, collector, "/-/ready"), "the collector")
        config = lab.folder / "probe.yml"
        config.write_text(CONFIG.format(folder=lab.folder))
        churn = Churn(lab, link)
        probe = lab.probe(collector, endpoint="tcp://10.77.0.1:9471", flags=["--config", config])
        in_namespace(probe, link.far)
        try:
            wait_for(lambda: len(samples(link, collector)) > 3, "samples")
            memory, files, series = [], [], []
            begun, cpu = time.time(), processor_seconds(probe)
            next_cut = begun + SECONDS / 16
            while time.time() - begun < SECONDS:
                churn.step()
                time.sleep(0.5)  # the pace of the churn
                assert probe.alive(), probe.tail()
                memory.append(status_bytes(probe, "RssAnon"))
                series.append(series_now(link, collector) or (series[-1] if series else 0))
                files.append(len(os.listdir(f"/proc/{probe.process.pid}/fd")))
                if time.time() > next_cut:
                    link.set("down")
                    time.sleep(5)  # a cut of this length
                    link.set("up")
                    next_cut += SECONDS / 16
            used = processor_seconds(probe) - cpu
        finally:
            churn.end()
        early, late = quarters(memory)
        files_early, files_late = quarters(files)
        series_early, series_late = quarters(series)
        print(f"     anonymous memory {early >> 10} then {late >> 10} KiB, most {max(memory) >> 10}; "
              f"files {files_early} then {files_late}; series {series_early:.0f} then {series_late:.0f}; "
              f"{used / (time.time() - begun) * 100:.2f} % of a core", flush=True)
        assert late < early + GROWTH_BYTES, "memory grows"
        assert files_late <= files_early + 8, "files stay open"
        probe.stop()


if __name__ == "__main__":
    if os.geteuid() != 0 or subprocess.run(["ip", "netns", "add", "fssoak"], check=False,
                                           capture_output=True).returncode != 0:
        print("skipped: namespaces and mounts need root")
        sys.exit(SKIPPED)
    subprocess.run(["ip", "netns", "del", "fssoak"], check=False)
    if os.getpid() != 1:
        # Where nobody else's processes are: their names would be series, and growth.
        os.execvp("unshare", ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c",
                              'mount --make-rshared / && exec "$0" "$@"', sys.executable, *sys.argv])
    run_tests(globals())
