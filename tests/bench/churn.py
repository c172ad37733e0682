#!/usr/bin/python3
"""Series that live an hour: a week of them, each renamed every hour, and what queries cost then.

Ours and VictoriaMetrics, one after the other, each fed the same text by
POST /api/v1/import/prometheus: HOURS hours of SERIES series with four samples each, no name twice.

    FENGSUI_BUILD=build/release tests/bench/churn.py [SERIES] [HOURS]

60000 and 168 (the default) make ten million historic series.  Prints a table and keeps it in
BENCH_DIR (build/bench) as churn.md.  What must hold: memory does not grow with the days, and a
question about an hour costs the same at the end of the week as at its beginning.
"""
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
from fengsui import Lab, free_port, wait_for  # noqa: E402

SERIES = int(sys.argv[1]) if len(sys.argv) > 1 else 60000
HOURS = int(sys.argv[2]) if len(sys.argv) > 2 else 168
HOUR = 3600
RUNS = 7
START = int(time.time()) // HOUR * HOUR - HOURS * HOUR
METRICS = ("requests_total", "errors_total", "latency_seconds_sum", "latency_seconds_count")
COLLECTOR = "retention: {raw: forever}\n"


def text_of(hour):
    """One hour's samples: pods that have never been there before, nor will be again."""
    pods = SERIES // len(METRICS)
    stamps = [(START + hour * HOUR + at) * 1000 for at in (60, 1200, 2400, 3540)]
    rows = []
    for pod in range(pods):
        labels = f'{{job="churn",zone="z{pod % 16}",pod="web-{hour:03}-{pod:05}"}}'
        for at, metric in enumerate(METRICS):
            value = pod * 3 + at
            rows += [f"{metric}{labels} {value + step * 7} {stamp}"
                     for step, stamp in enumerate(stamps)]
    return ("\n".join(rows) + "\n").encode()


def call(port, path, body=None, timeout=600):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body)
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return answer.read()


