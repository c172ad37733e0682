#!/usr/bin/python3
"""Bad input on the wire costs its sender, and nobody else; a full disk costs nothing but time.

The sender is the Python peer (tests/peer/wire.py): it can say what our probe never would.
"""
import os
import pathlib
import re
import subprocess
import sys
import time

import wire
from fengsui import Lab, run_tests, wait_for


def token_of(collector):
    return (collector.data / "keys" / "enrol.token").read_text().strip()


def peer(collector, instance, token=None, **options):
    key = (collector.data / "keys" / "collector.pub").read_text().strip()
    return wire.Probe(f"tcp://127.0.0.1:{collector.ingest}", key, instance=instance,
                      token=token_of(collector) if token is None else token, **options)


def enrolled(collector, instance, **options):
    """A peer that is let in and has one series, ref 0."""
    probe = peer(collector, instance, **options)
    assert probe.hello() and probe.standing() == "approved", probe.resume
    probe.define(0, [("peer_metric", {"a": "b"})])
    return probe


def now_ms():
    return int(time.time() * 1000)


def metric(collector, name):
    """A counter of /metrics, summed over its labels."""
    code, body = collector.get("/metrics")
    assert code == 200
    rows = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", body.decode(), re.M)
    return sum(float(value) for value in rows)


def still_serves(collector, good, number):
    """The good peer next door notices nothing."""
    good.send(number, now_ms(), {0: float(number)})
    assert good.wait_ack(number), "another probe was harmed"


def test_a_stranger_is_pending_listed_counted_and_stores_nothing():
    with Lab() as lab:
        collector = lab.collector().start()
        with peer(collector, "stranger", token="") as probe:
            probe.hello()
            assert probe.standing() == "pending", probe.resume
            probe.define(0, [("stranger_metric", {})])
            probe.send(1, now_ms(), {0: 1.0})
            wait_for(lambda: metric(
                collector, "fengsui_collector_ingest_pending_messages_refused_total") >= 2,
                "the refusal to be counted")
            assert not probe.is_acked(1)
            assert collector.query("stranger_metric") == []
            rows = collector.json("/api/fengsui/v1/keys")["data"]
            assert [r["standing"] for r in rows] == ["pending"] and rows[0]["instance"] == "stranger"
            collector.ctl("probes", "approve", rows[0]["key"])
            probe.hello()
            assert probe.standing() == "approved"
            probe.define(0, [("stranger_metric", {})])
            probe.send(1, now_ms(), {0: 1.0})
            assert probe.wait_ack(1)
            assert collector.value("stranger_metric") == 1
            collector.ctl("probes", "revoke", rows[0]["key"])
        with peer(collector, "stranger", token="wrong token") as other:
            other.hello()
            assert other.standing() != "approved"
            wait_for(lambda: metric(collector, "fengsui_collector_ingest_tokens_refused_total"),
                     "the token's refusal to be counted")


def test_an_instance_that_is_taken_stays_with_its_key():
    with Lab() as lab:
        collector = lab.collector().start()
        with enrolled(collector, "db1"), peer(collector, "db1") as second:
            second.hello()
            assert second.standing() != "approved"
            notes = [r["note"] for r in collector.json("/api/fengsui/v1/keys")["data"]]
            assert any("another key holds this instance" in note for note in notes), notes


def test_two_live_connections_with_one_key_the_later_is_refused():
    with Lab() as lab:
        collector = lab.collector().start()
        with enrolled(collector, "twin") as first:
            keys = (first.public_key, first.secret_key)
            with peer(collector, "twin", keys=keys) as second:
                def refused():
                    first.receive(0.05)  # answers pings: it is alive
                    second.hello()
                    return metric(collector,
                                  "fengsui_collector_ingest_duplicate_connections_total") > 0
                second.timeout_s = 0.3
                wait_for(refused, "the later connection to be refused")
                first.send(1, now_ms(), {0: 1.0})
                assert first.wait_ack(1), "the first connection was harmed"
                assert any(p["duplicateConnections"] for p in collector.probes())


def test_malformed_oversized_and_future_messages_harm_nobody_else():
    with Lab() as lab:
        collector = lab.collector().start()
        with enrolled(collector, "good") as good:
            still_serves(collector, good, 1)
            before = metric(collector, "fengsui_collector_ingest_malformed_total")
            with enrolled(collector, "bad") as bad:
                bad.send_raw(b"\xff" * 100)
                wait_for(lambda: metric(collector, "fengsui_collector_ingest_malformed_total")
                         > before, "the malformed message to be counted")
                still_serves(collector, good, 2)
            with enrolled(collector, "bad2") as bad:
                bad.send_raw(b"\0" * (8 << 20))  # libzmq itself drops it
                still_serves(collector, good, 3)
            with enrolled(collector, "bad3") as bad:
                bad.send_message("batches", {"epoch": bad.epoch, "items": [
                    dict(wire.batch_to_coded(bad.plain(now_ms(), {0: 1.0}), 1, None, 0),
                         content_hash=12345)]})
                wait_for(lambda: metric(collector, "fengsui_collector_ingest_malformed_total")
                         > before + 1, "the wrong hash to be counted")
                assert not bad.is_acked(1)
                still_serves(collector, good, 4)
            with enrolled(collector, "bad4") as bad:
                assert bad.resume["accepts"] & 1, "a collector takes packed definitions"
                form = wire.packed_definitions([{"name": b"a"}])
                bad.send_message("definitions", {"epoch": bad.epoch, "first_ref": 1,
                                                 **form, "packed_size": 1 << 40})
                wait_for(lambda: metric(collector, "fengsui_collector_ingest_malformed_total")
                         > before + 2, "the wrong size to be counted")
                still_serves(collector, good, 5)
            with peer(collector, "future") as future:
                got = future.hello(protocol=99)
                assert got and got[0] == "refusal" and got[1]["reason"] == 2, got
                future.send_raw(b"\xfa\x07\x03abc")  # field 127: a kind from the future
                future.hello()
                assert future.standing() == "approved", "an unknown kind must be skipped"
            still_serves(collector, good, 6)


