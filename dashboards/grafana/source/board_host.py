"""board_host.py - one host, from its load to its logs.

The rows follow the questions of a duty officer: is it up, what is short, who uses it, what do its
logs say, and can these figures be trusted.
"""
from kit import (GREEN, LOAD, ORANGE, RED, SLOW, YELLOW, Board, dashed, named, negative,
                 query_variable, states, steps)

ME = 'job="$job",instance="$instance"'
RATE = "[$__rate_interval]"
REAL = 'fstype!~"tmpfs|devtmpfs|overlay|squashfs|iso9660|ramfs"'
DISK = 'device!~"(loop|ram|sr|fd)[0-9]+"'
GROUP = f'{ME},groupname=~"$group"'


def rate(metric, extra=""):
    return f"rate({metric}{{{ME}{extra}}}{RATE})"


def host_variables():
    return [query_variable("job", ("作业", "Job"), "label_values(up, job)"),
            query_variable("instance", ("主机", "Host"), 'label_values(up{job="$job"}, instance)'),
            query_variable("group", ("进程组", "Process group"),
                           f"label_values(namedprocess_namegroup_num_procs{{{ME}}}, groupname)",
                           every=True)]


def board():
    b = Board("fengsui-host", ("烽燧 / 主机", "Fengsui / Host"),
              ("一台主机的全部：负载、内存、磁盘、网络、进程、服务、日志，以及数据是否可信。",
               "All about one host: load, memory, disks, network, processes, services, logs, and "
               "whether the figures can be trusted."),
              host_variables(), links=[(("主机一览", "Hosts"), "fengsui-hosts"),
                                       (("采集器", "Collector"), "fengsui-collector")])
    b.annotate(("告警", "Alerts"), f'ALERTS{{alertstate="firing",{ME}}}', "{{alertname}}", RED)
    for row in (overview, cpu, memory, pressure, disks, filesystems, network, sockets, processes,
                services, logs, time_and_hardware, probe):
        row(b)
    return b


def overview(b):
    b.stat(("状态", "State"), "none", f"up{{{ME}}}", thresholds=steps(RED, (1, GREEN)),
           mappings=states(v0=(("失联", "silent"), RED), v1=(("在线", "up"), GREEN)),
           description=("失联：采集器已有三个间隔没收到这台主机的数据。",
                        "silent: the collector has heard nothing for three intervals."))
    b.stat(("运行时间", "Uptime"), "s",
           f"node_time_seconds{{{ME}}} - node_boot_time_seconds{{{ME}}}", trend=False,
           thresholds=steps(ORANGE, (3600, GREEN)), decimals=1)
    b.stat(("CPU 核数", "Cores"), "none", f'count(node_cpu_seconds_total{{{ME},mode="idle"}})',
           trend=False)
    b.stat(("CPU 使用率", "CPU used"), "percentunit",
           "1 - avg(" + rate("node_cpu_seconds_total", ',mode="idle"') + ")", thresholds=LOAD,
           decimals=1)
    b.stat(("内存使用率", "Memory used"), "percentunit",
           f"1 - node_memory_MemAvailable_bytes{{{ME}}} / node_memory_MemTotal_bytes{{{ME}}}",
           thresholds=LOAD, decimals=1)
    b.stat(("最满的文件系统", "Fullest file system"), "percentunit",
           f"max(1 - node_filesystem_avail_bytes{{{ME},{REAL}}} / "
           f"node_filesystem_size_bytes{{{ME},{REAL}}})", thresholds=LOAD, decimals=1)
    b.stat(("每核负载", "Load a core"), "none",
           f'node_load5{{{ME}}} / on() count(node_cpu_seconds_total{{{ME},mode="idle"}})',
           thresholds=steps(GREEN, (1, YELLOW), (2, RED)), decimals=2,
           description=("5 分钟平均负载除以核数；长期大于 1 说明有进程在排队。",
                        "Load of 5 minutes by core; above 1 for long, processes wait."))
    b.stat(("已用交换区", "Swap used"), "bytes",
           f"node_memory_SwapTotal_bytes{{{ME}}} - node_memory_SwapFree_bytes{{{ME}}}",
           thresholds=steps(GREEN, (1 << 30, YELLOW)))
    b.table(("系统", "System"), [(f"node_uname_info{{{ME}}}", ""), (f"node_os_info{{{ME}}}", "")],
            width=24, height=4, hide=("Value #A", "Value #B", "id", "id_like", "build_id", "name",
                                      "variant", "variant_id", "version", "version_codename",
                                      "version_id", "domainname", "instance", "image_id",
                                      "image_version"),
            order=("nodename", "pretty_name", "release", "machine", "sysname"),
            overrides=[named("nodename", ("主机名", "Name")),
                       named("pretty_name", ("发行版", "Distribution")),
                       named("release", ("内核", "Kernel")), named("machine", ("架构", "Machine")),
                       named("sysname", ("系统", "System"))])


