#!/usr/bin/python3
"""Jobs that report when they have run, and collectors that watch each other.

What can go wrong, each a case here:
  - a ping that was answered is lost with the process; a miss is told twice, or never, over a kill;
  - somebody pings, or pauses, who may not;
  - a job's command does not run because nobody hears, or its code is another one;
  - a collector is dead, or does not store any more, and nobody is told.
"""
import concurrent.futures
import datetime
import json
import os
import subprocess
import time

import alert_kit
from fengsui import BUILD, Lab, PATIENCE, free_port, run_tests, wait_for

ALERTING = """
route: {receiver: desk, group_by: [alertname, job_name], group_wait: 0s, group_interval: 1s}
receivers: [{name: desk, webhook_configs: [{url: 'http://127.0.0.1:%d/', send_resolved: true}]}]
"""
JOBS = "/api/fengsui/v1/jobs"


def collector_with(lab, jobs, hook=None, name="collector", more="", flags=()):
    config = f"jobs: jobs.yml\n{more}"
    if hook is not None:
        config += "alerting: alerting.yml\n"
    collector = lab.collector(config, flags, name)
    (collector.folder / "jobs.yml").write_text(jobs)
    if hook is not None:
        (collector.folder / "alerting.yml").write_text(ALERTING % hook.port)
    return collector


def ping(collector, job, word, query="", body=None, headers=None):
    return collector.request("POST", f"{JOBS}/{job}/{word}{query}", body or b"", headers)[0]


def job(collector, name):
    return collector.json(f"{JOBS}/{name}")["data"]


def told(hook):
    return [(b["groupLabels"]["alertname"], b["groupLabels"]["job_name"], b["status"])
            for b in hook.accepted()]


def test_a_deadline_slept_over_is_told_once_and_the_success_ends_it():
    hook = alert_kit.Hook()
    with Lab() as lab:
        collector = collector_with(lab, "jobs:\n- {name: sync, title: 对账, every: 1s, grace: 1s,"
                                        " labels: {team: db}}\n- {name: free}\n", hook).start()
        assert ping(collector, "sync", "ok") == 200
        collector.kill()
        due = time.time() + 2
        wait_for(lambda: time.time() > due, "the deadline has passed", 5)
        collector.start()
        wait_for(lambda: told(hook) == [("JobMissed", "sync", "firing")], "the miss is told")
        alert = hook.accepted()[0]["alerts"][0]
        assert alert["labels"] == {"alertname": "JobMissed", "job_name": "sync", "team": "db",
                                   "severity": "critical"}, alert
        assert "任务 对账 没有按计划完成" in alert["annotations"]["summary"], alert
        collector.kill()
        collector.start()
        assert [a["labels"]["alertname"] for a in collector.json("/api/v2/alerts")] == ["JobMissed"]
        assert job(collector, "sync")["state"] == "down"
        (collector.folder / "jobs.yml").write_text(  # else the next miss comes before the end
            "jobs:\n- {name: sync, every: 1h, labels: {team: db}}\n- {name: free}\n")
        assert collector.request("POST", "/-/reload")[0] == 200
        assert ping(collector, "sync", "ok") == 200
        wait_for(lambda: told(hook)[1:] == [("JobMissed", "sync", "resolved")], "its end is told")
        assert ping(collector, "free", "fail", "?exit=3", "磁盘满\n".encode("gb18030")) == 200
        wait_for(lambda: told(hook)[2:] == [("JobFailed", "free", "firing")], "the failure is told")
        alerts = collector.json("/api/fengsui/v1/alerts")["data"]["alerts"]
        assert [a["annotations"]["summary"] for a in alerts] == ["任务 free 执行失败（退出码 3）"]
        assert "\ufffd" in job(collector, "free")["lastRun"]["message"]
        assert collector.value('fengsui_collector_job_well{job_name="free"}') in (0, 1, None)
        metrics = collector.get("/metrics")[1].decode()
        assert 'fengsui_collector_job_last_exit_code{job_name="free"} 3\n' in metrics
        # A job that leaves jobs.yml takes its alerts along.
        (collector.folder / "jobs.yml").write_text("jobs: [{name: sync, every: 1h}]\n")
        assert collector.request("POST", "/-/reload")[0] == 200
        wait_for(lambda: told(hook)[3:] == [("JobFailed", "free", "resolved")], "its alert ends")
        (collector.folder / "jobs.yml").write_text("jobs: [{name: sync, evry: 1h}]\n")
        code, text = collector.request("POST", "/-/reload")
        assert code != 200 and b"evry" in text, text
        assert job(collector, "sync")["every"] == "1h"
        collector.stop()
    hook.close()


