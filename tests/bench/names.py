#!/usr/bin/python3
"""Names and values of labels over many history files that hold the same ones: what the boards' menus
ask for.  DAYS days, each a file of its own, of VALUES instances with three samples a day.

    FENGSUI_BUILD=build/release tests/bench/names.py [VALUES] [DAYS]

Prints processor time and time on the clock of the first question after a start, which reads every
file, and of those that follow; and the answer's size, which must be the same for every build.
"""
import pathlib
import statistics
import sys
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
from churn import call, cpu_seconds, memory_mib  # noqa: E402
from fengsui import Lab  # noqa: E402

VALUES = int(sys.argv[1]) if len(sys.argv) > 1 else 10000
DAYS = int(sys.argv[2]) if len(sys.argv) > 2 else 40
DAY = 86400
RUNS = 20
START = int(time.time()) // DAY * DAY - DAYS * DAY
MATCH = urllib.parse.urlencode({"match[]": 'requests_total{job="names"}'})
QUESTIONS = (("label values", "/api/v1/label/instance/values"),
             ("label values, match[]", f"/api/v1/label/instance/values?{MATCH}"),
             ("label names", "/api/v1/labels"),
             ("label names, match[]", f"/api/v1/labels?{MATCH}"))


def text_of(day):
    stamps = [(START + day * DAY + at) * 1000 for at in (3600, 36000, 72000)]
    return "".join(f'requests_total{{job="names",zone="z{i % 16}",instance="host-{i:06}.example"}} '
                   f"{i + step} {stamp}\n"
                   for i in range(VALUES) for step, stamp in enumerate(stamps)).encode()


def ask(collector, path, runs):
    """(ms of the processor, median ms on the clock, bytes)."""
    spent = []
    cpu = cpu_seconds(collector.process.pid)
    for _ in range(runs):
        start = time.monotonic()
        size = len(call(collector.http, path))
        spent.append((time.monotonic() - start) * 1e3)
    cpu = cpu_seconds(collector.process.pid) - cpu
    return cpu * 1e3 / runs, statistics.median(spent), size


def main():
    with Lab() as lab:
        collector = lab.collector("retention: {raw: forever}\n").start()
        for day in range(DAYS):
            call(collector.http, "/api/v1/import/prometheus", text_of(day))
        call(collector.http, "/api/fengsui/v1/store/settle?days=true", b"")
        files = len(list((collector.data / "history").glob("*.samples.mdb")))
        print(f"{VALUES} values in each of {files} files\n\n"
              "| question | first: CPU ms | ms | then: CPU ms | ms | bytes |\n"
              "| --- | --- | --- | --- | --- | --- |")
        for what, path in QUESTIONS:
            collector.stop()
            collector.start()
            first = ask(collector, path, 1)
            then = ask(collector, path, RUNS)
            print(f"| {what} | {first[0]:.0f} | {first[1]:.0f} | {then[0]:.1f} | {then[1]:.1f} | "
                  f"{then[2]} |", flush=True)
        print(f"\nRSS / anonymous MiB: {' / '.join(f'{m:.0f}' for m in memory_mib(collector.process.pid))}")


if __name__ == "__main__":
    main()
