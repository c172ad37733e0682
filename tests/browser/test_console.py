"""The duty console in headless Chromium: a real collector, a real probe, a rule that fires.

One person's night: nothing there yet, a host comes, an alert fires, it is acknowledged and
silenced, the host is looked at, the collector goes away and comes back.  Everything that comes
from outside (log lines, labels, annotations) tries to become code, and must stay text.
"""
import json
import pathlib
import re
import time

from browser import Browser
from fengsui import BUILD, Lab, run_tests, wait_for
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from test_http_access import write_users

HOSTILE = "<img src=x onerror=\"document.body.dataset.owned='yes'\"><script>alert(1)</script>"
RULES = """
groups:
- name: 值班
  interval: 1s
  rules:
  - alert: 负载测试
    expr: node_load1 > -1
    labels: {severity: critical, team: %s}
    annotations: {summary: %s}
""" % (json.dumps(HOSTILE), json.dumps("{{ $labels.instance }} 负载 " + HOSTILE))
DUTY = """
persons:
- {id: '0017', name: 值班员甲, post: 一线, ways: [{channel: hook, to: a}]}
- {id: '0001', name: 值班主管, ways: [{channel: hook, to: m}]}
escalations:
- name: 值班
  steps:
  - {notify: [{person: '0017'}]}
  - {wait: 1h, notify: [{person: '0001'}]}
"""
ALERTING = """
route: {receiver: 值班, group_by: [alertname, instance], group_wait: 0s, group_interval: 1s}
receivers: [{name: 值班, escalation: 值班}]
contact_channels: [{name: hook, program_configs: [{command: [/bin/true, '{to}']}]}]
"""
JOBS = """
jobs:
- {name: sync, title: 对账, cron: '0 2 * * *', grace: 30m, labels: {team: db}}
- {name: backup, title: 数据库备份, every: 1h, grace: 1s}
- {name: report, every: 1d, grace: 1h, calendar: cn-workday}
"""
PAGES = {"overview": "", "host": "?host=web-01&range=15m", "silences": "?view=silences",
         "incidents": "?view=incidents", "jobs": "?view=jobs", "job": "?view=jobs&job=sync"}
SOURCES = pathlib.Path(__file__).resolve().parents[2] / "dashboards/console/js"


class Night:
    """The lab, the collector, the host, the browser; steps share them."""

    def __init__(self, lab, browser):
        self.browser = browser
        self.folder = lab.folder
        (lab.folder / "collector").mkdir()
        (lab.folder / "collector/night.yml").write_text(RULES)
        (lab.folder / "collector/duty.yml").write_text(DUTY)
        (lab.folder / "collector/alerting.yml").write_text(ALERTING)
        (lab.folder / "collector/jobs.yml").write_text(JOBS)
        self.collector = lab.collector("rules: {evaluation_interval: 1s, files: [night.yml]}\n"
                                       "alerting: alerting.yml\nduty: duty.yml\njobs: jobs.yml\n").start()
        self.origin = f"http://127.0.0.1:{self.collector.http}/"
        self.log = lab.folder / "app.log"
        self.log.write_text("")
        config = lab.folder / "probe.yml"
        config.write_text("sources: {processes: {interval: 1s, expected_ports: [{port: 1, service: lost}, "
                          f"{{port: {self.collector.http}, service: collector}}]}}}}\n")
        self.probe = lab.probe(self.collector, flags=(
            "--config", config, "--instance", "web-01", "--log", self.log, "--token", "nobody's"))

    def open(self, query=""):
        self.browser.open(self.origin + query)

    def write(self, line):
        with open(self.log, "a", encoding="utf-8") as log:
            log.write(line + "\n")

    def alerts(self):
        return self.collector.json("/api/fengsui/v1/alerts")["data"]["alerts"]

    def incident(self):
        return self.collector.json("/api/fengsui/v1/incidents/1")["data"]

    def last_tick(self):
        return self.collector.probes()[0]["lastTickMs"] / 1000

    def silences(self):
        return json.loads(self.collector.get("/api/v2/silences")[1])


def nothing_there_teaches(night):
    night.open()
    night.browser.says("还没有探针连接进来", "#hosts")
    assert "--collector-key" in night.browser.text("#hosts")
    night.browser.says("1 条规则在看守", "#alerts")
    night.browser.picture("empty-zh")