def cpu(b):
    b.row(("处理器", "CPU"))
    b.graph(("CPU 时间，按状态", "CPU time by mode"), "percentunit", [(
        "avg by (mode) (" + rate("node_cpu_seconds_total", ',mode!="idle"') + ")", "{{mode}}")],
        stack=True, high=1,
        description=("iowait 高：在等磁盘；steal 高：宿主机超卖；softirq 高：网络包多。",
                     "Much iowait: waiting for disks; steal: the hypervisor is overbooked; "
                     "softirq: many packets."))
    b.graph(("各核使用率", "Use by core"), "percentunit", [(
        "1 - " + rate("node_cpu_seconds_total", ',mode="idle"'), "CPU {{cpu}}")], high=1)
    b.graph(("平均负载", "Load"), "none", [
        (f"node_load1{{{ME}}}", ("1 分钟", "1 minute")),
        (f"node_load5{{{ME}}}", ("5 分钟", "5 minutes")),
        (f"node_load15{{{ME}}}", ("15 分钟", "15 minutes")),
        (f'count(node_cpu_seconds_total{{{ME},mode="idle"}})', ("核数", "cores"))],
        overrides=[dashed("核数|cores")])
    b.graph(("运行与阻塞的进程", "Processes that run and that are blocked"), "none", [
        (f"node_procs_running{{{ME}}}", ("运行", "running")),
        (f"node_procs_blocked{{{ME}}}", ("阻塞于 IO", "blocked by I/O"))])
    b.graph(("上下文切换与中断", "Context switches and interrupts"), "ops", [
        (rate("node_context_switches_total"), ("上下文切换", "context switches")),
        (rate("node_intr_total"), ("中断", "interrupts"))])
    b.graph(("新建进程", "New processes"), "ops", [(rate("node_forks_total"), ("fork", "forks"))])
    b.graph(("进程与线程", "Processes and threads"), "none", [
        (f"node_processes_pids{{{ME}}}", ("进程", "processes")),
        (f"node_processes_threads{{{ME}}}", ("线程", "threads"))])
    b.graph(("打开的文件", "Open files"), "none", [
        (f"node_filefd_allocated{{{ME}}}", ("已打开", "open")),
        (f"node_filefd_maximum{{{ME}}} < 1e12", ("上限", "limit"))],
        overrides=[dashed("上限|limit")])