def memory_mib(pid):
    """(RSS, anonymous)."""
    rows = dict(line.split(":") for line in
                pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    return tuple(int(rows[name].split()[0]) / 1024 for name in ("Rss", "Anonymous"))


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def questions(hour):
    """(what, path): all of one hour."""
    at = START + hour * HOUR + 2400
    span = urllib.parse.urlencode({"start": START + hour * HOUR, "end": START + hour * HOUR + 3599})

    def query(expression):
        return "/api/v1/query?" + urllib.parse.urlencode(
            {"query": expression, "time": at, "nocache": 1})

    def match(path, selector):
        return f"{path}?{span}&" + urllib.parse.urlencode({"match[]": selector})
    return [
        ("one pod", query(f'requests_total{{pod="web-{hour:03}-00007"}}')),
        ("count of a metric", query("count(requests_total)")),
        ("sum by zone", query('sum by (zone) (errors_total{job="churn"})')),
        ("regex prefix", query(f'count({{pod=~"web-{hour:03}-0000.*"}})')),
        ("regex suffix", query('count(requests_total{pod=~".*-00042"})')),
        ("alternation", query('count({zone=~"z1|z2|z3"})')),
        ("not this regex", query('count(requests_total{zone!~"z1.*"})')),
        ("label values of an hour", match("/api/v1/label/pod/values", "requests_total")),
        ("series of an hour", match("/api/v1/series", 'errors_total{zone="z3"}')),
    ]


def ask(port, hour):
    """{what: (median ms, answer's size)}."""
    told = {}
    for what, path in questions(hour):
        spent = []
        for _ in range(RUNS):
            start = time.monotonic()
            answer = call(port, path)
            spent.append((time.monotonic() - start) * 1e3)
        told[what] = (statistics.median(spent), len(answer))
    return told


def disk_mib(folder):
    return sum(f.stat().st_blocks * 512 for f in pathlib.Path(folder).rglob("*")
               if f.is_file()) / 2**20


def feed(name, port, pid, settle, folder, rows):
    """All hours; a row a day."""
    cpu = cpu_seconds(pid)
    first = None
    peak = 0.0
    for hour in range(HOURS):
        call(port, "/api/v1/import/prometheus", text_of(hour))
        peak = max(peak, memory_mib(pid)[1])
        if hour % 24 == 23 or hour == HOURS - 1:
            settle()
            told = ask(port, min(2, hour) if first is None else hour - 1)
            first = first or told
            rss, anonymous = memory_mib(pid)
            rows.append((name, f"{(hour + 1) * SERIES / 1e6:.2f}", f"{rss:.0f} / {anonymous:.0f}",
                         f"{peak:.0f}", f"{disk_mib(folder):.0f}",
                         f"{told['count of a metric'][0]:.1f}",
                         f"{told['label values of an hour'][0]:.1f}"))
            print(" | ".join(rows[-1]), flush=True)
            peak = 0.0
    return first, ask(port, HOURS - 2), cpu_seconds(pid) - cpu


def ours(lab, rows):
    collector = lab.collector(COLLECTOR).start()
    pid = collector.process.pid

    def settle():
        call(collector.http, "/api/fengsui/v1/store/settle", b"")
        # What is not needed any more goes back to the system, looked for every two seconds.
        last = [float("inf")]

        def has_settled():
            before, last[0] = last[0], memory_mib(pid)[1]
            return before - last[0] < 1
        wait_for(has_settled, "memory to settle", 60, 2.5)
    result = feed("fengsui", collector.http, pid, settle, collector.data, rows)
    start = time.monotonic()
    size = len(call(collector.http, "/api/v1/status/tsdb"))
    return result, (time.monotonic() - start) * 1e3, size


def victoria(rows):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="fengsui-churn-"))
    port = free_port()
    program = shutil.which("victoria-metrics")
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            [program, f"-storageDataPath={folder}/data", f"-httpListenAddr=127.0.0.1:{port}",
             "-retentionPeriod=12", "-search.maxUniqueTimeseries=100000000",
             "-search.maxSeries=100000000"], stdout=log, stderr=log)
    try:
        wait_for(lambda: call(port, "/health"), "VictoriaMetrics", 60)

        def settle():
            call(port, "/internal/force_flush")
        return feed("VictoriaMetrics", port, process.pid, settle, folder / "data", rows)
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def main():
    rows = []
    with Lab() as lab:
        (first, last, cpu), tsdb_ms, _ = ours(lab, rows)
    peer = victoria(rows) if shutil.which("victoria-metrics") else None
    load = os.getloadavg()
    text = f"{HOURS} hours of {SERIES} series each, four samples a series; load average at the " \
           f"end {load[0]:.1f} {load[1]:.1f} {load[2]:.1f}\n\n"
    text += "| | million series | RSS / anonymous MiB | peak anonymous | disk MiB | count, ms | " \
            "label values, ms |\n| --- | --- | --- | --- | --- | --- | --- |\n"
    text += "".join(f"| {' | '.join(row)} |\n" for row in rows)
    text += f"\nProcessor, import and all: fengsui {cpu:.0f} s"
    text += f", VictoriaMetrics {peer[2]:.0f} s" if peer else ""
    text += f".  /api/v1/status/tsdb: {tsdb_ms:.0f} ms.\n\n"
    text += "| question about one hour, ms | first day | last day | VictoriaMetrics, last day |\n" \
            "| --- | --- | --- | --- |\n"
    for what, (ms, _) in last.items():
        text += f"| {what} | {first[what][0]:.1f} | {ms:.1f} | " \
                f"{f'{peer[1][what][0]:.1f}' if peer else ''} |\n"
    print(text)
    place = pathlib.Path(os.environ.get("BENCH_DIR", "build/bench"))
    place.mkdir(parents=True, exist_ok=True)
    (place / "churn.md").write_text(text)


if __name__ == "__main__":
    main()