def the_language_is_one_switch_away(night):
    browser = night.browser
    assert browser.script("return document.documentElement.lang") == "zh-CN"
    browser.click("#language")
    browser.says("No probe has connected yet", "#hosts")
    assert "lang=en" in browser.driver.current_url
    assert browser.script("return document.documentElement.lang") == "en"
    chinese = re.findall(r"[一-鿿]+", browser.text("main") + browser.text("#foot"))
    assert chinese == [], chinese
    browser.click("#language")
    browser.says("还没有探针连接进来", "#hosts")


def a_probe_is_approved_by_clicking(night):
    """Its token is nobody's, so it has to wait; who compares keys sees the one in its state."""
    night.probe.start()
    night.browser.click('[data-do="approve"]')
    assert (night.probe.state / "probe.pub").read_text().strip() in night.browser.text("dialog")
    night.browser.click('dialog button[type="submit"]')


def a_host_and_its_alert_appear(night):
    night.browser.one('tr[data-host="web-01"] .state.up')
    night.browser.says("负载测试", "#alerts")
    night.browser.says("1 条严重", ".verdict")
    row = night.browser.text("tr.alert.critical")
    assert "web-01" in row and "<img src=x" in row and "无人确认" in row, row
    wait_for(lambda: night.collector.query('rate(node_cpu_seconds_total{cpu="0",mode="idle"}[1m])'),
             "two samples of the CPU")
    night.open()
    night.browser.until(lambda: re.search(r"\d%", night.browser.text('tr[data-host="web-01"] .c-cpu')),
                        "the host's CPU in its row")


def an_alert_is_acknowledged_by_clicking(night):
    browser = night.browser
    browser.click('tr.alert [data-do="acknowledge"]')
    browser.one("dialog textarea").send_keys("正在查 web-01")
    browser.one('dialog input[type="text"]').send_keys("值班员甲")
    browser.click('dialog button[type="submit"]')
    browser.says("值班员甲 已确认", "tr.alert")
    acknowledged = night.alerts()[0]["acknowledged"]
    assert acknowledged["by"] == "值班员甲" and acknowledged["comment"] == "正在查 web-01", acknowledged
    browser.picture("acknowledged-zh")
    browser.script("document.querySelector('tr.alert').focus()")
    browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    browser.says("node_load1 > -1", ".expression")
    browser.until(lambda: points("#chart-expression .plot") > 2, "the rule's curve")
    browser.says("通知 值班员甲（program）；值班员甲 已确认", ".why-verdict")
    assert "→" in browser.text(".why-list .why-taken"), browser.text(".why")
    browser.picture("alert-zh")
    browser.click('[data-do="unacknowledge"]')
    browser.click('dialog button[type="submit"]')
    wait_for(lambda: night.alerts()[0]["acknowledged"] is None, "the acknowledgement to be gone")


def an_incident_is_taken_by_clicking(night):
    browser = night.browser
    night.open("?view=incidents")
    browser.says("值班员甲（一线，0017）", "tr.incident")
    browser.says("无人认领", "tr.incident")
    browser.picture("incidents-zh")
    browser.click("tr.incident a")
    browser.says("时间线", "main")
    browser.says("已接受", "table.timeline")
    browser.says("值班主管（0001）", "main")  # who would be next, in an hour
    browser.picture("incident-zh")
    browser.click('[data-do="take"]')
    browser.one("dialog textarea").send_keys("在路上")
    browser.click('dialog button[type="submit"]')
    browser.says("已认领", "h1")
    assert night.incident()["state"] == "acknowledged"
    assert night.incident()["nextStepAt"] is None
    browser.click('[data-do="untake"]')
    browser.click('dialog button[type="submit"]')
    wait_for(lambda: night.incident()["state"] == "open", "the incident to be nobody's again")
    night.open()