def memory(b):
    used = " - ".join(f"node_memory_{name}_bytes{{{ME}}}" for name in
                      ("MemTotal", "MemFree", "Buffers", "Cached", "SReclaimable"))
    b.row(("内存与交换区", "Memory and swap"))
    b.graph(("内存构成", "What memory holds"), "bytes", [
        (used, ("程序", "programs")),
        (f"node_memory_Buffers_bytes{{{ME}}}", ("缓冲", "buffers")),
        (f"node_memory_Cached_bytes{{{ME}}}", ("页缓存", "page cache")),
        (f"node_memory_SReclaimable_bytes{{{ME}}}", ("可回收 slab", "reclaimable slab")),
        (f"node_memory_MemFree_bytes{{{ME}}}", ("空闲", "free")),
        (f"node_memory_MemTotal_bytes{{{ME}}}", ("总量", "total"))], stack=True,
        overrides=[dashed("总量|total")])
    b.graph(("可用内存与已承诺内存", "Available and committed memory"), "bytes", [
        (f"node_memory_MemAvailable_bytes{{{ME}}}", ("可用", "available")),
        (f"node_memory_Committed_AS_bytes{{{ME}}}", ("已承诺", "committed")),
        (f"node_memory_CommitLimit_bytes{{{ME}}}", ("承诺上限", "commit limit"))],
        overrides=[dashed("承诺上限|commit limit")])
    b.graph(("交换区", "Swap"), "bytes", [
        (f"node_memory_SwapTotal_bytes{{{ME}}} - node_memory_SwapFree_bytes{{{ME}}}",
         ("已用", "used")),
        (f"node_memory_SwapCached_bytes{{{ME}}}", ("缓存", "cached")),
        (f"node_memory_SwapTotal_bytes{{{ME}}}", ("总量", "total"))],
        overrides=[dashed("总量|total")])
    b.graph(("换入换出", "Pages swapped in and out"), "ops", [
        (rate("node_vmstat_pswpin"), ("换入", "in")),
        (rate("node_vmstat_pswpout"), ("换出", "out"))], low=None,
        overrides=[negative("换出|out")],
        description=("持续不为零说明内存不够用。", "If it stays above zero, memory is short."))
    b.graph(("缺页", "Page faults"), "ops", [
        (rate("node_vmstat_pgfault"), ("全部", "all")),
        (rate("node_vmstat_pgmajfault"), ("需读盘", "from disk"))])
    b.graph(("内存不足杀死的进程", "Processes killed for want of memory"), "none", [
        (f"increase(node_vmstat_oom_kill{{{ME}}}{RATE})", "OOM")], legend=("max",),
        description=("OOM killer 出手的次数；见内核日志。",
                     "What the OOM killer has killed; the kernel's log names them."))
    b.graph(("待写回", "To be written back"), "bytes", [
        (f"node_memory_Dirty_bytes{{{ME}}}", ("脏页", "dirty")),
        (f"node_memory_Writeback_bytes{{{ME}}}", ("写回中", "being written"))])
    b.graph(("内核占用", "What the kernel uses"), "bytes", [
        (f"node_memory_SUnreclaim_bytes{{{ME}}}", ("不可回收 slab", "slab for good")),
        (f"node_memory_PageTables_bytes{{{ME}}}", ("页表", "page tables")),
        (f"node_memory_KernelStack_bytes{{{ME}}}", ("内核栈", "kernel stacks"))], stack=True)


def pressure(b):
    b.row(("压力（PSI）", "Pressure (PSI)"))
    for name, words, kinds in (
            ("cpu", ("CPU", "CPU"), ("waiting",)),
            ("memory", ("内存", "memory"), ("waiting", "stalled")),
            ("io", ("IO", "I/O"), ("waiting", "stalled"))):
        b.graph((f"等 {words[0]} 的时间", f"Time spent waiting for {words[1]}"), "percentunit", [
            (rate(f"node_pressure_{name}_{kind}_seconds_total"),
             {"waiting": ("有任务在等", "some task waits"),
              "stalled": ("全部任务停顿", "all tasks stand still")}[kind]) for kind in kinds],
            high=1, width=8, description=(
                "至少一个任务（或全部任务）因缺少该资源而等待的时间占比；4.20 以后的内核才有。",
                "Share of time in which some task (or all) waited for this; kernels from 4.20 on."))


def disks(b):
    disk = f",{DISK}"
    b.row(("磁盘", "Disks"))
    b.graph(("磁盘吞吐（写在下）", "Throughput (writes below)"), "Bps", [
        (rate("node_disk_read_bytes_total", disk), ("{{device}} 读", "{{device}} read")),
        (rate("node_disk_written_bytes_total", disk), ("{{device}} 写", "{{device}} write"))],
        low=None, overrides=[negative("写$|write$")])
    b.graph(("IOPS（写在下）", "IOPS (writes below)"), "iops", [
        (rate("node_disk_reads_completed_total", disk), ("{{device}} 读", "{{device}} read")),
        (rate("node_disk_writes_completed_total", disk), ("{{device}} 写", "{{device}} write"))],
        low=None, overrides=[negative("写$|write$")])
    b.graph(("磁盘忙碌时间", "Share of time a disk is busy"), "percentunit", [
        (rate("node_disk_io_time_seconds_total", disk), "{{device}}")], high=1,
        thresholds=steps(GREEN, (0.9, RED)))
    b.graph(("每次读写的时延", "Time a read or write takes"), "s", [
        (f'{rate("node_disk_read_time_seconds_total", disk)} / '
         f'{rate("node_disk_reads_completed_total", disk)}', ("{{device}} 读", "{{device}} read")),
        (f'{rate("node_disk_write_time_seconds_total", disk)} / '
         f'{rate("node_disk_writes_completed_total", disk)}',
         ("{{device}} 写", "{{device}} write"))],
        description=("没有读写的时段没有值。", "No value where nothing was read or written."))
    b.graph(("平均排队长度", "Requests under way"), "none", [
        (rate("node_disk_io_time_weighted_seconds_total", disk), "{{device}}")])
    b.graph(("此刻进行中的请求", "Requests under way right now"), "none", [
        (f"node_disk_io_now{{{ME},{DISK}}}", "{{device}}")])


