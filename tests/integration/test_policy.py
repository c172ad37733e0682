#!/usr/bin/python3
"""test_policy.py - a policy pushed from the collector, on real processes.

What is claimed (probe/policy.h, collector/policy/policy.h): rules reach the hosts their selectors
mean within 2 s, by the stamps of the samples; a source comes and goes without a restart and its
series end; log files within the host's allow-list deliver lines, others are refused and shown;
versions survive kill -9 of either side and only ever rise; what is taken back leaves probe.yml.
"""
import collections
import json
import os
import pathlib
import re
import shutil
import time

import fengsui
from test_scrape import Exporter

COLLECTOR = "policy: policy.yml\n"


class PolicyLab(fengsui.Lab):
    """A collector with policy.yml, and two probes in one folder each."""

    def __init__(self, rules="rules: []\n", probe_yml=""):
        super().__init__()
        folder = self.folder / "collector"
        folder.mkdir()
        self.policy = folder / "policy.yml"
        self.policy.write_text(rules)
        self.c = self.collector(COLLECTOR)
        self.c.start()
        self.logs = self.folder / "app" / "logs"
        self.logs.mkdir(parents=True)
        self.probe_yml = probe_yml.replace("APP", str(self.folder / "app"))

    def add_probe(self, name, labels="", interval="5s"):
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "probe.yml"
        config.write_text(f"instance: {name}\nlabels: {{{labels}}}\n{self.probe_yml}")
        token = self.c.ctl("probes", "token", "new", "--label", "role=").strip()
        probe = self.probe(self.c, name, interval=interval, flags=["--config", config])
        probe.arguments[probe.arguments.index("--token") + 1] = token
        probe.start()
        fengsui.wait_for(lambda: self.c.value(f'up{{instance="{name}",job="node"}}') == 1,
                         f"{name} up", 40)
        return probe

    def push(self, rules):
        """Writes the file, reloads, and returns when the collector had taken it."""
        self.policy.write_text(rules)
        code, body = self.c.request("POST", "/-/reload")
        assert code == 200, body
        return time.time()

    def host(self, name):
        return self.c.json("/api/fengsui/v1/policy", instance=name)["data"]

    def wait_in_force(self, name, seconds=10):
        def check():
            host = self.host(name)
            return host["version"] == host["inForce"] and host
        return fengsui.wait_for(check, f"the policy to be in force on {name}", seconds)

    def stamps(self, selector, since):
        """Times of the raw samples after `since`, from a range vector."""
        window = int(time.time() - since) + 2
        rows = self.c.query(f"{selector}[{window}s]")
        assert len(rows) <= 1, rows
        return [t for t, _ in rows[0]["values"] if t > since] if rows else []


def ticks(stamps):
    """Those on the grid of seconds: the first look of a life is off it, and so is a late source."""
    phases = collections.Counter(round(stamp % 1, 3) for stamp in stamps)
    return [stamp for stamp in stamps if phases[round(stamp % 1, 3)] == max(phases.values())]


def assert_steady(lab, name, source, stamps, step):
    """The stamps lie `step` apart; where one is missing or off the grid, the probe itself missed the
    tick or was late (a slow machine) and counted it."""
    def counted(metric):
        return lab.c.value(f'{metric}{{instance="{name}",source="{source}"}}') or 0

    on_grid = ticks(stamps)
    steps = [round((b - a) / step) for a, b in zip(on_grid, on_grid[1:])]
    assert all(n >= 1 and abs(b - a - n * step) < 0.001
               for n, a, b in zip(steps, on_grid, on_grid[1:])), stamps
    late = counted("fengsui_probe_source_late_total")
    assert len(stamps) - len(on_grid) <= 1 + late, (stamps, late)
    missed = counted("fengsui_probe_source_ticks_skipped_total")
    assert sum(steps) - len(steps) <= missed + late, (stamps, missed, late)


