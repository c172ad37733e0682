"""Text in, text out: imports that are all or nothing, exports that are bit for bit, months of
history while a probe writes, and fengsuictl doing both."""
import gzip
import http.client
import json
import os
import random
import re
import socket
import subprocess
import time
import urllib.parse

from fengsui import BUILD, Lab, PATIENCE, run_tests, wait_for
from test_http_access import basic, write_users

ALL = '{__name__!=""}'
PATH = "/api/v1/import/prometheus"
DAY = 86400
PAD = 'pad="' + "x" * 400 + '"'  # makes a piece of few samples


def give(collector, text, headers=None, **parameters):
    """Imports; (status, answer)."""
    query = "?" + urllib.parse.urlencode(parameters, doseq=True) if parameters else ""
    body = text if isinstance(text, bytes) else text.encode()
    code, answer = collector.request("POST", PATH + query, body, headers or
                                     {"Content-Type": "text/plain"}, timeout=120)
    return code, json.loads(answer)


def stored(collector, text, **parameters):
    code, answer = give(collector, text, **parameters)
    assert code == 200 and answer["data"]["samplesRefused"] == 0, (code, answer)
    return answer["data"]["samplesStored"]


def export(collector, match, **parameters):
    code, body = collector.get("/api/v1/export/prometheus", **{"match[]": match, **parameters})
    assert code == 200, (code, body[:300])
    return body.decode()


def settle(collector):
    assert collector.request("POST", "/api/fengsui/v1/store/settle", b"", timeout=900)[0] == 200


def run(collector, *arguments, typed=None):
    return subprocess.run(
        [str(BUILD / "fengsuictl"), *map(str, arguments)], input=typed, capture_output=True,
        check=False, timeout=300 * PATIENCE,
        env={**os.environ, "LANG": "C.UTF-8", "LC_ALL": "", "LC_MESSAGES": "",
             "FENGSUI_URL": f"http://127.0.0.1:{collector.http}"})


def anonymous_bytes(collector):
    with open(f"/proc/{collector.process.pid}/status") as status:
        return int(re.search(r"RssAnon:\s+(\d+)", status.read())[1]) * 1024


def test_what_is_imported_is_visible_at_once():
    with Lab() as lab:
        collector = lab.collector().start()
        now = int(time.time() * 1000)
        text = ("# HELP pages_total Pages,\\nprinted\n# TYPE pages_total counter\n# UNIT pages_total pages\n"
                f'pages_total{{tray="1"}} 7 {now - 60000}\npages_total{{tray="1"}} 9 {now}\n'
                'pages_total{tray="2",site="a"} 1e3\n{"磁盘.温度","槽 位"="3"} 41.5\n')
        assert stored(collector, text, extra_label=["site=unicom", "empty="]) == 4
        assert collector.value('increase(pages_total{tray="1",site="unicom"}[2m])') > 0
        assert collector.value('pages_total{tray="2",site="unicom"}') == 1000
        assert collector.value('{"磁盘.温度","槽 位"="3"}') == 41.5
        known = collector.json("/api/v1/metadata", metric="pages_total")["data"]["pages_total"]
        assert known == [{"type": "counter", "help": "Pages,\nprinted", "unit": "pages"}], known
        assert stored(collector, "given 3\n", timestamp=now - 5000) == 1
        assert collector.query("given[1m]")[0]["values"] == [[(now - 5000) / 1000, "3"]]
        # OpenMetrics, in gzip; curl says "form" of what it is not told about.
        body = f"# TYPE a info\na_info{{v=\"1\"}} 1 {now / 1000}\nb 2 # {{t=\"1\"}} 3\n# EOF\n"
        code, answer = give(collector, gzip.compress(body.encode()), {
            "Content-Type": "application/openmetrics-text; version=1.0.0",
            "Content-Encoding": "gzip"})
        assert code == 200 and answer["data"]["samplesStored"] == 2, answer
        code, answer = give(collector, "form_or_not{a=\"%zz&=+\"} 1\n",
                            {"Content-Type": "application/x-www-form-urlencoded"})
        assert code == 200 and answer["data"]["samplesStored"] == 1, answer
        # Again changes nothing.
        assert stored(collector, text, extra_label=["site=unicom"]) == 4
        assert collector.value('count_over_time(pages_total{tray="1"}[5m])') == 2
        collector.kill()
        collector.start()
        assert collector.value('pages_total{tray="2"}') == 1000
        collector.stop()