def filesystems(b):
    fs = f"{{{ME},{REAL}}}"
    b.row(("文件系统", "File systems"))
    b.bars(("已用空间", "Space used"), "percentunit", [
        (f"1 - node_filesystem_avail_bytes{fs} / node_filesystem_size_bytes{fs}",
         "{{mountpoint}}")], thresholds=LOAD, high=1)
    b.graph(("可用空间", "Space available"), "bytes", [
        (f"node_filesystem_avail_bytes{fs}", "{{mountpoint}}")], legend=("min", "lastNotNull"))
    b.graph(("照此速度 24 小时后的可用空间", "Space available in 24 hours at this rate"), "bytes", [
        (f"predict_linear(node_filesystem_avail_bytes{fs}[6h], 86400)", "{{mountpoint}}")],
        low=None, thresholds=steps(RED, (0, GREEN)), legend=("lastNotNull",),
        description=("按最近 6 小时的趋势外推；低于零即会写满。",
                     "Drawn on from the last 6 hours; below zero it will be full."))
    b.bars(("已用 inode", "Inodes used"), "percentunit", [
        (f"1 - node_filesystem_files_free{fs} / (node_filesystem_files{fs} > 0)",
         "{{mountpoint}}")], thresholds=LOAD, high=1)
    b.graph(("只读或出错", "Read-only or failing"), "none", [
        (f"node_filesystem_readonly{fs}", ("{{mountpoint}} 只读", "{{mountpoint}} read-only")),
        (f"node_filesystem_device_error{fs}", ("{{mountpoint}} 出错", "{{mountpoint}} failing"))],
        high=1, legend=("lastNotNull",), width=24, height=6)


def network(b):
    b.row(("网络", "Network"))
    b.graph(("流量（发送在下）", "Traffic (sent below)"), "bps", [
        ("8 * " + rate("node_network_receive_bytes_total"), ("{{device}} 收", "{{device}} in")),
        ("8 * " + rate("node_network_transmit_bytes_total"), ("{{device}} 发", "{{device}} out"))],
        low=None, overrides=[negative("发$|out$")])
    b.graph(("包（发送在下）", "Packets (sent below)"), "pps", [
        (rate("node_network_receive_packets_total"), ("{{device}} 收", "{{device}} in")),
        (rate("node_network_transmit_packets_total"), ("{{device}} 发", "{{device}} out"))],
        low=None, overrides=[negative("发$|out$")])
    b.graph(("错误与丢包", "Errors and drops"), "pps", [
        (rate("node_network_receive_errs_total"), ("{{device}} 收错", "{{device}} in, errors")),
        (rate("node_network_transmit_errs_total"), ("{{device}} 发错", "{{device}} out, errors")),
        (rate("node_network_receive_drop_total"), ("{{device}} 收丢", "{{device}} in, drops")),
        (rate("node_network_transmit_drop_total"), ("{{device}} 发丢", "{{device}} out, drops"))])
    b.table(("网卡", "Interfaces"), [
        (f"max by (device) (node_network_up{{{ME}}})", ""),
        (f"max by (device) (node_network_carrier_changes_total{{{ME}}})", ""),
        (f"max by (device) (node_network_mtu_bytes{{{ME}}})", "")],
        order=("device", "Value #A", "Value #B", "Value #C"), overrides=[
            named("device", ("网卡", "Interface")), named("Value #A", ("启用", "Up")),
            named("Value #B", ("链路变化次数", "Carrier changes")),
            named("Value #C", "MTU", "bytes")])