def test_an_interval_changes_within_two_seconds_where_the_selector_says():
    with PolicyLab() as lab:
        lab.add_probe("db", "role: db")
        lab.add_probe("web", "role: web")
        pushed = lab.push("rules: [{name: db, match: 'role=\"db\"', interval: 1s}]\n")
        host = lab.wait_in_force("db")
        assert [(i["part"], i["value"], i["rule"]) for i in host["items"]] == \
            [("interval", "1s", "db")], host
        fengsui.wait_for(lambda: len(lab.stamps('node_load1{instance="db"}', pushed)) >= 5,
                         "samples each second")
        stamps = lab.stamps('node_load1{instance="db"}', pushed)
        # The first tick on the new grid, as the probe stamped it.
        assert stamps[0] - pushed < 2 * fengsui.PATIENCE, stamps[0] - pushed
        assert_steady(lab, "db", "load", stamps, 1)
        # The grid is the key's: multiples of a second share their points with those of five.
        old = ticks(lab.stamps('node_load1{instance="db"}', pushed - 8))
        assert all(abs((t - stamps[0]) % 1) < 0.002 or abs((t - stamps[0]) % 1) > 0.998
                   for t in old), old
        # A probe tells of itself at its own interval: the samples are there before that.
        for name, seconds in (("db", 1), ("web", 5)):
            interval = f'fengsui_probe_source_interval_seconds{{instance="{name}",source="load"}}'
            fengsui.wait_for(lambda i=interval, s=seconds: lab.c.value(i) == s,
                             f"{name} to tell of its interval")
        assert lab.host("web")["version"] == 0
        assert_steady(lab, "web", "load", lab.stamps('node_load1{instance="web"}', pushed), 5)
        fengsui.wait_for(lambda: lab.c.value('fengsui_probe_policy_version{instance="db"}') ==
                         host["version"], "db to tell of its policy's version")
        # Nobody was taken for silent meanwhile, and nothing was lost.
        assert lab.c.value('min_over_time(up{instance="db"}[1m])') == 1
        # Slower again: silence is measured by the new pace.
        lab.push("rules: [{match: {role: db}, interval: 10s}]\n")
        lab.wait_in_force("db")
        probe = [p for p in lab.c.probes() if p["instance"] == "db"][0]
        fengsui.wait_for(lambda: [p for p in lab.c.probes() if p["instance"] == "db"][0]
                         ["intervalMs"] == 10000, "the collector to know the new pace")
        assert probe["connected"]


def test_a_source_goes_with_a_stale_marker_and_comes_back():
    with PolicyLab() as lab:
        probe = lab.add_probe("a", interval="1s")
        fengsui.wait_for(lambda: lab.c.value('node_load1') is not None, "load")
        lab.push("rules: [{sources: {load: {enabled: false}}}]\n")
        lab.wait_in_force("a")
        # Ended, not five minutes of a value that nobody measures.
        fengsui.wait_for(lambda: lab.c.value('node_load1') is None, "load to end", 5)
        fengsui.wait_for(lambda: lab.c.value(
            'fengsui_probe_source_interval_seconds{source="load"}') is None, "its interval to end")
        assert lab.c.value('node_memory_MemTotal_bytes') > 0
        explained = lab.c.ctl("--lang", "en", "policy", "explain", "a")
        assert "does not run" in explained, explained
        pushed = lab.push("rules: [{sources: {load: {enabled: true}}}]\n")
        lab.wait_in_force("a")
        fengsui.wait_for(lambda: len(lab.stamps('node_load1', pushed)) >= 3, "load again", 10)
        assert_steady(lab, "a", "load", lab.stamps('node_load1', pushed), 1)
        # The process is the one that was started, and no tick of the others is missing.
        assert probe.alive() and len(fengsui.kept_ticks(probe)) == 1
        memory = lab.stamps('node_memory_MemTotal_bytes', pushed - 5)
        assert len(memory) >= 5, memory
        assert_steady(lab, "a", "memory", memory, 1)


TARGETS = ["one", "two", "hang"]


