"""Where things are, and what processes cost: shared by bench.py, agents.py and report.py."""
import json
import os
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(HERE + "/../..")
BUILD = os.path.abspath(os.environ.get("FENGSUI_BUILD", ROOT + "/build/release"))
PORTABLE = os.environ.get("FENGSUI_PORTABLE_PROBE", ROOT + "/build/portable/fengsui-probe")
WORK = os.path.abspath(os.environ.get("BENCH_DIR", ROOT + "/build/bench"))
DATA, RESULTS, RUN = WORK + "/data", WORK + "/results", WORK + "/run"
TICK = os.sysconf("SC_CLK_TCK")
LIVE = []  # processes we started; killed whatever happens


def make_folders():
    for folder in (DATA, RESULTS, RUN):
        os.makedirs(folder, exist_ok=True)


def log(*words):
    print(time.strftime("%H:%M:%S"), *words, flush=True)


def output(command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True).stdout


def keep(name, **result):
    """Appends a result to results/NAME.jsonl."""
    with open(f"{RESULTS}/{name}.jsonl", "a") as f:
        f.write(json.dumps(dict(at=time.strftime("%FT%T"), **result)) + "\n")


def results(name):
    try:
        with open(f"{RESULTS}/{name}.jsonl") as f:
            return [json.loads(line) for line in f]
    except OSError:
        return []


def end_all():
    for process in LIVE:
        if process.poll() is None:
            process.kill()
            process.wait()


def cpu(pid):
    """CPU seconds of a process and its ended children."""
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return sum(int(x) for x in fields[11:15]) / TICK


def fine_cpu(pid):
    """The same from schedstat (ns), live threads only: finer than the 10 ms of stat."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{thread}/schedstat") as f:
                total += int(f.read().split()[0])
        except OSError:
            pass
    return total / 1e9


def busy():
    """CPU seconds the whole machine has used: everything but idle and iowait."""
    with open("/proc/stat") as f:
        fields = [int(x) for x in f.readline().split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICK


def own_cpu():
    times = os.times()
    return times.user + times.system


def memory(pid):
    """Bytes: VmRSS, VmHWM, RssAnon, RssFile."""
    found = {}
    with open(f"/proc/{pid}/status") as f:
        for line in f:
            key, value = line.split(":", 1)
            if key in ("VmRSS", "VmHWM", "RssAnon", "RssFile"):
                found[key] = int(value.split()[0]) * 1024
    return found


def smaps(pid):
    """Bytes: Rss, Pss, Private_Dirty."""
    found = {}
    with open(f"/proc/{pid}/smaps_rollup") as f:
        for line in f:
            key = line.split(":")[0]
            if key in ("Rss", "Pss", "Private_Dirty"):
                found[key] = int(line.split()[1]) * 1024
    return found
