"""What `cmake --install` puts where, and whether it works as it lies there.

Installs the build into an empty DESTDIR: the list of files, the configuration as installed and with
every commented key taken in, a second installation that leaves the operator's files alone, a probe
and a collector started from the installed files, and what systemd thinks of the units.
"""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import fengsui

EXPOSURE_MOST = 1.7
UNITS = ("fengsui-collector.service", "fengsui-probe.service")
DESTDIR = None

PROGRAMS = ["fengsui-collector", "fengsui-probe", "fengsuictl"]
CONFIGURATION = ["alerting.yml", "collector.yml", "duty.yml", "holidays/2026.json", "jobs.yml", "policy.yml",
                 "probe.yml"] + [
    f"rules/{name}.yml" for name in ("fengsui", "host", "log-patterns", "logs", "processes", "scrape", "services")]
OPTIONAL_RULES = ["blackbox", "jvm", "memcached", "nginx", "oracle", "recovery", "redis", "squid", "watchdog"]
FILES = sorted(
    [f"usr/bin/{name}" for name in PROGRAMS]
    + [f"etc/fengsui/{name}" for name in CONFIGURATION]
    + [f"usr/share/fengsui/examples/{name}" for name in CONFIGURATION]
    + [f"usr/share/fengsui/examples/{name}"
       for name in ("users.yml", "probe-privileges.conf", "fengsui-probe-el7.service",
                    "fengsui-probe.upstart", "fengsui-probe.init", "fengsui-probe.logrotate")]
    + [f"usr/share/fengsui/examples/rules/optional/{name}.yml" for name in OPTIONAL_RULES]
    + [f"usr/lib/systemd/system/{name}" for name in UNITS]
    + [f"usr/lib/sysusers.d/{name}.conf" for name in PROGRAMS[:2]]
    + [f"usr/share/bash-completion/completions/{name}" for name in PROGRAMS]
    + [f"usr/share/man/{language}man{name[-1]}/{name}" for language in ("", "zh_CN/") for name in
       ("fengsuictl.1", "fengsui-collector.8", "fengsui-probe.8", "fengsui-collector.yml.5",
        "fengsui-duty.yml.5", "fengsui-jobs.yml.5", "fengsui-probe.yml.5", "fengsui-alerting.yml.5")]
    + [f"usr/share/fengsui/grafana/{language}/fengsui-{board}.json"
       for language in ("zh", "en") for board in ("collector", "host", "hosts")]
    + [f"usr/share/fengsui/grafana/provisioning/{kind}/fengsui.yaml"
       for kind in ("dashboards", "datasources")]
    + [f"usr/share/doc/fengsui/{name}"
       for name in ("LICENSE", "README.md", "README.zh-CN.md", "CHANGELOG.md", "operations.md",
                    "operations.zh-CN.md", "own-metrics.md")])


def run(*arguments, code=0, **options):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, check=False,
                          timeout=120 * fengsui.PATIENCE, **options)
    assert done.returncode == code, \
        f"{arguments} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def install():
    """Installs once more into DESTDIR; what is built is not built again."""
    run("cmake", "--install", fengsui.BUILD, "--prefix", "/usr",
        env=dict(os.environ, DESTDIR=str(DESTDIR)))


def program(name):
    return DESTDIR / "usr/bin" / name


def etc(name):
    return DESTDIR / "etc/fengsui" / name


def with_every_key(text):
    """The example with every commented key and list entry taken in."""
    key = re.compile(r"^( *)# ( *(?:- \{?)?[a-z_]+: ?.*)$")
    return "\n".join(key.sub(r"\1\2", line) for line in text.splitlines()) + "\n"


def test_every_file_lies_where_it_belongs():
    found = sorted(str(path.relative_to(DESTDIR)) for path in DESTDIR.rglob("*") if path.is_file())
    assert found == FILES, f"missing {set(FILES) - set(found)}, unexpected {set(found) - set(FILES)}"
    for name in PROGRAMS:
        assert os.access(program(name), os.X_OK), name