def sockets(b):
    b.row(("套接字与 TCP", "Sockets and TCP"))
    b.graph(("TCP 套接字", "TCP sockets"), "none", [
        (f"node_netstat_Tcp_CurrEstab{{{ME}}}", ("已建立", "established")),
        (f"node_sockstat_TCP_inuse{{{ME}}}", ("使用中", "in use")),
        (f"node_sockstat_TCP_tw{{{ME}}}", "TIME_WAIT"),
        (f"node_sockstat_TCP_orphan{{{ME}}}", ("孤儿", "orphans"))])
    b.graph(("TCP 新建连接", "TCP connections opened"), "ops", [
        (rate("node_netstat_Tcp_ActiveOpens"), ("主动", "active")),
        (rate("node_netstat_Tcp_PassiveOpens"), ("被动", "passive"))])
    b.graph(("TCP 重传比例", "Share of TCP segments sent again"), "percentunit", [
        (f'{rate("node_netstat_Tcp_RetransSegs")} / {rate("node_netstat_Tcp_OutSegs")}',
         ("重传", "retransmitted"))], thresholds=steps(GREEN, (0.05, RED)))
    b.graph(("监听队列溢出与 TCP 错误", "Overflows of listen queues, TCP errors"), "ops", [
        (rate("node_netstat_TcpExt_ListenOverflows"), ("队列溢出", "queue overflows")),
        (rate("node_netstat_TcpExt_ListenDrops"), ("连接丢弃", "connections dropped")),
        (rate("node_netstat_Tcp_InErrs"), ("收到坏段", "bad segments")),
        (rate("node_netstat_Tcp_OutRsts"), ("发出 RST", "resets sent"))],
        description=("队列溢出：应用来不及 accept。", "Queue overflows: a program accepts too slowly."))
    b.graph(("TCP 连接，按状态", "TCP connections by state"), "none", [
        (f"node_tcp_connection_states{{{ME}}}", "{{state}}")], stack=True, description=(
            "CLOSE_WAIT 堆积：程序没有关闭连接；SYN_RECV 堆积：握手完不成，或有人在扫。",
            "Many CLOSE_WAIT: a program does not close; many SYN_RECV: handshakes do not end."))
    b.graph(("连接跟踪表", "Connection tracking"), "none", [
        (f"node_nf_conntrack_entries{{{ME}}}", ("已用", "entries")),
        (f"node_nf_conntrack_entries_limit{{{ME}}}", ("上限", "limit"))],
        overrides=[dashed("上限|limit")],
        description=("用到上限，新连接会被丢弃。", "At the limit new connections are dropped."))
    b.graph(("网卡软中断", "Packets in soft interrupts"), "pps", [
        (f"sum(rate(node_softnet_dropped_total{{{ME}}}{RATE}))", ("丢弃", "dropped")),
        (f"sum(rate(node_softnet_times_squeezed_total{{{ME}}}{RATE}))", ("来不及处理", "squeezed"))])
    b.graph(("UDP", "UDP"), "ops", [
        (rate("node_netstat_Udp_InDatagrams"), ("收", "in")),
        (rate("node_netstat_Udp_OutDatagrams"), ("发", "out")),
        (rate("node_netstat_Udp_InErrors"), ("收错", "errors")),
        (rate("node_netstat_Udp_NoPorts"), ("无人监听", "nobody listens"))])
    b.graph(("套接字总数与 TCP 内存", "Sockets and TCP memory"), "none", width=24, queries=[
        (f"node_sockstat_sockets_used{{{ME}}}", ("套接字", "sockets")),
        (f"node_sockstat_UDP_inuse{{{ME}}}", ("UDP 使用中", "UDP in use")),
        (f"node_sockstat_TCP_mem_bytes{{{ME}}}", ("TCP 内存", "TCP memory"))],
        overrides=[{"matcher": {"id": "byRegexp", "options": "TCP 内存|TCP memory"},
                    "properties": [{"id": "unit", "value": "bytes"},
                                   {"id": "custom.axisPlacement", "value": "right"}]}])


