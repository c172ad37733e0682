#!/usr/bin/python3
"""Is this service up?  systemd's units over a real message bus, against a systemd that is played.

What can go wrong, each a case here:
  - names, labels and values are not node_exporter's;
  - an old systemd lacks properties, and the rest is lost with them;
  - a bus that hangs or dies holds the other sources up, or leaves states that are not true any
    more;
  - a failed unit raises no alert;
  - a host without systemd counts as faulty.
"""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys

from fengsui import BUILD, PATIENCE, SKIPPED, Lab, free_port, run_tests, wait_for

HERE = pathlib.Path(__file__).resolve().parent
RULES = HERE.parent.parent / "deploy/rules/services.yml"
BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/>
<allow eavesdrop="true"/><allow own="*"/></policy></busconfig>
"""
UNITS = {
    "declare-core.service": {"active": "active", "Type": "forking", "NRestarts": 3,
                             "TasksCurrent": 41, "TasksMax": 2**64 - 1,
                             "ActiveEnterTimestamp": 1700000000123456},
    "getty@tty1.service": {"active": "inactive", "Type": "idle", "NRestarts": 0,
                           "TasksCurrent": 2**64 - 1, "TasksMax": 512,
                           "ActiveEnterTimestamp": 1700000000000000},
    "9p.service": {"active": "failed", "Type": "simple", "NRestarts": 7,
                   "ActiveEnterTimestamp": 0, "TasksCurrent": 0, "TasksMax": 512},
    "declare.socket": {"active": "active", "NAccepted": 12, "NConnections": 2, "NRefused": 1,
                       "ActiveEnterTimestamp": 1700000000000000},
    "backup.timer": {"active": "active", "LastTriggerUSec": 1700000001500000,
                     "ActiveEnterTimestamp": 1700000000000000},
    "gone.service": {"load": "not-found", "active": "inactive", "Type": ""},
    "multi-user.target": {"active": "active", "ActiveEnterTimestamp": 1700000000000000},
    "session-1.scope": {"active": "active"},
    "dev-sda.device": {"active": "active"},
    "data.mount": {"active": "reloading", "Type": "xfs"},
}
WORLD = {"Version": "252.38-1~deb12u1", "SystemState": "degraded", "Virtualization": "kvm",
         "units": UNITS}


class Bus:
    """A dbus-daemon of our own, and whoever plays systemd on it."""

    def __init__(self, folder):
        self.folder, self.socket = folder, folder / "bus"
        self.address = f"unix:path={self.socket}"
        self.world = folder / "world.json"
        self.write(WORLD)
        (folder / "bus.conf").write_text(BUS_CONFIG.format(socket=self.socket))
        self.start()

    def start(self):
        self.socket.unlink(missing_ok=True)
        with open(self.folder / "bus.log", "ab") as log:
            self.daemon = subprocess.Popen(  # pylint: disable=consider-using-with
                ["dbus-daemon", f"--config-file={self.folder}/bus.conf", "--nofork",
                 "--nopidfile"], stdout=log, stderr=log)
            wait_for(self.socket.exists, "the bus")
            self.mock = subprocess.Popen(  # pylint: disable=consider-using-with
                ["/usr/bin/python3", HERE / "systemd_mock.py", self.address, self.world],
                stdout=subprocess.PIPE, stderr=log, text=True)
        if not self.mock.stdout.readline().startswith("ready"):
            self.stop()
            raise AssertionError((self.folder / "bus.log").read_text())

    def write(self, world):
        new = self.world.with_suffix(".new")
        new.write_text(json.dumps(world))
        new.rename(self.world)

    def stop(self):
        for process in (self.mock, self.daemon):
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()
        self.mock.stdout.close()


class World(Lab):
    """A Lab with a bus."""

    def __init__(self):
        super().__init__()
        self.bus = Bus(self.folder)

    def __exit__(self, kind, error, trace):
        self.bus.stop()
        return super().__exit__(kind, error, trace)

    def config(self, options=""):
        path = self.folder / "probe.yml"
        path.write_text(f"sources: {{systemd: {{socket: {self.bus.socket}, {options}}}}}\n")
        return path

    def once(self, options=""):
        return probe("--once", "--config", self.config(options), "--state",
                     self.folder / "state").stdout


def probe(*arguments):
    return subprocess.run([BUILD / "fengsui-probe", *arguments], capture_output=True, text=True,
                          timeout=60 * PATIENCE, check=True)


def series(text):
    """The text format as {series: value}; a label without value is none."""
    found = {}
    for line in text.splitlines():
        match = re.match(r"(node_systemd_\w+)(\{.*\})? (\S+)$", line)
        if match:
            labels = re.findall(r'(\w+)="([^"]*)"', match[2] or "")
            found[(match[1], frozenset((n, v) for n, v in labels if v))] = float(match[3])
    return found


ALL = "restarts: true, tasks: true, start_time: true"


def test_units_are_told_under_node_exporters_names():
    with World() as world:
        ours = series(world.once(ALL))
        def of(name, /, **labels):
            return ours.get((f"node_systemd_{name}", frozenset(labels.items())))
        assert of("unit_state", name="9p.service", state="failed", type="simple") == 1
        assert of("unit_state", name="9p.service", state="active", type="simple") == 0
        assert of("unit_state", name="multi-user.target", state="active") == 1
        assert of("service_restart_total", name="declare-core.service") == 3
        assert of("unit_tasks_current", name="declare-core.service") == 41
        assert of("unit_tasks_max", name="declare-core.service") is None, "no limit is no number"
        assert of("unit_start_time_seconds", name="declare-core.service") == 1700000000.123456
        assert of("unit_start_time_seconds", name="getty@tty1.service") == 0
        assert of("socket_refused_connections_total", name="declare.socket") == 1
        assert of("timer_last_trigger_seconds", name="backup.timer") == 1700000001.5
        assert of("units", state="active") == 6 and of("units", state="reloading") == 1
        assert of("units", state="deactivating") == 0
        assert of("system_running") == 0
        assert of("version", version="252.38-1~deb12u1") == 252.38
        names = {dict(labels).get("name") for _, labels in ours}
        assert not names & {"gone.service", "session-1.scope", "dev-sda.device", "data.mount"}, names

        only = series(world.once(r"unit_include: 'declare.*', unit_exclude: '.*\.socket'"))
        assert {dict(labels).get("name") for _, labels in only} == {None, "declare-core.service"}
        assert ("node_systemd_service_restart_total",
                frozenset({("name", "declare-core.service")})) not in only
        mounts = series(world.once("unit_exclude: ''"))
        assert mounts[("node_systemd_unit_state", frozenset(
            {("name", "data.mount"), ("state", "active"), ("type", "xfs")}))] == 0
        compare_with_node_exporter(world, ours)


def compare_with_node_exporter(world, ours):
    if not shutil.which("prometheus-node-exporter"):
        print("prometheus-node-exporter is not installed: not compared")
        return
    port = free_port()
    environment = dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS=world.bus.address)
    with open(world.folder / "exporter.log", "wb") as log:
        exporter = subprocess.Popen(  # pylint: disable=consider-using-with
            ["prometheus-node-exporter", "--collector.disable-defaults", "--collector.systemd",
             r"--collector.systemd.unit-exclude=.+\.(automount|device|mount|scope|slice)",
             "--collector.systemd.enable-task-metrics",
             "--collector.systemd.enable-restarts-metrics",
             "--collector.systemd.enable-start-time-metrics",
             f"--web.listen-address=127.0.0.1:{port}"], env=environment, stderr=log)
    try:
        def scrape():
            done = subprocess.run(["curl", "-sf", f"http://127.0.0.1:{port}/metrics"], text=True,
                                  capture_output=True, check=False)
            return series(done.stdout)
        theirs = wait_for(scrape, "node_exporter's answer")
    finally:
        exporter.kill()
        exporter.wait()
    newer = {key: value for key, value in ours.items() if "virtualization" not in key[0]}
    assert newer == theirs, f"only ours: {newer.items() - theirs.items()}, " \
                            f"only theirs: {theirs.items() - newer.items()}"


def test_an_old_systemd_lacks_some_properties_and_nothing_else_is_lost():
    with World() as world:
        old = json.loads(json.dumps(WORLD))
        old["Version"] = "219"
        del old["SystemState"]
        for unit in old["units"].values():
            unit.pop("NRestarts", None)
            unit.pop("NRefused", None)
        world.bus.write(old)
        ours = series(world.once(ALL))
        names = {name for name, _ in ours}
        assert "node_systemd_unit_tasks_current" in names
        assert "node_systemd_socket_current_connections" in names
        assert not names & {"node_systemd_service_restart_total", "node_systemd_system_running",
                            "node_systemd_socket_refused_connections_total"}, names
        assert ours[("node_systemd_version", frozenset({("version", "219")}))] == 219


def test_states_follow_the_host_and_end_with_the_bus():
    state = 'node_systemd_unit_state{state="%s"} == 1'
    with World() as world:
        shutil.copy(RULES, world.folder / "services.yml")
        collector = world.collector(
            "rules: {evaluation_interval: 200ms, files: [%s/services.yml]}\n" % world.folder)
        agent = world.probe(collector, interval="200ms", flags=(
            "--config", world.config("interval: 200ms, timeout: 300ms")))
        collector.start()
        agent.start()

        def names(state_name):
            return {r["metric"]["name"] for r in collector.query(state % state_name)}
        wait_for(lambda: names("failed") == {"9p.service"}, "the failed unit")
        wait_for(lambda: collector.query('ALERTS{alertname="SystemdUnitFailed",name="9p.service"}'),
                 "the alert on it")

        changed = json.loads(json.dumps(WORLD))
        changed["units"]["9p.service"].update(active="active", Type="notify")
        changed["units"]["declare-core.service"]["active"] = "failed"
        del changed["units"]["backup.timer"]
        world.bus.write(changed)
        wait_for(lambda: names("failed") == {"declare-core.service"}, "another failed unit")
        wait_for(lambda: not collector.query('{name="backup.timer"}'), "the end of a unit's series")
        types = {r["metric"]["type"] for r in collector.query(
            'node_systemd_unit_state{name="9p.service"}')}
        assert types == {"notify"}, types

        world.bus.daemon.send_signal(signal.SIGSTOP)
        wait_for(lambda: not collector.query('{__name__=~"node_systemd_.*"}'),
                 "the end of states nobody can see")
        before = float(collector.query("node_time_seconds")[0]["value"][1]) \
            if collector.query("node_time_seconds") else collector.query("up")[0]["value"][0]
        wait_for(lambda: collector.query("timestamp(node_load1)") and
                 float(collector.query("timestamp(node_load1)")[0]["value"][1]) > before,
                 "other sources to go on")
        assert collector.value('node_scrape_collector_success{collector="systemd"}') == 0
        world.bus.daemon.send_signal(signal.SIGCONT)
        wait_for(lambda: names("failed") == {"declare-core.service"}, "the states again")

        world.bus.stop()
        wait_for(lambda: not collector.query('{__name__=~"node_systemd_.*"}'),
                 "the end of states without a bus")
        world.bus.start()
        wait_for(lambda: names("failed") == {"declare-core.service"}, "the states on a new bus")
        assert "units cannot be read" in agent.log.read_text()
        agent.stop()


def test_check_says_why_the_bus_cannot_be_reached():
    with World() as world:
        def check():
            done = subprocess.run(
                [BUILD / "fengsui-probe", "--check", "--config", world.config("timeout: 300ms"),
                 "--state", world.folder / "state"], capture_output=True, text=True,
                timeout=60 * PATIENCE, check=False)
            assert done.returncode == 0, done.stderr
            return next(l for l in done.stdout.splitlines()
                        if l.startswith(("source systemd:", "measured here")))
        assert re.search(r"^measured here, with nothing to say:.* systemd\b", check())
        world.bus.mock.kill()
        world.bus.mock.wait()
        wait_for(lambda: "FAILS" in check() and "org.freedesktop.DBus.Error" in check(),
                 "a bus without systemd")
        world.bus.daemon.send_signal(signal.SIGSTOP)
        assert "no answer" in check(), check()
        world.bus.stop()
        with socket.socket(socket.AF_UNIX) as other:
            world.bus.socket.unlink(missing_ok=True)
            other.bind(str(world.bus.socket))
            assert "refused" in check(), check()
        world.bus.socket.unlink()
        assert f"{world.bus.socket}: No such file" in check(), check()


def test_a_host_without_systemd_is_no_fault():
    with World() as world:
        root = world.folder / "root"
        root.mkdir()
        done = probe("--once", "--rootfs", root, "--state", world.folder / "state")
        assert not series(done.stdout)
        assert 'collector="systemd"' not in done.stdout
        assert "systemd" not in done.stderr, done.stderr


if __name__ == "__main__":
    if not shutil.which("dbus-daemon") or subprocess.run(
            ["/usr/bin/python3", "-c", "import dbus, gi"], capture_output=True,
            check=False).returncode != 0:
        print("skipped: dbus-daemon, python3-dbus or python3-gi is not installed")
        sys.exit(SKIPPED)
    run_tests(globals())