def test_a_request_is_all_or_nothing():
    with Lab() as lab:
        collector = lab.collector().start()
        code, answer = give(collector, "good 1\n" * 3 + "new{a=\"b} 2\n")
        assert code == 400 and answer["error"] == \
            "line 4: a quote is not closed; nothing of this request was stored", answer
        code, answer = give(collector, "good 1\n", {"Content-Type": "application/openmetrics-text"})
        assert code == 400 and "# EOF" in answer["error"], answer
        code, answer = give(collector, "a 1\n" * 1000001)
        assert code == 413 and "more than 1000000 samples" in answer["error"], answer
        connection = http.client.HTTPConnection("127.0.0.1", collector.http, timeout=30 * PATIENCE)
        connection.putrequest("POST", PATH)
        connection.putheader("Content-Length", str(33 << 20))
        connection.endheaders()  # answered before a byte of it is sent
        assert connection.getresponse().status == 413
        assert collector.request("POST", PATH, gzip.compress(b"#" * (33 << 20)),
                                 {"Content-Encoding": "gzip"})[0] == 413
        assert give(collector, "a 1\n", {"Content-Encoding": "snappy"})[0] == 415
        assert collector.request("POST", PATH, b"\x1f\x8bxx", {"Content-Encoding": "gzip"})[0] == 400
        for wrong in ({"timestamp": "now"}, {"extra_label": "=x"}, {"extra_label": "__name__=x"}):
            code, answer = give(collector, "a 1\n", **wrong)
            assert code == 400 and "invalid parameter" in answer["error"], answer
        assert collector.json("/api/v1/series", **{"match[]": '{__name__=~"good|new|a"}'})["data"] == []
        assert give(collector, "")[0] == 200
        collector.stop()


def test_what_cannot_be_kept_is_told():
    with Lab() as lab:
        collector = lab.collector(flags=["--retention", "90d"]).start()
        now = int(time.time() * 1000)
        labels = ",".join(f'l{i}="x"' for i in range(64))
        text = f"old 1 {now - 91 * DAY * 1000}\nold 2 {now - 89 * DAY * 1000}\n" \
               f"old 3 5\nsoon 1 {now + 3600_000}\nwide{{{labels}}} 1\nfine 1\n"
        code, answer = give(collector, text)
        data = answer["data"]
        assert code == 200 and (data["samplesStored"], data["samplesRefused"]) == (2, 4), answer
        told = {r["reason"]: (r["samples"], r["first"]) for r in data["refused"]}
        assert told["retention"][0] == 2 and told["retention"][1].startswith("line 1: ") \
            and "retention of 90d" in told["retention"][1], told
        assert told["future"][1].startswith("line 4: ") and told["labels"][1].startswith("line 5: ")
        metrics = collector.get("/metrics")[1].decode()
        assert 'import_samples_refused_total{reason="retention"} 2' in metrics
        path = lab.folder / "old.txt"
        path.write_text("# TYPE old gauge\n" + text)
        done = run(collector, "import", path)
        assert done.returncode == 1 and b"2 samples stored, 4 refused" in done.stdout, done
        assert f"(retention), the first at {path}:2: ".encode() in done.stderr, done
        collector.stop()


