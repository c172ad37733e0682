"""Thousands of random questions, and our rules and boards over what this host really says."""
import json
import pathlib
import random
import re
import shutil
import subprocess
import sys

import yaml

from differential import BEGIN, STEP_S, compare, run, sides
from fengsui import BUILD, SKIPPED, run_tests
from layouts import compare_layouts

ROOT = pathlib.Path(__file__).resolve().parents[2]
SEEDS, EACH = 5, 4000
COLLECTED = 60
NOT_IN_THE_PEER = re.compile(r"\b(first_over_time|mad_over_time|ts_of_\w+|sort_by_label)\b")


def test_thousands_of_questions():
    for _ in range(SEEDS):
        seed = random.randrange(10 ** 6)
        told, counts = run(seed, EACH)
        print(seed, counts)
        assert not told, f"{len(told)} differ:\n" + "\n".join(told)


def test_thousands_of_layouts():
    with sides([]) as both:
        for _ in range(SEEDS):
            seed = random.randrange(10 ** 6)
            told, counts = compare_layouts(both, seed, EACH)
            print(seed, counts)
            assert not told, f"seed {seed}:\n" + "\n".join(told)


def real_samples():
    """What the probe reads on this host, again and again; kept as if a step lay between."""
    found = {}
    for turn in range(COLLECTED):
        text = subprocess.run([BUILD / "fengsui-probe", "--once"], capture_output=True, text=True,
                              check=True).stdout
        for name, inner, value in re.findall(r"^(\w+)(?:{(.*)})? (\S+)$", text, re.M):
            labels = re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', inner)
            key = (("__name__", name), ("instance", "here"), ("job", "node"),
                   *((k, v.encode().decode("unicode_escape").encode("latin-1").decode())
                     for k, v in labels if k not in ("instance", "job")))
            found.setdefault(key, []).append((float(value), (BEGIN + turn * STEP_S) * 1000 + 250))
    return [(dict(key), samples) for key, samples in found.items()]


def real_expressions():
    for path in sorted((ROOT / "deploy/rules").glob("**/*.yml")):
        for group in yaml.safe_load(path.read_text()).get("groups") or ():
            for rule in group["rules"]:
                yield rule["expr"]
    known = {"__interval": "15s", "__range": "600s", "__rate_interval": "60s", "instance": "here",
             "job": "node"}
    for path in sorted((ROOT / "dashboards/grafana/zh").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", ()):
                yield re.sub(r"\$(\w+)", lambda found: known.get(found.group(1), ".*"),
                             target["expr"])


def test_our_rules_and_boards_over_what_this_host_says():
    groups, told, asked = real_samples(), [], 0
    assert len(groups) > 200, len(groups)
    end = BEGIN + COLLECTED * STEP_S
    with sides(groups) as both:
        for text in real_expressions():
            if NOT_IN_THE_PEER.search(text):
                continue
            for when in ((end - 60.5,), (BEGIN + 300.5, end + 90.5, 30)):
                asked += 1
                found = compare(both, text, when)
                if found not in (None, "explained"):
                    told.append(f"{text} at {when}: {found}")
    print(asked, "asked")
    assert asked > 150, asked
    assert not told, f"{len(told)} of {asked} differ:\n" + "\n".join(told[:20])


if __name__ == "__main__":
    if shutil.which("prometheus") is None:
        print("skipped: prometheus is not installed")
        sys.exit(SKIPPED)
    run_tests(globals())
