"""A backup under load, and what a collector that is started on it knows.

A probe, a log file and remote write go on while the collector backs itself up; then it is killed,
and another is started on what restore makes of the backup: everything acknowledged before the
backup is there once, alerts, silences and acknowledgements too, and the probe goes on.
"""
import json
import pathlib
import re
import subprocess
import threading
import time

import remote_message
from fengsui import BUILD, PATIENCE, Lab, grid_ticks, run_tests, wait_for

SERIES = 300
RULES = """
groups:
- name: drill
  interval: 1s
  rules:
  - {alert: Drill, expr: drill == 1, labels: {severity: critical}}
"""
CONFIG = """
rules: {evaluation_interval: 1s, files: [rules.yml]}
alerting: alerting.yml
"""
ALERTING = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"


class Load(threading.Thread):
    """Remote write, one request after the other; which are acknowledged, and after how long."""

    def __init__(self, collector, log):
        super().__init__(daemon=True)
        self.collector, self.log = collector, log
        self.acknowledged, self.seconds, self.go = 0, [], True

    def run(self):
        while self.go:
            number = self.acknowledged + 1
            now_ms = int(time.time() * 1000)
            with open(self.log, "a", encoding="utf-8") as log:
                log.write(f"line {number:06d} of the drill\n")
            message = b"".join(
                remote_message.series({"__name__": "steady", "part": str(part)},
                                      [(number, now_ms)]) for part in range(SERIES))
            message += remote_message.series({"__name__": "drill", "instance": "db-01"},
                                             [(1, now_ms)])
            begun = time.monotonic()
            code, text = remote_message.write(self.collector, message)
            assert code in (200, 204), (code, text)
            self.seconds.append(time.monotonic() - begun)
            self.acknowledged = number
            time.sleep(0.005)  # a pace, so that the values stay few; nothing waits for it

    def end(self):
        self.go = False
        self.join()


def ctl(*arguments, code=0):
    """fengsuictl on files of this host: no collector is asked."""
    done = subprocess.run([str(BUILD / "fengsuictl"), "--lang", "en", *map(str, arguments)],
                          capture_output=True, text=True, check=False, timeout=60 * PATIENCE)
    assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
    return done.stdout + done.stderr


def values_of(collector, part):
    rows = collector.query(f'steady{{part="{part}"}}[1h]')
    return [round(float(value)) for _, value in rows[0]["values"]] if rows else []


def drill_lines(collector, log, started):
    rows = collector.json("/api/fengsui/v1/logs", path=str(log), start=started,
                          end=time.time() + 60, limit=10000)["data"]["lines"]
    return [row["text"] for row in rows]


def alert_state(collector):
    rows = [row for row in collector.json("/api/fengsui/v1/alerts")["data"]["alerts"]
            if row["labels"]["alertname"] == "Drill"]
    known = rows and rows[0]["acknowledged"] and rows[0]["status"]["silencedBy"]
    return {key: rows[0][key] for key in ("acknowledged", "activeAt", "fingerprint")} \
        if known else None


def all_is_there_or_told(collector, probe):
    ticks = grid_ticks(probe)
    points = collector.query('node_load1{instance="live"}[1h]')[0]["values"]
    missing = set(ticks) - {round(at * 1000) for at, _ in points}
    return len(ticks) > 10 and len(missing) <= collector.probes()[0]["gapBatches"]


def start_drill(lab):
    collector = lab.collector(config=CONFIG)
    (collector.folder / "rules.yml").write_text(RULES)
    (collector.folder / "alerting.yml").write_text(ALERTING)
    collector.start()
    log = lab.folder / "drill.log"
    load = Load(collector, log)
    load.start()
    probe = lab.probe(collector, interval="200ms", flags=[
        "--instance", "live", "--log", log, "--log-level", "debug"]).start()
    wait_for(lambda: collector.query('node_load1{instance="live"}'), "the probe's data")
    wait_for(lambda: [row for row in collector.json("/api/v1/alerts")["data"]["alerts"]
                      if row["state"] == "firing"], "the alert")
    collector.ctl("alerts", "ack", "Drill", "--by", "值班员甲", "--comment", "drill")
    collector.ctl("silence", "add", "alertname=Drill", "--duration", "2h", "--by", "值班员甲",
                  "--comment", "drill")
    wait_for(lambda: alert_state(collector), "acknowledgement and silence")
    return collector, load, probe, log


def backup_under_load(collector, load, backup):
    """The acknowledged number before it, and that after it."""
    before = load.acknowledged
    done = subprocess.run(
        [str(BUILD / "fengsuictl"), "--url", f"http://127.0.0.1:{collector.http}", "--lang", "en",
         "--json", "backup", str(backup)], capture_output=True, text=True, check=False,
        timeout=60 * PATIENCE)
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)["data"]
    assert data["state"] == "done" and data["faults"] == 0, data
    assert data["linkedFiles"] > 0, data  # the same file system: history is linked
    wait_for(lambda: load.acknowledged > before, "an acknowledgement since the backup began")
    return before


