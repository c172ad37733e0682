"""board_collector.py - the collector itself, and its probes as it sees them.

What a failure of the monitoring looks like from inside: nothing comes in, nothing can be stored,
rules do not run, messages do not leave.  All own metrics tick every 15 s.
"""
from kit import (GREEN, ORANGE, RED, SLOW, YELLOW, Board, dashed, named, query_variable, states,
                 steps)

ME = 'job="fengsui-collector",instance="$collector"'
PROBES = 'job!="fengsui-collector"'
RATE = "[$__rate_interval]"
OWN = "fengsui_collector_"


def own(name, extra=""):
    return f"{OWN}{name}{{{ME}{extra}}}"


def rate(name, extra=""):
    return f"rate({own(name, extra)}{RATE})"


def increase(name, extra=""):
    return f"increase({own(name, extra)}{RATE})"


def board():
    b = Board("fengsui-collector", ("烽燧 / 采集器", "Fengsui / Collector"),
              ("采集器自身：收到多少、存得多快、规则与通知是否正常、各探针的连接与时钟。",
               "The collector itself: what comes in, how fast it is stored, rules, notifications, "
               "and the links and clocks of its probes."),
              [query_variable("collector", ("采集器", "Collector"),
                              f'label_values({OWN}build_info, instance)')],
              links=[(("主机一览", "Hosts"), "fengsui-hosts")])
    for row in (overview, ingest, store, probes, spools, rules, http, remote_write, process):
        row(b)
    return b


def overview(b):
    b.stat(("在线探针", "Probes connected"), "none", f"sum({own('probe_connected')})",
           thresholds=steps(RED, (1, GREEN)), every=SLOW)
    b.stat(("失联探针", "Probes silent"), "none", f"sum(up{{{PROBES}}} == bool 0)",
           thresholds=steps(GREEN, (1, RED)))
    b.stat(("待批准的密钥", "Keys that wait"), "none", own("ingest_pending_keys"), every=SLOW,
           thresholds=steps(GREEN, (1, YELLOW)))
    b.stat(("磁盘写满", "Disk full"), "none", own("store_full"), every=SLOW,
           thresholds=steps(GREEN, (1, RED)),
           mappings=states(v0=(("否", "no"), GREEN), v1=(("是", "yes"), RED)),
           description=("为“是”时采集器不再接收，探针把数据暂存在本机；清出空间后自动继续。",
                        "While yes, nothing is taken and probes spool; it goes on by itself once "
                        "there is space."))
    b.stat(("触发中的告警", "Alerts firing"), "none", own("alerts_firing"), every=SLOW,
           thresholds=steps(GREEN, (1, ORANGE)))
    b.stat(("待发通知", "Messages to send"), "none", own("outbox_depth"), every=SLOW,
           thresholds=steps(GREEN, (5, YELLOW), (50, RED)))
    b.stat(("运行时间", "Uptime"), "s", f"time() - process_start_time_seconds{{{ME}}}", trend=False,
           decimals=1, every=SLOW)
    b.stat(("版本", "Version"), "none", own("build_info"), legend="{{version}}", show="name",
           trend=False, every=SLOW)


