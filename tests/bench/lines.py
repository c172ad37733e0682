#!/usr/bin/env python3
"""What a log line costs on its way off the host: our tailing beside rsyslog's imfile, by turns.

usage: lines.py [MEGABYTES [RUNS]]     (120, 3)

A made-up file of a Java server is read from its beginning to its end; what counts is processor time.
Ours (`logpath`) cuts, decodes, judges, masks and counts lines and hands them over in chunks of a
batch; rsyslog reads them into messages and writes them to /dev/null.  Twenty patterns: ours are
those of the entry, rsyslog's as many re_match() of the same expressions.
Results: results/lines.jsonl, and lines.md in the work folder.
"""
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import time

from place import BUILD, LIVE, RUN, WORK, end_all, keep, log, make_folders, output

WORDS = ["OutOfMemoryError", "Connection refused", "deadlock detected", "ORA-[0-9]+", "Too many open",
         "timed out", "No space left", "SSLHandshakeException", "pool exhausted", "segfault",
         "Permission denied", "disk full", "NullPointerException", "ClassNotFound", "GC overhead",
         "broken pipe", "checksum mismatch", "replica lag [0-9]+", "rollback", "certificate expired"]
QUIET_S = 1.0  # a shipper that has used no processor for so long is done


def make_file(path, megabytes):
    rng = random.Random(1)
    lines = []
    for i in range(20000):
        extra = rng.choice(WORDS[:3]) if i % 500 == 0 else "cache=hit"
        number = "tel 13800138000" if i % 1000 == 0 else f"rows={rng.randrange(100)}"
        lines.append(
            f"2026-11-28 13:{rng.randrange(60):02d}:{rng.randrange(60):02d},{rng.randrange(1000):03d}"
            f" INFO  [http-nio-8080-exec-{rng.randrange(40)}] com.example.service.DeclareService - "
            f"declaration {rng.randrange(10 ** 8)} accepted for unit {rng.randrange(10 ** 6)} in "
            f"{rng.randrange(500)} ms, {number} {extra}\n")
    block = "".join(lines).encode()
    with open(path, "wb") as f:
        for _ in range(max(1, megabytes * 1000000 // len(block))):
            f.write(block)
    return os.path.getsize(path)


def ours(path, entry):
    done = json.loads(output([BUILD + "/bench/logpath", path, entry]).splitlines()[-1])
    return done["seconds"]


def cpu(pid):
    with open(f"/proc/{pid}/schedstat") as f:
        total = int(f.read().split()[0])
    for thread in os.listdir(f"/proc/{pid}/task"):
        if int(thread) != pid:
            with open(f"/proc/{pid}/task/{thread}/schedstat") as f:
                total += int(f.read().split()[0])
    return total / 1e9


def rsyslog(path, patterns):
    folder = RUN + "/rsyslog"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    tests = "".join(f'if re_match($msg, "{p}") then {{ set $.n = 1; }}\n' for p in patterns)
    with open(folder + "/conf", "w") as f:
        f.write(f'global(workDirectory="{folder}")\n'
                'module(load="imfile" mode="inotify")\n'
                f'input(type="imfile" File="{path}" Tag="app" ruleset="r" freshStartTail="off")\n'
                f'ruleset(name="r") {{\n{tests}action(type="omfile" file="/dev/null")\n}}\n')
    with open(folder + "/log", "wb") as out:
        process = subprocess.Popen(["rsyslogd", "-n", "-f", folder + "/conf", "-i", folder + "/pid"],
                                   stdout=out, stderr=out)
    LIVE.append(process)
    used, since = 0.0, time.monotonic()
    while time.monotonic() - since < QUIET_S or used < 0.05:
        time.sleep(0.1)
        if process.poll() is not None:
            raise RuntimeError(open(folder + "/log").read()[-500:])
        now = cpu(process.pid)
        if now - used > 0.003:
            used, since = now, time.monotonic()
    process.terminate()
    process.wait()
    return used


def main():
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 120
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    make_folders()
    path = RUN + "/lines.log"
    size = make_file(path, megabytes)
    patterns = "  patterns:\n" + "\n".join(
        f"  - {{name: p{i}, regex: '{p}'}}" for i, p in enumerate(WORDS))
    ways = {
        "plain tailing, numbers masked": lambda: ours(path, "  send: all"),
        "plain tailing, nothing masked": lambda: ours(path, "  redact: [none]"),
        "20 patterns, numbers masked": lambda: ours(path, patterns),
    }
    if shutil.which("rsyslogd"):
        ways["rsyslog imfile"] = lambda: rsyslog(path, [])
        ways["rsyslog imfile, 20 re_match"] = lambda: rsyslog(path, WORDS)
    speeds = {way: [] for way in ways}
    try:
        for _ in range(runs):
            for way, measure in ways.items():
                speeds[way].append(size / 1e6 / measure())
                log(way, f"{speeds[way][-1]:.1f} MB/s")
                keep("lines", way=way, bytes=size, mb_per_s=round(speeds[way][-1], 1))
    finally:
        end_all()
        os.unlink(path)
    median = {way: statistics.median(values) for way, values in speeds.items()}
    rows = ["| way | MB/s of a core | least..most | goal | / rsyslog |", "| --- | --- | --- | --- | --- |"]
    for way, goal, peer in (("plain tailing, numbers masked", 300, "rsyslog imfile"),
                            ("plain tailing, nothing masked", 300, "rsyslog imfile"),
                            ("20 patterns, numbers masked", 50, "rsyslog imfile, 20 re_match"),
                            ("rsyslog imfile", None, None),
                            ("rsyslog imfile, 20 re_match", None, None)):
        if way in median:
            ratio = f"{median[way] / median[peer]:.1f}" if peer in median else ""
            met = "" if goal is None else f"≥ {goal}: {'yes' if median[way] >= goal else 'NO'}"
            rows.append(f"| {way} | {median[way]:.1f} | {min(speeds[way]):.1f}.."
                        f"{max(speeds[way]):.1f} | {met} | {ratio} |")
    text = "\n".join(rows) + "\n"
    with open(WORK + "/lines.md", "w") as f:
        f.write(text)
    print(text)


main()