def test_every_target_goes_and_comes_back_and_one_hangs():
    exporter = Exporter()
    exporter.pages.update({f"/{name}": "warm 1\n" for name in TARGETS[:2]})
    rows = [{"url": exporter.url(f"/{name}"), "job": name, "timeout": "20s"} for name in TARGETS]
    with PolicyLab(probe_yml="sources: " + json.dumps(
            {"scrape": {"interval": "1s", "targets": rows}}) + "\n") as lab:
        probe = lab.add_probe("a", interval="1s")

        def states():
            return {r["metric"]["job"]: r["value"][1] for r in lab.c.query('up{job!="node"}')}

        def collectors():
            return {r["metric"]["collector"] for r in lab.c.query(
                'node_scrape_collector_success{collector=~"scrape.*"}')}

        def hanging():
            return sum(path == "/hang" for path, _ in exporter.seen)
        all_up = {"one": "1", "two": "1", "hang": "0"}
        titles = {"scrape " + row["url"][7:] for row in rows}

        def push(text):
            lab.push("rules: [{sources: {scrape: %s}}]\n" % text)
            lab.wait_in_force("a")
            assert not lab.c.query("fengsui_probe_policy_refused")
        fengsui.wait_for(lambda: states() == all_up and collectors() == titles, "every target")
        seen = hanging()
        fengsui.wait_for(lambda: hanging() > seen, "a look that hangs")
        push("{enabled: false}")
        fengsui.wait_for(lambda: not lab.c.query('{job!="node",instance="a"}') and
                         not collectors(), "all targets to end", 5)
        push("{enabled: true, interval: 1s}")
        fengsui.wait_for(lambda: states() == all_up, "all targets again", 10)
        assert probe.alive() and len(fengsui.kept_ticks(probe)) == 1
        # One that starts with all of them off knows them by name when they come.
        push("{enabled: false}")
        probe.stop()
        probe.start()
        fengsui.wait_for(lambda: lab.c.value('up{job="node"}') == 1, "the probe again")
        push("{enabled: true, interval: 1s}")
        fengsui.wait_for(lambda: states() == all_up, "all targets after a restart", 10)
        fengsui.wait_for(lambda: collectors() == titles, "each under its own name", 5)
        probe.stop()
    exporter.stop()


def test_an_option_of_a_source_changes_while_it_runs():
    with PolicyLab() as lab:
        probe = lab.add_probe("a", interval="1s")
        watched = 'namedprocess_namegroup_num_procs{groupname="beacon"}'
        rules = ("rules: [{sources: {processes: {interval: 1s, groups: [{name: %s, "
                 "comm: [fengsui-probe]}]}}}]\n")
        lab.push(rules % "beacon")
        lab.wait_in_force("a")
        fengsui.wait_for(lambda: (lab.c.value(watched) or 0) >= 1, "the group")
        explained = lab.c.ctl("--lang", "en", "policy", "explain", "a")
        assert "sources.processes.groups" in explained, explained
        lab.push(rules % '"other {{.Matches.gone"')
        lab.wait_in_force("a")
        fengsui.wait_for(lambda: lab.c.query("fengsui_probe_policy_refused"), "the refusal", 10)
        fengsui.wait_for(lambda: lab.c.value(watched) is None, "probe.yml's groups again", 10)
        assert lab.c.value('fengsui_probe_source_interval_seconds{source="processes"}') == 1
        assert probe.alive() and len(fengsui.kept_ticks(probe)) == 1


ALLOWED = "policy: {allow: {files: ['APP/**/*.log']}}\n"


