#!/usr/bin/python3
"""systemd's journal as log lines: each entry once, in order, whatever dies in between.

What can go wrong, each a case here:
  - an entry is lost or repeated when the probe or journalctl is killed, or journalctl ends;
  - a message of several lines, or one beside a field of megabytes, is torn;
  - priority, unit or personal numbers are not what they should be;
  - a kind of lines that was told before a restart is new again;
  - journalctl, or what it complains of, stands still for good because nobody reads it;
  - journalctl outlives the probe.

journalctl is played: a program that follows a file of entries in the export format, and knows
--after-cursor, --lines and --no-tail as systemd 219 does. A real one is asked for its words, where
the host has it.
"""
import os
import shutil
import signal
import struct
import subprocess
import time

from fengsui import Lab, run_tests, wait_for

PLAYED = r'''#!/usr/bin/python3
import os, sys, time
here = os.path.dirname(os.path.abspath(sys.argv[0]))
assert {"--output=export", "--follow", "--quiet"} <= set(sys.argv), sys.argv
after = next((a.split("=", 1)[1] for a in sys.argv if a.startswith("--after-cursor=")), None)
with open(here + "/starts", "a") as starts:
    starts.write(f"{os.getpid()}\n")
pending = b""
out = sys.stdout.buffer
with open(here + "/entries", "rb") as entries:
    data = entries.read()
    marks = data.split(b"\0END\0")
    whole, pending = marks[:-1], marks[-1]
    if after is not None:
        found = [i for i, entry in enumerate(whole) if entry.startswith(b"__CURSOR=%s\n" % after.encode())]
        whole = whole[found[0] + 1:] if found else whole
    elif "--lines=1" in sys.argv:
        whole = whole[-1:]
    else:
        assert "--no-tail" in sys.argv, sys.argv
    while True:
        for entry in whole:
            out.write(entry)
        out.flush()
        if os.path.exists(here + "/die"):
            os.unlink(here + "/die")
            sys.stderr.write("Journal file is truncated\n")
            sys.exit(1)
        if os.path.exists(here + "/complain"):
            os.unlink(here + "/complain")
            sys.stderr.write("Journal file is corrupted, ignoring\n" * 5000)
            sys.stderr.flush()
        time.sleep(0.02)
        marks = (pending + entries.read()).split(b"\0END\0")
        whole, pending = marks[:-1], marks[-1]
'''


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class World(Lab):
    def __init__(self, rest=""):
        super().__init__()
        self.count = 0
        self.entries = self.folder / "entries"
        self.entries.write_bytes(b"")
        self.played = self.folder / "journalctl"
        self.played.write_text(PLAYED)
        self.played.chmod(0o755)
        self.config = self.folder / "probe.yml"
        self.config.write_text("sources:\n  journal:\n    enabled: true\n    interval: 100ms\n"
                               f"    journalctl: {self.played}\n{rest}")
        self.server = self.collector().start()
        self.agent = self.probe(self.server, flags=["--config", self.config])

    def write(self, message, unit="app.service", **more):
        self.count += 1
        fields = {"__CURSOR": f"s=1;i={self.count}",
                  "__REALTIME_TIMESTAMP": f"{int(time.time() * 1e6)}",
                  "_SYSTEMD_UNIT": unit, **more, "MESSAGE": message}
        data = b""
        for name, value in fields.items():
            value = value if isinstance(value, bytes) else value.encode()
            data += (name.encode() + b"=" + value + b"\n" if b"\n" not in value else
                     name.encode() + b"\n" + struct.pack("<Q", len(value)) + value + b"\n")
        with self.entries.open("ab") as entries:
            entries.write(data + b"\n\0END\0")

    def lines(self, unit="app.service"):
        answer = self.server.json("/api/fengsui/v1/logs", path=f"journal://{unit}", limit=10000,
                                  start=f"{time.time() - 600:.3f}", direction="forward")
        return [(line["severity"], line["text"]) for line in answer["data"]["lines"]]

    def wait_texts(self, expected, unit="app.service"):
        wait_for(lambda: len(self.lines(unit)) >= len(expected), f"{len(expected)} lines")
        assert [text for _, text in self.lines(unit)] == expected, self.lines(unit)[-5:]

    def starts(self):
        path = self.folder / "starts"
        return [int(pid) for pid in path.read_text().split()] if path.exists() else []