def processes(b):
    def top(metric, extra=""):
        return (f"topk(10, sum by (groupname) (rate(namedprocess_namegroup_{metric}"
                f"{{{GROUP}{extra}}}{RATE})))")

    def gauge(metric, extra=""):
        return f"topk(10, namedprocess_namegroup_{metric}{{{GROUP}{extra}}})"

    b.row(("进程组", "Process groups"))
    b.graph(("CPU 最多的进程组", "Groups by CPU"), "none", [(top("cpu_seconds_total"),
                                                          "{{groupname}}")], every=SLOW,
            description=("单位：核。", "Unit: cores."))
    b.graph(("内存最多的进程组", "Groups by memory"), "bytes", [
        (gauge("memory_bytes", ',memtype="resident"'), "{{groupname}}")], every=SLOW)
    b.graph(("读盘最多的进程组", "Groups by reads"), "Bps", [(top("read_bytes_total"),
                                                           "{{groupname}}")], every=SLOW)
    b.graph(("写盘最多的进程组", "Groups by writes"), "Bps", [(top("write_bytes_total"),
                                                            "{{groupname}}")], every=SLOW)
    b.table(("进程组", "Groups"), [
        (f"sum by (groupname) (namedprocess_namegroup_num_procs{{{GROUP}}})", ""),
        (f"sum by (groupname) (namedprocess_namegroup_num_threads{{{GROUP}}})", ""),
        (f"sum by (groupname) (rate(namedprocess_namegroup_cpu_seconds_total{{{GROUP}}}{RATE}))",
         ""),
        (f'sum by (groupname) (namedprocess_namegroup_memory_bytes{{{GROUP},memtype="resident"}})',
         ""),
        (f"max by (groupname) (namedprocess_namegroup_worst_fd_ratio{{{GROUP}}})", ""),
        (f"max by (groupname) (time() - "
         f"namedprocess_namegroup_oldest_start_time_seconds{{{GROUP}}} > 0)", "")],
        every=SLOW, width=24, height=10, sort=("CPU", True),
        order=("groupname", "Value #C", "Value #D", "Value #A", "Value #B", "Value #E", "Value #F"),
        overrides=[named("groupname", ("进程组", "Group")),
                   named("Value #A", ("进程", "Processes")), named("Value #B", ("线程", "Threads")),
                   named("Value #C", "CPU"), named("Value #D", ("常驻内存", "Resident"), "bytes"),
                   named("Value #E", ("最紧张的文件描述符", "Worst use of descriptors"),
                         "percentunit"),
                   named("Value #F", ("最老进程已运行", "Oldest runs for"), "s")])
    b.graph(("进程状态", "States of processes"), "none", [
        (f"sum by (state) (namedprocess_namegroup_states{{{GROUP}}})", "{{state}}")], stack=True,
        every=SLOW, description=("Zombie：父进程没有收尸；Waiting：不可中断地等 IO。",
                                 "Zombie: its parent does not wait for it; Waiting: for I/O, "
                                 "not to be interrupted."))
    b.graph(("打开的文件", "Open files"), "none", [(gauge("open_filedesc"), "{{groupname}}")],
            every=SLOW)
    port = "max by (port, protocol, service)"
    b.table(("监听端口", "Listening ports"), [
        (f"{port} (listen_port_up{{{ME}}})", ""),
        (f"{port} (listen_port_backlog{{{ME}}})", ""),
        (f"{port} (listen_port_backlog_limit{{{ME}}})", "")],
        every=SLOW, width=24, height=10, sort=(("在监听", "Listens"), False),
        order=("port", "protocol", "service", "Value #A", "Value #B", "Value #C"),
        overrides=[named("port", ("端口", "Port")), named("protocol", ("协议", "Protocol")),
                   named("service", ("服务", "Service")),
                   named("Value #A", ("在监听", "Listens")),
                   named("Value #B", ("等待接受的连接", "Connections waiting")),
                   named("Value #C", ("最多可等待", "May wait"))],
        description=("0：probe.yml 的 expected_ports 里有，却没有进程监听（PortNotListening）。",
                     "0: in expected_ports of probe.yml, and no process listens (PortNotListening)."))


