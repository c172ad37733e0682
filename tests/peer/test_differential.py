"""Random questions, the same to a collector and to a Prometheus with the same samples.

    test_differential.py                     some two hundred, seed 1; layouts, five times as many
    FENGSUI_DIFFERENTIAL=7:3000 ...          three thousand, seed 7; a failure names both
"""
import os
import random
import shutil
import sys

from differential import BEGIN, SPAN_S, compare, made_up, run, sides
from expressions import Maker, minimise
from fengsui import SKIPPED, run_tests
from layouts import compare_layouts


def test_random_questions_have_prometheus_s_answers():
    seed, _, count = os.environ.get("FENGSUI_DIFFERENTIAL", "1:220").partition(":")
    told, counts = run(seed, int(count))
    print(counts)
    assert not told, f"{len(told)} differ:\n" + "\n".join(told)
    # The questions are worth asking: most have an answer with something in it.
    assert counts["full"] > counts["asked"] / 2 > 5 * counts["explained"], counts
    assert counts["errors"] > 0 and counts["empty"] > 0, counts


# Told by both versions in the same words, and of the same place.
WRONG = """sum(1) | topk("a", g) | count_values(1, g) | topk(g) | sum() | rate(1) | rate(g) | rate(g[5m], 1)
round(g, 1, 2) | label_join(g) | -"a" | -g[5m] | "a" + 1 | g[5m] + 1 | 1 + "a" | g + bool g | 1 == 2
g + on(a) 1 | g and on(a) group_left g | g and 1 | sum(g)[5m] | g offset 5m[5m] | g @ 5 [5m]
g offset 5m offset 5m | g @ 5 @ 6 | 1 offset 5m | sum(g) @ 3 | g @ Inf | g @ -Inf | g @ NaN | 1[5m:]
g[5m][5m:] | {} | {a=~".*"} | g{__name__="h"} | g * on(a) group_left(a) g | (1 == 2) + bool g
rate(sort(g[5m])) | rate(sum(g)[5m:]) + 1 == bool "a" | sum by (,) (g) | sum by (1) (g) | sum by (a b) (g)
sum(g) by | g{a} | g{a=} | g{a="b" c="d"} | g{,} | g{a="b",,} | g by (a) | g[5m | g{a="b" | (g | g) | g]
"abc | 'a | g{a="\\q"} | "\\x4g" | "\\ud800" | 1 + | * 1 | g g | 1 2 | foo( | foo(g,) | abs(,g) | abs(g,,)
# | g @ | g @ foo | g @ start | g ~ g | g = g | g =~ g | $x | on | bool | by(g) | ignoring | g + atan2
sum(abs(g g)) | sum by (a) g | g sum | g a:b | a:b(g) | g start | - | g{5} | g{{ | g{a!b} | g + on g"""


def test_what_is_wrong_is_told_in_prometheus_s_words():
    texts = [text for line in WRONG.splitlines() for text in line.split(" | ")]
    with sides([({"__name__": "g", "a": "b"}, [(1.0, BEGIN * 1000)])]) as both:
        told = [(text, *(side.ask(text, (BEGIN + 0.5,))[1].get("error") for side in both))
                for text in texts]
    assert len(told) > 90 and all(theirs for _, _, theirs in told), told
    assert not [row for row in told if row[1] != row[2]], [row for row in told if row[1] != row[2]]


def test_long_expressions_are_laid_out_alike():
    seed, _, count = os.environ.get("FENGSUI_DIFFERENTIAL", "1:220").partition(":")
    with sides([]) as both:
        told, counts = compare_layouts(both, seed, 5 * int(count))
    print(counts)
    assert not told, f"seed {seed}:\n" + "\n".join(told)
    # The questions are worth asking: deep ones, and nearly all of them right.
    assert counts["broken"] > counts["asked"] / 3 > 10 * counts["refused"], counts
    assert counts["longest"] > 20, counts


def test_what_differs_is_told_small():
    """The judge of all this: a wrong answer is seen, and cut down to what is wrong."""
    whole = Maker(random.Random(5), BEGIN, BEGIN + SPAN_S)
    bad = None
    while bad is None or "rate(" not in str(bad) or len(str(bad)) < 80:
        bad = whole.make()
    least = minimise(bad, lambda text: "rate(" in text)
    assert "rate(" in str(least) and len(str(least)) <= 40, str(least)

    class Said:
        """A server that says one thing."""
        def __init__(self, *values):
            self.values = values

        def ask(self, _text, _when):
            return 200, {"status": "success", "data": {"resultType": "vector", "result": [
                {"metric": {"a": str(n)}, "value": [1, v]} for n, v in enumerate(self.values)]}}

    def differs(ours, theirs):
        return compare((Said(*ours), Said(*theirs)), "m", (1,))
    assert differs(["1", "NaN", "+Inf", "0.1"], ["1", "NaN", "+Inf", "0.10000000000000002"]) is None
    for ours, theirs in ((["1"], ["1.000001"]), (["1"], []), ([], ["1"]), (["NaN"], ["1"]),
                         (["+Inf"], ["-Inf"]), (["1", "2"], ["2", "1"])):
        assert differs(ours, theirs), (ours, theirs)


def test_samples_have_all_shapes():
    groups = list(made_up("1", BEGIN))
    times = [[t for _, t in samples] for _, samples in groups]
    assert all(a < b for line in times for a, b in zip(line, line[1:]))
    assert all(t % 1000 in (250, 750) for line in times for t in line)
    assert len({tuple(sorted(labels.items())) for labels, _ in groups}) == len(groups) > 60


if __name__ == "__main__":
    if shutil.which("prometheus") is None:
        print("skipped: prometheus is not installed")
        sys.exit(SKIPPED)
    run_tests(globals())
