#!/usr/bin/python3
"""A data folder that an older collector left behind, killed at work, is taken over whole: samples of
history, checkpoint, tails and write-ahead log, log lines, silences, and alerts with the time they
began at.

`older_folder_1.tar.xz` was written by a collector from before the codec's format 2 and before rows of
state had seals.  A folder of another age is made by

    FENGSUI_BUILD=that/build PYTHONPATH=tests/integration test_older_folder.py --make FILE.tar.xz

which waits some minutes for a checkpoint.  Keys are left out of it: the collector makes new ones; so are
LMDB's free pages (`mdb_copy -c`).
"""
import json
import math
import pathlib
import subprocess
import sys
import tarfile
import time

from fengsui import Lab, run_tests, wait_for
from test_backup import ctl

FOLDERS = sorted(pathlib.Path(__file__).parent.glob("older_folder_*.tar.xz"))
SERIES = 150  # more than one block of label sets
STEP = 300
HISTORY = 36  # samples of a series there; then HEAD more in the head, and LOG in the log alone
HEAD, LOG = 6, 3
LINES = 60
ALERTS = 60
CONFIG = """
retention: {raw: forever, logs: forever}
rules: {files: [rules.yml], evaluation_interval: 1s}
alerting: alerting.yml
"""
ALERTING = """
route: {receiver: nobody, group_by: ['...']}
receivers: [{name: nobody}]
"""
# Whichever source ran would fill the folder.
SOURCES = """arp bonding conntrack cpu cpufreq disk dmi edac filesystem hwmon interrupts kernel load
mdadm memory netstat network network_class nfs os power_supply pressure processes rapl schedstat
selinux sockstat softnet systemd tcpstat thermal_zone timex udp_queues uname vmstat""".split()


def rules():
    text = "groups:\n- name: old\n  rules:\n"
    for n in range(ALERTS):
        state = "  for: 1000000h" if n % 2 else ""
        text += (f"  - alert: Old{n}\n    expr: vector({n})\n  {state}\n"
                 f"    annotations: {{summary: 'number {n}, {{{{ $value }}}}'}}\n")
    return text


def configure(lab):
    folder = lab.folder / "collector"
    folder.mkdir()
    (folder / "rules.yml").write_text(rules())
    (folder / "alerting.yml").write_text(ALERTING)
    return lab.collector(CONFIG)


def value(n, i):
    """Counters, decimals, what seldom changes, and noise; now and then no number."""
    if i % 17 == 5:
        return (math.nan, math.inf, 0.0, -0.0)[n % 4]
    return (n + i * (n % 9), (n * i % 1000) / 8, float(n), math.sin(n * 1000 + i))[n % 4]


def samples(start, first, count):
    """{(series, ms): value}"""
    return {(n, (start + i * STEP) * 1000): value(n, i)
            for n in range(SERIES) for i in range(first, first + count)}


def written_over(start):
    return {(n, (start + 2 * STEP) * 1000): 4711.5 for n in range(3)}


def everything(start):
    return {**samples(start, 0, HISTORY + HEAD + LOG), **written_over(start)}


def give(collector, what):
    text = "".join(f'old{{n="{n}"}} {v!r} {ms}\n'.replace("inf", "+Inf").replace("nan", "NaN")
                   for (n, ms), v in what.items())
    code, answer = collector.request("POST", "/api/v1/import/prometheus", text.encode(),
                                     {"Content-Type": "text/plain"}, timeout=60)
    assert code == 200 and json.loads(answer)["data"]["samplesRefused"] == 0, answer


def settle(collector):
    assert collector.request("POST", "/api/fengsui/v1/store/settle", b"", timeout=120)[0] == 200


def own(collector, name):
    text = collector.get("/metrics")[1]
    text = text if isinstance(text, str) else text.decode()
    return float(next(line for line in text.splitlines()
                      if line.startswith(f"fengsui_collector_store_{name} ")).split()[1])


def stored(collector):
    text = collector.get("/api/v1/export/prometheus", **{"match[]": "old"})[1]
    text = text if isinstance(text, str) else text.decode()
    found = {}
    for line in text.splitlines():
        name, number, ms = line.rsplit(" ", 2)
        key = (int(name.split('"')[1]), int(ms))
        assert key not in found, line
        found[key] = float(number)
    return found


def is_same(a, b):
    return (math.isnan(a) and math.isnan(b)) or \
        (a == b and math.copysign(1, a) == math.copysign(1, b))


def alerts(collector):
    rows = collector.json("/api/fengsui/v1/alerts")["data"]["alerts"]
    return {row["labels"]["alertname"]: [row["state"], row["activeAt"]] for row in rows}


