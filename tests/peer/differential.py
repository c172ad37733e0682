"""differential.py - the same samples and the same random questions to a collector and to a Prometheus.

`Sides` holds both, with the samples in; `compare` asks one question of both and tells what differs;
`EXPLAINED` are the differences that Prometheus 3 made on purpose (the peer is Debian's 2.42).
Numbers agree within parts of 1e-9: the two sum in different orders.
"""
import contextlib
import http.client
import itertools
import json
import math
import random
import re
import urllib.parse

import snappy

from expressions import expressions, minimise
from fengsui import Lab
from prometheus_peer import Peer
from remote_message import STALE, series

CLOSE = 1e-9
BEGIN = 1_700_000_000   # a fixed time: a seed gives the same samples and questions on any day
SPAN_S = 3000
STEP_S = 15


# -- samples ------------------------------------------------------------------------------------

def gauge(chance, slot):
    """A walk in eighths; `slot` makes its values unlike those of any other series."""
    value = chance.randint(-400, 4000) / 8
    while True:
        value += chance.randint(-40, 40) / 8
        yield value + slot / 1024


def counter(chance, slot, resets):
    value = 1e6 + chance.randint(0, 1000)
    for turn in itertools.count():
        value += chance.choice((0, 1, 1, 2, 7, 30))
        if resets and turn > 0 and chance.random() < 0.03:
            value = float(chance.randint(0, 20))
        yield value + slot / 1024


def made_up(seed, begin):
    """Label sets with their (value, Unix ms) pairs: SPAN_S seconds from `begin`, in all the shapes
    that series have: gaps, ends with and without a marker, late beginnings, jitter, NaN, Inf."""
    chance = random.Random(f"samples {seed}")
    slot = 0
    for name in ("g", "h", "g2", "c_total", "d_total"):
        for job in "ab":
            for instance in range(3 if name == "h" else 5):
                labels = {"__name__": name, "job": job, "instance": f"i{instance}"}
                if name != "h" and chance.random() < 0.7:
                    labels["zone"] = f"z{instance % 2}"
                slot += 1
                values = gauge(chance, slot) if name[0] in "gh" else counter(chance, slot, name[0] == "d")
                shape = chance.choice(SHAPES)
                if name == "d_total" or (shape == "odd" and name == "g2"):  # FINITE in expressions.py
                    shape = "plain"
                yield labels, shaped(chance, values, begin, shape)
    for job in "ab":
        for instance in range(2):
            yield from histogram(chance, {"job": job, "instance": f"i{instance}"}, begin)
    for instance in range(6):
        yield ({"__name__": "build_info", "instance": f"i{instance}", "version": f"v{instance % 3}"},
               shaped(chance, iter(lambda: 1.0, 0), begin, "plain"))


SHAPES = ("plain", "plain", "plain", "jitter", "gaps", "late", "ends", "marked", "odd", "rare")


def shaped(chance, values, begin, shape):
    samples, first, last = [], 0, SPAN_S
    if shape == "late":
        first = chance.randint(300, 2000)
    if shape in ("ends", "marked"):
        last = chance.randint(900, 2600)
    phase = chance.randint(0, STEP_S - 1)
    for k in range(first, last, 97 if shape == "rare" else STEP_S):
        value, at = next(values), k + phase
        if shape == "gaps" and math.sin(k / 211) > 0.4:
            continue
        if shape == "jitter":
            at += chance.randint(-6, 6)
        if shape == "odd" and chance.random() < 0.04:
            value = chance.choice((math.nan, math.inf, -math.inf, 0.0))
        samples.append((value, (begin + at) * 1000 + chance.choice((250, 750))))
    if shape == "marked" and samples:
        samples.append((STALE, samples[-1][1] + STEP_S * 1000))
        if chance.random() < 0.5:  # and it comes back
            samples += [(next(values), samples[-1][1] + (400 + k * STEP_S) * 1000) for k in range(20)]
    return [(v, t) for v, t in samples if t < (begin + SPAN_S) * 1000]