def test_a_second_installation_leaves_configuration_alone():
    etc("rules/host.yml").write_text("groups: []\n")
    etc("collector.yml").unlink()
    install()
    assert etc("rules/host.yml").read_text() == "groups: []\n"
    assert etc("collector.yml").exists()
    example = DESTDIR / "usr/share/fengsui/examples/rules/host.yml"
    shutil.copy(example, etc("rules/host.yml"))


def test_the_configuration_is_good_as_installed():
    told = run(program("fengsui-collector"), "--config", etc("collector.yml"), "--check")
    assert re.search(r"good: [1-9]\d* rules", told), told
    told = run(program("fengsui-probe"), "--config", etc("probe.yml"), "--check")
    # What the operator still has to copy is named, with its place.
    assert "configuration: good" in told, told
    assert f"{etc('collector.pub')}: missing" in told and f"{etc('enrol.token')}: missing" in told
    examples = DESTDIR / "usr/share/fengsui/examples/rules/optional"
    run(program("fengsuictl"), "check", "rules", *etc("rules").glob("*.yml"),
        *examples.glob("*.yml"))
    run(program("fengsuictl"), "policy", "check", etc("policy.yml"))
    run(program("fengsuictl"), "duty", "check", etc("duty.yml"))


def test_without_the_collectors_key_the_probe_says_which_file_is_missing():
    told = run(program("fengsui-probe"), "--config", etc("probe.yml"), code=2)
    assert f"{etc('collector.pub')}: missing" in told, told


def test_every_key_of_the_examples_is_one_that_is_read():
    keys = {"probe": ["key_file", "labels", "spool", "rootfs", "exclude_types", "groups",
                      "max_silence", "patterns", "policy", "intervals"],
            "collector": ["external_url", "tls", "users", "duty", "jobs", "watchdog", "bearer_file"]}
    with tempfile.TemporaryDirectory(prefix="fengsui-install-") as folder:
        for name, expected in keys.items():
            text = with_every_key(etc(f"{name}.yml").read_text())
            for key in expected:
                assert re.search(rf"^[ -]*{key}:", text, re.M), f"{key} is not in {name}.yml"
            if name == "collector":
                # These two name files that an operator makes.
                text = text.replace("users: users.yml", f"users: {folder}/users.yml")
                hashed = run(program("fengsuictl"), "users", "hash", input="secret\n").strip()
                pathlib.Path(folder, "users.yml").write_text(
                    f'users: [{{name: zhang, role: admin, password_hash: "{hashed}"}}]\n')
                # duty.yml's persons are reached by the channels of the example.
                alerting = etc("alerting.yml").read_text()
                contacts = alerting.index("# contact_channels:")
                pathlib.Path(folder, "alerting.yml").write_text(
                    alerting[:contacts] + with_every_key(alerting[contacts:]))
                shutil.copy(etc("policy.yml"), folder)
                shutil.copy(etc("duty.yml"), folder)
                shutil.copytree(etc("holidays"), pathlib.Path(folder, "holidays"))
                # Those of the peer's, too; the token's hash is no example's to give.
                text_of_jobs = with_every_key(etc("jobs.yml").read_text())
                digest = "blake2b:" + "0" * 64
                pathlib.Path(folder, "jobs.yml").write_text(
                    text_of_jobs.replace("blake2b:…", digest))
                shutil.copytree(etc("rules"), pathlib.Path(folder, "rules"))
            if name == "probe":
                # Secrets of targets, which an operator makes, too.
                for secret in ("mysqld.token", "redis.password"):
                    token = pathlib.Path(folder, secret)
                    token.write_text("secret\n")
                    token.chmod(0o600)
            path = pathlib.Path(folder, f"{name}.yml")
            path.write_text(text)
            run(program(f"fengsui-{name}"), "--config", path, "--check")
            # The list is one that can fail: an unknown key is refused by its name.
            path.write_text(text + "no_such_key: 1\n")
            assert "no_such_key" in run(program(f"fengsui-{name}"), "--config", path, "--check",
                                        code=2)


