"""The boards and the provisioning of dashboards/grafana, against a live collector with probes.

The form of the JSON, and then every query of every board: asked the way Grafana's Prometheus data
source asks it (its variables put in, $__interval, $__rate_interval and $__range computed from the
panel and the data source, POST, times aligned to the step), and each has to return data.  What this
host cannot have, a second probe reads from a recorded tree.
"""
import contextlib
import json
import math
import pathlib
import re
import shutil
import subprocess
import sys
import time
import urllib.parse

import yaml

import recorded_host
from fengsui import BUILD, Lab, run_tests, wait_for

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "dashboards/grafana"
LANGUAGES = ("zh", "en")
BOARDS = ("fengsui-collector", "fengsui-host", "fengsui-hosts")
METRIC = re.compile(r"\b(?:(?:node|namedprocess|logwatch|fengsui|process|listen_port)_\w+|up|ALERTS)\b"
                    r"(?=[{)\s\[]|$)")
HAN = re.compile(r"[\u4e00-\u9fff]+")
RANGE_S = 3600          # what a board shows
WIDTH = 800             # of a panel: points that Grafana asks for at most

# What a host with a message bus has; played by test_systemd.py where that is there to play it.
SYSTEMD = "node_systemd_"

CONFIG = """
rules: {evaluation_interval: 1s, files: [always.yml]}
alerting: alerting.yml
"""
RULES = """
groups:
- name: always
  rules:
  - {alert: Always, expr: up == 1, labels: {severity: info}}
"""
ALERTING = """
route: {receiver: nobody}
receivers: [{name: nobody}]
"""
PROBE = """
interval: 1s
sources:
  processes: {interval: 1s, groups: [{name: probe, comm: [fengsui-probe]}]}
  textfile: {directories: [FOLDER/textfile]}
SYSTEMDlogs:
- path: FOLDER/app.log
  patterns: [{name: java_oom, regex: OutOfMemoryError}]
"""


def load(language, name):
    return json.loads((FOLDER / language / f"{name}.json").read_text(encoding="utf-8"))


def boards(language="zh"):
    return [load(language, name) for name in BOARDS]


def targets_of(board):
    """(where it stands, the target) of every query of a board's panels."""
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield f"{board['uid']} / {panel['title']} / {target['refId']}", target


# -- form ----------------------------------------------------------------------------------------

def test_the_files_are_what_their_source_says():
    done = subprocess.run([sys.executable, FOLDER / "source/make.py", "--check"], check=False,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for language in LANGUAGES:
        found = sorted(path.name for path in (FOLDER / language).iterdir())
        assert found == [f"{name}.json" for name in BOARDS], found


def test_both_languages_differ_in_words_only():
    def bare(board):
        for panel in board["panels"]:
            for key in ("title", "description", "fieldConfig", "options"):
                panel.pop(key, None)
            for target in panel.get("targets", ()):
                target.pop("legendFormat")
        keys = ("title", "description", "uid", "tags", "links", "annotations")
        for variable in board["templating"]["list"]:
            variable.pop("label")
        return {key: value for key, value in board.items() if key not in keys}

    for zh, en in zip(boards("zh"), boards("en")):
        assert en["uid"] == zh["uid"] + "-en"
        # A pattern names both languages' series; the switch is named in the other language.
        patterns = " ".join(override["matcher"]["options"] for panel in en["panels"]
                            for override in panel.get("fieldConfig", {}).get("overrides", ()))
        left = set(HAN.findall(json.dumps(en, ensure_ascii=False)))
        assert left <= {"中文", *HAN.findall(patterns)}, left
        assert bare(zh) == bare(en), zh["uid"]


def overlaps(a, b):
    return a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"] \
        and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"]


