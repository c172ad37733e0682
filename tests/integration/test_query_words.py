"""What Prometheus says of queries besides their values, where names go at once: whole lists of it."""
import json

from fengsui import Lab, run_tests
from remote_message import series, write

MINUTE = 60000
SAME = "vector cannot contain metrics with the same labelset"


def load(collector):
    buckets = {"1": 1, "2": 3, "+Inf": 4}
    wanted = [({"__name__": name, "le": le}, [(float(count), 0)])
              for name in ("a_bucket", "b_bucket") for le, count in buckets.items()]
    wanted.append(({"__name__": "a_bucket", "le": "many"}, [(1.0, 0)]))
    wanted += [({"__name__": "g", "host": host}, [(float(k), k * MINUTE) for k in range(6)])
               for host in "ab"]
    # Two metrics that take turns: no step has both.
    wanted += [({"__name__": f"turn{n}"}, [(1.0, (2 * k + n) * MINUTE) for k in range(3)])
               for n in (0, 1)]
    for labels, samples in wanted:
        code, text = write(collector, series(labels, samples))
        assert code == 204, text


def ask(collector, expression, **times):
    path = "/api/v1/query" if "time" in times else "/api/v1/query_range"
    code, body = collector.get(path, query=expression, **times)
    answer = json.loads(body)
    assert code in (200, 422), (code, body)
    return answer.get("error"), sorted(answer.get("warnings", [])), answer.get("data", {}).get("result")


def test_warnings_are_those_of_prometheus_and_no_more():
    with Lab() as lab:
        collector = lab.collector(flags=("--retention", "forever")).start()
        load(collector)
        bound = 'PromQL warning: bucket label "le" is missing or has a malformed value of "many" (1:25)'
        assert ask(collector, "histogram_quantile(0.5, a_bucket)", time=0)[:2] == (None, [bound])
        between = "PromQL warning: quantile value should be between 0 and 1, got "
        span = {"start": 0, "end": 300, "step": 60}
        # Of quantiles that change with the step, the extremes alone; of none, if nothing is asked of it.
        assert ask(collector, "quantile(time() / 60 - 2, g)", **span)[1] == [
            between + "-2 (1:10)", between + "3 (1:10)"]
        assert ask(collector, "quantile_over_time(7, nothing[5m])", **span)[1:] == ([], [])
        assert ask(collector, "quantile_over_time(7 + 0 * time(), g[1m])", start=300, end=420,
                   step=60)[1] == [between + "7 (1:20)"]
        capped = "PromQL warning: ratio value should be between -1 and 1, got "
        assert ask(collector, "limit_ratio(time() / 60 - 3, g)", **span)[1] == [
            capped + "-3, capping to -1 (1:13)", capped + "2, capping to 1 (1:13)"]
        collector.stop()


def test_series_that_lose_their_names_are_told_apart():
    with Lab() as lab:
        collector = lab.collector(flags=("--retention", "forever")).start()
        load(collector)
        both = '{__name__=~"[ab]_bucket",le!="many"}'
        for expression in (f"histogram_quantile(0.5, {both})", f"histogram_fraction(0, 1, {both})",
                           f'histogram_quantiles({both}, "q", 0.5)'):
            assert ask(collector, expression, time=0)[0] == SAME, expression
        # What is worked out step by step is joined, what looks at whole series is not.
        span = {"start": 0, "end": 240, "step": 60, "lookback_delta": "30s"}
        error, _, result = ask(collector, 'abs({__name__=~"turn."})', **span)
        assert error is None and len(result) == 1 and len(result[0]["values"]) == 5, result
        for function in ("count_over_time", "rate", "deriv", "present_over_time"):
            expression = f'{function}({{__name__=~"turn."}}[3m])'
            assert ask(collector, expression, **span)[0] == SAME, expression
        error, _, result = ask(collector, 'last_over_time({__name__=~"turn."}[30s])', **span)
        assert error is None and len(result) == 2, result
        collector.stop()


if __name__ == "__main__":
    run_tests(globals())