def test_what_was_answered_is_there_after_a_kill():
    with Lab() as lab:
        names = [f"job-{i}" for i in range(12)]
        collector = collector_with(lab, "jobs:\n" + "".join(
            f"- {{name: {name}, every: 1d}}\n" for name in names)).start()
        answered = {name: 0 for name in names}

        def keep_pinging(name):
            for i in range(1000):
                try:
                    if ping(collector, name, "ok", f"?size={i + 1}") != 200:
                        return
                except OSError:
                    return
                answered[name] = i + 1

        with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
            for name in names:
                pool.submit(keep_pinging, name)
            wait_for(lambda: min(answered.values()) >= 3, "all jobs have pinged")
            collector.kill()
        collector.start()
        for name in names:
            run = job(collector, name)["lastRun"]
            assert run["size"] in (answered[name], answered[name] + 1), (name, run, answered)
        collector.stop()


def token(collector):
    """A token and its hash."""
    text = collector.ctl("users", "token", "--lang", "en")
    words = text.replace('"', " ").split()
    digest = next(w for w in words if w.startswith("blake2b:"))
    return next(w for w in words if len(w) == 43), digest


def test_who_may_ping_and_who_may_not():
    with Lab() as lab:
        made = lab.collector(name="unused")
        tokens = {who: token(made) for who in ("viewer", "operator", "writer", "own")}
        users = "tokens:\n" + "".join(f'- {{name: {who}, role: {who}, token_hash: "{h}"}}\n'
                                      for who, (_, h) in tokens.items() if who != "own")
        collector = collector_with(
            lab, f'jobs:\n- {{name: a, token_hash: "{tokens["own"][1]}"}}\n- {{name: b}}\n',
            more="http: {users: users.yml}\n")
        (collector.folder / "users.yml").write_text(users)
        collector.start()

        def code(method, path, who, **headers):
            if who is not None:
                headers["Authorization"] = f"Bearer {tokens[who][0]}"
            body = b"" if method == "POST" else None
            return collector.request(method, JOBS + path, body, headers)[0]

        cases = [("POST", "/a/ok", None, 401), ("GET", "/a/ok", "viewer", 403),
                 ("GET", "/a/ok", "writer", 200), ("POST", "/b/start", "operator", 200),
                 ("GET", "/a/fail", "own", 200), ("GET", "/b/ok", "own", 401),
                 ("GET", "/a", "own", 401), ("POST", "/a/pause", "own", 401),
                 ("POST", "/a/pause", "writer", 403), ("POST", "/a/pause", "operator", 200),
                 ("GET", "/a/pause", "operator", 404), ("GET", "", "viewer", 200),
                 ("GET", "/c/ok", "writer", 404), ("GET", "/a/b/ok", "writer", 403),
                 ("GET", "/a/ok?exit=x", "writer", 400), ("GET", "/a/ok?size=-1", "writer", 400),
                 ("GET", "/a/ok?duration=-5", "writer", 400),
                 ("GET", "/a/ok?rid=" + "x" * 65, "writer", 400)]
        for method, path, who, wanted in cases:
            got = code(method, path, who)
            assert got == wanted, (method, path, who, got)
        # A picture on a page of somebody else's is no ping, whoever looks at it.
        assert code("GET", "/a/ok", "operator", **{"Sec-Fetch-Site": "cross-site"}) == 403
        assert code("GET", "/a/ok", "operator", **{"Sec-Fetch-Site": "none"}) == 200
        collector.stop()


def ctl(url, *arguments):
    return subprocess.run([str(BUILD / "fengsuictl"), "--lang", "en", "--url", url, *arguments],
                          capture_output=True, text=True, timeout=30 * PATIENCE, check=False)


def test_a_command_is_run_as_a_job_whoever_hears():
    with Lab() as lab:
        collector = collector_with(lab, "jobs:\n- {name: backup, title: 备份, every: 1d}\n").start()
        url = f"http://127.0.0.1:{collector.http}"
        result = lab.folder / "result"
        done = ctl(url, "jobs", "run", "backup", "--size-of", str(result), "--", "sh", "-c",
                   f"printf 12345 > {result}; echo said")
        assert done.returncode == 0 and done.stdout == "said\n", done
        run = job(collector, "backup")["lastRun"]
        assert (run["outcome"], run["size"], run["exit"]) == ("ok", 5, 0), run
        assert ctl(url, "jobs", "run", "backup", "--", "sh", "-c", "exit 7").returncode == 7
        assert job(collector, "backup")["problems"][0]["alertname"] == "JobFailed"
        assert ctl(url, "jobs", "run", "backup", "--", "sh", "-c", "kill -9 $$").returncode == 137
        assert ctl(url, "jobs", "run", "backup", "--", "/not/there").returncode == 127
        shown = ctl(url, "jobs", "show", "backup").stdout
        assert "备份" in shown and "127" in shown and "JobFailed" in shown, shown
        assert ctl(url, "jobs", "pause", "backup", "--for", "2h").returncode == 0
        assert "paused" in ctl(url, "jobs").stdout
        assert job(collector, "backup")["pausedUntil"] is not None
        assert ctl(url, "jobs", "resume", "backup").returncode == 0
        assert job(collector, "backup")["state"] == "up"
        done = ctl(url, "jobs", "run", "bakup", "--", "true")
        assert done.returncode == 0 and "HTTP 404" in done.stderr, done
        done = ctl(url, "jobs", "pause", "bakup")
        assert done.returncode == 1 and 'did you mean "backup"' in done.stderr, done
        collector.stop()
        done = ctl(f"http://127.0.0.1:{free_port()}", "jobs", "run", "backup", "--patience", "0s",
                   "--", "sh", "-c", "echo did; exit 3")
        assert done.returncode == 3 and done.stdout == "did\n", done
        assert "does not hear" in done.stderr, done


