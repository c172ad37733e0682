"""The offline archive and its init script: installed, upgraded and removed on a fake host.

One command on a host that has nothing must make it a watched one; run again it must change nothing,
and whatever it does later it must not lose configuration, key or spool.  The host has no systemd, so
this is also the init script at work; units are booted, and the
Ansible role is played, by long_packages.py.
"""
import pathlib
import re
import shutil
import subprocess
import sys

import fake_host
import fengsui

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = "/etc/init.d/fengsui-probe"
PIDFILE = "/var/run/fengsui-probe.pid"
STATE = "/var/lib/fengsui-probe"


def bundle(folder, collector, *flags, code=0):
    """Makes an archive for this collector and unpacks it; its folder."""
    archive = folder / "bundle.tar.gz"
    done = subprocess.run(
        [ROOT / "deploy/bundle.sh", "--collector", f"tcp://127.0.0.1:{collector.ingest}", "--keys",
         collector.data / "keys", "--probe", fengsui.BUILD / "fengsui-probe", "--output", archive,
         *flags], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    if code != 0:
        return done.stderr
    shutil.unpack_archive(archive, folder / "unpacked")
    return next((folder / "unpacked").iterdir())


def pid_of(host):
    return re.search(r"process (\d+)", host.run(f"{SCRIPT} status")).group(1)


def test_one_command_makes_a_watched_host_and_a_second_changes_nothing():
    with fengsui.Lab() as lab, fake_host.FakeHost() as host:
        collector = lab.collector().start()
        place = bundle(lab.folder, collector)
        assert (place.parent.parent / "bundle.tar.gz").stat().st_mode & 0o77 == 0, "the token is open"
        assert "configuration: good" in host.run(f"{place}/install.sh --check")
        assert not host.has("/usr/bin/fengsui-probe"), "--check changed something"

        host.run(f"{place}/install.sh --instance app-17")
        fengsui.wait_for(lambda: collector.query('node_load1{instance="app-17"}'), "data of app-17")
        first = pid_of(host)
        assert host.run(f"stat -c %U /proc/{first}").strip() == "fengsui-probe"
        assert host.run(f"stat -c '%U %a' /etc/fengsui/enrol.token").split() == ["fengsui-probe", "400"]
        assert re.search(r"CapEff:\s*0+$", host.run(f"grep CapEff /proc/{first}/status").strip())

        told = host.run(f"{place}/install.sh")
        assert "nothing" in told and pid_of(host) == first, told

        # Newer: the same program, stripped.  Edited configuration, key and spool stay.
        key = host.run(f"cat {STATE}/probe.key")
        host.run("echo 'interval: 1s' >>/etc/fengsui/probe.yml")
        edited = host.read("/etc/fengsui/probe.yml")
        host.run(f"strip {place}/fengsui-probe")
        told = host.run(f"{place}/install.sh --privileges")
        second = pid_of(host)
        assert second != first and "/usr/bin/fengsui-probe" in told, told
        assert host.read("/etc/fengsui/probe.yml") == edited
        assert host.run(f"cat {STATE}/probe.key") == key
        mask = int(host.run(f"grep CapEff /proc/{second}/status").split()[1], 16)
        assert mask == 1 << 2 | 1 << 19, hex(mask)
        assert host.run(f"stat -c %U /proc/{second}").strip() == "fengsui-probe"

        host.run(f"{place}/install.sh --uninstall")
        host.run("pidof fengsui-probe", code=1)
        assert host.has(f"{STATE}/probe.key") and host.has("/etc/fengsui/probe.yml")
        assert not host.has(SCRIPT) and not host.has("/usr/bin/fengsui-probe")
        host.run(f"{place}/install.sh")
        assert pid_of(host), "it does not come back"
        assert host.run(f"cat {STATE}/probe.key") == key
        host.run(f"{place}/install.sh --purge")
        for name in (STATE, "/etc/fengsui", SCRIPT, "/var/log/fengsui-probe.log"):
            assert not host.has(name), f"{name} is left"


def test_the_init_script_keeps_the_rules_of_the_lsb():
    with fengsui.Lab() as lab, fake_host.FakeHost() as host:
        collector = lab.collector().start()
        place = bundle(lab.folder, collector)
        host.run(f"{place}/install.sh --no-start")
        host.run(f"{SCRIPT} status", code=3)
        host.run(f"{SCRIPT} condrestart")
        host.run(f"{SCRIPT} status", code=3)  # condrestart starts nothing
        host.run(f"{SCRIPT} stop")            # nor is stopping what is stopped a fault
        host.run(f"{SCRIPT} reload", code=7)
        host.run(f"{SCRIPT} frobnicate", code=2)

        host.run(f"{SCRIPT} start")
        first = pid_of(host)
        told = host.run(f"{SCRIPT} start")
        assert f"runs already (process {first})" in told and pid_of(host) == first, told
        host.run(f"{SCRIPT} reload")
        assert pid_of(host) == first
        host.run(f"{SCRIPT} condrestart")
        second = pid_of(host)
        assert second != first

        # Killed: the number is left, and is no obstacle.
        host.run(f"kill -9 {second}")
        fengsui.wait_for(lambda: not host.has(f"/proc/{second}"), "the end of the probe")
        assert "is dead" in host.run(f"{SCRIPT} status", code=1)
        host.run(f"{SCRIPT} start")
        third = pid_of(host)
        host.run(f"{SCRIPT} stop")
        assert not host.has(PIDFILE) and not host.has(f"/proc/{third}")

        # The number is another program's now: that one is let alone.
        bystander = host.run("sleep 600 >/dev/null 2>&1 & echo $!").strip()
        host.write(PIDFILE, f"{bystander}\n")
        host.run(f"{SCRIPT} status", code=1)
        host.run(f"{SCRIPT} stop")
        assert host.has(f"/proc/{bystander}"), "a bystander was killed"
        host.write(PIDFILE, "rubbish; rm\n")
        host.run(f"{SCRIPT} start")
        host.run(f"{SCRIPT} stop")

        # What it cannot use is told at once, by the command that was typed.
        host.run("echo 'no_such_key: 1' >>/etc/fengsui/probe.yml")
        assert "no_such_key" in host.run(f"{SCRIPT} start", code=1)
        host.run(f"{SCRIPT} status", code=3)
        host.run("rm /etc/fengsui/probe.yml")
        host.run(f"{SCRIPT} start", code=6)
        host.run("rm /usr/bin/fengsui-probe")
        host.run(f"{SCRIPT} start", code=5)


def test_what_does_not_fit_together_is_refused_before_it_is_carried_anywhere():
    with fengsui.Lab() as lab:
        collector = lab.collector().start()
        folder = lab.folder
        broken = folder / "probe.yml"
        broken.write_text("collector: {}\n")
        assert "no line" in bundle(folder, collector, "--config", broken, code=2)
        broken.write_text("collector:\n  endpoint: x\n  key: collector.pub\nno_such_key: 1\n")
        assert "no_such_key" in bundle(folder, collector, "--config", broken, code=2)
        assert "HOST:PORT" in bundle(folder, collector, "--collector", "10.1.2.3", code=2)
        assert "cannot be read" in bundle(folder, collector, "--key", folder / "none", code=2)
        done = subprocess.run([ROOT / "deploy/bundle.sh", "--help"], capture_output=True, text=True,
                              check=False)
        assert done.returncode == 0 and "install.sh" in done.stdout


def test_ansible_finds_no_fault_in_the_role():
    if shutil.which("ansible-playbook") is None:
        print("skip test_ansible_finds_no_fault_in_the_role: no ansible-playbook here")
        return
    done = subprocess.run(
        ["ansible-playbook", "-i", "localhost,", "--syntax-check", "probes.yml"],
        cwd=ROOT / "deploy/ansible", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


if __name__ == "__main__":
    WHY_NOT = fake_host.why_not()
    if WHY_NOT:
        print(f"skip: {WHY_NOT}")
        sys.exit(fengsui.SKIPPED)
    fengsui.run_tests(globals())