def test_log_files_come_and_go_within_the_allow_list():
    with PolicyLab(probe_yml=ALLOWED) as lab:
        probe = lab.add_probe("a", interval="2s")
        inside, outside = lab.logs / "x.log", lab.folder / "secret.txt"
        inside.write_text("first line\n")
        outside.write_text("a secret\n")
        (lab.logs / "link.log").symlink_to(outside)
        rules = {"rules": [{"name": "app", "logs": [
            {"path": str(lab.logs / "*.log"),
             "patterns": [{"name": "oom", "regex": "OutOf\\w+"}]},
            {"path": str(outside)},
            {"path": str(lab.logs / "*.txt")}]}]}
        lab.push(json.dumps(rules))
        host = lab.wait_in_force("a")

        def lines(**which):
            return json.dumps(lab.c.json("/api/fengsui/v1/logs", instance="a", **which))

        fengsui.wait_for(lambda: "first line" in lines(), "the line of the file")
        with inside.open("a") as file:
            file.write("java.lang.OutOfMemoryError\n")
        fengsui.wait_for(lambda: "OutOfMemoryError" in lines(), "the new line")
        fengsui.wait_for(lambda: lab.c.value('logwatch_pattern_matches_total{pattern="oom"}') == 1,
                         "the pattern to count")
        # Named outright, it is refused; by a link it is not read either; both are shown.
        fengsui.wait_for(lambda: len(lab.c.query("fengsui_probe_policy_refused")) == 2,
                         "the refusals to be told")
        refused = {r["metric"]["part"]: r["metric"]["reason"]
                   for r in lab.c.query("fengsui_probe_policy_refused")}
        assert set(refused) == {f"logs.{outside}", f"logs.{lab.logs}/*.txt"}, refused
        assert all("policy.allow.files" in reason for reason in refused.values())
        fengsui.wait_for(lambda: lab.c.value("logwatch_files_refused") == 1, "the link's refusal")
        assert "a secret" not in lines()
        events = lines(path="@*")
        assert all(kind in events for kind in
                   ("policy_applied", "policy_refused", "policy_file_refused")), events
        explained = lab.c.ctl("--lang", "zh", "policy", "explain", "a")
        assert "被拒绝" in explained and "已跟踪" in explained, explained
        # A change elsewhere reads nothing twice; one that takes the file away ends its series.
        rules["rules"].append({"name": "pace", "interval": "2s"})
        rules["rules"][0]["logs"] = rules["rules"][0]["logs"][:1]
        lab.push(json.dumps(rules))
        lab.wait_in_force("a")
        with inside.open("a") as file:
            file.write("third line\n")
        fengsui.wait_for(lambda: "third line" in lines(), "lines to go on")
        assert lines().count("first line") == 1
        assert lab.c.value('logwatch_pattern_matches_total{pattern="oom"}') == 1
        fengsui.wait_for(lambda: not lab.c.query("fengsui_probe_policy_refused"),
                         "refusals to end")
        lab.push("rules: []\n")
        lab.wait_in_force("a")
        fengsui.wait_for(lambda: not lab.c.query("logwatch_lines_total"), "its series to end")
        with inside.open("a") as file:
            file.write("fourth line\n")
        host = lab.wait_in_force("a")
        assert host["document"] == "" and host["items"] == []
        probe.stop()
        assert "fourth line" not in lines()


REQUEST = ('192.0.2.7 - - [10/Oct/2026:13:55:%02d +0800] "GET /%s HTTP/1.1" %d 2326 "-" "curl/8" '
           '0.020 0.010\n')


def test_an_access_log_is_read_as_one_where_the_policy_says_so():
    with PolicyLab(probe_yml=ALLOWED) as lab:
        probe = lab.add_probe("a", interval="1s")
        log = lab.logs / "access.log"
        log.write_text("".join(REQUEST % (n, "old", 200) for n in range(5)))
        counts = 'sum by (code) (logwatch_http_requests_total{vhost="www.example.org"})'
        unparsed = "logwatch_http_unparsed_lines_total"

        def requests():
            return {r["metric"]["code"]: float(r["value"][1]) for r in lab.c.query(counts)}

        def push(**entry):
            pushed = lab.push(json.dumps({"rules": [{"name": "web", "logs": [
                {"path": str(lab.logs / "*.log"), **entry}]}]}))
            lab.wait_in_force("a")
            return pushed

        pushed = push(format="nginx_timed", vhost="www.example.org", send="none", templates=10)
        fengsui.wait_for(lambda: requests() == {"200": 5}, "the requests that were there")
        # By the stamps of the probe, not by when we looked.
        first = lab.stamps(unparsed, pushed)[0]
        assert first - pushed < 2 * fengsui.PATIENCE, first - pushed
        with log.open("a") as file:
            file.write(REQUEST % (9, "new", 502))
        fengsui.wait_for(lambda: requests() == {"200": 5, "502": 1}, "one that came after")
        slow = "histogram_quantile(0.5, logwatch_http_upstream_duration_seconds_bucket)"
        assert 0 < lab.c.value(slow) <= 0.01, lab.c.query(slow)
        assert "old" not in json.dumps(lab.c.json("/api/fengsui/v1/logs", instance="a"))
        assert lab.c.value("logwatch_templates") == 1
        assert "format: nginx_timed" in lab.host("a")["document"].replace('"', ""), lab.host("a")

        # In another server's words the same lines are none; in words that mean nothing, refused.
        pushed = push(format="squid", vhost="www.example.org")
        with log.open("a") as file:
            file.write(REQUEST % (10, "odd", 200))
        fengsui.wait_for(lambda: (lab.c.value(unparsed) or 0) >= 1, "the line that is none of squid's")
        push(format="$no_word_of_nginx_is_known_here")
        fengsui.wait_for(lambda: not lab.c.query(unparsed), "its series to end")
        push()
        with log.open("a") as file:
            file.write(REQUEST % (11, "plain", 200))
        fengsui.wait_for(lambda: "plain" in json.dumps(
            lab.c.json("/api/fengsui/v1/logs", instance="a")), "a line like any other")
        assert not lab.c.query("logwatch_http_requests_total")
        probe.stop()


