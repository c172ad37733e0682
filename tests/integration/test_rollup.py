"""A year of history in a collector that keeps samples for a day: what is older is answered by
roll-ups, as it was and with a word about it; they outlive a kill, a backup and a restore, and are
gone with an age of their own.
"""
import json
import time

from fengsui import Lab, run_tests

HOUR, DAY = 3600, 86400
CONFIG = "retention: {raw: 1d, rollup_5m: %s, rollup_1h: forever}\n"
STEP = 60  # of the history
RESET = 5000


def midnight(days_ago):
    return (int(time.time()) // DAY - days_ago) * DAY


def history(day):
    """Six hours of a counter that is reset every 5,000 seconds, and of a gauge."""
    return "".join(f"work_total {(day + i * STEP) % RESET} {(day + i * STEP) * 1000}\n"
                   f"level {i % 7} {(day + i * STEP) * 1000}\n" for i in range(6 * HOUR // STEP))


def give(collector, text):
    code, answer = collector.request("POST", "/api/v1/import/prometheus", text.encode(),
                                     {"Content-Type": "text/plain"}, timeout=60)
    assert code == 200 and json.loads(answer)["data"]["samplesRefused"] == 0, answer


def settle(collector):
    assert collector.request("POST", "/api/fengsui/v1/store/settle", b"", timeout=120)[0] == 200


def ask(collector, query, at):
    answer = collector.json("/api/v1/query", query=query, time=at)
    result = answer["data"]["result"]
    return float(result[0]["value"][1]) if result else None, " ".join(answer.get("infos", []))


def risen(start, end):
    """What the counter counted from its first sample to its last, of those in (start, end]."""
    values = [t % RESET for t in range(start + STEP, end + 1, STEP)]
    return values[-1] - values[0] + sum(a for a, b in zip(values, values[1:]) if b < a)


def expect_day(collector, day, tier):
    """The same as the samples would say, over windows of whole buckets; and it is told."""
    noon = day + 3 * HOUR
    count, infos = ask(collector, "count_over_time(level[1h])", noon)
    assert count == 60 and (f"the roll-up of {tier} is used from" in infos), (count, infos)
    assert ask(collector, "sum_over_time(level[2h])", noon)[0] == \
        sum(i % 7 for i in range(61, 181))
    assert ask(collector, "max_over_time(level[1h])", noon)[0] == 6
    value = ask(collector, "increase(work_total[2h])", noon)[0]
    # Extrapolated by the one step between the window's start and its first sample.
    wanted = risen(noon - 2 * HOUR, noon) * 2 * HOUR / (2 * HOUR - STEP)
    assert abs(value - wanted) < 1e-6 * wanted, (value, wanted)
    for minutes in (0, 17, 59):  # no holes between buckets
        assert ask(collector, "level", noon + minutes * 60)[0] is not None, minutes


def files(collector):
    stat = json.loads(collector.ctl("--json", "store", "stat"))
    stat = stat.get("data", stat)
    return {row["name"]: row["files"] for row in stat["environments"]}


def test_a_year_of_which_a_day_is_kept():
    with Lab() as lab:
        collector = lab.collector(CONFIG % "100d").start()
        days = [midnight(n) for n in (3, 30, 90, 150, 250, 365)]
        for day in days:
            give(collector, history(day))
        now = int(time.time())
        give(collector, f"level 5 {now * 1000}\n")
        assert ask(collector, "count_over_time(level[1h])", days[0] + 3 * HOUR)[0] == 60  # at once
        settle(collector)
        for day in days:
            expect_day(collector, day, "5m" if now - day < 98 * DAY else "1h")
        value, infos = ask(collector, "level", now)
        assert value == 5 and infos == "", infos
        names = collector.json("/api/v1/series", **{"match[]": "work_total", "start": days[-1],
                                                    "end": days[-1] + DAY})["data"]
        assert len(names) == 1, names
        assert files(collector)["history rollup_5m"] == 3, files(collector)
        assert files(collector)["history rollup_1h"] == 6, files(collector)
        metrics = collector.get("/metrics")[1].decode()
        assert "fengsui_collector_store_rollup_1h_files 6" in metrics

        # Late for a day that has expired: an hour that was empty is filled, at once and for good.
        late = days[1] + 12 * HOUR
        give(collector, f"level 3 {(late + 30) * 1000}\nlevel 4 {(late + 90) * 1000}\n")
        for _ in range(2):
            assert ask(collector, "sum_over_time(level[1h])", late + HOUR)[0] == 7
            settle(collector)
        give(collector, f"level 9 {(days[1] + HOUR + 90) * 1000}\n")  # its bucket is closed
        settle(collector)
        expect_day(collector, days[1], "5m")
        metrics = collector.get("/metrics")[1].decode()
        assert "rollup_samples_left_out_total 1\n" in metrics

        backup = lab.folder / "backup"
        collector.ctl("backup", backup)
        collector.kill()
        collector.ctl("store", "verify", collector.data)
        collector.ctl("store", "verify", backup)
        collector.start()
        for day in days:
            expect_day(collector, day, "5m" if now - day < 98 * DAY else "1h")
        collector.stop()

        restored = lab.collector(CONFIG % "20d", name="restored")
        restored.ctl("restore", backup, restored.data)
        restored.start()
        settle(restored)
        expect_day(restored, days[0], "5m")
        expect_day(restored, days[1], "1h")
        assert files(restored)["history rollup_5m"] == 1
        restored.stop()


def test_with_the_flag_alone_nothing_is_kept_longer():
    with Lab() as lab:
        collector = lab.collector(flags=["--retention", "2d"]).start()
        code, answer = collector.request("POST", "/api/v1/import/prometheus",
                                         f"level 1 {midnight(5) * 1000}\n".encode(),
                                         {"Content-Type": "text/plain"})
        assert code == 200 and json.loads(answer)["data"]["samplesRefused"] == 1, answer
        config = collector.json("/api/v1/status/config")["data"]["yaml"]
        assert 'rollup_5m: "2d"' in config and 'rollup_1h: "2d"' in config, config
        collector.stop()


if __name__ == "__main__":
    run_tests(globals())