def test_an_export_comes_back_bit_for_bit():
    with Lab() as lab:
        flags = ["--retention", "forever"]
        first = lab.collector(flags=flags, name="first").start()
        second = lab.collector(flags=flags, name="second").start()
        chance = random.Random(7)
        lines = ["# HELP odd Odd \\\\ things\\n", "# TYPE odd gauge", "# UNIT odd bytes"]
        for series in range(8):
            name = f'odd{{n="{series}",x="a\\"\\\\\\n风"}}'
            for i in range(400):
                at = -3_000_000_000 + series + i * chance.randrange(1, 5_000_000)
                kind = chance.randrange(12)
                if kind == 0:
                    lines.append(f"# STALE {name} {at}")
                elif kind == 1:
                    bits = 0xFFF8000000000000 | chance.getrandbits(40)
                    lines.append(f"# NAN {bits:016x} {name} {at}")
                else:
                    value = ("NaN", "+Inf", "-Inf", "-0", "5e-324")[kind - 2] if kind < 7 \
                        else repr(chance.choice((chance.random() * 10 ** chance.randrange(-300, 300),
                                                 float(chance.randrange(-10 ** 6, 10 ** 9)) / 1000)))
                    lines.append(f"{name} {value} {at}")
        lines += ["# TYPE h histogram", 'h_bucket{le="1"} 1 1', 'h_bucket{le="+Inf"} 2 1',
                  "h_sum 3 1", "h_count 2 1"]
        assert stored(first, "\n".join(lines) + "\n") > 3000
        text = export(first, ["odd", '{__name__=~"h_.*"}', "odd"])
        settle(first)
        assert export(first, ["odd", '{__name__=~"h_.*"}']) == text
        stored(second, text)
        assert export(second, ["odd", '{__name__=~"h_.*"}']) == text
        assert text.count("# TYPE h histogram\n") == 1 and "# UNIT odd bytes\n" in text
        kinds = {w: text.count(f"\n{w} ") for w in ("# STALE", "# NAN")}
        assert min(kinds.values()) > 100, kinds
        # The order that is promised, the interval's ends, and nothing to be found.
        names = [re.match(r"(?:# \S+ (?:\S{16} )?)?(\S+?)[{ ]", line)[1]
                 for line in text.splitlines() if not line.startswith(("# H", "# T", "# U"))]
        assert names == sorted(names)
        stored(second, "".join(f"edge {i} {i * 1000}\n" for i in range(10)))
        assert export(second, "edge", start=3, end=5) == "edge 3 3000\nedge 4 4000\nedge 5 5000\n"
        assert export(second, "nothing") == ""
        for wrong in ({}, {"match[]": "edge", "start": 5, "end": 4}, {"match[]": "{"}):
            assert second.get("/api/v1/export/prometheus", **wrong)[0] == 400
        first.stop()
        second.stop()


def test_roles():
    with Lab() as lab:
        collector = lab.collector("http: {users: users.yml}\n")
        token = write_users(collector.folder, li=("viewer", "li's"), root=("admin", "root's"))
        collector.start()
        writer = {"Authorization": f"Bearer {token}"}
        reader = basic("li", "li's")
        path = "/api/v1/export/prometheus?match[]=a"
        assert collector.request("POST", PATH, b"a 1\n", reader)[0] == 403
        assert collector.request("POST", PATH, b"a 1\n")[0] == 401
        assert collector.request("POST", PATH, b"a 1\n", writer)[0] == 200
        assert collector.request("POST", PATH, b"a 1\n", basic("root", "root's"))[0] == 200
        assert collector.request("GET", path, headers=writer)[0] == 403
        assert collector.request("GET", path, headers=reader)[1].startswith(b"a 1 ")
        collector.stop()


def test_a_rule_hears_of_an_import():
    rules = "groups:\n- name: g\n  interval: 1h\n  rules:\n  - {alert: Hot, expr: heat > 80}\n"
    with Lab() as lab:
        collector = lab.collector("rules: {files: [rules.yml]}\n")
        (collector.folder / "rules.yml").write_text(rules)
        collector.start()
        stored(collector, 'heat{instance="a"} 70\n')
        stored(collector, 'heat{instance="a"} 90\n')
        wait_for(lambda: collector.json("/api/v1/alerts")["data"]["alerts"], "the alert", 20)
        collector.stop()


def months(path, series, days, step):
    """A history file, by time; returns the number of samples and their sum by series."""
    now = int(time.time()) // step * step
    sums = [0] * series
    count = 0
    with gzip.open(path, "wt", compresslevel=1) as out:
        for i in range(series):
            out.write(f"# TYPE history_{i} gauge\n")
        for k, at in enumerate(range(now - days * DAY, now, step)):
            for i in range(series):
                value = i * 1000 + k * 7919 % 1000
                sums[i] += value
                out.write(f'history_{i}{{instance="old",job="node",n="{i}"}} {value} {at}000\n')
                count += 1
    return count, sums