def services(b):
    b.row(("服务（systemd）", "Services (systemd)"))
    b.stat(("失败的单元", "Failed units"), "none",
           f'sum(node_systemd_unit_state{{{ME},state="failed"}})', every=SLOW,
           thresholds=steps(GREEN, (1, RED)), width=4, height=8,
           description=("systemctl --failed 列出它们。", "systemctl --failed lists them."))
    b.graph(("单元，按状态", "Units by state"), "none", [
        (f"sum by (state) (node_systemd_unit_state{{{ME}}})", "{{state}}")], every=SLOW, stack=True,
        width=8, legend=("lastNotNull",))
    b.table(("各单元的状态", "State of each unit"), [
        (f"max by (name, state) (node_systemd_unit_state{{{ME}}} == 1)", "")], every=SLOW,
        hide=("Value",), order=("name", "state"), sort=(("状态", "State"), True),
        overrides=[named("name", ("单元", "Unit")), named("state", ("状态", "State"))])
    b.timeline(("服务何时在运行", "When services ran"),
               f'node_systemd_unit_state{{{ME},state="active",name=~".+[.]service"}}', "{{name}}",
               states(v0=(("未运行", "not running"), ORANGE), v1=(("运行", "running"), GREEN)),
               width=24, height=10, every=SLOW)


def logs(b):
    b.row(("日志", "Logs"))
    b.graph(("日志行，按级别", "Log lines by severity"), "cps", [
        (f"sum by (severity) (rate(logwatch_lines_total{{{ME}}}{RATE}))", "{{severity}}")],
        every=SLOW, stack=True)
    b.graph(("匹配的模式", "Patterns that matched"), "none", [
        (f"sum by (file, pattern) (increase(logwatch_pattern_matches_total{{{ME}}}{RATE}))",
         "{{pattern}} {{file}}")], every=SLOW, legend=("sum",),
        description=("probe.yml 的 logs.patterns，如 ORA- 错误、OutOfMemoryError。",
                     "logs.patterns of probe.yml, such as ORA- errors or OutOfMemoryError."))
    b.graph(("多久没有新行", "Time since the last line"), "s", [
        (f"time() - logwatch_last_line_timestamp_seconds{{{ME}}}", "{{file}}")], every=SLOW)
    b.graph(("还没读到的字节", "Bytes still to be read"), "bytes", [
        (f"logwatch_read_lag_bytes{{{ME}}}", "{{file}}")], every=SLOW)
    b.graph(("丢弃、截断与解码错误", "Drops, cuts and bytes that are no text"), "none", [
        (f"sum by (file) (increase(logwatch_dropped_lines_total{{{ME}}}{RATE}))",
         ("{{file}} 限速丢弃", "{{file}} dropped by the limit")),
        (f"increase(logwatch_cut_lines_total{{{ME}}}{RATE})", ("{{file}} 过长截断", "{{file}} cut")),
        (f"increase(logwatch_decode_errors_total{{{ME}}}{RATE})",
         ("{{file}} 解码错误", "{{file}} no text"))], every=SLOW)
    b.graph(("轮转、截断与丢失的文件", "Rotations, truncations, files lost"), "none", [
        (f"increase(logwatch_rotations_total{{{ME}}}{RATE})", ("{{file}} 轮转", "{{file}} rotated")),
        (f"increase(logwatch_truncations_total{{{ME}}}{RATE})",
         ("{{file}} 截断", "{{file}} truncated")),
        (f"increase(logwatch_lost_files_total{{{ME}}}{RATE})",
         ("{{file}} 没读完就没了", "{{file}} gone unread"))], every=SLOW)


