"""fengsuictl against a real collector and probe: tables, plots, keys, checks, exit codes."""
import json
import os
import re
import subprocess
import time

from fengsui import BUILD, Lab, PATIENCE, run_tests, wait_for
from remote_message import series, write


def run(collector, *arguments, typed=None, **environment):
    return subprocess.run(
        [str(BUILD / "fengsuictl"), *arguments], input=typed, text=True, capture_output=True,
        check=False, timeout=30 * PATIENCE,
        env={**os.environ, "LANG": "C.UTF-8", "LC_ALL": "", "LC_MESSAGES": "",
             "FENGSUI_URL": f"http://127.0.0.1:{collector.http}", **environment})


def test_tables_and_plots():
    with Lab() as lab:
        collector = lab.collector().start()
        now = int(time.time() * 1000)
        message = b"".join(series({"__name__": "温度", "机房": room},
                                  [(i + len(room), now - 600_000 + i * 15_000) for i in range(40)])
                           for room in ("中塔", "a"))
        assert write(collector, message)[0] == 204
        done = run(collector, "query", '{"温度"}')
        assert done.returncode == 0 and '{"温度", "机房"="中塔"}' in done.stdout, done
        assert done.stdout.splitlines()[0].split() == ["SERIES", "VALUE", "TIME"], done.stdout
        done = run(collector, "query", '{"温度"}', "--range", "10m", "--lang", "zh")
        assert done.returncode == 0 and "┤" in done.stdout, done
        assert any("\u2800" < c <= "\u28ff" for c in done.stdout), done
        done = run(collector, "query", 'sum(rate({"温度"}[5m])) + 1', "--range", "5m", "--step",
                   "30s", "--explain")
        assert done.returncode == 0, done
        lines = done.stdout.splitlines()[1:]
        depths = [len(line) - len(line.lstrip()) for line in lines]
        parts = {cells[0]: cells for cells in (re.split("  +", line.strip()) for line in lines)}
        assert depths == [0, 2, 4, 6, 2], done.stdout
        assert parts["1"][1:5] == ["1", "0", "0", "0"], done.stdout
        steps, found, samples, chunks = (int(x) for x in parts['{__name__="温度"}[5m]'][1:5])
        assert (steps, found, 40 < samples <= 80, chunks >= 2) == (11, 2, True, True), done.stdout
        done = run(collector, "--json", "query", "1+1")
        assert json.loads(done.stdout)["data"]["result"][1] == "2", done
        done = run(collector, "query", "sum(", LANG="zh_CN.UTF-8")
        assert done.returncode == 1 and "parse error" in done.stderr, done
        done = run(collector, "status", LANG="zh_CN.UTF-8")
        assert done.returncode == 0 and "就绪" in done.stdout, done
        assert "no alerts" in run(collector, "alerts").stdout
        for words, told in ((["probes"], "none yet"), (["query", "nothing_here"], "no series")):
            done = run(collector, *words)
            assert done.returncode == 0 and told in done.stdout, done
        done = run(collector, "query", '"\x1b[2Jred"')
        assert done.returncode == 0 and "\x1b" not in done.stdout and "red" in done.stdout, done
        done = run(collector, "query", 'x{a="\x1b[2J"} + on(b) "c"')
        assert done.returncode == 1 and "\x1b" not in done.stderr, done
        collector.stop()


def test_what_is_mistyped_is_answered_with_what_was_meant():
    with Lab() as lab:
        collector = lab.collector()
        done = run(collector, "stauts")
        assert done.returncode == 2 and 'did you mean "status"?' in done.stderr, done
        done = run(collector, "query", "up", "--stp", "1")
        assert done.returncode == 2 and 'did you mean "--step"?' in done.stderr, done
        done = run(collector, "probes", "aprove", "x")
        assert done.returncode == 2 and 'did you mean "approve"?' in done.stderr, done
        done = run(collector, "status", "--json=false")
        assert done.returncode == 2 and "--json takes no value" in done.stderr, done
        done = run(collector, "probes", "token", "new", *["--label=a=b"] * 65)
        assert done.returncode == 2 and "--label" in done.stderr, done
        assert run(collector, "query").returncode == 2
        assert run(collector).returncode == 2
        done = run(collector, "status")  # nobody listens
        assert done.returncode == 1 and "127.0.0.1" in done.stderr, done
        for command in ("status", "query", "probes", "keys", "alerts", "logs", "check",
                        "processes", "users", "silence"):
            for lang in ("zh", "en"):
                done = run(collector, command, "--help", "--lang", lang)
                assert done.returncode == 0 and f"fengsuictl {command}" in done.stdout, done


def test_checks_name_file_and_line():
    with Lab() as lab:
        collector = lab.collector()
        good = collector.folder / "good.yml"
        bad = collector.folder / "bad.yml"
        good.write_text("groups:\n  - name: g\n    rules:\n      - {alert: A, expr: up == 0}\n")
        bad.write_text("groups:\n  - name: g\n    rules:\n      - {alert: A, expr: 'raet(up[1m])'}\n")
        assert run(collector, "check", "rules", str(good)).returncode == 0
        done = run(collector, "check", "rules", str(good), str(bad))
        assert done.returncode == 2 and "bad.yml:4" in done.stderr and "rate" in done.stderr, done
        config = collector.folder / "c.yml"
        config.write_text("htp: {}\n")
        done = run(collector, "check", "config", str(config))
        assert done.returncode == 2 and "c.yml:1" in done.stderr and "http" in done.stderr, done