def import_months(series, days, step, bound):
    with Lab() as lab:
        flags = ["--retention", "forever"]
        collector = lab.collector(flags=flags, name="first").start()
        probe = lab.probe(collector, interval="200ms").start()
        up = 'up{job="node",instance!="old"}'
        wait_for(lambda: collector.value(up) == 1, "the probe", 30)
        path = lab.folder / "history.txt.gz"
        count, sums = months(path, series, days, step)
        started, before = time.time(), anonymous_bytes(collector)
        importer = subprocess.Popen(
            [str(BUILD / "fengsuictl"), "--json", "--url", f"http://127.0.0.1:{collector.http}",
             "import", str(path)], stdout=subprocess.PIPE)
        peak = 0
        while importer.poll() is None:
            peak = max(peak, anonymous_bytes(collector) - before)
            assert collector.value(up) == 1
            time.sleep(0.05)
        done = json.loads(importer.stdout.read())
        assert importer.returncode == 0 and done["samplesStored"] == count, done
        print(f"     {count} samples of {days} days in {time.time() - started:.1f} s, "
              f"{done['seconds']:.1f} s of it ours; the collector held {peak >> 20} MiB more", end="")
        for turn in ("head", "history"):
            for query, expected in (
                    (f'sum(count_over_time({{__name__=~"history_.+"}}[{days + 1}d]))', count),
                    (f"sum_over_time(history_0[{days + 1}d])", sums[0]),
                    (f"sum_over_time(history_{series - 1}[{days + 1}d])", sums[-1])):
                got = collector.value(query)
                assert got == expected, (turn, query, got, expected)
            started = time.time()
            settle(collector)
            print(f"; settled in {time.time() - started:.1f} s", end="", flush=True)
            peak = max(peak, anonymous_bytes(collector) - before)
        print(f"; peak {peak >> 20} MiB", flush=True)
        assert peak < bound or os.environ.get("FENGSUI_SANITIZE"), peak
        # Out, into another one, out again; and the same file once more.
        match = '{__name__=~"history_.+"}'
        out = lab.folder / "out.txt.gz"
        assert run(collector, "export", "--match", match, "-o", out).returncode == 0
        second = lab.collector(flags=flags, name="second").start()
        again = run(second, "--json", "import", out)
        assert json.loads(again.stdout)["samplesStored"] == count, again
        assert run(second, "--json", "import", path).returncode == 0
        copy = lab.folder / "copy.txt"
        assert run(second, "export", "--match", match, "-o", copy).returncode == 0
        with gzip.open(out) as left, open(copy, "rb") as right:
            while True:
                a, b = left.read(1 << 20), right.read(1 << 20)
                assert a == b
                if not a:
                    break
        wait_for(lambda: (collector.value("count_over_time(node_load1[10m])") or 0) > 5,
                 "the probe's samples, which went on all the while", 30)
        probe.stop()
        collector.stop()
        second.stop()


def test_months_while_a_probe_writes():
    import_months(series=20, days=120, step=3600, bound=128 << 20)