def test_both_sides_know_the_same_keys_of_a_log():
    root = pathlib.Path(__file__).resolve().parents[2]

    def keys(*names):
        return set(re.findall(r'\.key = "(\w+)"', "".join((root / n).read_text() for n in names)))

    host = keys("probe/log/settings.c", "probe/log/settings.h")
    assert {"format", "templates", "patterns"} < host
    policy = keys("collector/policy/log_entry.c")
    # Only the host may let its numbers leave unmasked; only a policy takes back what it said.
    assert host - policy - {"redact", "logs"} == set() and policy - host == {"enabled"}, \
        (host ^ policy)


def test_both_sides_know_the_same_formats_of_a_log():
    root = pathlib.Path(__file__).resolve().parents[2]
    host = re.search(r"^} known\[\] = {$(.*?)^};", (root / "probe/log/access_format.c").read_text(),
                     re.M | re.S)[1]
    policy = re.search(r"names\[\] = {(.*?)};",
                       (root / "collector/policy/log_entry.c").read_text(), re.S)[1]
    names = re.findall(r'^    {"(\w+)",', host, re.M)
    assert "combined" in names and names == re.findall(r'"(\w+)"', policy), (names, policy)


def test_versions_outlive_kills_and_only_rise():
    with PolicyLab("rules: [{interval: 1s}]\n") as lab:
        probe = lab.add_probe("a")
        first = lab.wait_in_force("a")["version"]
        lab.c.kill()
        lab.c.start()
        fengsui.wait_for(lambda: lab.host("a")["connected"], "the probe to be back", 30)
        assert lab.wait_in_force("a")["version"] == first
        # The probe alone goes on with what it has, at the pace it was told.
        lab.c.kill()
        probe.kill()
        restarted = time.time()
        probe.start()
        spool = probe.state / "spool"
        size = sum(f.stat().st_size for f in spool.iterdir())
        fengsui.wait_for(lambda: time.time() > restarted + 4 and
                         sum(f.stat().st_size for f in spool.iterdir()) > size, "some ticks")
        returned = time.time()
        lab.c.start()
        fengsui.wait_for(lambda: len([t for t in lab.stamps("node_load1", restarted)
                                      if t < returned]) >= 3, "the backlog", 30)
        offline = [t for t in lab.stamps("node_load1", restarted) if t < returned]
        assert_steady(lab, "a", "load", offline, 1)
        assert lab.wait_in_force("a")["version"] == first
        # Data of yesterday: what the probe has since then does not win.
        backup = lab.folder / "backup"
        lab.c.stop()
        shutil.copytree(lab.c.data, backup)
        lab.c.start()
        lab.push("rules: [{interval: 2s}]\n")
        second = fengsui.wait_for(lambda: lab.wait_in_force("a")["version"] > first and
                                  lab.host("a")["version"], "the change", 30)
        lab.push("rules: [{interval: 3s}]\n")
        lab.push("rules: [{interval: 4s}]\n")
        third = fengsui.wait_for(lambda: lab.host("a")["version"] == lab.host("a")["inForce"] and
                                 lab.host("a")["version"], "two changes in a moment", 30)
        assert third > second
        lab.c.kill()
        shutil.rmtree(lab.c.data)
        shutil.move(backup, lab.c.data)
        lab.c.start()
        fengsui.wait_for(lambda: lab.host("a")["connected"], "the probe to be back", 30)
        host = lab.wait_in_force("a", 20)
        assert host["version"] >= third and "interval: 4s" in host["document"], host
        # Without the key in collector.yml there is no policy, and probe.yml alone holds.
        (lab.c.folder / "collector.yml").write_text("{}\n")
        code, body = lab.c.request("POST", "/-/reload")
        assert code == 200, body
        assert lab.wait_in_force("a")["document"] == ""
        fengsui.wait_for(lambda: lab.c.value(
            'fengsui_probe_source_interval_seconds{source="load"}') == 5, "probe.yml's interval")


