"""The packages where systemd runs, the collector's package, and the Ansible role.

A minimal Debian is made by debootstrap (from this host's own mirror), both packages are installed in
it, and it is booted by systemd-nspawn: the units start the programs under their sandbox, start them
again when they are killed, an upgrade restarts them, what was stopped stays stopped.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import fake_host
import fengsui
import package_lint
import test_bundle
import test_packages

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGES = "libzmq5 libprotobuf-c1 liblmdb0 libuv1 libsodium23 libzstd1 libsnappy1v5 libxxhash0 " \
    "libroaring0 libpcre2-8-0 libyaml-0-2 libmicrohttpd12 libcurl3-gnutls libjansson4 zlib1g"

# Runs inside, as a unit; the last line of /result is "done", or where it failed.
IN_THE_HOST = r"""#!/bin/bash
exec >/result 2>&1
set -ex
leave() {
  code=$?
  if [ $code != 0 ]; then
    systemctl --no-pager status fengsui-probe fengsui-collector
    journalctl --no-pager -u fengsui-probe -u fengsui-collector | tail -50
    echo failed
  fi
  systemctl poweroff
}
trap leave EXIT
until_true() { for i in $(seq 300); do if "$@" >/dev/null 2>&1; then return 0; fi; sleep 0.2; done; "$@"; }
main() { systemctl show -p MainPID --value "$1"; }
dpkg -i /packages/fengsui-collector_*.deb /packages/old/fengsui-probe_*.deb
systemctl is-enabled fengsui-collector fengsui-probe
until_true systemctl is-active fengsui-collector
until_true fengsuictl status
install -o fengsui-probe -m 400 /var/lib/fengsui/keys/collector.pub /var/lib/fengsui/keys/enrol.token /etc/fengsui/
systemctl start fengsui-probe
until_true bash -c 'fengsuictl query node_load1 | grep -q node_load1'
p=$(main fengsui-probe); c=$(main fengsui-collector); test "$p" -gt 1; test "$c" -gt 1
test "$(stat -c %U /proc/$p)" = fengsui-probe; test "$(stat -c %U /proc/$c)" = fengsui
grep -q '^NoNewPrivs:.*1' /proc/$p/status; grep -q '^Seccomp:.*2' /proc/$p/status
grep -q '^CapEff:.*0000000000000000' /proc/$p/status
# Killed: started again.
kill -9 "$p" "$c"
until_true bash -c "test \$(systemctl show -p NRestarts --value fengsui-probe) -ge 1"
until_true bash -c "test \$(systemctl show -p NRestarts --value fengsui-collector) -ge 1"
until_true fengsuictl status
until_true systemctl is-active fengsui-probe
# Upgraded: another process, the same key and configuration.
p=$(main fengsui-probe); key=$(sha256sum /var/lib/fengsui-probe/probe.key)
echo 'interval: 1s' >>/etc/fengsui/probe.yml
dpkg -i --force-confold /packages/new/fengsui-probe_*.deb
test "$(main fengsui-probe)" != "$p"; systemctl is-active fengsui-probe
test "$key" = "$(sha256sum /var/lib/fengsui-probe/probe.key)"; grep -q '^interval: 1s' /etc/fengsui/probe.yml
# With more rights, by the drop-in that --check and the manual name.
install -D -m 644 /usr/share/fengsui/examples/probe-privileges.conf /etc/systemd/system/fengsui-probe.service.d/privileges.conf
systemctl daemon-reload; systemctl restart fengsui-probe
grep -q '^CapEff:.*0000000000080004' /proc/$(main fengsui-probe)/status
# Stopped: an upgrade does not start it.
systemctl stop fengsui-probe
dpkg -i --force-confold --force-downgrade /packages/old/fengsui-probe_*.deb
! systemctl is-active fengsui-probe
systemctl start fengsui-probe
dpkg -P fengsui-probe fengsui-collector
test ! -e /var/lib/fengsui-probe; test ! -e /var/lib/fengsui; ! pidof fengsui-probe fengsui-collector
# And the archive, which finds systemd by itself.
/bundle/install.sh --no-start
systemctl is-enabled fengsui-probe
systemctl start fengsui-probe; systemctl is-active fengsui-probe
/bundle/install.sh --purge
echo done
"""


def make_debian(root):
    """A small Debian with systemd and the libraries; one line that says why not, or None."""
    made = os.environ.get("FENGSUI_DEBIAN_ROOT")
    if made:
        subprocess.run(["cp", "-a", made, root], check=True)
        return None
    sources = pathlib.Path("/etc/apt/sources.list.d/debian.sources")
    if not sources.exists():
        sources = pathlib.Path("/etc/apt/sources.list")
    mirror = re.search(r"https?://\S+", re.sub("(?m)^#.*", "", sources.read_text())).group(0)
    release = re.search(r"VERSION_CODENAME=(\w+)", pathlib.Path("/etc/os-release").read_text()).group(1)
    done = subprocess.run(
        ["debootstrap", "--variant=minbase",
         "--include=" + ",".join(["systemd", "systemd-sysv", "dbus", "procps", *PACKAGES.split()]),
         release, root, mirror], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"no Debian from {mirror}: {done.stdout[-200:]!r}"


def test_the_units_run_where_systemd_does():
    for program in ("systemd-nspawn", "debootstrap"):
        if shutil.which(program) is None:
            print(f"skip test_the_units_run_where_systemd_does: no {program} here")
            return
    with tempfile.TemporaryDirectory(prefix="fengsui-boot-") as place, fengsui.Lab() as lab:
        root = pathlib.Path(place, "root")
        why = make_debian(root)
        if why is not None:
            print(f"skip test_the_units_run_where_systemd_does: {why}")
            return
        for kind, part, revision in (("old", "probe", 1), ("new", "probe", 2), ("", "collector", 1)):
            target = root / "packages" / kind
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(test_packages.make("deb", part, revision), target)
        collector = lab.collector().start()
        shutil.copytree(test_bundle.bundle(lab.folder, collector), root / "bundle")
        unit = root / "etc/systemd/system/test.service"
        unit.write_text("[Unit]\nAfter=multi-user.target\n[Service]\nType=oneshot\nExecStart=/test\n"
                        "[Install]\nWantedBy=graphical.target\n")
        (root / "test").write_text(IN_THE_HOST)
        (root / "test").chmod(0o755)
        subprocess.run(["systemctl", "--root", root, "enable", "test.service"], check=True,
                       capture_output=True)
        subprocess.run(["systemctl", "--root", root, "set-default", "graphical.target"], check=True,
                       capture_output=True)
        done = subprocess.run(
            ["systemd-nspawn", "-q", "-D", root, "--register=no", "--keep-unit", "-b",
             "--private-network"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False, timeout=900)
        result = root / "result"
        if not result.exists():
            said = (done.stdout + done.stderr)[-400:]
            assert "Failed" in said or done.returncode != 0, said
            print(f"skip test_the_units_run_where_systemd_does: it does not boot here: {said!r}")
            return
        told = result.read_text()
        assert "\ndone\n" in told and "\nfailed\n" not in told, told


def test_dpkg_lays_down_the_collector_beside_the_probe():
    packages = [test_packages.make("deb", part) for part in ("probe", "collector")]
    for package in (packages[1], test_packages.make("rpm", "collector")):
        told = package_lint.complaints(package)
        assert not told, "\n".join(told)
    with fake_host.FakeHost() as host:
        host.run(f"dpkg -i {packages[0]} {packages[1]}")
        told = host.run("fengsui-collector --config /etc/fengsui/collector.yml --check")
        assert re.search(r"good: [1-9]\d* rules", told), told
        host.run("echo '# mine' >>/etc/fengsui/rules/host.yml; touch /var/lib/fengsui/x")
        assert host.run("stat -c %U /var/lib/fengsui").strip() == "fengsui"
        host.run("MANPATH=/usr/share/man man -w fengsuictl fengsui-probe >/dev/null || "
                 "test -f /usr/share/man/man1/fengsuictl.1.gz")
        host.run("dpkg -r fengsui-collector")
        assert "# mine" in host.read("/etc/fengsui/rules/host.yml")
        assert host.has("/var/lib/fengsui/x")
        host.run("dpkg -P fengsui-collector")
        assert not host.has("/var/lib/fengsui") and not host.has("/etc/fengsui/rules")
        assert host.has("/etc/fengsui/probe.yml"), "the other package's file went, too"


def ansible(host, folder, *arguments):
    words = " ".join(str(a) for a in arguments)
    return host.run(
        f"cd {ROOT}/deploy/ansible && HOME={folder} ANSIBLE_NOCOLOR=1 ANSIBLE_LOCAL_TEMP={folder}/t "
        f"ANSIBLE_REMOTE_TEMP={folder}/t ansible-playbook -i localhost, -c local {words} 2>&1")


def test_the_ansible_role_installs_from_the_same_archive():
    if shutil.which("ansible-playbook") is None:
        print("skip test_the_ansible_role_installs_from_the_same_archive: no ansible-playbook here")
        return
    with fengsui.Lab() as lab, fake_host.FakeHost() as host:
        collector = lab.collector().start()
        test_bundle.bundle(lab.folder, collector)
        arguments = ("-e", "ansible_python_interpreter=/usr/bin/python3", "-e",
                     f"fengsui_bundle={lab.folder}/bundle.tar.gz", "probes.yml")
        ansible(host, lab.folder, *arguments)
        fengsui.wait_for(lambda: collector.query("node_load1"), "data of the host")
        first = test_bundle.pid_of(host)
        told = ansible(host, lab.folder, *arguments)
        assert re.search(r"changed=0\b.*failed=0", told), told
        assert test_bundle.pid_of(host) == first
        ansible(host, lab.folder, "-e", "fengsui_state=absent", *arguments)
        host.run("pidof fengsui-probe", code=1)
        assert host.has("/var/lib/fengsui-probe/probe.key")


if __name__ == "__main__":
    WHY_NOT = fake_host.why_not() or (None if shutil.which("dpkg-deb") else "no dpkg here")
    if WHY_NOT:
        print(f"skip: {WHY_NOT}")
        sys.exit(fengsui.SKIPPED)
    with tempfile.TemporaryDirectory(prefix="fengsui-packages-") as made:
        test_packages.OUT = pathlib.Path(made)
        fengsui.run_tests({name: value for name, value in globals().items() if callable(value)})
