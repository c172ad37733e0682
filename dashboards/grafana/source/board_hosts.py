"""board_hosts.py - all hosts on one page: who is silent, who is short of what."""
from kit import (BLUE, GREEN, LOAD, ORANGE, RED, YELLOW, Board, Text, named, query_variable,
                 states, steps)

UP = states(v0=(("失联", "silent"), RED), v1=(("在线", "up"), GREEN))
HOSTS = 'job=~"$job"'
REAL = 'fstype!~"tmpfs|devtmpfs|overlay|squashfs|iso9660|ramfs"'

DETAILS = {"title": Text("这台主机", "This host"), "url": Text(
    "/d/fengsui-host?var-instance=${__value.text}&${__url_time_range}",
    "/d/fengsui-host-en?var-instance=${__value.text}&${__url_time_range}")}


def color_by(pattern, thresholds):
    return {"matcher": {"id": "byName", "options": pattern}, "properties": [
        {"id": "thresholds", "value": thresholds}, {"id": "color", "value": {"mode": "thresholds"}},
        {"id": "custom.cellOptions", "value": {"type": "color-background", "mode": "gradient"}}]}


def board():
    b = Board("fengsui-hosts", ("烽燧 / 主机一览", "Fengsui / Hosts"),
              ("每台主机一行：是否在线、CPU、内存、磁盘、负载。点主机名看详情。",
               "A line a host: is it up, CPU, memory, disks, load. A click on a name opens the host."),
              [query_variable("job", ("作业", "Job"), "label_values(up, job)", every=True)],
              links=[(("采集器", "Collector"), "fengsui-collector")])
    b.stat(("在线主机", "Hosts up"), "none", f"sum(up{{{HOSTS}}})", thresholds=steps(GREEN),
           width=4)
    b.stat(("失联主机", "Hosts silent"), "none", f"sum(up{{{HOSTS}}} == bool 0)",
           thresholds=steps(GREEN, (1, RED)), width=4)
    b.stat(("待批准的密钥", "Keys that wait"), "none", "fengsui_collector_ingest_pending_keys",
           thresholds=steps(GREEN, (1, YELLOW)), width=4,
           description=("新主机在等批准：fengsuictl keys，然后 fengsuictl probes approve KEY。",
                        "New hosts wait to be let in: fengsuictl keys, then fengsuictl probes "
                        "approve KEY."))
    b.stat(("触发中的告警", "Alerts firing"), "none", "fengsui_collector_alerts_firing",
           thresholds=steps(GREEN, (1, ORANGE)), width=4)
    b.stat(("每秒样本", "Samples a second"), "cps",
           "rate(fengsui_collector_ingest_samples_total[$__rate_interval])", every="15s", width=4)
    b.stat(("丢失的批次", "Batches lost"), "none",
           "sum(increase(fengsui_collector_probe_gap_batches_total[$__range]))", trend=False,
           every="15s", thresholds=steps(GREEN, (1, RED)), width=4, decimals=0,
           description=("所选时间内，探针缓存写满等原因登记的缺口。",
                        "Gaps that probes reported in the time shown, because a spool was full."))
    table(b)
    b.row(("最忙的主机", "The busiest"))
    b.graph(("CPU 使用率最高", "Most CPU"), "percentunit", [(
        f'topk(10, 1 - avg by (instance) (rate(node_cpu_seconds_total{{{HOSTS},mode="idle"}}'
        "[$__rate_interval])))", "{{instance}}")], high=1)
    b.graph(("内存使用率最高", "Most memory"), "percentunit", [(
        f"topk(10, 1 - node_memory_MemAvailable_bytes{{{HOSTS}}} / node_memory_MemTotal_bytes)",
        "{{instance}}")], high=1)
    b.graph(("磁盘最忙", "Busiest disks"), "percentunit", [(
        f"topk(10, rate(node_disk_io_time_seconds_total{{{HOSTS}}}[$__rate_interval]))",
        "{{instance}} {{device}}")])
    b.graph(("网络流量最大", "Most traffic"), "bps", [(
        f'topk(10, 8 * sum by (instance) (rate(node_network_receive_bytes_total{{{HOSTS},'
        'device!="lo"}[$__rate_interval]) + '
        f'rate(node_network_transmit_bytes_total{{{HOSTS},device!="lo"}}[$__rate_interval])))',
        "{{instance}}")])
    b.timeline(("在线与失联", "Up and silent"), f"up{{{HOSTS}}}", "{{instance}}", UP, width=24)
    return b


def table(b):
    b.table(("主机", "Hosts"), [
        (f"max by (instance) (up{{{HOSTS}}})", ""),
        ('1 - avg by (instance) (rate(node_cpu_seconds_total{' + HOSTS + ',mode="idle"}'
         "[$__rate_interval]))", ""),
        (f"max by (instance) (1 - node_memory_MemAvailable_bytes{{{HOSTS}}} / "
         "node_memory_MemTotal_bytes)", ""),
        (f"max by (instance) (1 - node_filesystem_avail_bytes{{{HOSTS},{REAL}}} / "
         "node_filesystem_size_bytes)", ""),
        (f"max by (instance) (node_load5{{{HOSTS}}}) / count by (instance) "
         f'(node_cpu_seconds_total{{{HOSTS},mode="idle"}})', ""),
        (f"max by (instance) (node_time_seconds{{{HOSTS}}} - node_boot_time_seconds)", ""),
    ], width=24, height=12, sort=(("状态", "State"), False),
        order=("instance", "Value #A", "Value #B", "Value #C", "Value #D", "Value #E", "Value #F"),
        overrides=[
            {"matcher": {"id": "byName", "options": "instance"}, "properties": [
                {"id": "displayName", "value": Text("主机", "Host")}, {"id": "links", "value": [DETAILS]}]},
            named("Value #A", ("状态", "State")), color_by("Value #A", steps(RED, (1, GREEN))),
            {"matcher": {"id": "byName", "options": "Value #A"},
             "properties": [{"id": "mappings", "value": UP}]},
            named("Value #B", "CPU", "percentunit"), color_by("Value #B", LOAD),
            named("Value #C", ("内存", "Memory"), "percentunit"), color_by("Value #C", LOAD),
            named("Value #D", ("最满的文件系统", "Fullest file system"), "percentunit"),
            color_by("Value #D", LOAD),
            named("Value #E", ("每核负载", "Load a core"), "none"),
            color_by("Value #E", steps(BLUE, (1, YELLOW), (2, RED))),
            named("Value #F", ("运行时间", "Uptime"), "s")])
