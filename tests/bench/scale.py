"""Stages of bench.py that ask what size does: a restart with much stored, memory at a million
series, and how long an acknowledgement takes at half of what goes in at most."""
import json
import signal
import subprocess
import time

from place import BUILD, DATA, LIVE, busy, cpu, keep, log, memory
from running import Running, Watch, calm, renice, send
from sets import STEP_S, end_of_sets, meta, number, profile, synth

RUNS = number("RUNS", 5)
REST_SECONDS = number("REST_S", 12)

BIG_HOSTS, BIG_STEPS = number("BHOSTS", 120), number("BSTEPS", 1000)  # 846 series a host
MEMORY_HOSTS = [number("MEMORY_HOSTS", 120), number("MEMORY_HOSTS_MOST", 1184)]
MEMORY_STEPS = number("MEMORY_STEPS", 40)
PACED_SECONDS = number("PACED_S", 60)
WHOLE_STEPS, BROKEN_STEPS = 10, 15  # of a run: acknowledged to the end; amid which it is killed
SWARM_SERIES, PACED_PROBES = 1000, 100  # a probe's series; probes


def out(stage, server, **result):
    keep("stores", stage=stage, server=server, **result)
    log(stage, server, json.dumps(result)[:400])


def data_set(name, hosts, steps):
    """Made once, and again when its size is another."""
    try:
        about = meta(name)
        if about["hosts"] == hosts and about["steps"] == steps:
            return
    except OSError:
        pass
    profile()
    synth(name, hosts, steps, end_of_sets() - steps * STEP_S)


# -- a restart with a hundred million samples stored -----------------------------------------------

def metric_names():
    with open(DATA + "/profile.tsv") as f:
        return sorted({line.split("\t")[0].split("{")[0] for line in f if line[0] != "#"})


def present(server, at, seconds):
    """Samples that can be queried, metric by metric."""
    count = 0
    for name in metric_names():
        found = server.query(f"sum(count_over_time({name}[{seconds}s]))", at,
                             "&nocache=1" if server.nocache else "")
        count += int(float(found[0]["value"][1])) if found else 0
    return count


def kill_once(running, about, first, run):
    """One run on what is stored: some steps whole, then kill -9 amid more of them; what it
    answers afterwards.  Returns the server, running again."""
    server = running.server
    whole = send(running, "rw", "big", first=first, end=first + WHOLE_STEPS)
    time.sleep(REST_SECONDS)
    first += WHOLE_STEPS
    process = send(running, "rw", "big", wait=False, first=first, end=first + BROKEN_STEPS)
    time.sleep(max(whole["wall_s"] * BROKEN_STEPS / WHOLE_STEPS * 0.5, 0.1))
    running.stop(signal.SIGKILL)
    sent = json.loads(process.communicate()[0])
    last_whole = about["start_ms"] // 1000 + (first - 1) * STEP_S
    window, at = BROKEN_STEPS * STEP_S, last_whole + BROKEN_STEPS * STEP_S
    calm()
    back = Running(server, fresh=False, wait=False)
    # Every series, with a sample no older than the last that all of them were acknowledged.
    full = back.wait_for(f'count(last_over_time({{__name__=~".+"}}[{window + 1}s]))', at,
                         lambda found: found and int(found[0]["value"][1]) == about["series"])
    used = cpu(back.pid)
    lost = sent["samples"] - present(server, at, window)
    out("restart", server.name, run=run, stored=about["series"] * first + sent["samples"],
        series=about["series"], full_s=round(full, 3), full_cpu_s=used,
        acknowledged=sent["samples"], under_way=sent["inflight"], lost=max(0, lost))
    return back


def restart(servers):
    """Stores in turn, so that a drift of the machine hits all of them."""
    steps = BIG_STEPS + RUNS * (WHOLE_STEPS + BROKEN_STEPS)
    data_set("big", BIG_HOSTS, steps)
    about, running = meta("big"), {}
    servers = [server for server in servers if server.name != "victoria"]
    for server in servers:
        running[server.name] = Running(server)
        sent = send(running[server.name], "rw", "big", end=BIG_STEPS)
        out("restart_fill", server.name, **sent)
    for run in range(RUNS):
        for server in servers:
            running[server.name] = kill_once(
                running[server.name], about,
                BIG_STEPS + run * (WHOLE_STEPS + BROKEN_STEPS), run)
    for server in servers:
        running[server.name].stop()


# -- memory a series -------------------------------------------------------------------------------

def remember(server, mode, name, run):
    running = Running(server)
    time.sleep(1)
    idle, watch = memory(running.pid), Watch(running.pid)
    watch.start()
    sent = send(running, mode, name)
    running.rest()
    watch.ending = True
    series, peak = meta(name)["series"], watch.peak
    if sent["samples"] < meta(name)["samples"]:  # fewer series than it is divided by
        log("memory", server.name, "did not take all, does not count:", sent["err"])
        running.stop()
        return
    out("memory", server.name, mode=mode, run=run, series=series, samples=sent["samples"],
        idle_anon=idle["RssAnon"], peak_anon=peak["RssAnon"], peak_file=peak["RssFile"],
        anon_per_series=round((peak["RssAnon"] - idle["RssAnon"]) / series, 1))
    running.stop()


def memory_a_series(servers):
    """Peak anonymous memory less that of the idle server, by series, 15 s apart."""
    for at, hosts in enumerate(MEMORY_HOSTS):
        name = f"memory{at}"
        data_set(name, hosts, MEMORY_STEPS)
        for run in range(RUNS):
            for server in servers:
                if server.name == "prometheus":
                    continue
                for mode in ["rw"] + (["native"] if getattr(server, "native", False) else []):
                    remember(server, mode, name, run)


# -- acknowledgements at half of the peak ----------------------------------------------------------

def swarm(running, *more):
    keys = f"{running.folder}/data/keys/"
    process = subprocess.Popen(
        [BUILD + "/fengsui-swarm", "--collector", running.server.endpoint(), "--collector-key",
         keys + "collector.pub", "--token", keys + "enrol.token", "--series", str(SWARM_SERIES),
         "--json", *map(str, more)], stdout=subprocess.PIPE, text=True, preexec_fn=renice)
    LIVE.append(process)
    return json.loads(process.communicate()[0])


def paced(servers):
    """As fast as it goes first; then the same series in time, half as many samples a second."""
    for server in (server for server in servers if getattr(server, "native", False)):
        for run in range(RUNS):
            calm()
            running = Running(server)
            peak = swarm(running, "--probes", PACED_PROBES, "--fast", "--samples", 20000000)
            running.stop()
            rate = peak["samples_per_s"] / 2
            speed = rate / (PACED_PROBES * SWARM_SERIES) * STEP_S
            running = Running(server)
            cpu0, busy0, wall0 = cpu(running.pid), busy(), time.monotonic()
            told = swarm(running, "--probes", PACED_PROBES, "--realtime", "--interval",
                         f"{STEP_S}s", "--speed", round(speed, 1), "--samples",
                         round(rate * PACED_SECONDS))
            used, wall = cpu(running.pid) - cpu0, time.monotonic() - wall0
            out("paced", server.name, run=run, peak_samples_per_s=peak["samples_per_s"],
                probes=PACED_PROBES, speed=round(speed, 1), samples=told["samples"], cpu_pct=round(used / wall * 100),
                other_cpu_pct=round((busy() - busy0 - used) / wall * 100),
                **{key: told[key] for key in ("lat_p50_ms", "lat_p99_ms", "lat_max_ms")})
            running.stop()