def test_collector_and_probe_start_from_the_installed_files():
    with fengsui.Lab() as lab:
        collector = lab.collector()
        collector.arguments = ["--config", etc("collector.yml")] + collector.arguments
        collector.start()
        keys = collector.data / "keys"
        for name, mode in (("collector.pub", 0o400), ("enrol.token", 0o400)):
            shutil.copy(keys / name, etc(name))
            etc(name).chmod(mode)
        probe = lab.probe(collector)
        probe.arguments = ["--config", etc("probe.yml"), "--state", probe.state, "--collector",
                           f"tcp://127.0.0.1:{collector.ingest}"]
        try:
            probe.start()
            fengsui.wait_for(lambda: collector.query("node_load1"), "data of the probe")
            told = run(program("fengsui-probe"), "--config", etc("probe.yml"), "--check")
            assert "enrolment token" not in told and "public key" not in told, told
            probe.stop()
            collector.stop()
        finally:
            for name in ("collector.pub", "enrol.token"):
                etc(name).unlink()


def test_the_examples_of_both_readmes_are_true():
    documents = []
    for readme in ("README.md", "README.zh-CN.md"):
        text = (DESTDIR / "usr/share/doc/fengsui" / readme).read_text()
        documents.append([re.sub(r" +# .*", "", block)
                          for block in re.findall(r"^```yaml\n(.*?)^```", text, re.M | re.S)])
    assert documents[0] == documents[1], "the languages show different files"
    names = ("collector.yml", "probe.yml", "rules/host.yml", "alerting.yml")
    assert len(documents[0]) == len(names)
    with tempfile.TemporaryDirectory(prefix="fengsui-install-") as root:
        folder = pathlib.Path(root)
        (folder / "rules").mkdir()
        for name, text in zip(names, documents[0]):
            (folder / name).write_text(text)
        hashed = run(program("fengsuictl"), "users", "hash", input="secret\n").strip()
        (folder / "users.yml").write_text(
            f'users: [{{name: zhang, role: admin, password_hash: "{hashed}"}}]\n')
        told = run(program("fengsui-collector"), "--config", folder / "collector.yml", "--check")
        assert "1 rules in 1 groups" in told, told
        told = run(program("fengsui-probe"), "--config", folder / "probe.yml", "--check")
        assert "tcp://10.1.2.3:9471" in told, told


def test_a_token_that_others_may_read_is_refused():
    etc("enrol.token").write_text("x\n")
    etc("enrol.token").chmod(0o644)
    try:
        told = run(program("fengsui-probe"), "--config", etc("probe.yml"), "--check", code=2)
        assert "chmod 600" in told, told
    finally:
        etc("enrol.token").unlink()


def test_systemd_finds_no_fault_in_the_units():
    if shutil.which("systemd-analyze") is None:
        print("skip test_systemd_finds_no_fault_in_the_units: no systemd-analyze here")
        return
    with tempfile.TemporaryDirectory(prefix="fengsui-install-") as folder:
        for name in UNITS:
            # `verify` wants the programs to exist: under the DESTDIR they do.
            text = (DESTDIR / "usr/lib/systemd/system" / name).read_text()
            unit = pathlib.Path(folder, name)
            unit.write_text(text.replace("/usr/bin/", f"{DESTDIR}/usr/bin/")
                            .replace("/usr/share/doc/", f"{DESTDIR}/usr/share/doc/"))
            drop_in = DESTDIR / "usr/share/fengsui/examples/probe-privileges.conf"
            pathlib.Path(folder, f"{name}.d").mkdir()
            if "probe" in name:
                shutil.copy(drop_in, pathlib.Path(folder, f"{name}.d"))
            told = run("systemd-analyze", "verify", "--man=no", unit)
            assert name not in told, told
            told = run("systemd-analyze", "security", "--offline=true", "--no-pager",
                       DESTDIR / "usr/lib/systemd/system" / name)
            exposure = float(re.search(r"exposure level for \S+: ([\d.]+)", told).group(1))
            assert exposure <= EXPOSURE_MOST, f"{name}: exposure {exposure}\n{told}"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="fengsui-install-") as root:
        DESTDIR = pathlib.Path(root)
        install()
        fengsui.run_tests(globals())
