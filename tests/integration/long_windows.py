"""The probe for Windows under Wine through an outage of its collector, and as a service.

What takes Wine half a minute each; the rest is test_windows.py.
"""
import signal
import time

import fengsui
import windows_kit
from fengsui import wait_for
from windows_kit import lines, watched


def test_a_dead_collector_costs_nothing():
    name = "win-1"
    with watched(name) as (collector, windows):
        log = windows.logs / "app.log"
        log.write_bytes(b"before\r\n")
        probe = windows.start("--config", "C:\\ProgramData\\Fengsui\\probe.yml")
        wait_for(lambda: "before" in lines(collector, name), "a line", 60)

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
        # Removed at once, or as soon as the service manager has seen its process end.
        assert "not installed" in said["gone.txt"] or "as soon as" in said["gone.txt"], said
        assert "already" in said["again.txt"], said
        assert "the service manager says stop" in (windows.home / "probe.log").read_text()
        assert (windows.home / "state/probe.key").exists()


if __name__ == "__main__":
    windows_kit.run(globals())
