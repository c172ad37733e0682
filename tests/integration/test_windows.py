"""The probe for Windows, of this tree, under Wine against a Linux collector.

One prefix for all of it: to make one is most of what this takes.  long_windows.py has the rest.
"""
import signal

import fengsui
import windows_kit
from fengsui import wait_for
from windows_kit import lines, missing, watched

CONFIG = "C:\\ProgramData\\Fengsui\\probe.yml"


def what_is_not_right_is_told_and_nothing_starts(windows):
    good = (windows.home / "probe.yml").read_text()
    (windows.home / "probe.yml").write_text("intervall: 5s\n")
    told = windows.probe("--config", CONFIG, code=2)
    assert "probe.yml:1" in told and "interval" in told, told
    (windows.home / "probe.yml").write_text("logs: [{path: 'logs/*.log'}]\n")
    assert "not absolute" in windows.probe("--check", "--config", CONFIG, code=2)
    (windows.home / "probe.yml").write_text(good)


def test_a_windows_host_is_watched():
    name = "win-1"
    with watched(name) as (collector, windows):
        assert windows.probe("--version").startswith("fengsui-probe ")
        what_is_not_right_is_told_and_nothing_starts(windows)
        log = windows.logs / "app.log"
        log.write_bytes("第一行\r\nsecond\r\n".encode())
        (windows.logs / "wide.txt").write_bytes("\ufeff宽字符\r\n".encode("utf-16le"))
        probe = windows.start("--config", CONFIG)
        wait_for(lambda: not missing(collector, name), f"series, lacking: {missing(collector, name)}", 60)
        wait_for(lambda: {"第一行", "second", "宽字符"} <= set(lines(collector, name)), "the lines", 30)
        # Rotation by rename while the probe has the file open, and a writer that goes on.
        log.rename(windows.logs / "app.log.1")
        with open(windows.logs / "app.log.1", "ab") as old:
            old.write(b"late\r\n")
        log.write_bytes(b"after\r\n")
        wait_for(lambda: {"late", "after"} <= set(lines(collector, name)), "the rotated file", 30)
        assert len(lines(collector, name)) == len(set(lines(collector, name))), lines(collector, name)

        probe.send_signal(signal.SIGINT)
        assert probe.wait(30 * fengsui.PATIENCE) == 0
        assert "stopping" in (windows.folder / "probe.log").read_text(errors="replace")


if __name__ == "__main__":
    windows_kit.run(globals())