def test_a_workday_is_one_of_the_rosters_calendar():
    with Lab() as lab:
        collector = collector_with(
            lab, "jobs:\n- {name: check, cron: '30 8 * * *', calendar: cn-workday}\n"
                 "- {name: plain, cron: '30 8 * * *'}\n", more="duty: duty.yml\n")
        holidays = collector.folder / "holidays"
        holidays.mkdir()
        (collector.folder / "duty.yml").write_text(
            "holidays: holidays\npersons: [{id: '1001', name: 值班员甲}]\n")
        zone = datetime.timezone(datetime.timedelta(hours=8))
        today = datetime.datetime.now(zone).date()
        off = [today + datetime.timedelta(days=i) for i in range(12)]
        for year in {day.year for day in off}:
            (holidays / f"{year}.json").write_text(json.dumps(
                {"year": year, "papers": [], "days": [
                    {"name": "长假", "date": str(day), "isOffDay": True}
                    for day in off if day.year == year]}))
        collector.start()

        def due(name):
            text = job(collector, name)["due"].replace("Z", "+00:00")
            return datetime.datetime.fromisoformat(text).astimezone(zone).date()

        assert due("plain") in off[:2], due("plain")
        assert due("check") > off[-1], due("check")
        # A weekend day that is worked, from a reload on.
        worked = off[-1] + datetime.timedelta(days=1)
        path = holidays / f"{worked.year}.json"
        arrangement = json.loads(path.read_text()) if path.exists() else \
            {"year": worked.year, "papers": [], "days": []}
        arrangement["days"].append({"name": "调休", "date": str(worked), "isOffDay": False})
        path.write_text(json.dumps(arrangement))
        assert collector.request("POST", "/-/reload")[0] == 200
        assert due("check") == worked, due("check")
        collector.stop()


WATCHER = "jobs:\n- {name: collector-%s, every: 1s, grace: 1s}\n"


def test_two_collectors_watch_each_other():
    hook = alert_kit.Hook()
    with Lab() as lab:
        a = collector_with(lab, WATCHER % "b", hook, "a")
        b = collector_with(lab, WATCHER % "a", hook, "b")
        for here, there, name in ((a, b, "a"), (b, a, "b")):
            with open(here.folder / "collector.yml", "a", encoding="utf-8") as f:
                f.write(f"watchdog: [{{url: 'http://127.0.0.1:{there.http}{JOBS}/collector-{name}"
                        "/ok', interval: 1s}]\n")
        a.start()
        b.start()
        for here, peer in ((a, "b"), (b, "a")):
            wait_for(lambda h=here, p=peer: job(h, f"collector-{p}")["runs"] > 1,
                     f"collector {peer} is heard")
        wait_for(lambda: all(s[2] == "resolved" for s in set(told(hook)[-1:])), "all is well")
        before = len(hook.bodies)
        died = time.monotonic()
        a.kill()
        wait_for(lambda: ("JobMissed", "collector-a", "firing") in told(hook)[before:],
                 "b tells that a is dead", 15)
        assert time.monotonic() - died < 30 * PATIENCE
        metrics = b.get("/metrics")[1].decode()
        assert 'fengsui_collector_watchdog_fit{watchdog="1"} 1\n' in metrics
        # It lives, but its disk is full: it says nothing, and is missed all the same.
        a.arguments += ["--config", a.folder / "full.yml"]
        text = (a.folder / "collector.yml").read_text() + "quota: 4KiB\n"
        (a.folder / "full.yml").write_text(text)
        heard = job(b, "collector-a")["runs"]
        a.start(ready=False)
        wait_for(lambda: "is told nothing any more" in a.log.read_text(), "a does not vouch")
        assert a.alive() and job(b, "collector-a")["runs"] <= heard + 1
        a.stop()
        b.stop()
    hook.close()


if __name__ == "__main__":
    run_tests(globals())