def test_fengsuictl_says_where_and_what():
    with Lab() as lab:
        collector = lab.collector(flags=["--retention", "forever"]).start()
        now = int(time.time())
        path = lab.folder / "a.txt"
        lines = ["# TYPE a counter"] + [f'a{{i="{i % 7}",{PAD}}} {i} {now - i}000' for i in range(13000)]
        path.write_text("\n".join(lines) + "\na{ 5\n")
        done = run(collector, "import", path)
        assert done.returncode == 1 and f"{path}:13002: ".encode() in done.stderr \
            and re.search(rb"up to line \d{4}", done.stderr) \
            and re.match(rb"\d{4} samples stored", done.stdout), done
        path.write_text("\n".join(lines) + f"\na 1 {now + 7200}000\n")
        done = run(collector, "import", path)
        assert done.returncode == 1 and f"(future), the first at {path}:13002: ".encode() \
            in done.stderr, done
        path.write_text("\n".join(lines))
        done = run(collector, "import", "--check", path)
        assert done.returncode == 0 and b"13000 samples read, nothing sent" in done.stdout, done
        assert b"13000 samples stored, 0 refused" in run(collector, "import", path).stdout
        assert collector.value("sum(count_over_time(a[2d]))") == 13000
        packed = lab.folder / "packed"
        packed.write_bytes(subprocess.run(["zstd", "-qc", path], stdout=subprocess.PIPE,
                                          check=True).stdout)
        done = run(collector, "import", packed)
        assert b"13000 samples stored" in done.stdout, done
        packed.write_bytes(packed.read_bytes()[:-20])
        assert b"cut off" in run(collector, "import", packed).stderr
        metrics = f"# TYPE s gauge\ns 1 {now}.5\ns 2 {now + 1}\n# EOF\n".encode()
        path.write_bytes(metrics)
        assert b"2 samples stored" in run(collector, "import", path).stdout
        assert len(collector.query("s[1m]", now + 2)[0]["values"]) == 2
        done = run(collector, "import", "-", typed=f"s 1 {now}\n".encode())
        assert done.returncode == 1 and b"looks like seconds" in done.stderr, done
        done = run(collector, "import", "--format", "openmetrics", "-", typed=metrics)
        assert done.returncode == 0, done
        assert b'"openmetrics"' in run(collector, "import", "--format", "openmetric", "-").stderr
        assert run(collector, "import").returncode == 2
        done = run(collector, "export", "--match", "{", "-o", lab.folder / "no.txt")
        assert done.returncode == 1 and not list(lab.folder.glob("no.txt*")), done
        done = run(collector, "export", "--match", "s", "--lang", "zh", "-o", lab.folder / "s.txt")
        assert done.returncode == 0 and "2 个样本".encode() in done.stderr, done
        piped = run(collector, "import", "-", typed=run(collector, "export", "--match", "s").stdout)
        assert b"2 samples stored" in piped.stdout, piped
        collector.stop()
        done = run(collector, "export", "--match", "s", "-o", lab.folder / "gone.txt")
        assert done.returncode == 1 and not list(lab.folder.glob("gone*")), done


def test_the_collector_may_restart_under_an_import():
    with Lab() as lab:
        collector = lab.collector(flags=["--retention", "forever"]).start()
        now = int(time.time())
        importer = subprocess.Popen(
            [str(BUILD / "fengsuictl"), "--url", f"http://127.0.0.1:{collector.http}", "import", "-"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

        def feed(part):
            importer.stdin.write("".join(f'fed{{part="{part}",{PAD}}} {i} {now - i}000\n'
                                         for i in range(11000)).encode())
            importer.stdin.flush()
        feed(1)
        wait_for(lambda: collector.value('count_over_time(fed{part="1"}[2d])'),
                 "the first piece", 30)
        collector.kill()
        collector.start()
        feed(2)
        out, said = importer.communicate(timeout=120 * PATIENCE)
        assert importer.returncode == 0 and b"22000 samples stored" in out, (out, said)
        assert collector.value("sum(count_over_time(fed[2d]))") == 22000
        collector.stop()


def test_a_slow_reader_holds_nothing_and_a_break_is_seen():
    with Lab() as lab:
        collector = lab.collector(flags=["--retention", "forever"]).start()
        now = int(time.time())
        for part in range(4):
            stored(collector, "".join(f'big{{i="{part}",{PAD}}} {i} {now - i}000\n' for i in range(6000)))
        running = "fengsui_collector_http_requests_running 0\n"
        readers = []
        for _ in range(8):
            s = socket.create_connection(("127.0.0.1", collector.http))
            s.sendall(b"GET /api/v1/export/prometheus?match[]=big HTTP/1.1\r\nHost: x\r\n\r\n")
            assert s.recv(1000).startswith(b"HTTP/1.1 200")
            readers.append(s)
        # None of them is at work now, and others are served.
        wait_for(lambda: running.replace("0", "1") in collector.get("/metrics")[1].decode(),
                 "the readers to be waited for without a thread", 20)
        readers.pop().close()
        connection = http.client.HTTPConnection("127.0.0.1", collector.http, timeout=30 * PATIENCE)
        connection.request("GET", "/api/v1/export/prometheus?match[]=big")
        answer = connection.getresponse()
        assert answer.read(1000)
        collector.stop()  # with seven who do not read
        try:
            rest = answer.read()
            raise AssertionError(f"{len(rest)} bytes passed for the whole")
        except (http.client.IncompleteRead, ConnectionResetError):
            pass


if __name__ == "__main__":
    run_tests(globals())
