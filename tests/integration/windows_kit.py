"""windows_kit.py - a host with Windows: the probe for it under Wine, told by a Linux collector.

What Wine has no call for is missing and told so: the counters of disks (IOCTL_DISK_PERFORMANCE) are.
"""
import contextlib
import os
import shutil
import subprocess
import sys
import time

import fengsui
from fengsui import Lab

PROBE = fengsui.BUILD.parent / "windows/fengsui-probe.exe"
WINE = shutil.which("wine64") or "/usr/lib/wine/wine64"
SERVER = shutil.which("wineserver") or "/usr/lib/wine/wineserver64"

# What both generations of windows_exporter's boards ask for, by source.
SERIES = {
    "cpu": ["windows_cpu_time_total", "windows_cpu_interrupts_total", "windows_cs_logical_processors",
            "windows_cpu_logical_processor"],
    "memory": ["windows_cs_physical_memory_bytes", "windows_os_physical_memory_free_bytes",
               "windows_os_visible_memory_bytes", "windows_memory_physical_total_bytes",
               "windows_memory_physical_free_bytes", "windows_memory_committed_bytes",
               "windows_memory_commit_limit", "windows_memory_available_bytes"],
    "disk": ["windows_logical_disk_free_bytes", "windows_logical_disk_size_bytes"],
    "network": ["windows_net_bytes_received_total", "windows_net_bytes_sent_total",
                "windows_net_current_bandwidth", "windows_net_current_bandwidth_bytes"],
    "os": ["windows_os_info", "windows_cs_hostname", "windows_os_hostname", "windows_os_time",
           "windows_system_system_up_time", "windows_system_boot_time_timestamp",
           "windows_os_processes", "windows_system_processes", "windows_system_threads"],
    "services": ["windows_service_state", "windows_service_start_mode", "windows_service_info",
                 "windows_service_status"],
    "processes": ["namedprocess_namegroup_num_procs", "namedprocess_namegroup_memory_bytes",
                  "windows_process_start_time", "windows_process_start_time_seconds_timestamp",
                  "windows_process_working_set_bytes"],
}
CONFIG = """collector: {{endpoint: "tcp://127.0.0.1:{port}", key: collector.pub, token: enrol.token}}
state: state
interval: 500ms
instance: {name}
sources:
  processes: {{interval: 500ms, each: true}}
  services: {{interval: 500ms}}
logs:
  - {{path: 'C:\\logs\\app*.log'}}
  - {{path: 'C:\\logs\\wide.txt', encoding: utf-16le}}
"""


class Windows:
    """A Wine prefix, and folders of its drive C."""

    def __init__(self, folder):
        self.folder = folder / "prefix"
        self.environment = {**os.environ, "WINEPREFIX": str(self.folder), "WINEARCH": "win64",
                            "WINEDEBUG": "-all", "WINEDLLOVERRIDES": "mscoree,mshtml=", "DISPLAY": ""}
        self.told = folder / "told"
        self.told.mkdir()
        self.run_wine("wineboot", "-i")
        # Its services must be gone, or the next program meets them while they end.
        subprocess.run([SERVER, "-w"], env=self.environment, check=False, timeout=60 * fengsui.PATIENCE)
        self.drive = self.folder / "drive_c"
        self.home = self.drive / "ProgramData/Fengsui"
        self.home.mkdir(parents=True)
        self.logs = self.drive / "logs"
        self.logs.mkdir()
        shutil.copy(PROBE, self.drive / "fengsui-probe.exe")

    def run_wine(self, *arguments, code=0):
        # Into a file: Wine's own processes inherit a pipe, and would keep it open.
        path = self.told / f"{len(list(self.told.iterdir()))}.txt"
        with open(path, "wb") as out:
            done = subprocess.run([WINE, *arguments], env=self.environment, stdin=subprocess.DEVNULL,
                                  stdout=out, stderr=out, timeout=120 * fengsui.PATIENCE, check=False)
        text = path.read_text(errors="replace")
        assert done.returncode == code, f"{arguments} ended with {done.returncode}: {text}"
        return text

    def probe(self, *flags, code=0):
        return self.run_wine("C:\\fengsui-probe.exe", *flags, code=code)

    def start(self, *flags):
        return self.start_program("C:\\fengsui-probe.exe", *flags)

    def start_program(self, *arguments):
        with open(self.folder / "probe.log", "ab") as log:
            return subprocess.Popen([WINE, *arguments], env=self.environment,
                                    stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def configure(self, collector, name):
        keys = collector.data / "keys"
        shutil.copy(keys / "collector.pub", self.home)
        shutil.copy(keys / "enrol.token", self.home)
        os.chmod(self.home / "enrol.token", 0o600)
        (self.home / "probe.yml").write_text(CONFIG.format(port=collector.ingest, name=name))

    def close(self):
        subprocess.run([SERVER, "-k"], env=self.environment, check=False)


@contextlib.contextmanager
def watched(name):
    with Lab() as lab:
        collector = lab.collector().start()
        windows = Windows(lab.folder)
        try:
            windows.configure(collector, name)
            yield collector, windows
        except AssertionError:
            for log in (windows.folder / "probe.log", windows.home / "probe.log"):
                if log.exists():
                    sys.stderr.write(f"--- {log}\n{log.read_text(errors='replace')[-4000:]}\n")
            raise
        finally:
            windows.close()


def missing(collector, name):
    return [metric for metrics in SERIES.values() for metric in metrics
            if not collector.query(f'{metric}{{instance="{name}"}}')]


def lines(collector, name):
    found = collector.json("/api/fengsui/v1/logs", instance=name, start=0, end=time.time() + 60,
                           limit=1000)["data"]["lines"]
    return [line["text"] for line in found]


def why_not():
    """What is lacking to run the probe for Windows here, in words, or None."""
    if not PROBE.exists():
        return f"no {PROBE}: deploy/windows/build.sh makes it"
    return None if os.path.exists(WINE) else "no wine64"


def run(tests):
    """What a suite ends with."""
    if why_not():
        print(f"skipped: {why_not()}")
        sys.exit(fengsui.SKIPPED)
    fengsui.run_tests(tests)