def ingest(b):
    b.row(("接收", "Coming in"))
    b.graph(("每秒样本", "Samples a second"), "cps", [
        (rate("ingest_samples_total"), ("来自探针", "from probes")),
        (rate("store_samples_stored_total"), ("已提交", "committed"))], every=SLOW)
    b.graph(("每秒批次与消息", "Batches and messages a second"), "cps", [
        (rate("ingest_batches_total"), ("批次", "batches")),
        (rate("ingest_messages_total"), ("消息", "messages"))], every=SLOW)
    b.graph(("每秒日志行", "Log lines a second"), "cps", [
        (rate("ingest_log_lines_total"), ("来自探针", "from probes")),
        (rate("store_log_lines_stored_total"), ("已提交", "committed"))], every=SLOW)
    b.graph(("重复、迟到与缺口", "Repeated, late, missing"), "none", [
        (increase("ingest_duplicate_batches_total"), ("重复批次（已忽略）", "batches repeated")),
        (increase("store_samples_duplicate_total"), ("重复样本（已忽略）", "samples repeated")),
        (increase("store_samples_late_total"), ("迟到样本（已存）", "samples late, stored")),
        (increase("ingest_gap_batches_total"), ("丢失批次", "batches lost"))], every=SLOW,
        description=("重复是断线重发的正常结果；丢失批次不为零说明有探针的缓存写满过。",
                     "Repeats are what a broken link leaves; lost batches mean a full spool."))
    b.graph(("被拒绝的", "Refused"), "none", [
        (increase("ingest_malformed_total"), ("格式错误的消息", "malformed messages")),
        (increase("ingest_conflicts_total"), ("批号冲突", "numbers used twice")),
        (increase("ingest_pending_messages_refused_total"), ("未批准密钥的消息", "keys that wait")),
        (increase("ingest_revoked_connections_total"), ("已吊销的密钥", "revoked keys")),
        (increase("ingest_duplicate_connections_total"), ("同一密钥的第二个连接", "second connection")),
        (increase("ingest_tokens_refused_total"), ("无效的令牌", "tokens refused")),
        (increase("ingest_store_refused_total"), ("存储未接受的写入", "writes the store refused")),
        (increase("ingest_samples_refused_total"), ("被拒序列的样本", "samples of refused series"))],
        every=SLOW, legend=("sum", "max"))
    b.graph(("被拒绝的序列与需补发的批次", "Series refused, batches asked for again"), "none", [
        (increase("ingest_series_refused_total"), ("序列：{{reason}}", "series: {{reason}}")),
        (increase("ingest_need_key_total"), ("要求完整重发", "asked for whole")),
        (increase("ingest_gaps_total"), ("缺口报告", "gaps reported"))], every=SLOW,
        legend=("sum", "max"))


def store(b):
    b.row(("存储", "Store"))
    b.graph(("提交用时（平均）", "Time a commit takes (mean)"), "s", [
        (f"{rate('store_commit_seconds_total')} / {rate('store_commits_total')}",
         ("每次提交", "a commit"))], every=SLOW,
        description=("含 fsync；磁盘变慢时最先看到。", "With its fsync; a slow disk shows here first."))
    b.graph(("提交", "Commits"), "ops", [
        (rate("store_commits_total"), ("提交", "commits")),
        (rate("store_commit_failures_total"), ("失败", "failed"))], every=SLOW)
    b.graph(("等待提交的写入", "Writes that wait for a commit"), "none", [
        (own("store_write_queue"), ("队列", "queue"))], every=SLOW)
    b.graph(("活动序列", "Series in the head"), "none", [
        (own("store_series_active"), ("活动", "active")),
        (own("store_series_created_total"), ("累计新建", "made so far"))], every=SLOW)
    b.graph(("内存中的样本", "Samples in memory"), "bytes", [
        (own("store_head_bytes"), ("已封块", "sealed chunks")),
        (own("store_wal_bytes"), ("检查点之后的 WAL", "WAL since the checkpoint"))], every=SLOW)
    b.graph(("磁盘占用", "On disk"), "bytes", [
        (own("store_disk_bytes"), ("数据目录", "data folder"))], every=SLOW, stack=True)
    b.graph(("历史段与封块", "History spans and chunks"), "none", [
        (own("store_spans"), ("历史段", "spans")),
        (own("store_head_chunks"), ("内存中的块", "chunks in memory")),
        (own("store_wal_records"), ("WAL 记录", "WAL records"))], every=SLOW)
    b.graph(("检查点、落盘与隔离", "Checkpoints, flushes, quarantine"), "none", [
        (increase("store_checkpoints_total"), ("检查点", "checkpoints")),
        (increase("store_flushes_total"), ("历史段写出", "spans written")),
        (increase("store_quarantined_total"), ("隔离的损坏值", "damaged values"))], every=SLOW,
        legend=("sum",), description=("隔离不为零：磁盘或内存有损坏，见采集器日志。",
                                      "Damaged values mean bad disk or memory; see the log."))