def jobs_are_looked_at_and_paused_by_clicking(night):
    """The worst is first; a message of a job is foreign text; pausing and resuming are a click."""
    browser = night.browser

    def ping(job, word, query="", body=""):
        code, answer = night.collector.request("POST", f"/api/fengsui/v1/jobs/{job}/{word}{query}", body.encode())
        assert code == 200, answer

    def state_of(job):
        return night.collector.json(f"/api/fengsui/v1/jobs/{job}")["data"]["state"]

    def every(span):
        (night.folder / "collector/jobs.yml").write_text(JOBS.replace("every: 1h", f"every: {span}"))
        assert night.collector.request("POST", "/-/reload")[0] == 200
    ping("backup", "ok")
    every("1s")
    ping("report", "ok", "?size=1048576")
    ping("sync", "fail", "?exit=3", "磁盘满 " + HOSTILE)
    wait_for(lambda: state_of("backup") == "down", "a job that did not come")
    night.open("?view=jobs")
    browser.until(lambda: browser.script("return [...document.querySelectorAll('tr.job')].map((e) => e.dataset.job)")
                  == ["sync", "backup", "report"], "the worst first")
    browser.says("没有按时报告", 'tr[data-job="backup"]')
    browser.says("退出码 3", 'tr[data-job="sync"]')
    browser.says("1.00 MiB", 'tr[data-job="report"]')
    browser.says("工作日", 'tr[data-job="report"]')
    browser.says("作业 2", "#top nav")
    browser.picture("jobs-zh")
    browser.click('tr[data-job="sync"] a')
    browser.says("磁盘满 " + HOSTILE, "table.runs")
    browser.says("共 1 次，失败 1，缺 0", "main")
    assert browser.script("return document.body.dataset.owned") is None
    browser.picture("job-zh")
    browser.click('[data-do="pause-job"]')
    browser.says("直到恢复", "dialog")
    browser.picture("pause-dialog-zh")
    browser.click('dialog button[type="submit"]')
    browser.says("已暂停", "h1")
    browser.says("暂停至", "main")
    assert state_of("sync") == "paused"
    browser.click('[data-do="resume-job"]')
    browser.click('dialog button[type="submit"]')
    wait_for(lambda: state_of("sync") != "paused", "the job to be resumed")
    browser.click("#language")
    browser.says("Last runs", "main")
    said = [*browser.script("return [...document.querySelectorAll('.job-problem, .job-message')].map((e) => e.innerText)"),
            "对账"]  # what the collector and jobs.yml say
    shown = browser.text("main")
    for words in said:
        shown = shown.replace(words, "")
    left = re.findall(r"[一-鿿]+", shown)
    assert left == [], left
    browser.click("#language")
    every("1h")  # nothing of them fires in what follows
    for job in ("backup", "sync"):
        ping(job, "ok")
    wait_for(lambda: all(one["labels"]["alertname"] == "负载测试" for one in night.alerts()), "their alerts to end")


def an_alert_is_silenced_by_clicking(night):
    browser = night.browser
    night.open()
    browser.click('tr.alert [data-do="silence"]')
    browser.script("document.querySelector('dialog input[value=\"60\"]').click()")
    browser.one("dialog textarea").send_keys("换盘")
    name = browser.one('dialog input[type="text"]')
    assert name.get_attribute("value") == "值班员甲", "the name is remembered"
    browser.picture("silence-dialog-zh")
    browser.click('dialog button[type="submit"]')
    found = wait_for(night.silences, "the silence in the API")[0]
    assert found["comment"] == "换盘" and found["createdBy"] == "值班员甲", found
    matchers = {m["name"]: m["value"] for m in found["matchers"]}
    assert matchers["alertname"] == "负载测试" and matchers["team"] == HOSTILE, matchers
    browser.says("已静默 1 条", "#alerts")
    browser.says("一切正常", ".verdict")
    night.open("?view=silences")
    browser.says("换盘", "table.silences")
    browser.picture("silences-zh")
    browser.click('[data-do="expire"]')
    browser.click('dialog button[type="submit"]')
    wait_for(lambda: night.silences()[0]["status"]["state"] == "expired", "the silence to end")


def points(selector):
    return int(BROWSER.script("const e = document.querySelector(arguments[0]);"
                              "return e ? e.dataset.points || 0 : 0", selector))


def painted(chart):
    """How many pixels of a chart's canvas have the colour of none of its axes: curves."""
    return BROWSER.script("""
        const canvas = document.querySelector('#chart-' + arguments[0] + ' canvas');
        if (!canvas) return 0;
        const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        let count = 0;
        for (let i = 0; i < data.length; i += 4) {
          const [r, g, b, a] = data.slice(i, i + 4);
          if (a > 120 && Math.max(r, g, b) - Math.min(r, g, b) > 60) count++;
        }
        return count;""", chart)