def test_a_token_lets_a_probe_in_and_its_logs_and_processes_show():
    with Lab() as lab:
        collector = lab.collector().start()
        tailed = lab.folder / "app.log"
        tailed.write_text("")
        done = run(collector, "probes", "token", "new", "--uses", "1")
        assert done.returncode == 0 and done.stdout.strip(), done
        probe = lab.probe(collector, interval="200ms", flags=("--log", str(tailed)))
        probe.arguments[probe.arguments.index("--token") + 1] = done.stdout.strip()
        probe.start()
        wait_for(lambda: "up" in run(collector, "probes").stdout.split(), "the probe", 30)
        with open(tailed, "a", encoding="utf-8") as file:
            file.write("ERROR 数据库连接失败 \x1b[31mred\n")
        shown = wait_for(lambda: [line for line in run(collector, "logs", "--since", "5m").stdout
                                  .splitlines() if "数据库连接失败" in line], "the line", 20)
        assert len(shown) == 1 and "\x1b" not in shown[0], shown
        instance = collector.probes()[0]["instance"]
        assert not run(collector, "logs", "elsewhere").stdout
        found = run(collector, "logs", instance, "--grep", "数据库.*失败", "--path", "*app.log")
        assert "数据库连接失败" in found.stdout, found
        table = wait_for(lambda: run(collector, "processes", instance).stdout, "processes", 40)
        assert "PID" in table and "MEMORY" in table, table
        key = collector.probes()[0]["key"]
        assert run(collector, "probes", "revoke", key).returncode == 0
        wait_for(lambda: "revoked" in run(collector, "keys").stdout, "the revocation")
        # One key in eighty begins with a dash, and is no flag for that.
        unknown = "-" + ("a" if key[1] != "a" else "b") + key[2:]
        other = run(collector, "probes", "revoke", unknown)
        assert other.returncode == 1 and "option" not in other.stderr, other
        probe.kill()
        collector.stop()


def post(collector, path, body):
    return collector.request("POST", path, json.dumps(body).encode(),
                             {"Content-Type": "application/json"})


def test_alerts_are_acknowledged_and_silenced():
    with Lab() as lab:
        collector = lab.collector().start()
        for host in ("db-01", "db-02"):
            assert post(collector, "/api/v2/alerts", [{
                "labels": {"alertname": "磁盘将满", "instance": host},
                "annotations": {"summary": "只剩\x1b[31m 1%"}}])[0] == 200
        shown = run(collector, "alerts", "--lang", "zh")
        assert shown.stdout.count("磁盘将满") == 2 and "\x1b" not in shown.stdout, shown
        done = run(collector, "alerts", "ack", "磁盘将满")
        assert done.returncode == 1 and "--all" in done.stderr and "db-02" in done.stdout, done
        done = run(collector, "alerts", "ack", "磁盘将满", "--instance", "db-02", "--comment",
                   "硬盘已订", "--by", "值班员甲")
        assert done.returncode == 0 and "acknowledged" in done.stdout, done
        shown = run(collector, "alerts", "--lang", "zh").stdout.splitlines()
        assert ["值班员甲 已确认" in line for line in shown if "磁盘" in line].count(True) == 1, shown
        fingerprint = [line.split()[-1] for line in shown if "值班员甲" in line][0]
        assert run(collector, "alerts", "unack", fingerprint).returncode == 0
        assert "值班员甲" not in run(collector, "alerts").stdout
        assert run(collector, "alerts", "ack", "0" * 16).returncode == 1
        done = run(collector, "alerts", "ack", "没有这条")
        assert done.returncode == 1 and "没有这条" in done.stderr, done

        done = run(collector, "silence", "add", "instance=db-01")
        assert done.returncode == 2 and "--comment" in done.stderr, done
        done = run(collector, "silence", "add", "=x", "--comment", "c")
        assert done.returncode == 2 and "name=value" in done.stderr, done
        done = run(collector, "silence", "add", "instance=~(", "--comment", "c")
        assert done.returncode == 1 and "regular expression" in done.stderr, done
        done = run(collector, "silence", "add", "磁盘将满", "instance=~db-0[1]", "site!=x",
                   "--duration", "2h", "--comment", "更换硬盘", "--by", "值班员甲")
        assert done.returncode == 0 and "1 firing" in done.stderr, done
        name = done.stdout.strip()
        listed = run(collector, "silence", "list", "--lang", "zh").stdout
        assert name in listed and "生效中" in listed and 'instance=~"db-0[1]"' in listed, listed
        assert 'alertname="磁盘将满"' in listed and 'site!="x"' in listed, listed
        assert [line for line in run(collector, "alerts").stdout.splitlines()
                if "silenced" in line and "db-01" in line]
        shown = run(collector, "status").stdout
        assert "2 firing" in shown and "1 silenced" in shown, shown
        later = run(collector, "silence", "add", "a=b", "--in", "1h", "--comment", "c")
        assert "pending" in run(collector, "silence").stdout, later
        assert run(collector, "silence", "expire", name).returncode == 0
        assert run(collector, "silence", "expire", "0" * 36).returncode == 1
        assert run(collector, "silence", "expire", "../x").returncode == 2
        assert name not in run(collector, "silence").stdout
        assert name in run(collector, "silence", "list", "--expired").stdout
        assert json.loads(run(collector, "silence", "--json").stdout)[0]["status"]["state"]
        done = run(collector, "silence", "ad")
        assert done.returncode == 2 and 'did you mean "add"?' in done.stderr, done
        collector.stop()


if __name__ == "__main__":
    run_tests(globals())