def probes(b):
    b.row(("探针：连接与时钟", "Probes: links and clocks"))
    b.table(("各探针", "Each probe"), [
        (f"max by (probe_instance) ({own('probe_connected')})", ""),
        (f"max by (probe_instance) (time() - {own('probe_last_tick_timestamp_seconds')})", ""),
        (f"max by (probe_instance) ({own('probe_clock_offset_seconds')})", ""),
        (f"max by (probe_instance) ({own('probe_round_trip_seconds')})", ""),
        (f"max by (probe_instance) ({own('probe_gap_batches_total')})", ""),
        (f"max by (probe_instance) ({own('probe_stream_conflicts_total')})", "")],
        every=SLOW, width=24, height=10, sort=(("距最近数据", "Newest data"), True),
        order=("probe_instance", "Value #A", "Value #B", "Value #C", "Value #D", "Value #E",
               "Value #F"),
        overrides=[named("probe_instance", ("主机", "Host")),
                   named("Value #A", ("已连接", "Connected")),
                   named("Value #B", ("距最近数据", "Newest data"), "s"),
                   named("Value #C", ("时钟偏差", "Clock offset"), "s"),
                   named("Value #D", ("往返", "Round trip"), "s"),
                   named("Value #E", ("丢失批次", "Batches lost")),
                   named("Value #F", ("批号冲突", "Conflicts"))])
    b.graph(("时钟偏差", "Clock offset"), "s", [
        (own("probe_clock_offset_seconds"), "{{probe_instance}}")], every=SLOW, low=None,
        description=("探针的时钟减采集器的；超过 5 秒告警。",
                     "The probe's clock minus the collector's; an alert above 5 s."))
    b.graph(("往返时间", "Round trip"), "s", [
        (own("probe_round_trip_seconds"), "{{probe_instance}}")], every=SLOW)
    b.timeline(("探针连接", "Links"), own("probe_connected"), "{{probe_instance}}",
               states(v0=(("断开", "no"), RED), v1=(("已连接", "yes"), GREEN)), every=SLOW)
    b.graph(("批号冲突", "Numbers used twice"), "none", [
        (increase("probe_stream_conflicts_total"), "{{probe_instance}}")], every=SLOW,
        legend=("sum",), description=(
            "不为零：这台探针的状态目录被旧副本替换过（快照恢复、目录拷贝）。",
            "Above zero: this probe's state folder was replaced by an older copy."))


def spools(b):
    probe = "{{instance}}"
    b.row(("探针：缓存与发送", "Probes: spools and sending"))
    b.graph(("缓存字节", "Bytes spooled"), "bytes", [
        (f"topk(20, fengsui_probe_spool_bytes{{{PROBES}}})", probe)],
        description=("越积越多：采集器收不到，或收得太慢。默认上限 256 MiB、7 天。",
                     "Grows while the collector does not take it; 256 MiB and 7 days by default."))
    b.graph(("存到的最新数据有多旧", "Age of the newest data stored"), "s", [
        (f"topk(20, time() - {own('probe_last_tick_timestamp_seconds')})", "{{probe_instance}}")],
        every=SLOW, description=("一直增长：这台主机断了联。",
                                 "Growing: the host is cut off."))
    b.graph(("丢弃与损坏的批次", "Batches dropped and damaged"), "none", [
        (f"increase(fengsui_probe_spool_batches_dropped_total{{{PROBES}}}{RATE})",
         ("{{instance}} 丢弃", "{{instance}} dropped")),
        (f"increase(fengsui_probe_spool_batches_corrupt_total{{{PROBES}}}{RATE})",
         ("{{instance}} 损坏", "{{instance}} damaged")),
        (f"increase(fengsui_probe_spool_write_failures_total{{{PROBES}}}{RATE})",
         ("{{instance}} 写失败", "{{instance}} writes failed"))], legend=("sum",))
    b.graph(("发送与确认的批次", "Batches sent and acknowledged"), "ops", [
        (f"sum(rate(fengsui_probe_batches_sent_total{{{PROBES}}}{RATE}))", ("发送", "sent")),
        (f"sum(rate(fengsui_probe_batches_acknowledged_total{{{PROBES}}}{RATE}))",
         ("确认", "acknowledged"))])
    b.graph(("探针流量", "Bytes sent by probes"), "Bps", [
        (f"topk(20, rate(fengsui_probe_sent_bytes_total{{{PROBES}}}{RATE}))", probe)])
    b.graph(("在途字节与窗口", "Bytes in flight, and the window"), "bytes", [
        (f"topk(20, fengsui_probe_in_flight_bytes{{{PROBES}}})", probe),
        (f"max(fengsui_probe_window_bytes{{{PROBES}}})", ("窗口", "window"))],
        overrides=[dashed("窗口|window")])
    b.graph(("重新连接", "Connections made"), "none", [
        (f"increase(fengsui_probe_connections_total{{{PROBES}}}{RATE})", probe)], legend=("sum",))
    b.graph(("探针内存", "Memory of probes"), "bytes", [
        (f"topk(20, fengsui_probe_resident_memory_bytes{{{PROBES}}})", probe)])
    b.graph(("探针 CPU", "CPU of probes"), "percentunit", [
        (f"topk(20, rate(fengsui_probe_cpu_seconds_total{{{PROBES}}}{RATE}))", probe)])