def time_and_hardware(b):
    b.row(("时间与硬件", "Time and hardware"))
    b.graph(("与采集器的时钟偏差", "Clock against the collector's"), "s", [
        ('fengsui_collector_probe_clock_offset_seconds{probe_job="$job",'
         'probe_instance="$instance"}', ("采集器测得", "as the collector measures")),
        (f"node_timex_offset_seconds{{{ME}}}", ("内核与时间源", "kernel against its source"))],
        low=None, every=SLOW, description=("超过 5 秒会告警（ProbeClockSkew）。",
                                           "More than 5 s is an alert (ProbeClockSkew)."))
    b.stat(("时间同步", "Time in sync"), "none", f"node_timex_sync_status{{{ME}}}",
           thresholds=steps(RED, (1, GREEN)), width=4, height=8,
           mappings=states(v0=(("未同步", "no"), RED), v1=(("已同步", "yes"), GREEN)),
           description=("内核认为时钟已由 NTP 校准；看 chronyc tracking。",
                        "The kernel holds its clock for disciplined; see chronyc tracking."))
    b.graph(("时钟误差上限", "Bound of the clock's error"), "s", [
        (f"node_timex_maxerror_seconds{{{ME}}}", ("最大误差", "maximum")),
        (f"node_timex_estimated_error_seconds{{{ME}}}", ("估计误差", "estimated"))], width=8)
    b.graph(("温度", "Temperature"), "celsius", [
        (f"node_hwmon_temp_celsius{{{ME}}}", "{{chip}} {{sensor}}")],
        description=("虚拟机没有。", "A virtual machine has none."))
    b.graph(("风扇转速", "Fans"), "rotrpm", [
        (f"node_hwmon_fan_rpm{{{ME}}}", "{{chip}} {{sensor}}")])
    b.graph(("内存错误", "Memory errors"), "none", [
        (f"node_edac_correctable_errors_total{{{ME}}}", ("已纠正 {{controller}}",
                                                         "corrected, {{controller}}")),
        (f"node_edac_uncorrectable_errors_total{{{ME}}}", ("未纠正 {{controller}}",
                                                           "not corrected, {{controller}}"))],
        description=("增长说明内存条在坏。", "Growth: a memory module is dying."))
    b.graph(("软 RAID 的盘", "Disks of software RAID"), "none", [
        (f"node_md_disks{{{ME}}}", "{{device}} {{state}}"),
        (f"node_md_disks_required{{{ME}}}", ("{{device}} 应有", "{{device}} wanted"))],
        overrides=[dashed("应有|wanted")])
    b.table(("文本文件采集", "Text files"), [
        (f"max by (file) (time() - node_textfile_mtime_seconds{{{ME}}})", "")], every=SLOW, width=20,
        overrides=[named("file", ("文件", "File")), named("Value", ("多久前写的", "Written"), "s")],
        description=("textfile 目录里的 .prom 文件；太久没更新说明写它的脚本停了。",
                     "The .prom files of the textfile folder; old ones mean a script has stopped."))
    b.stat(("文本文件有错", "A text file is wrong"), "none", f"node_textfile_scrape_error{{{ME}}}",
           thresholds=steps(GREEN, (1, RED)), width=4, height=8, every=SLOW,
           mappings=states(v0=(("无", "no"), GREEN), v1=(("有", "yes"), RED)))


def probe(b):
    b.row(("探针自身", "The probe itself"))
    b.stat(("连接", "Connected"), "none", f"fengsui_probe_connected{{{ME}}}",
           thresholds=steps(RED, (1, GREEN)), width=4,
           mappings=states(v0=(("断开", "no"), RED), v1=(("已连接", "yes"), GREEN)))
    b.stat(("探针内存", "Memory"), "bytes", f"fengsui_probe_resident_memory_bytes{{{ME}}}", width=4,
           thresholds=steps(GREEN, (8 << 20, YELLOW)))
    b.stat(("探针 CPU", "CPU"), "percentunit", rate("fengsui_probe_cpu_seconds_total"), width=4,
           thresholds=steps(GREEN, (0.05, YELLOW)), decimals=2)
    b.stat(("缓存", "Spool"), "bytes", f"fengsui_probe_spool_bytes{{{ME}}}", width=4,
           thresholds=steps(GREEN, (64 << 20, YELLOW), (200 << 20, RED)),
           description=("采集器收不到时越积越多，默认最多 256 MiB。",
                        "Grows while the collector is away, to 256 MiB by default."))
    b.stat(("丢弃的批次", "Batches dropped"), "none",
           f"increase(fengsui_probe_spool_batches_dropped_total{{{ME}}}[$__range])", trend=False,
           thresholds=steps(GREEN, (1, RED)), width=4, decimals=0)
    b.stat(("往返时间", "Round trip"), "s", f"fengsui_probe_round_trip_seconds{{{ME}}}", width=4)
    b.graph(("各采集源用时", "Time each source takes"), "s", [
        (f"node_scrape_collector_duration_seconds{{{ME}}}", "{{collector}}")])
    b.graph(("失败、迟到与跳过", "Failed, late and skipped"), "none", [
        (f"sum by (source) (increase(fengsui_probe_source_failures_total{{{ME}}}{RATE}))",
         ("{{source}} 失败", "{{source}} failed")),
        (f"sum by (source) (increase(fengsui_probe_source_late_total{{{ME}}}{RATE}))",
         ("{{source}} 迟到", "{{source}} late")),
        (f"sum by (source) (increase(fengsui_probe_source_ticks_skipped_total{{{ME}}}{RATE}))",
         ("{{source}} 跳过", "{{source}} skipped"))])
