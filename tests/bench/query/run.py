#!/usr/bin/env python3
"""Questions of dashboards to each store over the same data, in turn, and 100 alert rules.

usage: run.py [SET...]      wide, long, month; without: all, and the rules

Every answer is asked for cold (VictoriaMetrics told not to use its cache) and then, as a board
that refreshes asks, again and again one step later.  All stores run at once and are asked in
turn, so that a change of the machine's mood meets all of them.
Results go to results/queries.jsonl of the work folder; table.py makes queries.md of them.
"""
import json
import os
import signal
import statistics
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import bench
from client import Client
from place import end_all, fine_cpu, keep, log, make_folders, memory
from questions import QUESTIONS, matching
from running import Running, calm, send
from servers import ALL
from sets import gen_for_queries, number

RUNS = number("QRUNS", 21)
SECONDS = number("QSECONDS", 20)  # a question is asked no more once it has taken as long


def peak_begin(pid):
    """From here on VmHWM is the peak anew (proc(5), clear_refs)."""
    with open(f"/proc/{pid}/clear_refs", "w") as f:
        f.write("5")
    return memory(pid)["VmRSS"]


def comparable(question, running, client, body):
    """The answer that others can have, too: without names and values of the store's own metrics."""
    if not running.server.sent or not question.is_of_all_series():
        return body
    return client.get(question.path(0, RUNS) + "&" + matching(running.server.sent))[2]


def shape(question, body):
    """(series, points) of an answer: answers of different stores must agree on the first."""
    data = json.loads(body)["data"]
    if question.kind == "path":
        return len(data), 0
    found = data["result"]
    return len(found), sum(len(one.get("values", (0,))) for one in found)


class Asked:
    """What one store did with one question."""

    def __init__(self, running, client, case, extra):
        self.running, self.client, self.case, self.extra = running, client, case, extra
        self.times, self.cpu_s, self.bytes, self.error = [], 0.0, 0, None
        self.series = self.points = 0
        self.rest = peak_begin(running.pid)

    def ask(self, path, is_warming=False):
        cpu = fine_cpu(self.running.pid)
        ms, status, body = self.client.get(path + self.extra)
        self.cpu_s += 0 if is_warming else fine_cpu(self.running.pid) - cpu
        if status != 200:
            raise RuntimeError(f"{status} {body[:200]!r}")
        if not is_warming:
            self.times.append(ms)
        self.bytes = len(body)
        return body

    def result(self):
        if self.error:
            return dict(case=self.case, error=self.error)
        peak = memory(self.running.pid)["VmHWM"]
        return dict(case=self.case, runs=len(self.times),
                    median_ms=round(statistics.median(self.times), 3),
                    min_ms=round(min(self.times), 3), max_ms=round(max(self.times), 3),
                    cpu_ms=round(self.cpu_s * 1e3 / len(self.times), 3), bytes=self.bytes,
                    series=self.series, points=self.points, peak=max(0, peak - self.rest))


def cases(server):
    """Cold for all; moved as each does it by default."""
    extra = "&" + server.nocache if server.nocache else ""
    return [("cold", extra), ("moved", "")]


def ask_all(question, stores):
    for case in ("cold", "moved"):
        asked = [Asked(running, client, case, dict(cases(running.server))[case])
                 for running, client in stores]
        for one in asked:
            try:  # connections, plans and pages are warm in both cases
                body = one.ask(question.path(0, RUNS), True)
                body = comparable(question, one.running, one.client, body)
                one.series, one.points = shape(question, body)
            except Exception as error:
                one.error = str(error)
                one.client.close()
        for run in range(1, RUNS + 1):
            for one in asked:
                if one.error or sum(one.times) > SECONDS * 1e3:
                    continue
                one.ask(question.path(run if case == "moved" else 0, RUNS))
        for one in asked:
            keep("queries", query=question.name, data=question.data,
                 server=one.running.server.name, **one.result())
            log(question.name, one.running.server.name, json.dumps(one.result())[:200])


def ask_set(name, servers):
    stores = []
    for server in servers:
        running = Running(server)
        sent = send(running, "rw", name)
        running.rest()
        server.settle(running.folder)
        log(name, server.name, sent["samples"], "samples")
        stores.append((running, Client(server.port)))
    calm()
    for question in QUESTIONS:
        if question.data == name:
            ask_all(question, stores)
    for running, client in stores:
        client.close()
        running.stop()


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    servers = list(ALL.values())
    make_folders()
    for server in servers:
        keep("versions", server=server.name, version=server.version())
    names = sys.argv[1:] or ("wide", "long", "month")
    try:
        gen_for_queries(names)
        for name in names:
            ask_set(name, servers)
        if not sys.argv[1:]:
            bench.rules(servers)
    finally:
        end_all()


if __name__ == "__main__":
    main()