def histogram(chance, labels, begin):
    bounds = ["0.1", "0.5", "1", "2.5", "10", "+Inf"]
    if chance.random() < 0.3:
        bounds = ["-1", "0", *bounds[1:]]
    counts, columns = [0] * len(bounds), [[] for _ in bounds]
    for k in range(0, SPAN_S, STEP_S):
        for _ in range(chance.randint(0, 9)):
            counts[min(int(chance.expovariate(0.5)), len(bounds) - 1)] += 1
        for n, column in enumerate(columns):
            column.append((1e6 + float(sum(counts[:n + 1])), (begin + k) * 1000 + 250))
    for bound, column in zip(bounds, columns):
        yield {"__name__": "lat_bucket", "le": bound, **labels}, column


# -- asking -------------------------------------------------------------------------------------

class Side:
    """One server, on one connection."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def post(self, path, body, kind, headers=None):
        self.connection.request("POST", path, body, {"Content-Type": kind, **(headers or {})})
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def write(self, message):
        code, text = self.post("/api/v1/write", snappy.compress(message), "application/x-protobuf", {
            "Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0"})
        assert code in (200, 204), (code, text)

    def ask(self, text, when):
        path = "/api/v1/query" if len(when) == 1 else "/api/v1/query_range"
        names = ("time",) if len(when) == 1 else ("start", "end", "step")
        form = urllib.parse.urlencode({"query": text, **dict(zip(names, when))})
        code, body = self.post(path, form, "application/x-www-form-urlencoded")
        return code, json.loads(body)


def question(chance, begin):
    """When to ask: (time,) or (start, end, step); times end on half a second."""
    if chance.random() < 0.6:
        return (chance.randint(begin - 60, begin + SPAN_S + 400) + 0.5,)
    start = chance.randint(begin - 300, begin + SPAN_S - 300)
    step = chance.choice((7, 15, 30, 60, 61, 180))
    return start + 0.5, start + 0.5 + step * chance.randint(0, 40), step


@contextlib.contextmanager
def sides(groups):
    """A collector and a Prometheus that both hold `groups`: (labels, samples) pairs."""
    with Lab() as lab:
        collector = lab.collector("rules: {evaluation_interval: 1m}\n",
                                  ["--retention", "forever"]).start()
        with Peer(lab) as peer:
            both = Side(collector.http), Side(peer.port)
            message = b"".join(series(labels, samples) for labels, samples in groups if samples)
            for side in both:
                side.write(message)
            yield both
        collector.stop()


# -- comparing ----------------------------------------------------------------------------------

def for_us(text):
    """The same in our language: 3 renamed it."""
    return text.replace("holt_winters", "double_exponential_smoothing")


def close(a, b, within=CLOSE):
    a, b = float(a), float(b)
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    if math.isinf(a) or math.isinf(b):
        return a == b
    return abs(a - b) <= within * max(abs(a), abs(b), 1)


def by_labels(data):
    return {tuple(sorted(r["metric"].items())): r.get("values") or [r["value"]] for r in data["result"]}


def difference(ours, theirs, ordered=False, within=CLOSE):
    """None, or what differs between two answers."""
    (code, us), (their_code, them) = ours, theirs
    if us["status"] != them["status"]:
        return f"{us.get('error', us['status'])} / {them.get('error', them['status'])}"
    if us["status"] == "error":
        same = (code, us["errorType"]) == (their_code, them["errorType"])
        return None if same else f"{code} {us['errorType']} / {their_code} {them['errorType']}"
    us, them = us["data"], them["data"]
    if us["resultType"] != them["resultType"]:
        return f"{us['resultType']} / {them['resultType']}"
    if us["resultType"] in ("scalar", "string"):
        return None if close(us["result"][1], them["result"][1]) else f"{us['result']} / {them['result']}"
    mine, other = by_labels(us), by_labels(them)
    if mine.keys() != other.keys():
        return f"only ours {sorted(mine.keys() - other.keys())[:3]}, only theirs {sorted(other.keys() - mine.keys())[:3]}"
    if ordered and not all(close(a[0][1], b[0][1]) for a, b in zip(mine.values(), other.values())):
        return "order"
    for labels, values in mine.items():
        if [t for t, _ in values] != [t for t, _ in other[labels]]:
            return f"{labels}: at {[t for t, _ in values]} / {[t for t, _ in other[labels]]}"
        for (t, value), (_, their) in zip(values, other[labels]):
            if not close(value, their, within):
                return f"{labels} at {t}: {value} / {their}"
    return None


def raised_before_the_filter(text, ours, theirs):
    """3 tells of several matches before a comparison filters them, 2 after."""
    return "multiple matches for labels" in ours[1].get("error", "") and theirs[1]["status"] == "success" \
        and re.search(r"==|!=|>|<", text)


def merged_where_names_fall_off(text, ours, theirs):
    """3 joins series that are alike without their names and never meet; 2 refuses them."""
    return "cannot contain metrics with the same labelset" in theirs[1].get("error", "") \
        and ours[1]["status"] == "success"


def chosen_among_equals(text, ours, theirs):
    """Which of equal values is among the first k is left open; the values are not."""
    if not re.match(r"(topk|bottomk)\b", text) or ours[1]["status"] != theirs[1]["status"]:
        return False
    mine, other = (sorted((t, float(v)) for values in by_labels(side[1]["data"]).values()
                          for t, v in values) for side in (ours, theirs))
    return len(mine) == len(other) and all(
        a[0] == b[0] and close(a[1], b[1]) for a, b in zip(mine, other))


def spread_of_great_numbers(text, ours, theirs):
    """What a deviation among times of today has lost when it is squared depends on the order."""
    return re.search(r"\bstd(dev|var)\b.*\btime", text) and \
        difference(ours, theirs, within=1e3 * CLOSE) is None


def spread_of_neighbours(text, ours, theirs):
    """time() * time() is 2.9e18, and its neighbours are 512 away: a spread of some of these is what
    rounding and the order made of it, and differs in the peer from step to step."""
    if not re.search(r"\bstd(dev|var)\b.*time\(\) *[*^]", text) or theirs[1]["status"] != "success":
        return False
    most = 4 * 512 if "stddev" in text else (4 * 512) ** 2
    return ours[1]["status"] == "success" and all(
        float(value) <= most for side in (ours, theirs)
        for values in by_labels(side[1]["data"]).values() for _, value in values)


def infinite_where_squares_overflow(text, ours, theirs):
    """What a compensated sum has lost to Inf is NaN in 2; 3 forgets it."""
    if not re.search(r"\bstd(dev|var)_over_time\b", text) or theirs[1]["status"] != "success":
        return False
    def forgiving(side):
        plain = re.sub('"[+-]Inf"', '"NaN"', json.dumps(side[1]["data"]))
        return side[0], {**side[1], "data": json.loads(plain)}
    return ours[1]["status"] == "success" and difference(forgiving(ours), forgiving(theirs)) is None


EXPLAINED = (raised_before_the_filter, merged_where_names_fall_off, chosen_among_equals,
             spread_of_great_numbers, spread_of_neighbours, infinite_where_squares_overflow)


def compare(both, text, when):
    """None where both agree, "explained", or what differs."""
    return judge(both, text, when)[0]


def judge(both, text, when):
    """What compare() says, and what became of the question: errors, empty or full."""
    ours, theirs = both[0].ask(for_us(text), when), both[1].ask(text, when)
    found = difference(ours, theirs, len(when) == 1 and text.startswith("sort"))
    if found and any(explains(text, ours, theirs) for explains in EXPLAINED):
        found = "explained"
    return found, "errors" if ours[1]["status"] == "error" else \
        "full" if ours[1]["data"]["result"] else "empty"


def run(seed, count, groups=None, begin=BEGIN, most=5):
    """Asks `count` questions; returns the texts of what differed, and counts."""
    groups = list(groups or made_up(seed, begin))
    told, counts = [], {"asked": 0, "explained": 0, "errors": 0, "empty": 0, "full": 0}
    with sides(groups) as both:
        for number, node, chance in expressions(seed, count, begin, begin + SPAN_S):
            text, when = str(node), question(chance, begin)
            found, outcome = judge(both, text, when)
            counts["asked"] += 1
            counts[outcome] += 1
            if found == "explained":
                counts["explained"] += 1
            elif found:
                least = minimise(node, lambda t: compare(both, t, when) not in (None, "explained"))
                told.append(f"seed {seed}, number {number}, at {when}\n  {text}\n  least: {least}\n"
                            f"  ours / theirs: {compare(both, str(least), when)}\n"
                            f"  ours   {str(both[0].ask(for_us(str(least)), when))[:600]}\n"
                            f"  theirs {str(both[1].ask(str(least), when))[:600]}")
                if len(told) >= most:
                    break
    return told, counts