def test_a_replayed_number_is_acknowledged_and_ignored_another_content_is_a_conflict():
    with Lab() as lab:
        collector = lab.collector().start()
        with enrolled(collector, "replay") as probe:
            tick = now_ms()
            plain = probe.send(1, tick, {0: 5.0})
            assert probe.wait_ack(1)
            probe.acks.clear()
            probe.resume = None
            probe.send_plain(1, plain)
            assert probe.wait_ack(1), "a duplicate must be acknowledged again"
            assert metric(collector, "fengsui_collector_ingest_duplicate_batches_total") >= 1
            assert collector.value("count_over_time(peer_metric[1h])") == 1
            probe.send(1, tick + 1000, {0: 6.0})
            got = wait_for(lambda: probe.wait_for("ack", timeout_s=1), "the conflict's Ack")
            assert got[1]["stream"].get("renew"), got
            assert collector.value("count_over_time(peer_metric[1h])") == 1
            assert sum(p["conflicts"] for p in collector.probes()) == 1


def test_a_gap_is_shown_and_closes_the_hole():
    with Lab() as lab:
        collector = lab.collector().start()
        with enrolled(collector, "gappy") as probe:
            probe.send(1, now_ms() - 5000, {0: 1.0})
            probe.send(5, now_ms(), {0: 5.0})
            assert probe.wait_ack(5) and not probe.is_acked(3)
            probe.send_message("gap", {"epoch": probe.epoch, "numbers": {"first": 2, "last": 4},
                                       "reason": b"spool_full"})
            assert probe.wait_ack(4)
            row = [p for p in collector.probes() if p["instance"] == "gappy"][0]
            assert row["gaps"] == 1 and row["gapBatches"] == 3, row
            assert row["streams"][0]["lowWater"] == 5


def test_series_and_label_limits_refuse_that_series_and_store_the_rest():
    config = "ingest: {series_limit: 3, labels_limit: 5}\n"
    with Lab() as lab:
        collector = lab.collector(config).start()
        with peer(collector, "limits") as probe:
            probe.hello()
            many = {f"l{i}": "x" for i in range(6)}
            probe.define(0, [("first", {}), ("too_many_labels", many), ("second", {}),
                             ("third", {}), ("fourth", {})], packed=True)
            probe.send(1, now_ms(), {ref: 1.0 for ref in range(5)})
            assert probe.wait_ack(1)
            names = {r["metric"]["__name__"]
                     for r in collector.query('{instance="limits",__name__!="up"}')}
            assert names == {"first", "second", "third"}, names
            _, body = collector.get("/metrics")
            text = body.decode()
            for reason in ("limit", "labels"):
                assert re.search(r'ingest_series_refused_total\{reason="%s"\} 1$' % reason, text,
                                 re.M), text


def test_a_probe_can_ask_for_an_identity_but_not_assert_one():
    with Lab() as lab:
        collector = lab.collector("ingest: {scrape_jobs: [mysqld]}\n").start()
        with peer(collector, "honest") as probe:
            probe.hello()
            probe.define(0, [("claim", {"instance": "somebody else", "job": "root"}),
                             ("granted", {"instance": "honest:3306", "job": "mysqld"}),
                             ("up", {"instance": "honest"}), ("below", {"instance": "honestly"})])
            probe.send(1, now_ms(), {0: 1.0, 1: 2.0, 2: 17.0, 3: 1.0})
            assert probe.wait_ack(1)
            labels = collector.query("claim")[0]["metric"]
            own = {"instance": "honest", "job": "node"}
            assert labels == {"__name__": "claim", "exported_job": "root",
                              "exported_instance": "somebody else", **own}, labels
            labels = collector.query("granted")[0]["metric"]
            assert labels == {"__name__": "granted", "instance": "honest:3306",
                              "job": "mysqld"}, labels
            labels = collector.query("below")[0]["metric"]
            assert labels == {"__name__": "below", "exported_instance": "honestly", **own}, labels
            assert not collector.query("up == 17"), "up is the collector's word on the probe"


