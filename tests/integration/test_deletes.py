"""Samples deleted over HTTP and by fengsuictl: gone for the next query, for good, and from the disk.

Remote write fills a collector with two days of noise and some minutes of now, so that what is
deleted lies in history, in memory and in the write-ahead log. It is killed right after an answer,
backed up with deletes that are not carried out yet, and restored.
"""
import json
import pathlib
import random
import shutil
import subprocess
import time
import urllib.parse

import remote_message
from fengsui import BUILD, PATIENCE, Lab, run_tests

STEP = 15
DELETE = "/api/v1/admin/tsdb/delete_series"
CLEAN = "/api/v1/admin/tsdb/clean_tombstones"


def noise(name, host, start, end):
    generator = random.Random(f"{name}{host}")
    return remote_message.series({"__name__": name, "job": "j", "instance": host},
                                 [(generator.random(), t * 1000)
                                  for t in range(start, end, STEP)])


def fill(collector, name, hosts, start, end):
    for host in hosts:
        code, text = remote_message.write(collector, noise(name, host, start, end))
        assert code in (200, 204), (code, text)


def counts(collector, selector, start, end):
    """Samples by instance in the closed interval."""
    rows = collector.query(f"count_over_time({selector}[{end - start + 1}s])", at=end)
    return {row["metric"].get("instance", ""): int(row["value"][1]) for row in rows}


def change(collector, path, method="POST", body=None, **parameters):
    query = "?" + urllib.parse.urlencode(parameters, doseq=True) if parameters else ""
    return collector.request(method, path + query, body, {
        "Content-Type": "application/x-www-form-urlencoded"} if body else None)


def delete(collector, **parameters):
    parameters = {{"match": "match[]"}.get(name, name): value for name, value in
                  parameters.items()}
    code, text = change(collector, DELETE, **parameters)
    assert (code, text) == (204, b""), (code, text)