def test_a_collector_started_on_a_backup_knows_all_up_to_it():
    with Lab() as lab:
        started = int(time.time()) - 5
        collector, load, probe, log = start_drill(lab)
        wait_for(lambda: load.acknowledged > 30, "some load")
        assert collector.request("POST", "/api/fengsui/v1/store/settle", b"")[0] == 200
        wait_for(lambda: len(drill_lines(collector, log, started)) > 20, "log lines")
        lines_before = drill_lines(collector, log, started)
        backup = lab.folder / "backup"
        before = backup_under_load(collector, load, backup)
        told = json.loads(collector.ctl("--json", "store", "verify"))["data"]
        assert told["state"] == "done" and told["faults"] == 0 and told["samples"] > SERIES, told
        stat = json.loads(collector.ctl("--json", "store", "stat"))["data"]
        assert stat["bytesPerSample"] > 0, stat
        load.end()
        page = collector.get("/metrics")[1].decode()
        assert re.search(r"^fengsui_collector_store_backups_total 1$", page, re.M), page
        noted = alert_state(collector)
        collector.kill()

        ctl("store", "verify", collector.data)  # killed: clean all the same
        assert "a whole backup" in ctl("store", "verify", backup)
        assert "bytes a sample" in ctl("store", "stat", backup)
        restored = lab.folder / "restored"
        ctl("restore", backup, restored)
        collector.arguments[collector.arguments.index(collector.data)] = restored
        collector.start()
        for part in (0, SERIES - 1):
            values = values_of(collector, part)
            assert values == sorted(set(values)), "a value twice"
            assert set(range(1, before + 1)) <= set(values), (before, values[-5:])
            assert values[-1] <= load.acknowledged
        lines = drill_lines(collector, log, started)
        assert set(lines_before) <= set(lines), set(lines_before) - set(lines)
        again = wait_for(lambda: alert_state(collector), "the alert with its ack and silence")
        assert again == noted, (again, noted)
        # The probe goes on: nothing twice, what is missing is told.
        wait_for(lambda: all_is_there_or_told(collector, probe), "all ticks, or gaps", 30)
        lines = drill_lines(collector, log, started)
        assert len(lines) == len(set(lines)), "a line twice"
        page = collector.get("/metrics")[1].decode()
        moment = float(re.search(r"^fengsui_collector_store_restored_timestamp_seconds (\S+)$", page,
                                 re.M)[1])
        assert started < moment < time.time(), moment
        acks = sorted(load.seconds)
        print(f"     {len(acks)} acks: p99 {acks[len(acks) * 99 // 100] * 1000:.1f} ms, max "
              f"{acks[-1] * 1000:.1f} ms")
        collector.stop()


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def test_damage_is_named_offline_and_online():
    with Lab() as lab:
        collector = lab.collector().start()
        for number in range(20):
            message = b"".join(
                remote_message.series({"__name__": "x", "part": str(part)},
                                      [(number, int(time.time() * 1000))]) for part in range(50))
            assert remote_message.write(collector, message)[0] in (200, 204)
        assert collector.request("POST", "/api/fengsui/v1/store/settle", b"")[0] == 200
        backup = lab.folder / "backup"
        collector.ctl("backup", "--copy", backup)
        victim = next((collector.data / "history").glob("*.samples.mdb"))
        flip(victim)
        done = subprocess.run(
            [str(BUILD / "fengsuictl"), "--url", f"http://127.0.0.1:{collector.http}", "--lang",
             "en", "store", "verify"], capture_output=True, text=True, check=False,
            timeout=60 * PATIENCE)
        assert done.returncode == 1 and victim.name in done.stderr, done
        assert "1" == str(int(collector.json("/api/fengsui/v1/store/verify")["data"]["faults"] > 0))
        # A backup is made all the same, and says what is damaged in it.
        collector.ctl("backup", lab.folder / "second", code=1)
        collector.stop()
        assert victim.name in ctl("store", "verify", collector.data, code=1)
        # The copy shares nothing with it: whole, until it is damaged itself.
        restored = lab.folder / "restored"
        ctl("restore", backup, restored)
        assert "not empty" in ctl("restore", backup, restored, code=1)
        flip(backup / "history" / victim.name)
        assert victim.name in ctl("restore", backup, lab.folder / "other", code=1)
        assert not pathlib.Path(lab.folder / "other").exists()
        (backup / "UNFINISHED").write_text("")
        assert "never finished" in ctl("restore", backup, lab.folder / "other", code=1)


if __name__ == "__main__":
    run_tests(globals())