def test_panels_have_ids_places_and_a_data_source():
    uids = set()
    for board in boards("zh") + boards("en"):
        assert board["uid"] not in uids and len(board["uid"]) <= 40
        uids.add(board["uid"])
        assert board["id"] is None and board["schemaVersion"] >= 39 and board["panels"]
        panels = board["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels), board["uid"]
        places = [panel["gridPos"] for panel in panels]
        for i, place in enumerate(places):
            assert 0 <= place["x"] and place["x"] + place["w"] <= 24 and place["h"] > 0, place
            for other in places[:i]:
                assert not overlaps(place, other), (board["uid"], place, other)
        sources = [panel["datasource"] for panel in panels if panel["type"] != "row"]
        sources += [target["datasource"] for _, target in targets_of(board)]
        sources += [variable["datasource"] for variable in board["templating"]["list"]
                    if variable["type"] == "query"]
        sources += [mark["datasource"] for mark in board["annotations"]["list"]]
        for source in sources:
            assert source == {"type": "prometheus", "uid": "${datasource}"}, source
        for panel in panels:
            if panel["type"] == "row":
                continue
            assert panel["targets"] and panel["fieldConfig"]["defaults"]["unit"], panel["title"]
            refs = [target["refId"] for target in panel["targets"]]
            assert len(set(refs)) == len(refs), panel["title"]
        known = {variable["name"] for variable in board["templating"]["list"]}
        for where, target in targets_of(board):
            used = set(re.findall(r"\$(\w+)", target["expr"]))
            assert used <= known | {"__rate_interval", "__range", "__interval"}, (where, used)
    for board in boards("zh") + boards("en"):
        for link in re.findall(r'"/d/([\w-]+)', json.dumps(board)):
            assert link in uids, f"{board['uid']} links to {link}, which is no board"


def test_the_provisioning_files_fit_the_boards():
    source = yaml.safe_load((FOLDER / "provisioning/datasources/fengsui.yaml").read_text())
    assert source["apiVersion"] == 1
    [source] = source["datasources"]
    assert (source["uid"], source["type"], source["url"], source["access"]) == \
        ("fengsui", "prometheus", "http://127.0.0.1:9470", "proxy")
    assert source["jsonData"]["httpMethod"] == "POST"
    assert re.fullmatch(r"\d+s", source["jsonData"]["timeInterval"])
    for board in boards("zh") + boards("en"):
        [variable] = [v for v in board["templating"]["list"] if v["type"] == "datasource"]
        assert variable["current"]["value"] == source["uid"]
    providers = yaml.safe_load((FOLDER / "provisioning/dashboards/fengsui.yaml").read_text())
    assert providers["apiVersion"] == 1
    for provider, language in zip(providers["providers"], LANGUAGES):
        assert provider["type"] == "file"
        assert provider["options"]["path"] == f"/usr/share/fengsui/grafana/{language}"


# -- Grafana's way to ask ------------------------------------------------------------------------

def seconds(text):
    return int(re.fullmatch(r"(\d+)s", text).group(1))


class Asker:
    """Puts in what Grafana puts in, and asks what it asks."""

    def __init__(self, collector):
        source = yaml.safe_load((FOLDER / "provisioning/datasources/fengsui.yaml").read_text())
        self.collector = collector
        self.every = seconds(source["datasources"][0]["jsonData"]["timeInterval"])

    def post(self, path, **form):
        code, body = self.collector.request(
            "POST", path, urllib.parse.urlencode(form).encode(),
            {"Content-Type": "application/x-www-form-urlencoded"})
        assert code == 200, f"POST {path} {form} gave {code}: {body[:500]!r}"
        return json.loads(body)["data"]["result"]

    def ask(self, expression, values, every=None, instant=False):
        """The result of a query of a panel; `every` is the target's own least step."""
        scrape = seconds(every) if every else self.every
        step = max(math.ceil(RANGE_S / WIDTH), scrape)
        known = {"__interval": f"{step}s", "__range": f"{RANGE_S}s",
                 "__rate_interval": f"{max(step + scrape, 4 * scrape)}s", **values}
        text = re.sub(r"\$(\w+)", lambda found: known[found.group(1)], expression)
        now = time.time()
        if instant:
            return self.post("/api/v1/query", query=text, time=f"{now:.3f}")
        end = now // step * step
        return self.post("/api/v1/query_range", query=text, start=f"{end - RANGE_S:.0f}",
                         end=f"{end:.0f}", step=step)

    def options(self, variable, values):
        """What a variable may be: label_values(selector, label)."""
        query = re.sub(r"\$(\w+)", lambda found: values[found.group(1)],
                       variable["query"]["query"])
        selector, label = re.fullmatch(r"label_values\((.+), (\w+)\)", query).groups()
        now = time.time()
        return self.collector.json(f"/api/v1/label/{label}/values", **{
            "match[]": selector, "start": now - RANGE_S, "end": now})["data"]


def values_of(asker, board, instance):
    """The board's variables as they are when somebody has picked this host."""
    uid = board["uid"]
    values = {}
    for variable in board["templating"]["list"]:
        if variable["type"] != "query":
            continue
        name = variable["name"]
        if name == "group" and instance == "recorded":  # a tree without processes
            options = []
        else:
            options = wait_for(lambda v=variable: asker.options(v, values), f"{uid}: ${name}", 60)
        wanted = {"instance": instance, "job": "node"}.get(name, (options or [None])[0])
        assert name == "group" or wanted in options, (name, options)
        values[name] = variable["allValue"] if variable["includeAll"] else wanted
    return values


def systemd_player():
    """The class that plays systemd on a bus of its own, or None and a line that says why."""
    told = subprocess.run([BUILD / "fengsui-probe", "--list-sources"], check=True,
                          capture_output=True, text=True).stdout
    try:
        import dbus  # noqa: F401  pylint: disable=import-outside-toplevel,unused-import
        from test_systemd import Bus  # pylint: disable=import-outside-toplevel
    except ImportError as error:
        print(f"skip the panels of systemd: {error}")
        return None
    if not re.search(r"^systemd ", told, re.M) or shutil.which("dbus-daemon") is None:
        print("skip the panels of systemd: no such source, or no dbus-daemon here")
        return None
    return Bus


def start_everything(lab, bus):
    folder = lab.folder / "collector"
    folder.mkdir()
    (folder / "always.yml").write_text(RULES)
    (folder / "alerting.yml").write_text(ALERTING)
    collector = lab.collector(CONFIG).start()
    (lab.folder / "app.log").write_text(
        "2026-03-01 02:13:00 ERROR java.lang.OutOfMemoryError: Java heap space\n")
    (lab.folder / "textfile").mkdir()
    (lab.folder / "textfile/backup.prom").write_text("backup_done_timestamp_seconds 1772300000\n")
    systemd = f"  systemd: {{socket: {bus.socket}}}\n" if bus else ""
    (lab.folder / "probe.yml").write_text(PROBE.replace("FOLDER", str(lab.folder))
                                          .replace("SYSTEMD", systemd))
    lab.probe(collector, flags=["--config", lab.folder / "probe.yml", "--instance", "live"]).start()
    tree = recorded_host.make(lab.folder / "tree")
    lab.probe(collector, name="recorded", flags=[
        "--instance", "recorded", "--procfs", tree / "proc", "--sysfs", tree / "sys",
        "--rootfs", tree]).start()
    for instance in ("live", "recorded"):
        wait_for(lambda i=instance: collector.query(f'node_load1{{instance="{i}"}}'),
                 f"data of the {instance} probe", 60)
    return collector


def test_every_query_of_every_board_returns_data():
    player = systemd_player()
    with Lab() as lab, contextlib.ExitStack() as stack:
        bus = player(lab.folder) if player else None
        if bus:
            stack.callback(bus.stop)
        ask_everything(start_everything(lab, bus), has_systemd=bus is not None)


def ask_everything(collector, has_systemd):
    asker = Asker(collector)
    waiting = []  # (where, expression, every, instant, [values to try])
    for board in boards():
        tries = [values_of(asker, board, name) for name in ("live", "recorded")]
        for where, target in targets_of(board):
            if has_systemd or SYSTEMD not in target["expr"]:
                waiting.append((where, target["expr"], target.get("interval"), target["instant"],
                                tries))
        for mark in board["annotations"]["list"]:
            waiting.append((f"{board['uid']} / {mark['name']}", mark["expr"], mark["step"], False,
                            tries))
    assert len(waiting) > 200, len(waiting)

    def all_answered():
        waiting[:] = [item for item in waiting if not any(
            asker.ask(item[1], values, item[2], item[3]) for values in item[4])]
        return not waiting
    try:
        wait_for(all_answered, "data for every query", 90, every=1)
    except AssertionError:
        lines = [f"{where}: {expression}" for where, expression, *_ in waiting]
        raise AssertionError("no data:\n" + "\n".join(lines)) from None

    names = set(collector.json("/api/v1/metadata")["data"])
    asked = {name for board in boards() for _, target in targets_of(board)
             for name in METRIC.findall(target["expr"])} - {"ALERTS", "up"}
    missing = sorted(name for name in asked - names
                     if has_systemd or not name.startswith(SYSTEMD))
    assert not missing, f"boards ask for metrics that nobody tells: {missing}"
    collector.stop()


def test_what_grafana_asks_when_a_data_source_is_saved_and_explored():
    with Lab() as lab:
        collector = lab.collector().start()
        asker = Asker(collector)
        assert asker.post("/api/v1/query", query="1+1", time="4")  # its health check
        assert "version" in collector.json("/api/v1/status/buildinfo")["data"]
        wait_for(lambda: collector.query("fengsui_collector_build_info"), "own metrics", 30)
        now = time.time()
        code, body = collector.request(
            "POST", "/api/v1/labels", urllib.parse.urlencode(
                {"match[]": "fengsui_collector_build_info", "start": now - 3600, "end": now})
            .encode(), {"Content-Type": "application/x-www-form-urlencoded"})
        assert code == 200 and "version" in json.loads(body)["data"], body
        assert "fengsui_collector_build_info" in collector.json(
            "/api/v1/label/__name__/values", start=now - 3600, end=now)["data"]
        assert collector.json("/api/v1/rules")["data"]["groups"] == []
        assert collector.json("/api/v1/metadata", limit=5)["data"]
        collector.stop()


if __name__ == "__main__":
    run_tests(globals())
