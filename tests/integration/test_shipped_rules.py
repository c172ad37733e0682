#!/usr/bin/python3
"""The rules we ship: every one fires when it should and keeps quiet when it should not.

The tests are tests/rules/*.yml, in promtool's format; fengsuictl runs them, and promtool where it
is installed: the verdicts must be the same.  What else can go wrong: a rule without such tests, a
text that nobody can act on, or a metric that nothing here gives, whose alert can never fire.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import yaml

import recorded_host
from fengsui import BUILD, run_tests

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy/rules"
ACTIVE = sorted(RULES.glob("*.yml"))
RECOVERY = RULES / "optional/recovery.yml"  # no rules, but how some of ours end
OPTIONAL = sorted(set(RULES.glob("optional/*.yml")) - {RECOVERY})
TESTS = sorted((ROOT / "tests/rules").glob("*.yml"))
SEVERITIES = {"critical", "warning", "info"}

# Metrics of others, which a scraped exporter gives under these names.
EXPORTERS = {
    "blackbox": "probe_success probe_ssl_earliest_cert_expiry",
    "jvm": "jvm_memory_used_bytes jvm_memory_max_bytes jvm_threads_deadlocked"
           " jvm_gc_collection_seconds_sum",
    "memcached": "memcached_up memcached_current_bytes memcached_limit_bytes"
                 " memcached_items_evicted_total",
    "nginx": "nginx_up nginx_connections_accepted nginx_connections_handled"
             " nginx_http_response_count_total nginx_http_upstream_time_seconds_hist_bucket",
    "oracle": "oracledb_up oracledb_resource_current_utilization oracledb_resource_limit_value"
              " oracledb_tablespace_used_percent oracledb_asm_diskgroup_free"
              " oracledb_asm_diskgroup_total oracledb_activity_user_rollbacks"
              " oracledb_activity_user_commits",
    "redis": "redis_up redis_memory_used_bytes redis_memory_max_bytes redis_evicted_keys_total"
             " redis_rejected_connections_total redis_master_link_up redis_rdb_last_bgsave_status",
    "squid": "squid_up squid_info_Available_number_of_file_descriptors"
             " squid_server_http_errors_total squid_server_http_requests_total"
             " squid_HTTP_Requests_All_95 squid_client_http_hits_total"
             " squid_client_http_requests_total",
}
# What a probe gives where a scraped target, a log file, a fixed group of processes, systemd or
# certain hardware is there; each is looked for in the probe's sources.
CONDITIONAL = re.compile(r"(logwatch|syslog|node_systemd|node_bonding|node_textfile|node_kernel|node_nf"
                         r"|fengsui_probe_process|listen_port|process_group_deleted)_\w+")


def rules_of(path):
    return [rule for group in yaml.safe_load(path.read_text())["groups"]
            for rule in group["rules"]]


def alerts_of(path):
    return [rule for rule in rules_of(path) if "alert" in rule]


def names_in(expression):
    """Metric names of an expression: words that stand neither in {}, [], "" nor before a (."""
    bare = re.sub(r'"[^"]*"|\[[^\]]*\]', "", expression)
    bare = re.sub(r"\{[^}]*\}", "", bare)
    bare = re.sub(r"\b(by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)", "", bare)
    words = re.findall(r"[a-zA-Z_:][\w:]*(?!\w)(?!\s*\()", bare)
    return {w for w in words if "_" in w or w == "up"} - {"group_left", "group_right"}


def verdict(tool, path):
    done = subprocess.run([*tool, "test", "rules", path], text=True, capture_output=True,
                          check=False, timeout=120)
    return done.returncode, done.stdout + done.stderr


def tools():
    """Ours, and promtool, which gains nothing from a sanitizer."""
    installed = None if os.environ.get("FENGSUI_SANITIZE") else shutil.which("promtool")
    return [[str(BUILD / "fengsuictl")]] + ([[installed]] if installed else [])


def test_every_test_of_a_rule_passes():
    assert TESTS
    for tool in tools():
        for path in TESTS:
            code, told = verdict(tool, path)
            assert code == 0, f"{tool[0]} {path.name}:\n{told}"


def test_an_alert_that_is_missing_or_too_many_is_seen():
    """Each tool must fail each file once an expectation is turned round."""
    for path in TESTS:
        tests = yaml.safe_load(path.read_text())
        tests["rule_files"] = [str((path.parent / name).resolve()) for name in tests["rule_files"]]
        block, firing = next((test, t) for test in tests["tests"] for t in test["alert_rule_test"]
                             if t["exp_alerts"])
        tests["tests"], firing["exp_alerts"] = [block], []
        with tempfile.TemporaryDirectory() as folder:
            wrong = pathlib.Path(folder) / "test.yml"
            wrong.write_text(json.dumps(tests))
            for tool in tools():
                code, told = verdict(tool, wrong)
                assert code == 1, f"{tool[0]} passes {path.name}, turned round:\n{told}"


def test_every_alert_has_a_test_that_fires_it_and_one_that_keeps_it_quiet():
    for path in ACTIVE + OPTIONAL:
        tests = yaml.safe_load((ROOT / "tests/rules" / path.name).read_text())
        asked = [t for test in tests["tests"] for t in test["alert_rule_test"]]
        fired = {t["alertname"] for t in asked if t["exp_alerts"]}
        # Quiet throughout a test: an alert that has just not fired yet proves less.
        quiet = {name for test in tests["tests"]
                 for name in {t["alertname"] for t in test["alert_rule_test"]}
                 if not any(t["exp_alerts"] for t in test["alert_rule_test"]
                            if t["alertname"] == name)}
        names = {rule["alert"] for rule in alerts_of(path)}
        assert names == fired, f"{path.name}: never fired {names - fired}, unknown {fired - names}"
        assert names == quiet, f"{path.name}: never quiet {names - quiet}, unknown {quiet - names}"


def disk_test(avail, at, fires):
    labels = 'instance="h", job="node", device="/dev/vda1", fstype="xfs", mountpoint="/"'
    return {"rule_files": [str(RULES / "host.yml"), str(RECOVERY)], "evaluation_interval": "1m",
            "tests": [{"interval": "1m", "input_series": [
                {"series": f"node_filesystem_avail_bytes{{{labels}}}", "values": avail},
                {"series": f"node_filesystem_size_bytes{{{labels}}}", "values": "100x60"},
                {"series": f"node_filesystem_readonly{{{labels}}}", "values": "0x60"}],
                "alert_rule_test": [{"eval_time": at, "alertname": "HostDiskFull", "exp_alerts": [
                    {"exp_labels": dict(re.findall(r'(\w+)="([^"]*)"', labels),
                                        severity="critical", category="linux-host"),
                     "exp_annotations": {
                         "summary": "h / 即将写满（剩余 4%）",
                         "description": next(rule["annotations"]["description"]
                                             for rule in alerts_of(RULES / "host.yml")
                                             if rule["alert"] == "HostDiskFull")}}]
                    if fires else []}]}]}


def test_what_says_when_alerts_end_belongs_to_rules_of_ours_and_is_obeyed():
    ours = {rule["alert"] for path in ACTIVE for rule in alerts_of(path)}
    for entry in yaml.safe_load(RECOVERY.read_text())["alerts"]:
        assert entry["alert"] in ours, entry
    done = subprocess.run([BUILD / "fengsuictl", "check", "rules", *ACTIVE, RECOVERY], text=True,
                          capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    # 4 % free fires; 6 % is not full, but no recovery; 8 % is.
    for avail, fires in (("4x10 6x40", True), ("4x10 6x10 8x30", False), ("4x10 8x40", False)):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "test.yml"
            path.write_text(json.dumps(disk_test(avail, "30m", fires)))
            code, told = verdict([str(BUILD / "fengsuictl")], path)
            assert code == 0, f"{avail}:\n{told}"


def test_every_alert_says_how_bad_it_is_and_what_to_look_at_first():
    seen = {}
    for path in ACTIVE + OPTIONAL:
        for rule in alerts_of(path):
            name = rule["alert"]
            assert re.fullmatch(r"[A-Z][A-Za-z0-9]+", name), name
            assert name not in seen, f"{name} is in {path.name} and in {seen[name]}"
            seen[name] = path.name
            assert set(rule["labels"]) == {"severity", "category"}, name
            assert rule["labels"]["severity"] in SEVERITIES, name
            assert set(rule["annotations"]) == {"summary", "description"}, name
            for text in rule["annotations"].values():
                assert re.search(r"[\u4e00-\u9fff]", text), f"{name}: {text}"
            assert len(rule["annotations"]["description"]) > 20, name


def test_every_command_a_text_names_exists():
    told = subprocess.run([BUILD / "fengsuictl", "--help"], text=True, capture_output=True,
                          check=True).stdout
    commands = set(re.findall(r"^  ([a-z]+) ", told, re.M))
    for path in ACTIVE + OPTIONAL:
        named = set(re.findall(r"fengsuictl ([a-z]+)", path.read_text()))
        assert named <= commands, f"{path.name}: {named - commands}"


def test_every_threshold_has_its_reason_beside_it():
    for path in ACTIVE + OPTIONAL:
        lines = path.read_text().splitlines()
        for at, line in enumerate(lines):
            if line.startswith("  - alert: "):
                assert any(l.lstrip().startswith("#") for l in lines[at - 1:at + 2]), line


def test_no_two_rules_ask_the_same_at_the_same_severity():
    asked = {}
    for path in ACTIVE + OPTIONAL:
        for rule in alerts_of(path):
            key = (rule["expr"], rule["labels"]["severity"])
            assert key not in asked, f"{rule['alert']} is {asked[key]} again"
            asked[key] = rule["alert"]


def once(*arguments):
    with tempfile.TemporaryDirectory() as state:
        done = subprocess.run([BUILD / "fengsui-probe", "--once", "--state", state, *arguments],
                              text=True, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(re.findall(r"^# TYPE (\S+)", done.stdout, re.M))


def given():
    names = once()
    with tempfile.TemporaryDirectory() as folder:
        tree = recorded_host.make(pathlib.Path(folder))
        names |= once("--procfs", f"{folder}/proc", "--sysfs", f"{folder}/sys",
                      "--rootfs", str(tree))
    names |= set(re.findall(r"^\| `(\w+)`", (ROOT / "deploy/own-metrics.md").read_text(), re.M))
    # Of a scraped target, as Prometheus has them.
    return names | {"up", "scrape_duration_seconds"}


def test_every_metric_of_a_rule_is_given_by_someone():
    known = given()
    sources = "".join(p.read_text() for folder in ("probe/source", "probe/log", "probe/syslog", "probe/journal")
                      for p in (ROOT / folder).glob("*.c"))
    for path in ACTIVE + OPTIONAL:
        here = known | set(EXPORTERS.get(path.stem, "").split() if path in OPTIONAL else ())
        here |= {rule["record"] for rule in rules_of(path) if "record" in rule}
        for rule in rules_of(path):
            for name in names_in(rule["expr"]):
                good = name in here or (CONDITIONAL.fullmatch(name) and f'"{name}"' in sources)
                assert good, f"{path.name}: {rule.get('alert')}: nothing gives {name}"


if __name__ == "__main__":
    os.chdir(ROOT)
    run_tests(globals())
