"""The packages: laid down, upgraded, removed and purged by the real dpkg and rpm, on a fake host.

What an operator must be able to rely on: configuration that was edited stays, a service that ran
runs again with the new program, one that did not stays so, and what was measured is not thrown away
before somebody says purge.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import fake_host
import fengsui
import package_lint

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = None
STATE = "/var/lib/fengsui-probe"
SCRIPT = "/etc/init.d/fengsui-probe"
SPOOL = "ls /var/lib/fengsui-probe/spool"


def run(*arguments, **options):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, check=False,
                          timeout=300 * fengsui.PATIENCE, **options)
    assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
    return done.stdout


def make(kind, part, release=1):
    """A package, by the script that README names; the probe is the one of the build."""
    name = {"deb": f"fengsui-{part}_0.*-{release}_*.deb", "rpm": f"fengsui-{part}-0.*-{release}.*.rpm"}[kind]
    for made in OUT.glob(name):
        return made
    run(ROOT / "deploy/package.sh", "--kind", kind, "--part", part, "--release", release, "--output", OUT,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "FENGSUI_BUILD": str(fengsui.BUILD),
             "FENGSUI_STATIC_PROBE": str(fengsui.BUILD / "fengsui-probe")})
    return next(OUT.glob(name))


def rebuilt(package, version, edit):
    """The same .deb as another version; `edit` changes its unpacked folder."""
    folder = OUT / "unpacked"
    run("dpkg-deb", "-R", package, folder)
    control = folder / "DEBIAN/control"
    control.write_text(re.sub(r"(?m)^Version: .*", f"Version: {version}", control.read_text()))
    edit(folder)
    run("dpkg-deb", "-b", "-Znone", folder, OUT / f"{version}.deb")
    shutil.rmtree(folder)
    return OUT / f"{version}.deb"


def enrol(host, collector):
    """What an installation cannot know: where the collector is, its key, a token."""
    text = host.read("/etc/fengsui/probe.yml")
    text = text.replace("tcp://127.0.0.1:9471", f"tcp://127.0.0.1:{collector.ingest}")
    host.write("/etc/fengsui/probe.yml", text + "interval: 1s\n")
    keys = collector.data / "keys"
    host.run(f"install -o fengsui-probe -m 400 {keys}/collector.pub {keys}/enrol.token /etc/fengsui/")


def pid_of(host):
    return re.search(r"process (\d+)", host.run(f"{SCRIPT} status")).group(1)


def test_dpkg_installs_upgrades_removes_and_purges_the_probe():
    package = make("deb", "probe")

    def edit(folder):
        (folder / "etc/fengsui/probe.yml").write_text("# a newer example\n")

    newer = rebuilt(package, "0.2.0-1", edit)
    with fengsui.Lab() as lab, fake_host.FakeHost() as host:
        collector = lab.collector().start()
        host.run("getent group systemd-journal || groupadd -r systemd-journal")
        told = host.run(f"dpkg -i {package}")
        assert "systemd-journal" in host.run("id -Gn fengsui-probe").split()
        assert "is not started yet" in told and "collector.pub" in told, told
        host.run(f"{SCRIPT} status", code=3)
        told = host.run(f"stat -c '%U %a' {STATE}")
        assert told.split() == ["fengsui-probe", "750"], told
        assert host.has("/etc/systemd/system/multi-user.target.wants/fengsui-probe.service")

        enrol(host, collector)
        host.run(f"{SCRIPT} start")
        fengsui.wait_for(lambda: collector.query("node_load1"), "data of the installed probe")
        first = pid_of(host)
        assert host.run(f"stat -c %U /proc/{first}").strip() == "fengsui-probe"
        before = host.read("/etc/fengsui/probe.yml")
        key = host.run(f"cat {STATE}/probe.pub")

        told = host.run(f"dpkg -i --force-confold {newer}")
        assert pid_of(host) != first, "the old program still runs"
        assert host.read("/etc/fengsui/probe.yml") == before
        assert host.has("/etc/fengsui/probe.yml.dpkg-dist")
        assert host.run(f"cat {STATE}/probe.pub") == key

        host.run(f"{SCRIPT} stop")
        host.run(f"dpkg -i --force-confold --force-downgrade {package}")
        host.run(f"{SCRIPT} status", code=3)  # one that was stopped stays so

        host.run(f"{SCRIPT} start")
        host.run("dpkg -r fengsui-probe")
        host.run("pidof fengsui-probe", code=1)
        assert "epoch" in host.run(f"{SPOOL} -R") or host.run(SPOOL).strip(), "the spool is gone"
        assert host.read("/etc/fengsui/probe.yml") == before
        assert not host.has("/etc/systemd/system/multi-user.target.wants/fengsui-probe.service")

        host.run(f"dpkg -i {package}")
        assert pid_of(host), "one that comes back with all it needs starts"
        host.run("dpkg -P fengsui-probe")
        for name in (STATE, "/etc/fengsui", SCRIPT, "/usr/bin/fengsui-probe",
                     "/var/log/fengsui-probe.log"):
            assert not host.has(name), f"{name} is left"


def test_rpm_installs_upgrades_and_erases_the_probe():
    if shutil.which("rpmbuild") is None:
        print("skip test_rpm_installs_upgrades_and_erases_the_probe: no rpmbuild here")
        return
    old, new = make("rpm", "probe"), make("rpm", "probe", 2)
    with fengsui.Lab() as lab, fake_host.FakeHost() as host:
        collector = lab.collector().start()
        # Its database is dpkg's here: what an RPM host has, it cannot know.
        host.run(f"rpm --initdb && rpm -i --nodeps {old}")
        told = host.run("rpm -V --nodeps fengsui-probe", code=None)
        assert "probe.yml" not in told, told
        host.run(f"{SCRIPT} status", code=3)
        enrol(host, collector)
        host.run(f"{SCRIPT} start")
        fengsui.wait_for(lambda: collector.query("node_load1"), "data of the installed probe")
        first, edited = pid_of(host), host.read("/etc/fengsui/probe.yml")
        host.run(f"rpm -U --nodeps {new}")
        assert pid_of(host) != first, "the old program still runs"
        assert host.read("/etc/fengsui/probe.yml") == edited
        host.run("rpm -e fengsui-probe")
        host.run("pidof fengsui-probe", code=1)
        assert host.read("/etc/fengsui/probe.yml.rpmsave") == edited
        assert host.has(f"{STATE}/probe.key"), "the spool and the key are gone"
        assert not host.has("/usr/bin/fengsui-probe")


def test_lintian_and_rpmlint_have_nothing_to_say_of_the_probe():
    for kind in ("deb", "rpm"):
        if kind == "rpm" and shutil.which("rpmbuild") is None:
            continue
        told = package_lint.complaints(make(kind, "probe"))
        assert not told, "\n".join(told)
        if told is None:
            print(f"no checker for .{kind} here")


if __name__ == "__main__":
    WHY_NOT = fake_host.why_not() or (None if shutil.which("dpkg-deb") else "no dpkg here")
    if WHY_NOT:
        print(f"skip: {WHY_NOT}")
        sys.exit(fengsui.SKIPPED)
    with tempfile.TemporaryDirectory(prefix="fengsui-packages-") as place:
        OUT = pathlib.Path(place)
        fengsui.run_tests(globals())
