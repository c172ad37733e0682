"""The operations pages, done: every command block marked `sh runs` is run, in the order of the page,
against a real collector and its probes; and the list of own metrics is held to what they tell.

Paths are those of an installation, moved below the test's folder; systemctl is the test's own.
"""
import os
import pathlib
import re
import shutil
import signal
import subprocess

from fengsui import BUILD, PATIENCE, Lab, free_port, grid_ticks, run_tests, wait_for

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = [ROOT / "deploy/operations.md", ROOT / "deploy/operations.zh-CN.md"]
METRICS = ROOT / "deploy/own-metrics.md"

CONFIG = """
data: {root}/var/lib/fengsui
http: {{listen: "127.0.0.1:{http}"}}
ingest: {{listen: "tcp://127.0.0.1:{ingest}"}}
rules: {{files: [rules/*.yml]}}
alerting: alerting.yml
"""
# What a page takes for granted: root's chown, and programs in PATH.
PRELUDE = "set -e\nchown() { :; }\n"


def blocks(page):
    """(the heading it stands under, the commands) of every block that can be run."""
    found, heading, lines = [], "", None
    for line in page.read_text(encoding="utf-8").splitlines():
        if lines is not None:
            if line == "```":
                found.append((heading, lines))
                lines = None
            else:
                lines.append(line)
        elif line == "```sh runs":
            lines = []
        elif line.startswith("#"):
            heading = line.lstrip("# ")
    return found


class Installation:
    """A collector where an installation has it, below the test's folder."""

    def __init__(self, lab):
        self.root = lab.folder / "root"
        self.etc = self.root / "etc/fengsui"
        self.etc.mkdir(parents=True)
        (self.root / "var/lib").mkdir(parents=True)
        shutil.copytree(ROOT / "deploy/rules", self.etc / "rules")
        shutil.copy(ROOT / "deploy/config/alerting.yml", self.etc)
        self.collector = lab.collector()
        self.collector.data = self.root / "var/lib/fengsui"
        self.collector.arguments = ["--config", self.etc / "collector.yml"]
        (self.etc / "collector.yml").write_text(CONFIG.format(
            root=self.root, http=self.collector.http, ingest=self.collector.ingest))
        self.check_port, self.other_port = free_port(), free_port()

    def systemctl(self, verb, unit):
        assert unit == "fengsui-collector", unit
        if verb in ("stop", "restart"):
            self.collector.stop()
        if verb in ("start", "restart"):
            self.collector.start()
        if verb == "reload":
            self.collector.signal(signal.SIGHUP)

    def bash(self, lines, words):
        text = "\n".join(lines)
        for path in ("/var/lib", "/etc", "/srv"):
            text = re.sub(rf"(?<![\w/]){path}(?=[/ \n])", f"{self.root}{path}", text)
        text = text.replace("127.0.0.1:19470", f"127.0.0.1:{self.check_port}") \
            .replace("127.0.0.1:19471", f"127.0.0.1:{self.other_port}")
        # A collector that was just started answers when it is ready, not after so many seconds.
        text = text.replace("sleep 2", "for i in $(seq 600); do curl -sf http://127.0.0.1:"
                            f"{self.check_port}/-/ready >/dev/null && break; sleep 0.1; done")
        for word, value in words.items():
            text = re.sub(rf"\b{word}\b", lambda _, v=value: f"'{v}'", text)
        done = subprocess.run(
            ["bash", "-c", PRELUDE + text], capture_output=True, text=True, check=False,
            cwd=self.root, timeout=120 * PATIENCE,
            env={**os.environ, "PATH": f"{BUILD}:{os.environ['PATH']}", "LANG": "C.UTF-8",
                 "FENGSUI_URL": f"http://127.0.0.1:{self.collector.http}"})
        assert done.returncode == 0, \
            f"{text}\nended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def run(self, lines, words):
        """A block: what is systemctl's goes to us, all else to bash."""
        told, rest = "", []
        for line in lines:
            found = re.fullmatch(r"systemctl (\w+) (\S+)", line)
            if found:
                told += self.bash(rest, words) if rest else ""
                rest = []
                self.systemctl(*found.groups())
            else:
                rest.append(line)
        return told + (self.bash(rest, words) if rest else "")


def test_both_pages_have_the_same_commands():
    english, chinese = blocks(PAGES[0]), blocks(PAGES[1])
    assert [lines for _, lines in english] == [lines for _, lines in chinese]
    assert len(english) > 12, len(english)
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        titles = re.findall(r"^## (.+)$", text, re.M)
        assert titles == re.findall(r"^- \[([^\]]+)\]\(#", text, re.M), "contents and headings"