def lines(collector):
    rows = collector.json("/api/fengsui/v1/logs", start=0, end=time.time() + 60,
                          limit=10000)["data"]["lines"]
    return [row["text"] for row in rows]


def silences(collector):
    rows = collector.json("/api/v2/silences")
    return {row["id"]: [row["comment"], row["endsAt"], row["matchers"]] for row in rows}


# -- making one -------------------------------------------------------------------------------


def say(log, first, count):
    with open(log, "a", encoding="utf-8") as file:
        file.writelines(f"第 {i} 行 of an old log\n" for i in range(first, first + count))


def make(path):
    with Lab() as lab:
        collector = configure(lab).start()
        start = int(time.time()) // STEP * STEP - (HISTORY + HEAD) * STEP - 60
        log, config = lab.folder / "old.log", lab.folder / "probe.yml"
        log.write_text("")
        config.write_text("sources:\n" + "".join(f"  {s}: {{enabled: false}}\n" for s in SOURCES))
        probe = lab.probe(collector, flags=["--log", log, "--config", config, "--instance", "old"])
        probe.start()
        wait_for(collector.probes, "the probe")
        for n in range(3):
            body = {"matchers": [{"name": "n", "value": str(n), "isRegex": n == 2}],
                    "startsAt": "2026-01-01T00:00:00.000Z", "endsAt": "2099-01-01T00:00:00.000Z",
                    "createdBy": "值班员甲", "comment": f"检修 {n}"}
            assert collector.request("POST", "/api/v2/silences", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})[0] == 200
        give(collector, samples(start, 0, HISTORY))
        say(log, 0, LINES // 2)
        wait_for(lambda: len(lines(collector)) == LINES // 2, "half of the lines")
        wait_for(lambda: len(alerts(collector)) == ALERTS, "all alerts")
        settle(collector)
        give(collector, samples(start, HISTORY, HEAD))
        before = own(collector, "checkpoints_total")
        wait_for(lambda: own(collector, "checkpoints_total") > before, "a checkpoint", 400)
        give(collector, samples(start, HISTORY + HEAD, LOG))
        give(collector, written_over(start))
        say(log, LINES // 2, LINES - LINES // 2)
        wait_for(lambda: len(lines(collector)) == LINES, "all lines")
        probe.stop()
        told = {"start": start, "alerts": alerts(collector), "silences": silences(collector)}
        collector.kill()
        (lab.folder / "told.json").write_text(json.dumps(told))
        (lab.folder / "live").mkdir()
        subprocess.run(["mdb_copy", "-c", collector.data / "live", lab.folder / "live"], check=True)
        with tarfile.open(path, "w:xz", preset=9) as archive:
            archive.add(lab.folder / "told.json", "told.json")
            archive.add(lab.folder / "live", "data/live")
            archive.add(collector.data / "history", "data/history")


# -- reading it -------------------------------------------------------------------------------


def expect(collector, told, when):
    wanted, found = everything(told["start"]), stored(collector)
    wrong = [(key, found.get(key), wanted.get(key)) for key in {**wanted, **found}
             if key not in found or key not in wanted or not is_same(found[key], wanted[key])]
    assert not wrong, (when, len(wrong), wrong[:5])
    assert sorted(lines(collector)) == sorted(f"第 {i} 行 of an old log" for i in range(LINES)), when
    assert silences(collector) == told["silences"], when
    wait_for(lambda: alerts(collector) == told["alerts"], f"the alerts {when}")
    assert own(collector, "quarantined_total") == 0, when


def read(archive):
    with Lab() as lab:
        collector = configure(lab)
        with tarfile.open(archive) as tar:
            tar.extractall(lab.folder)
        (lab.folder / "data").rename(collector.data)
        told = json.loads((lab.folder / "told.json").read_text())
        collector.start()
        expect(collector, told, "as it was found")
        collector.kill()
        collector.start()
        expect(collector, told, "after a kill")
        settle(collector)
        expect(collector, told, "in new files")
        give(collector, {(0, (told["start"] - STEP) * 1000): 1.0})  # it goes on
        assert len(stored(collector)) == len(everything(told["start"])) + 1
        collector.stop()
        assert "all is what was written" in ctl("store", "verify", collector.data)
        assert not list((collector.data / "quarantine").glob("*"))


def test_all_of_a_folder_of_an_older_version_is_there():
    assert FOLDERS
    for archive in FOLDERS:
        read(archive)


def test_such_a_folder_is_verified_as_it_is():
    for archive in FOLDERS:
        with Lab() as lab, tarfile.open(archive) as tar:
            tar.extractall(lab.folder)
            assert "all is what was written" in ctl("store", "verify", lab.folder / "data")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--make"]:
        make(sys.argv[2])
    else:
        run_tests(globals())