def test_entries_are_lines_of_their_unit():
    with World("    patterns: [{name: oom, regex: Out of memory}]\n") as world:
        world.write("before the probe came", __REALTIME_TIMESTAMP=f"{int((time.time() - 1) * 1e6)}")
        world.agent.start()
        wait_for(lambda: world.server.query("journal_up == 1"), "journalctl")
        wait_for(lambda: world.server.value("journal_entries_total") == 1, "the last entry's cursor")
        world.write("one", PRIORITY="3")
        world.write("two\nlines", PRIORITY="6", COREDUMP=b"x\n" * 1_000_000)
        world.write("Out of memory: Killed process 7", unit="init.scope", _TRANSPORT="kernel", PRIORITY="2")
        world.write("缴费人 13800138000", unit="", SYSLOG_IDENTIFIER="cron")
        wait_for(lambda: len(world.lines()) == 2, "both lines")
        assert world.lines() == [("err", "one"), ("info", "two\nlines")], world.lines()
        world.wait_texts(["Out of memory: Killed process 7"], "kernel")
        (_, text), = wait_for(lambda: world.lines("cron"), "the line without a unit")
        assert "13800138000" not in text and text.startswith("缴费人 138"), text
        wait_for(lambda: world.server.value(
            'logwatch_pattern_matches_total{file="journal://kernel",pattern="oom"}') == 1, "the pattern")
        wait_for(lambda: world.server.value(
            'logwatch_lines_total{file="journal://app.service",severity="error"}') == 1, "the severity")
        world.agent.stop()


def test_nothing_is_lost_or_repeated_whoever_dies():
    with World("    from: beginning\n") as world:
        sent = []

        def write(count):
            for _ in range(count):
                sent.append(f"entry {len(sent)} {'x' * 40}")
                world.write(sent[-1])

        write(300)
        world.agent.start()
        for round_ in range(4):
            write(300)
            wait_for(lambda: len(world.lines()) > 300 * round_, "some of them")
            if round_ % 2 == 0:
                world.agent.kill()
                write(200)
                world.agent.start()
            else:
                os.kill(world.starts()[-1], signal.SIGKILL)
        world.wait_texts(sent)
        (world.folder / "complain").write_text("")
        wait_for(lambda: not (world.folder / "complain").exists(), "more than a pipe holds")
        write(10)
        world.wait_texts(sent)
        (world.folder / "die").write_text("")
        wait_for(lambda: "Journal file is truncated" in world.agent.tail(), "what it died of")
        write(10)
        world.wait_texts(sent)
        wait_for(lambda: (world.server.value("journal_restarts_total") or 0) >= 1, "the restart")
        pid = world.starts()[-1]
        world.agent.kill()
        wait_for(lambda: not alive(pid), "journalctl's end")


def test_kinds_of_lines_are_known_over_a_restart():
    new = 'logwatch_templates_new_total{file="journal://app.service"}'
    with World("    from: beginning\n    templates: 10\n") as world:
        world.write("login of one user")
        world.write("disk is full")
        world.agent.start()
        wait_for(lambda: world.server.value(new) == 2, "both kinds")
        world.agent.stop()
        world.write("login of one user")
        world.write("never before seen here")
        world.agent.start()
        wait_for(lambda: world.server.value(
            'logwatch_templates{file="journal://app.service"}') == 2
            and world.server.value(new) == 1, "the one new kind")
        world.agent.stop()


def test_a_real_journalctl_knows_the_words():
    program = shutil.which("journalctl")
    if program is None:
        print("no journalctl here")
        return
    with World() as world:
        empty = world.folder / "journal"
        empty.mkdir()
        words = [program, "--output=export", "--quiet", f"--directory={empty}", "--unit=app.service",
                 "--no-tail"]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        assert done.stdout == b"" and b"option" not in done.stderr, done


if __name__ == "__main__":
    run_tests(globals())