def a_host_has_its_charts(night):
    browser = night.browser
    night.open("?host=web-01&range=15m")
    for chart in ("cpu", "memory", "load", "disk", "network"):
        browser.until(lambda c=chart: points(f"#chart-{c} .plot") > 3, f"data in the chart {chart}")
        browser.until(lambda c=chart: painted(c) > 20, f"curves in the chart {chart}")
    browser.says("Linux", ".host-facts", 10)
    browser.one(".filesystems tbody tr")


def a_host_tells_its_ports(night):
    """The one that nobody serves comes first, in words; the collector's own is one of the others."""
    browser = night.browser

    def rows():
        return browser.script("return [...document.querySelectorAll('.listening tbody tr')].map("
                              "(row) => [row.dataset.port, row.textContent])")
    night.open("?host=web-01&range=15m")
    lost, *others = browser.until(rows, "ports")
    assert lost[0] == "1" and "lost" in lost[1] and "应有，无人监听" in lost[1], lost
    served = dict(others)[str(night.collector.http)]
    assert "collector" in served and "在监听" in served and " / " in served, served
    browser.click("#language")
    browser.says("expected, nobody listens", ".listening")
    assert re.findall(r"[一-鿿]+", browser.text(".listening")) == []
    browser.click("#language")
    browser.says("监听端口", ".listening")


def processes_are_those_of_the_cursors_second(night):
    """Two places of the cursor, two process tables, each what the API says of that second."""
    browser = night.browser

    def table_at(second):
        code, body = night.collector.get("/api/fengsui/v1/processes", instance="web-01", time=second)
        return json.loads(body)["data"]["timeMs"] if code == 200 else None
    start = wait_for(lambda: (t := int(time.time()) - 12) and table_at(t) and t, "12 s of process tables")
    night.open(f"?host=web-01&from={start}&to={start + 12}")
    browser.until(lambda: points("#chart-cpu .plot") > 3, "data in the chart")
    over = browser.one("#chart-cpu .u-over")
    seen = set()
    for place in (0.25, -0.25):  # of the width, from the middle
        ActionChains(browser.driver).move_to_element_with_offset(
            over, int(over.size["width"] * place), 10).perform()
        browser.one(".moment-time.hovered")

        def agrees():
            second = browser.script("return document.querySelector('.moment-time').dataset.at")
            shown = browser.script("return document.querySelector('#processes table').dataset.time")
            return table_at(second) == int(shown) and shown
        seen.add(browser.until(agrees, "the process table of the cursor's second"))
    assert len(seen) == 2, f"the table does not follow the cursor: {seen}"
    ActionChains(browser.driver).click().perform()
    browser.until(lambda: "at=" in browser.driver.current_url, "the pinned second in the address")
    rows = browser.script("return [...document.querySelectorAll('#processes tbody .p-name b')]"
                          ".map((e) => e.textContent)")
    assert len(rows) > 3, rows
    browser.says("前后", "#logs")
    browser.picture("host-pinned-zh")


def a_host_falls_silent(night):
    browser = night.browser
    night.killed = int(time.time())
    night.probe.kill()
    wait_for(lambda: night.collector.value('up{instance="web-01"}') == 0, "the host to be silent")
    browser.open(night.origin)
    browser.says("1 台主机失联", ".verdict")
    assert "最后数据" in browser.text('tr[data-host="web-01"]')
    browser.picture("silent-zh")


