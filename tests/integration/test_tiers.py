"""Series of different ages in one collector: edge hosts whose samples are kept for a day and then rolled
up, audit counters whose samples outlive those of the others, debug series of which nothing stays.
Each is answered by the best there is of it, before and after a kill, and other ages hold from the
next start on.
"""
import calendar
import json
import time

from fengsui import Lab, run_tests

HOUR, DAY = 3600, 86400
STEP = 60
JOBS = ("node", "edge", "audit", "debug", "hourly")
RULES = """
retention:
  raw: 10d
  rollup_5m: 100d
  rollup_1h: forever
  per_series:
  - {match: '{job="edge"}', raw: 1d, rollup_5m: 20d, rollup_1h: 60d}
  - {match: '{job="audit"}', raw: 40d}
  - {match: '{job="debug"}', raw: 1d}
  - {match: '{job="hourly"}', raw: 1d, rollup_5m: none, rollup_1h: 2y}
"""


def midnight(days_ago):
    return (int(time.time()) // DAY - days_ago) * DAY


def give(collector, text):
    code, answer = collector.request("POST", "/api/v1/import/prometheus", text.encode(),
                                     {"Content-Type": "text/plain"}, timeout=60)
    assert code == 200 and json.loads(answer)["data"]["samplesRefused"] == 0, answer


def settle(collector):
    assert collector.request("POST", "/api/fengsui/v1/store/settle", b"", timeout=120)[0] == 200


def ask(collector, query, at):
    """Values by job, and which tier is spoken of."""
    answer = collector.json("/api/v1/query", query=query, time=at)
    infos = " ".join(answer.get("infos", []))
    tiers = {tier for tier in ("5m", "1h") if f"roll-up of {tier}" in infos}
    return {row["metric"].get("job"): float(row["value"][1])
            for row in answer["data"]["result"]}, tiers


def expect(collector, day, sources, because):
    """Where the samples of each job are: raw, in a tier, or nowhere (not named)."""
    noon = day + 3 * HOUR
    for job in JOBS:
        values, tiers = ask(collector, f'count_over_time(level{{job="{job}"}}[1h])', noon)
        source = sources.get(job)
        assert values == ({job: 60} if source else {}), (because, job, values)
        assert tiers == ({source} if source in ("5m", "1h") else set()), (because, job, tiers)
    values, tiers = ask(collector, "count_over_time(level[1h])", noon)
    assert values == dict.fromkeys(sources, 60), (because, values)
    assert tiers == set(sources.values()) - {"raw"}, (because, tiers)


def check_status(collector, days):
    """The ages of each rule, and the day from which on there is something in each tier."""
    held = collector.json("/api/fengsui/v1/status")["data"]["retention"]
    wanted = {None: ("10d", "100d", "forever", 4, 70, 70),
              '{job="edge"}': ("1d", "20d", "60d", None, 15, 30),
              '{job="audit"}': ("40d", "100d", "forever", 30, 70, 70),
              '{job="debug"}': ("1d", "none", "none", None, None, None),
              '{job="hourly"}': ("1d", "none", "2y", None, None, 70)}
    assert [row["match"] for row in held] == list(wanted), held
    for row in held:
        *ages, raw, fine, coarse = wanted[row["match"]]
        tiers = row["tiers"]
        assert [tier["tier"] for tier in tiers] == ["raw", "rollup_5m", "rollup_1h"], row
        assert [tier["age"] for tier in tiers] == ages, row
        for tier, day in zip(tiers, (raw, fine, coarse)):
            stamp = tier["oldest"] and calendar.timegm(
                time.strptime(tier["oldest"][:19], "%Y-%m-%dT%H:%M:%S"))
            assert (stamp is None) == (day is None), (row["match"], tier)
            assert day is None or 0 <= stamp - days[day] < DAY, (row["match"], tier, days[day])
    text = collector.ctl("--lang", "en", "status")
    assert 'Kept' in text and '{job="edge"}      samples 1d; 5 m 20d since ' in text, text
    assert '样本 40d，最早 ' in collector.ctl("--lang", "zh", "status")


def test_each_series_has_ages_of_its_own():
    with Lab() as lab:
        collector = lab.collector(RULES).start()
        days = {n: midnight(n) for n in (4, 15, 30, 70)}
        for day in days.values():
            give(collector, "".join(f'level{{job="{job}"}} {i % 7} {(day + i * STEP) * 1000}\n'
                                    for job in JOBS for i in range(6 * HOUR // STEP)))
        wanted = {4: dict(node="raw", edge="5m", audit="raw", hourly="1h"),
                  15: dict(node="5m", edge="5m", audit="raw", hourly="1h"),
                  30: dict(node="5m", edge="1h", audit="raw", hourly="1h"),
                  70: dict(node="5m", audit="5m", hourly="1h")}
        settle(collector)
        for n, day in days.items():
            expect(collector, day, wanted[n], f"{n} days old")
        check_status(collector, days)

        # Late, into an hour that was empty; and a delete, which takes whole buckets of records.
        late = days[4] + 12 * HOUR
        give(collector, "".join(f'level{{job="{job}"}} 3 {(late + 30) * 1000}\n' for job in JOBS))
        for _ in range(2):
            values, tiers = ask(collector, "sum_over_time(level[1h])", late + HOUR)
            assert values == dict.fromkeys(("node", "edge", "audit", "hourly"), 3), values
            settle(collector)
        expect(collector, days[4], wanted[4], "after what came late")
        end = days[4] + HOUR
        assert collector.request("POST", "/api/v1/admin/tsdb/delete_series?match[]=level&start="
                                 f"{end - 7 * STEP + 1}&end={end}", b"", timeout=60)[0] == 204
        for _ in range(2):
            values, tiers = ask(collector, "count_over_time(level[1h])", end)
            assert values == dict(node=53, audit=53, edge=50), values
            settle(collector)

        collector.kill()
        collector.ctl("store", "verify", collector.data)
        collector.start()
        for n, day in days.items():
            expect(collector, day, wanted[n], f"{n} days old, after a kill")
        collector.stop()

        # Longer: nothing comes back.  Shorter: it goes.
        changed = RULES.replace("audit\"}', raw: 40d", "audit\"}', raw: 3d, rollup_5m: 20d") \
                       .replace("edge\"}', raw: 1d", "edge\"}', raw: 15d")
        (lab.folder / "collector" / "collector.yml").write_text(changed)
        collector.start()
        settle(collector)
        wanted[4].update(audit="5m")
        wanted[15].update(audit="5m")
        wanted[30].update(audit="1h")
        wanted[70].update(audit="1h")
        for n, day in days.items():
            expect(collector, day, wanted[n], f"{n} days old, with other ages")
        collector.stop()
        collector.ctl("store", "verify", collector.data)


if __name__ == "__main__":
    run_tests(globals())