def all_is_there_or_told(collector, probe):
    """Is every tick that the probe kept in the store, but for those it has told as lost?"""
    ticks = grid_ticks(probe)
    points = collector.query('node_load1{instance="live"}[1h]')[0]["values"]
    missing = set(ticks) - {round(time * 1000) for time, _ in points}
    return len(ticks) > 5 and len(missing) <= collector.probes()[0]["gapBatches"]


def test_every_command_of_the_page_does_what_the_page_says():
    with Lab() as lab:
        place = Installation(lab)
        collector = place.collector.start()
        (lab.folder / "probe.yml").write_text("sources: {processes: {interval: 1s}}\n")
        live = lab.probe(collector, flags=["--config", lab.folder / "probe.yml", "--instance",
                                           "live", "--log-level", "debug"]).start()
        stranger = lab.probe(collector, name="stranger", flags=["--instance", "app-17"])
        at = stranger.arguments.index("--token")
        del stranger.arguments[at:at + 2]
        stranger.start()
        wait_for(lambda: collector.query('node_load1{instance="live"}'), "data")
        # The first own metrics, and the process table that `processes` asks for.
        wait_for(lambda: collector.query("fengsui_collector_build_info"), "own metrics", 30)
        wait_for(lambda: collector.get("/api/fengsui/v1/processes", instance="live")[0] == 200,
                 "the process table", 40)

        def pending():
            return [row["key"] for row in collector.json("/api/fengsui/v1/keys")["data"]
                    if row["state"] == "pending"]
        words = {"HOST": "live", "KEY": wait_for(pending, "the stranger's key")[0]}
        done = {}
        for heading, lines in blocks(PAGES[0]):
            # An hour ago there was no host yet: the commands are what is tested.
            lines = [re.sub(r"--at 10m", "--at 1s", line) for line in lines]
            if heading == "A key waits" and "approve" in "".join(lines):
                wait_for(pending, "the stranger after the restore", 30)
            done[heading] = done.get(heading, "") + place.run(lines, words)
            if heading == "With a stop":
                # Something that is acknowledged after the backup, to be lost by the restore.
                before = collector.value("fengsui_probe_spool_batches_total")
                wait_for(lambda b=before: collector.value("fengsui_probe_spool_batches_total")
                         > b + 2, "more batches")
            if heading == "Restore":
                wait_for(lambda: all_is_there_or_told(collector, live),
                         "every tick since the backup, or a gap in its place", 30)
        assert "live" in done["Is the backup good?"], done["Is the backup good?"]
        assert "ready" in done["Restore"] and "ready" in done["Upgrade"], done["Restore"]
        assert "approved" in done["A key waits"], done["A key waits"]
        wait_for(lambda: collector.query('node_load1{instance="app-17",site="zhongta"}'),
                 "data of the host that was let in")
        for name in ("fengsui.tar.gz", "fengsui-etc.tar.gz", "fengsui-hot/live/data.mdb"):
            assert (place.root / "srv/backup" / name).stat().st_size > 1000, name
        collector.stop()


def test_the_list_of_own_metrics_is_complete_and_true():
    text = METRICS.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]+) \| ([^|]+) \|$", text, re.M)
    told = {name: kind for name, kind, *_ in rows}
    assert len(told) == len(rows), "a metric twice"
    for name, _, chinese, english in rows:
        assert re.search(r"[\u4e00-\u9fff]", chinese) and not re.search(r"[\u4e00-\u9fff]", english), \
            name
    with Lab() as lab:
        # Receivers have rows of their own, even one that is not there.
        collector = lab.collector("remote_write: [{url: 'http://127.0.0.1:9/', name: none}]\n").start()
        lab.probe(collector).start()
        wait_for(lambda: collector.query("fengsui_probe_connected"), "the probe's own metrics")
        page = collector.get("/metrics")[1].decode()
        live = dict(re.findall(r"^# TYPE (\S+) (\S+)$", page, re.M))
        # What is on /metrics is in the store, so that rules and boards can speak of it.
        live.pop("alertmanager_build_info", None)  # what amtool asks for, no metric of ours
        wait_for(lambda: set(live) <= set(
            collector.json("/api/v1/label/__name__/values")["data"]), "own metrics as series", 30)
        for name, entries in collector.json("/api/v1/metadata")["data"].items():
            if name.startswith("fengsui_"):
                live[name] = entries[0]["type"]
        missing = sorted(set(live) - set(told))
        assert not missing, f"own-metrics.md lacks {missing}"
        sources = "".join(path.read_text() for part in ("probe", "collector")
                          for path in (ROOT / part).rglob("*.c"))
        for name, kind in told.items():
            # A few are told only once there is something to tell.
            known = name in live or f'"{name}"' in sources
            assert known, f"own-metrics.md has {name}, which nobody tells"
            assert live.get(name, kind) == kind, f"{name} is a {live[name]}"
        collector.stop()


if __name__ == "__main__":
    run_tests(globals())