def test_a_full_disk_stops_acks_says_so_and_recovers_by_itself():
    """A small file system of its own, filled by a file next to the data and emptied again."""
    if os.geteuid() != 0:
        print("     skipped: mounting needs root")
        return
    with Lab() as lab:
        mount = lab.folder / "small"
        mount.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "fengsui", str(mount)],
                          check=False, capture_output=True).returncode != 0:
            print("     skipped: tmpfs cannot be mounted here")
            return
        try:
            check_full_disk(lab, mount)
        finally:
            for process in lab.processes:
                process.kill()
            subprocess.run(["umount", "-l", str(mount)], check=False)


def check_full_disk(lab, mount):
    rules = lab.folder / "full.yml"
    rules.write_text("groups:\n- name: full\n  rules:\n"
                     "  - {alert: StoreFull, expr: fengsui_collector_store_full == 1}\n"
                     "  - {alert: HostDown, expr: up == 0}\n")
    collector = lab.collector(f"rules: {{evaluation_interval: 1s, files: [{rules}]}}\n",
                              flags=["--data", mount / "data"])
    collector.data = pathlib.Path(mount / "data")
    collector.start()
    with enrolled(collector, "full") as probe:
        probe.send(1, now_ms(), {0: 1.0})
        assert probe.wait_ack(1)
        ballast = mount / "ballast"
        with open(ballast, "wb") as file:
            file.write(b"\1" * (41 << 20))
        code = wait_for(lambda: collector.get("/-/ready")[0] == 503 and 503, "503", 20)
        reason = collector.get("/-/ready")[1].decode()
        assert code == 503 and re.search(r"full|space|disk|%", reason), reason
        probe.send(2, now_ms(), {0: 2.0})
        assert not probe.wait_ack(2, timeout_s=2), "acknowledged although the disk is full"
        assert collector.value("count_over_time(peer_metric[1h])") == 1, "queries must go on"

        def alert_fires():
            probe.receive(0.05)  # answers pings: this host is not silent
            return [a for a in collector.json("/api/v1/alerts")["data"]["alerts"]
                    if a["state"] == "firing"]
        fired = wait_for(alert_fires, "the alert on the full disk", 40)
        assert [a["labels"]["alertname"] for a in fired] == ["StoreFull"], fired
        assert collector.value('up{instance="full"}') == 1, "a full disk is no silent host"
        ballast.unlink()
        wait_for(lambda: collector.get("/-/ready")[0] == 200, "recovery", 20)

        def again():
            probe.hello()
            probe.send(2, now_ms(), {0: 2.0})
            return probe.wait_ack(2, timeout_s=1)
        wait_for(again, "the resent batch to be acknowledged")
        wait_for(lambda: collector.value("count_over_time(peer_metric[1h])") == 2, "both samples")
    collector.stop()
    collector.start()
    assert collector.value("count_over_time(peer_metric[1h])") == 2


def test_wrong_flags_and_files_end_with_2_and_name_the_place():
    build = pathlib.Path(os.environ.get("FENGSUI_BUILD", "build/release")).resolve()
    cases = [
        (["--htp", "x"], r"unknown flag --htp \(did you mean --http\?\)"),
        (["--retention", "5"], r'--retention: "5" is not an age'),
        (["extra"], r'unexpected argument "extra"'),
    ]
    with Lab() as lab:
        path = lab.folder / "collector.yml"
        path.write_text("http:\n  listen: 127.0.0.1:1\n  lsten: x\n")
        cases.append((["--config", path], r"collector\.yml:3: unknown key \"lsten\" in http "
                                          r"\(did you mean \"listen\"\?\)"))
        rules = lab.folder / "rules.yml"
        rules.write_text("groups:\n- name: g\n  rules:\n  - alert: A\n    expr: raet(x[5m])\n")
        other = lab.folder / "other.yml"
        other.write_text("rules: {files: [rules.yml]}\n")
        cases.append((["--config", other, "--check"],
                      r"rules\.yml:5: .*unknown function.*raet.*did you mean \"rate\"\?"))
        off = ["--http", "0.0.0.0:0", "--data", lab.folder / "data"]
        cases.append((off, r"(?i)users|tls"))
        for flags, message in cases:
            done = subprocess.run([str(build / "fengsui-collector"), *map(str, flags)],
                                  capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 2, (flags, done.returncode, done.stderr)
            assert re.search(message, done.stderr), (flags, done.stderr)


def test_a_second_collector_in_one_folder_is_refused_and_the_first_unharmed():
    with Lab() as lab:
        first = lab.collector().start()
        with enrolled(first, "held") as probe:
            probe.send(1, now_ms(), {0: 1.0})
            assert probe.wait_ack(1)
            second = lab.collector(flags=["--data", first.data])
            second.start(ready=False)
            wait_for(lambda: not second.alive(), "the second collector to end")
            assert re.search(rf"collector\.lock.*process {first.process.pid}\b", second.tail()), \
                second.tail()
            probe.send(2, now_ms(), {0: 2.0})
            assert probe.wait_ack(2)
        first.kill()
        second.start()
        assert second.value("count_over_time(peer_metric[1h])") == 2


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "peer"))
    run_tests(globals())