def a_gap_stays_a_gap(night):
    """Between the last tick before a kill and the first after it, the load chart is empty."""
    browser = night.browser
    wait_for(lambda: time.time() - night.last_tick() > 8, "a gap that is wider than a rate's window")
    night.probe.start()
    again = time.time()
    end = int(wait_for(lambda: (last := night.last_tick()) > again + 3 and last, "data of the host"))
    night.open(f"?host=web-01&from={night.killed - 4}&to={end}")
    browser.until(lambda: points("#chart-load .plot") > 3, "data in the chart")
    browser.says("探针失联", ".events")
    widest, after = browser.script("""
        const canvas = document.querySelector('#chart-load canvas');
        const {width, height} = canvas;
        const {data} = canvas.getContext('2d').getImageData(0, 0, width, height);
        let empty = 0, widest = 0, after = 0;
        for (let x = 80; x < width - 24; x++) {
          let is_drawn = false;
          for (let y = Math.round(height * 0.1); y < height - 30; y++) {
            const [r, g, b, a] = data.slice(4 * (y * width + x), 4 * (y * width + x) + 4);
            is_drawn = is_drawn || (a > 120 && Math.max(r, g, b) - Math.min(r, g, b) > 60);
          }
          empty = is_drawn ? 0 : empty + 1;
          widest = Math.max(widest, empty);
          if (is_drawn && widest > 20) after++;
        }
        return [widest, after];""")
    assert widest > 20 and after > 0, f"empty columns: {widest}, drawn after them: {after}"
    browser.picture("gap-zh")


def expressions_are_cut_where_they_compare(night):
    """expression.js and chart.js, asked directly: what is plotted, and how parts are summed."""
    found = night.browser.driver.execute_async_script("""
        const done = arguments[arguments.length - 1];
        const base = document.querySelector('script[type=module]').src.replace('main.js', '');
        Promise.all([import(base + 'expression.js'), import(base + 'chart.js')]).then(([e, c]) =>
          done({cuts: arguments[0].map((text) => e.split_comparison(text)),
            sums: c.stacked([[1, null, null], [2, 3, null]])}));
        """, ['1 - avg(rate(x{mode="idle"}[1m])) > 0.9', 'a{b=">"} <= bool -5', 'a > 1 and b < 2',
              'up == on (instance) y', 'a', 'land > 3 # or 5'])
    cuts = [cut and (cut["left"], cut["operator"], cut["threshold"]) for cut in found["cuts"]]
    assert cuts == [('1 - avg(rate(x{mode="idle"}[1m]))', ">", 0.9), ('a{b=">"}', "<=", -5), None,
                    ("up", "==", None), None, ("land", ">", 3)], cuts
    assert found["sums"] == [[1, 0, None], [3, 3, None]], found["sums"]


def the_log_tail_is_live_and_inert(night):
    browser = night.browser
    night.open("?host=web-01&range=15m")
    night.write(f"2026-01-01 ERROR {HOSTILE} 刚写的一行")
    browser.says("刚写的一行", ".log-lines")
    assert HOSTILE in browser.text(".log-lines")
    night.write("无关的一行")
    browser.says("无关的一行", ".log-lines")
    browser.one("#log-filter").send_keys("刚写的")
    browser.until(lambda: "无关的一行" not in browser.text(".log-lines")
                  and "刚写的一行" in browser.text(".log-lines"), "the filter to work")
    assert "log=" in browser.driver.current_url, "the filter is in the address"
    made = browser.script("return document.querySelectorAll('main img, main script, main iframe').length")
    assert made == 0 and browser.script("return document.body.dataset.owned") is None


def every_page_fits_phone_and_desk(night):
    browser = night.browser
    for language, is_dark, width, name in (("zh", False, 1440, "desk"), ("zh", True, 360, "phone"),
                                           ("en", True, 1440, "desk"), ("en", False, 360, "phone")):
        browser.dark(is_dark)
        browser.size(width, 900)
        for page, query in PAGES.items():
            night.open(query + ("&" if query else "?") + f"lang={language}")
            browser.until(lambda: browser.script(
                "return !document.querySelector('.loading, [aria-busy], .chart-note:not(:empty)')"),
                f"{page} to be drawn")
            wide, room = browser.script("return [document.documentElement.scrollWidth, innerWidth]")
            assert wide <= room, f"{page} is {wide} wide in {room}"
            browser.picture(f"{page}-{language}-{'dark' if is_dark else 'light'}-{name}")
    browser.dark(False)
    browser.size(1440, 900)


def nothing_but_the_collector_was_asked(night):
    foreign = [url for url in night.browser.asked()
               if not url.startswith((night.origin, "data:", "chrome:", "about:"))]
    assert foreign == [], foreign
    assert len(night.browser.requests) > 50, "the browser's log of requests is read"
    complaints = night.browser.complaints()
    assert complaints == [], complaints


