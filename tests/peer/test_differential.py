"""Random questions, the same to a collector and to a Prometheus with the same samples.

    test_differential.py                     some two hundred, seed 1
    FENGSUI_DIFFERENTIAL=7:3000 ...          three thousand, seed 7; a failure names both
"""
import os
import random
import shutil
import sys

from differential import BEGIN, SPAN_S, compare, made_up, run
from expressions import Maker, minimise
from fengsui import SKIPPED, run_tests


def test_random_questions_have_prometheus_s_answers():
    seed, _, count = os.environ.get("FENGSUI_DIFFERENTIAL", "1:220").partition(":")
    told, counts = run(seed, int(count))
    print(counts)
    assert not told, f"{len(told)} differ:\n" + "\n".join(told)
    # The questions are worth asking: most have an answer with something in it.
    assert counts["full"] > counts["asked"] / 2 > 5 * counts["explained"], counts
    assert counts["errors"] > 0 and counts["empty"] > 0, counts


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