def test_the_file_is_checked_and_refused_whole():
    with PolicyLab("rules: [{interval: 1s}]\n") as lab:
        lab.add_probe("a")
        version = lab.wait_in_force("a")["version"]
        bad = {
            "rules: [{intervall: 1s}]": 'did you mean "interval"?',
            "rules: [{interval: 10ms}]": "between 100ms and 1h",
            "rules: [{interval: 1s, match: 'role=~\"(\"'}]": "match",
            "rules: [{interval: 1s, during: [pek]}]\nperiods: {peak: {days: 1-15}}":
                'did you mean "peak"?',
            "rules: [{logs: [{path: /a/../etc/shadow}]}]": "absolute",
            "rules: [{logs: [{path: /a.log, multiline: '('}]}]": "regular expression",
            "rules: [{logs: [{path: /a.log, format: combind}]}]": "no log_format either",
            "rules: [{logs: [{path: /a.log, vhost: a}]}]": "go with format",
            "rules: [{logs: [{path: /a.log, format: squid, multiline: x}]}]": "no multiline",
            "rules: [{logs: [{path: /a.log, redact: none}]}]": "redact",
            "rules: [{sources: {cpu: {command: x}}}]": "command",
            "rules: [{match: {role: db}}]": "asks for nothing",
        }
        for text, reason in bad.items():
            lab.policy.write_text(text + "\n")
            code, body = lab.c.request("POST", "/-/reload")
            assert code != 200 and reason in body.decode(), (text, body)
            assert "policy.yml:" in body.decode(), body
            checked = lab.c.ctl("policy", "check", str(lab.policy), code=2)
            assert checked == "", checked
        assert lab.host("a")["version"] == version
        lab.policy.write_text("rules: [{interval: 1s}]\n")
        lab.c.ctl("policy", "check", str(lab.policy))
        lab.c.ctl("check", "policy", str(lab.policy))


def test_a_period_begins_and_ends_by_itself():
    with PolicyLab() as lab:
        lab.add_probe("a")
        # In force now, and until the end of this or the next minute.
        local = time.gmtime(time.time() + 8 * 3600)
        today, tomorrow = local.tm_mday, time.gmtime(time.time() + 32 * 3600).tm_mday
        pushed = lab.push(f"periods:\n  now: {{days: [{today}, {tomorrow}]}}\n"
                          "  then: {from: 2020-01-01, to: 2020-12-31}\n"
                          "rules:\n- {during: [now], interval: 1s}\n"
                          "- {during: [then], interval: 500ms}\n"
                          "- {during: [now], interval: 30s}\n")
        host = lab.wait_in_force("a")
        assert "interval: 1s\n" == host["document"], host
        assert host["items"][0]["during"] == ["now"]
        then = lab.c.json("/api/fengsui/v1/policy", instance="a",
                          time="2020-06-01T00:00:00+08:00")["data"]
        assert "interval: 500ms" in then["document"], then
        shown = lab.c.ctl("--lang", "en", "policy", "show")
        assert "not now" in shown and "in force" in shown, shown
        fengsui.wait_for(lambda: lab.stamps("node_load1", pushed), "a sample", 5)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    fengsui.run_tests(globals())
