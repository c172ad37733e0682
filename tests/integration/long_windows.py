"""The probe for Windows under Wine, against a Linux collector.

The probe runs as a program and, in one batch, as a service.  What Wine has no call for is missing and
told so: the counters of disks (IOCTL_DISK_PERFORMANCE) are.
"""
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import fengsui
from fengsui import Lab, run_tests, wait_for

ROOT = pathlib.Path(__file__).resolve().parents[2]
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


def test_a_windows_host_is_watched_and_a_dead_collector_costs_nothing():
    name = "win-1"
    with watched(name) as (collector, windows):
        assert windows.probe("--version").startswith("fengsui-probe ")
        log = windows.logs / "app.log"
        log.write_bytes("第一行\r\nsecond\r\n".encode())
        (windows.logs / "wide.txt").write_bytes("\ufeff宽字符\r\n".encode("utf-16le"))
        probe = windows.start("--config", "C:\\ProgramData\\Fengsui\\probe.yml")
        wait_for(lambda: not missing(collector, name), f"series, lacking: {missing(collector, name)}", 60)
        wait_for(lambda: {"第一行", "second", "宽字符"} <= set(lines(collector, name)), "the lines", 30)
        # Rotation by rename while the probe has the file open, and a writer that goes on.
        log.rename(windows.logs / "app.log.1")
        with open(windows.logs / "app.log.1", "ab") as old:
            old.write(b"late\r\n")
        log.write_bytes(b"after\r\n")
        wait_for(lambda: {"late", "after"} <= set(lines(collector, name)), "the rotated file", 30)
        assert len(lines(collector, name)) == len(set(lines(collector, name))), lines(collector, name)

        collector.kill()
        killed = time.time()
        with open(log, "ab") as out:
            out.write(b"while it was away\r\n")
        wait_for(lambda: time.time() > killed + 3, "some ticks")
        collector.start()
        wait_for(lambda: "while it was away" in lines(collector, name), "what waited", 60)
        # Ticks of the outage are there: 500 ms apart, from before to after it.
        count = f'count_over_time(fengsui_probe_spool_bytes{{instance="{name}"}}[3s])'
        wait_for(lambda: (collector.value(count, at=killed + 3) or 0) >= 5, "the ticks of the outage", 60)

        probe.send_signal(signal.SIGINT)
        assert probe.wait(30 * fengsui.PATIENCE) == 0
        assert "stopping" in (windows.folder / "probe.log").read_text(errors="replace")


BATCH = """@echo off
C:\\fengsui-probe.exe --service install >C:\\install.txt 2>&1
C:\\fengsui-probe.exe --service install >C:\\again.txt 2>&1
net start fengsui-probe >C:\\start.txt 2>&1
:wait
C:\\fengsui-probe.exe --version >nul
if not exist C:\\seen goto wait
net stop fengsui-probe >C:\\stop.txt 2>&1
C:\\fengsui-probe.exe --service remove >C:\\remove.txt 2>&1
C:\\fengsui-probe.exe --service remove >C:\\gone.txt 2>&1
"""


def test_it_is_a_service_that_starts_tells_and_stops():
    name = "win-2"
    with watched(name) as (collector, windows):
        # In one interpreter: with the last program of a prefix Wine ends its service manager.
        (windows.drive / "service.bat").write_bytes(BATCH.replace("\n", "\r\n").encode())
        batch = windows.start_program("cmd", "/c", "C:\\service.bat")
        try:
            wait_for(lambda: collector.query(f'windows_cpu_time_total{{instance="{name}"}}'), "its data", 60)
            wait_for(lambda: collector.value(
                f'windows_service_state{{instance="{name}",name="fengsui-probe",state="running"}}') == 1,
                "its own state", 60)
            (windows.drive / "seen").write_text("")
            wait_for(lambda: batch.poll() is not None, "the batch's end", 60)
        finally:
            said = {path.name: path.read_text(errors="replace") for path in windows.drive.glob("*.txt")}
        assert "installed" in said["install.txt"] and "removed" in said["remove.txt"], said
        assert "already" in said["again.txt"] and "not installed" in said["gone.txt"], said
        assert "the service manager says stop" in (windows.home / "probe.log").read_text()
        assert (windows.home / "state/probe.key").exists()


def test_what_is_not_right_is_told_and_nothing_starts():
    with watched("win-3") as (_, windows):
        (windows.home / "probe.yml").write_text("intervall: 5s\n")
        told = windows.probe("--config", "C:\\ProgramData\\Fengsui\\probe.yml", code=2)
        assert "probe.yml:1" in told and "interval" in told, told
        (windows.home / "probe.yml").write_text("logs: [{path: 'logs/*.log'}]\n")
        assert "not absolute" in windows.probe(
            "--check", "--config", "C:\\ProgramData\\Fengsui\\probe.yml", code=2)


if __name__ == "__main__":
    if not PROBE.exists() or not os.path.exists(WINE):
        print(f"skipped: {'no ' + str(PROBE) if not PROBE.exists() else 'no wine64'}")
        sys.exit(fengsui.SKIPPED)
    run_tests(globals())
