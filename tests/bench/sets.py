"""Data sets: made once by tsgen out of the recording, the same bytes for every store."""
import json
import os
import subprocess
import time

from place import BUILD, DATA, HERE, log


def number(name, default):
    return int(os.environ.get(name, default))


HOSTS, STEPS = number("HOSTS", 120), number("STEPS", 240)
LONG_HOSTS, LONG_STEPS = number("LHOSTS", 10), number("LSTEPS", 5760)
MONTH_HOSTS, MONTH_STEPS = number("MHOSTS", 4), number("MSTEPS", 8640)
STEP_S, MONTH_STEP_S, SHARDS = 15, 300, 4


def meta(name):
    with open(f"{DATA}/{name}.json") as f:
        return json.load(f)


def end_s(name):
    about = meta(name)
    return (about["start_ms"] + about["steps"] * about["step_ms"]) // 1000


def frames(name):
    return [f"{DATA}/{name}.{shard}" for shard in range(meta(name)["shards"])]


def tsgen(name, *arguments):
    printed = subprocess.run([BUILD + "/bench/tsgen", *map(str, arguments), "-o",
                              f"{DATA}/{name}"], check=True, stdout=subprocess.PIPE,
                             text=True).stdout
    with open(f"{DATA}/{name}.json", "w") as f:
        f.write(printed)
    log("made", name, printed.strip())


def synth(name, hosts, steps, start_s, form="rw", seed=1, step_s=STEP_S):
    tsgen(name, "synth", "-p", DATA + "/profile.tsv", "-i", step_s * 1000, "-k", SHARDS, "-S",
          seed, "-H", hosts, "-n", steps, "-s", start_s * 1000, "-f", form, "-b",
          2000 if form.startswith("rw") else 10000)


def profile():
    """What the recording teaches tsgen; made once."""
    raw, path = DATA + "/real.raw", DATA + "/profile.tsv"
    if not os.path.exists(raw):
        subprocess.run(["zstd", "-q", "-d", HERE + "/data/real.raw.zst", "-o", raw], check=True)
    if not os.path.exists(path):
        with open(path, "w") as f:
            subprocess.run([BUILD + "/bench/tsgen", "profile", raw, str(STEP_S)], check=True,
                           stdout=f)


def end_of_sets():
    return number("END", int(time.time())) // MONTH_STEP_S * MONTH_STEP_S - 300


def gen():
    """The sets of bench.py: an hour of many hosts, in every form, and a day of a few."""
    profile()
    end = end_of_sets()
    synth("wide", HOSTS, STEPS, end - STEPS * STEP_S)
    for form in ("text", "json"):
        synth("wide_" + form, HOSTS, max(STEPS // 4, 1), end - STEPS * STEP_S, form)
    # As many steps as `repeat` sends of 1.0: the two are compared.
    synth("wide_rw2", HOSTS, max(STEPS // 2, 1), end - STEPS * STEP_S, "rw2")
    synth("long", LONG_HOSTS, LONG_STEPS, end - LONG_STEPS * STEP_S)


def gen_for_queries(names):
    """The same, as remote write alone, and a month at a coarser step."""
    sets = dict(wide=(HOSTS, STEPS, STEP_S), long=(LONG_HOSTS, LONG_STEPS, STEP_S),
                month=(MONTH_HOSTS, MONTH_STEPS, MONTH_STEP_S))
    profile()
    end = end_of_sets()
    for name in names:
        hosts, steps, step_s = sets[name]
        synth(name, hosts, steps, end - steps * step_s, step_s=step_s)