def a_lost_collector_is_said(night):
    browser = night.browser
    night.open()
    browser.says("负载测试", "#alerts")
    night.collector.kill()
    browser.says("失去联系", "#banner", 40)
    assert "不是现在的" in browser.text("#banner") and "负载测试" in browser.text("#alerts")
    browser.picture("lost-zh")
    night.collector.start()
    browser.until(lambda: browser.text("#banner") == "", "the banner to go", 40)


BROWSER = None


def test_a_night_on_duty():
    global BROWSER
    with Lab() as lab, Browser() as BROWSER:
        night = Night(lab, BROWSER)
        for step in (nothing_there_teaches, the_language_is_one_switch_away,
                     a_probe_is_approved_by_clicking, a_host_and_its_alert_appear,
                     an_alert_is_acknowledged_by_clicking,
                     an_incident_is_taken_by_clicking, jobs_are_looked_at_and_paused_by_clicking,
                     an_alert_is_silenced_by_clicking, a_host_has_its_charts,
                     a_host_tells_its_ports, processes_are_those_of_the_cursors_second,
                     expressions_are_cut_where_they_compare, the_log_tail_is_live_and_inert,
                     a_host_falls_silent, every_page_fits_phone_and_desk, a_gap_stays_a_gap, nothing_but_the_collector_was_asked,
                     a_lost_collector_is_said):
            started = time.monotonic()
            step(night)
            print(f"     {step.__name__} ({time.monotonic() - started:.1f} s)", flush=True)
        night.probe.stop()
        night.collector.stop()


def test_a_viewer_sees_and_cannot_touch():
    """With users.yml the browser's own login lets people in; buttons are there for operators."""
    with Lab() as lab, Browser() as browser:
        folder = lab.folder / "collector"
        folder.mkdir()
        write_users(folder, zhao=("viewer", "zhao-1"), qian=("operator", "qian-1"))
        (folder / "always.yml").write_text("groups:\n- name: a\n  rules:\n" + "".join(
            f"  - {{alert: 总是, expr: vector(1), labels: {{n: '{n}'}}}}\n" for n in range(6)))
        collector = lab.collector("http: {users: users.yml}\n"
                                  "rules: {evaluation_interval: 1s, files: [always.yml]}\n").start()
        for name, buttons in (("zhao", 0), ("qian", 1)):
            browser.open(f"http://{name}:{name}-1@127.0.0.1:{collector.http}/")
            browser.says("总是", "#alerts")
            browser.says(f"用户 {name}", "#foot")
            for button in ("acknowledge", "silence"):
                browser.until(lambda b=button, n=buttons: len(browser.all(f'tr.alert [data-do="{b}"]')) == n,
                              f"{buttons} buttons to {button} for {name}")
        browser.click('tr.alert [data-do="acknowledge"]')
        assert browser.one('dialog input[type="text"]').get_attribute("readonly"), "the name is the login's"
        browser.click('dialog button[type="submit"]')
        browser.says("6/6 已确认", "#alerts")
        browser.click('tr.alert [data-do="fold"]')
        browser.says("qian 已确认", "tr.member")
        browser.click('tr.group [data-do="silence"]')
        browser.one("dialog textarea").send_keys("演练")
        assert "× 6" in browser.text("dialog") and "n =" not in browser.text("dialog")
        browser.click('dialog button[type="submit"]')
        browser.says("已静默 6 条", "#alerts")
        collector.stop()


def keys_of(language):
    text = (SOURCES / f"text_{language}.js").read_text(encoding="utf-8")
    return re.findall(r"(?m)(?:^  |, )'([a-z0-9.]+)': ", text)


def test_both_languages_say_the_same_things():
    chinese, english = keys_of("zh"), keys_of("en")
    assert len(chinese) > 150 and len(set(chinese)) == len(chinese)
    assert set(chinese) == set(english), set(chinese) ^ set(english)
    for path in SOURCES.glob("*.js"):
        for key in re.findall(r"\bt\('([^']+)'[,)]", path.read_text(encoding="utf-8")):
            assert key in chinese, f"{path.name} says {key}, which no language has"


if __name__ == "__main__":
    assert BUILD.exists()
    run_tests(globals())