def rules(b):
    b.row(("规则与通知", "Rules and notifications"))
    b.graph(("规则求值", "Rule evaluations"), "ops", [
        (rate("rule_evaluations_total"), ("求值", "evaluations")),
        (rate("rule_evaluation_failures_total"), ("失败", "failed"))], every=SLOW)
    b.graph(("求值用时（平均）", "Time an evaluation takes (mean)"), "s", [
        (f"{rate('rule_evaluation_seconds_total')} / {rate('rule_evaluations_total')}",
         ("每条规则", "a rule"))], every=SLOW)
    b.graph(("告警", "Alerts"), "none", [
        (own("alerts_firing"), ("触发", "firing")), (own("alerts_pending"), ("待定", "pending")),
        (own("alerts_posted"), ("别处送来", "posted")),
        (own("alerts_silenced"), ("被静默", "silenced")),
        (own("alerts_acknowledged"), ("已确认", "acknowledged")),
        (own("alert_groups"), ("分组", "groups"))], every=SLOW)
    b.graph(("通知", "Notifications"), "none", [
        (increase("notifications_sent_total"), ("送达", "sent")),
        (increase("notifications_retried_total"), ("重试", "tried again")),
        (increase("notifications_failed_total"), ("放弃", "given up")),
        (increase("template_errors_total"), ("模板出错", "template errors"))], every=SLOW,
        legend=("sum",))
    b.graph(("发件箱", "Outbox"), "none", [(own("outbox_depth"), ("待发", "to be sent"))],
            every=SLOW)
    b.stat(("已加载规则", "Rules loaded"), "none", own("rules"), every=SLOW, width=12, height=8)


def http(b):
    b.row(("HTTP 与查询", "HTTP and queries"))
    b.graph(("请求，按结果", "Requests by outcome"), "reqps", [
        (rate("http_requests_total"), "{{code}}")], every=SLOW, stack=True)
    b.graph(("正在执行或排队的请求", "Requests that run or wait"), "none", [
        (own("http_requests_running"), ("请求", "requests"))], every=SLOW,
        description=("长期很高：查询太重，或 http.query_threads 太少。",
                     "High for long: queries are heavy, or http.query_threads too few."))
    b.graph(("登录失败与中途挂断", "Failed logins, clients gone"), "none", [
        (increase("http_logins_failed_total"), ("登录失败", "failed logins")),
        (increase("http_clients_gone_total"), ("中途挂断", "clients gone"))], every=SLOW,
        width=24, legend=("sum",))


def remote_write(b):
    b.row(("远程写入与文本导入", "Remote write and text import"))
    b.graph(("收到的样本", "Samples"), "cps", [
        (rate("remote_write_samples_accepted_total"), ("接受", "accepted")),
        (rate("remote_write_samples_rejected_total"), ("拒绝：{{reason}}", "rejected: {{reason}}"))],
        every=SLOW)
    b.graph(("请求", "Requests"), "reqps", [
        (rate("remote_write_requests_total"), ("请求", "requests")),
        (rate("remote_write_malformed_total"), ("无法解析", "malformed")),
        (rate("remote_write_busy_total"), ("忙而推迟", "put off"))], every=SLOW)
    b.graph(("文本导入的样本", "Samples of text import"), "cps", [
        (rate("import_samples_accepted_total"), ("接受", "accepted")),
        (rate("import_samples_refused_total"), ("拒绝：{{reason}}", "refused: {{reason}}"))],
        every=SLOW)
    b.graph(("文本导入的请求", "Requests of text import"), "reqps", [
        (rate("import_requests_total"), ("请求", "requests")),
        (rate("import_malformed_total"), ("无法解析", "malformed")),
        (rate("import_busy_total"), ("忙而推迟", "put off"))], every=SLOW)


def process(b):
    b.row(("采集器进程", "The collector's process"))
    b.graph(("CPU", "CPU"), "none", [
        (f"rate(process_cpu_seconds_total{{{ME}}}{RATE})", ("核", "cores"))], every=SLOW)
    b.graph(("内存", "Memory"), "bytes", [
        (f"process_resident_memory_bytes{{{ME}}}", ("常驻", "resident"))], every=SLOW)