def ctl(collector, *arguments, code=0):
    """With nobody at the terminal."""
    done = subprocess.run(
        [str(BUILD / "fengsuictl"), "--lang", "en", "--url", f"http://127.0.0.1:{collector.http}",
         *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL,
        timeout=60 * PATIENCE, check=False)
    assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
    return done.stdout + done.stderr


def settle(collector):
    code, text = collector.request("POST", "/api/fengsui/v1/store/settle")
    assert code == 200, text


def history(collector):
    """What history takes, as the store says and as the disk says."""
    stat = json.loads(ctl(collector, "store", "stat", "--json"))["data"]
    told = next(e["bytes"] for e in stat["environments"] if e["name"] == "history samples")
    files = sum(path.stat().st_size for path in (collector.data / "history").iterdir())
    return told, files


def test_deleted_samples_are_gone_for_good():
    with Lab() as lab:
        collector = lab.collector().start()
        now = int(time.time()) // 7200 * 7200
        old, mid, end = now - 2 * 86400, now - 86400, now + 600
        hosts = [f"h{n}" for n in range(12)]
        fill(collector, "m", hosts, old, now)
        fill(collector, "other", ["h0"], old, now)
        settle(collector)
        before = history(collector)
        fill(collector, "m", hosts, now, end)
        whole, day, tail = counts(collector, "m", old, end), (mid - old) // STEP, 600 // STEP
        assert whole == {host: 2 * day + tail for host in hosts}, whole

        # In history, in memory, both ends included, and over two selectors at once.
        delete(collector, match='m{instance="h0"}', start=old, end=mid - 1)
        assert counts(collector, "m", old, end)["h0"] == day + tail
        delete(collector, match=['m{instance="h1"}', 'm{instance=~"h[23]"}'], start=mid,
               end=mid + 10 * STEP)
        left = counts(collector, "m", old, end)
        assert {left[h] for h in ("h1", "h2", "h3")} == {2 * day + tail - 11}, left
        code, _ = change(collector, DELETE, "PUT",
                         body=f'match[]=m{{instance="h4"}}&start={now}'.encode())
        assert code == 204
        assert counts(collector, "m", old, end)["h4"] == 2 * day
        # What is written afterwards counts: the same values at the same times.
        fill(collector, "m", ["h4"], now, end)
        fill(collector, "m", ["h0"], old, old + 5 * STEP)
        left = counts(collector, "m", old, end)
        assert left["h4"] == 2 * day + tail and left["h0"] == day + tail + 5, left

        # A whole series is gone from answers at once, and killed at once stays so.
        delete(collector, match='m{instance="h5"}')
        listed = collector.json("/api/v1/series", **{"match[]": "m"})["data"]
        assert "h5" not in {row["instance"] for row in listed}, listed
        collector.kill()
        collector.start()
        left = counts(collector, "m", old, end)
        assert "h5" not in left and left["h4"] == 2 * day + tail, left
        assert left["h0"] == day + tail + 5 and left["h1"] == 2 * day + tail - 11, left

        delete(collector, match='m{instance=~"h([6-9]|1.)"}', end=now - 1)
        assert change(collector, CLEAN) == (204, b"")
        clean = history(collector)
        assert clean[0] < before[0] * 0.7 and clean[1] < before[1] * 0.7, (before, clean)
        settle(collector)
        assert "all deletes are carried out" in ctl(collector, "store", "deletes")
        assert counts(collector, "m", old, end) == {**{h: left[h] for h in left if h < "h10" or
                                                       h[1:] in "2345"},
                                                    **{f"h{n}": tail for n in range(6, 12)}}
        assert counts(collector, "other", old, end) == {"h0": 2 * day}
        assert "all is what was written" in ctl(collector, "store", "verify")
        assert "did=delete-series" in collector.log.read_text()
        collector.stop()
        collector.start()  # what is in memory is listed whatever its time
        values = collector.json("/api/v1/label/instance/values", **{
            "match[]": "m", "start": old, "end": now - 1})["data"]
        assert values == ["h0", "h1", "h2", "h3", "h4"], values
        collector.stop()


def test_a_bad_wish_deletes_nothing():
    with Lab() as lab:
        collector = lab.collector().start()
        now = int(time.time())
        fill(collector, "m", ["a"], now - 600, now)
        for parameters, word in (({}, "no match[] parameter"), ({"match[]": "m{"}, "parse error"),
                                 ({"match[]": "{}"}, "non-empty"),
                                 ({"match[]": ["m", '{a=""}']}, "non-empty"),
                                 ({"match[]": "m", "start": "x"}, "start"),
                                 ({"match[]": "m", "end": "x"}, "end")):
            code, text = change(collector, DELETE, **parameters)
            assert code == 400 and word in text.decode(), (parameters, code, text)
        assert change(collector, DELETE, **{"match[]": "m", "start": now, "end": now - 1})[0] == 204
        assert change(collector, DELETE, "GET", **{"match[]": "m"})[0] == 405
        assert counts(collector, "m", now - 600, now) == {"a": 40}
        collector.stop()


def test_fengsuictl_shows_and_asks_first():
    with Lab() as lab:
        collector = lab.collector().start()
        now = int(time.time()) // STEP * STEP
        fill(collector, "m", ["a", "b"], now - 1500, now)
        wish = ["--match", 'm{instance="a"}', "--from", now - 1500, "--to", now - 751]
        shown = ctl(collector, "store", "delete", *wish, code=1)
        assert "nothing deleted" in shown and "--yes" in shown, shown
        row = next(line for line in shown.splitlines() if 'instance="a"' in line)
        assert row.split()[1] == "1" and 45 <= int(row.split()[2]) <= 55, row
        assert counts(collector, "m", now - 1500, now) == {"a": 100, "b": 100}
        ctl(collector, "store", "delete", *wish, "--yes")
        assert counts(collector, "m", now - 1500, now) == {"a": 50, "b": 100}
        assert 'instance="a"' in ctl(collector, "store", "deletes")
        assert "nothing to delete" in ctl(collector, "store", "delete", "--match", "none")
        ctl(collector, "store", "delete", code=2)
        ctl(collector, "store", "delete", "--match", "m{", "--yes", code=1)
        chinese = collector.ctl("--lang", "zh", "store", "delete", "--match", "none")
        assert "没有可删除的样本" in chinese, chinese
        settle(collector)
        ctl(collector, "store", "clean")
        assert "all deletes are carried out" in ctl(collector, "store", "deletes")

        # A backup knows of deletes that are not carried out.
        ctl(collector, "store", "delete", "--match", 'm{instance="b"}', "--to", now - 751, "--yes")
        backup = lab.folder / "backup"
        ctl(collector, "backup", backup)
        collector.stop()
        shutil.rmtree(collector.data)
        subprocess.run([str(BUILD / "fengsuictl"), "restore", str(backup), str(collector.data)],
                       check=True, capture_output=True, timeout=60 * PATIENCE)
        collector.start()
        assert counts(collector, "m", now - 1500, now) == {"a": 50, "b": 50}
        collector.stop()
        assert "all is what was written" in ctl(collector, "store", "verify",
                                                pathlib.Path(collector.data))


AGES = """
retention:
  raw: 30d
  per_series:
  - {match: '{instance=~"a|b"}', raw: 1h}
  - {match: "m{it=\\"it's\\"}", raw: 2d}
  - {match: 'm{instance="d"}', rollup_5m: 60d, rollup_1h: 2y}
"""


def check(folder, text):
    (folder / "collector.yml").write_text(text)
    done = subprocess.run([str(BUILD / "fengsui-collector"), "--check", "--config",
                           str(folder / "collector.yml"), "--data", str(folder / "none")],
                          capture_output=True, text=True, timeout=60 * PATIENCE, check=False)
    return done.returncode, done.stdout + done.stderr


def test_some_series_are_kept_for_less_long():
    with Lab() as lab:
        collector = lab.collector(AGES).start()
        now = int(time.time())
        old = now - 86400
        fill(collector, "m", ["a", "b", "c"], old, now)
        for _ in range(2):
            assert counts(collector, "m", old, now - 3700) == {"c": (86400 - 3700) // STEP + 1}
            recent = counts(collector, "m", now - 3000, now)
            assert recent.keys() == {"a", "b", "c"} and len(set(recent.values())) == 1, recent
            settle(collector)
        # What is printed means the same when it is read again.
        printed = collector.json("/api/v1/status/config")["data"]["yaml"]
        code, text = check(lab.folder, printed)
        assert code == 0 and "it''s" in printed and 'rollup_1h: "2y"' in printed, (code, text, printed)
        for match, raw, word in (("m{", "7d", "match"), ("{}", "7d", "non-empty"),
                                 ("m", "now", "nor forever"), ("m", "5m", "at least 1h")):
            code, text = check(lab.folder, "retention:\n  raw: 30d\n  per_series:\n"
                                           f"  - {{match: '{match}', raw: {raw}}}\n")
            assert code == 2 and word in text and "collector.yml:4" in text, (code, text)
        for ages, word in (("", "give raw"), (", rollup_1h: 1m", "nor none"),
                           (", raw: none", "nor forever"),
                           (", raw: 7d, rollup_5m: 7d", "longer than raw"),
                           (", raw: 90d, rollup_5m: 1y, rollup_1h: 60d", "rollup_1h must be longer"),
                           (", raw: forever, rollup_1h: 1y", "never rolled up")):
            code, text = check(lab.folder, "retention:\n  raw: 30d\n  per_series:\n"
                                           f"  - {{match: m{ages}}}\n")
            assert code == 2 and word in text and "collector.yml:4" in text, (code, text)
        collector.stop()


if __name__ == "__main__":
    run_tests(globals())
