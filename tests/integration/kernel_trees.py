"""kernel_trees.py - a host of two CPUs and one disk as /proc of several kernels tells it.

    make(release, folder)    writes proc/ of that kernel into `folder`
    RELEASES                 from the oldest that a probe must run on to the newest known

Written from the formats that the kernels document (Documentation/filesystems/proc, admin-guide/iostats,
accounting/psi, net/core/net-procfs.c).  A release has what the one before it has but for what is named: so
this file is also the list of what changed between them.  Where one number stands in every release it is
the same in all, so that a column read wrongly shows.
"""
DISK = "   8       0 sda 1000 200 8000 3000 2000 400 16000 5000 1 6000 7000"
BASE = {
    "uptime": "5000.00 9000.00\n",
    "loadavg": "0.42 0.31 0.27 2/187 4601\n",
    # No guest_nice: 2.6.33.
    "stat": "cpu  300 20 100 9000 40 1 2 3 50\ncpu0 100 10 60 4000 30 1 1 2 20\ncpu1 200 10 40 5000 10 0 1 1 30\n"
            "intr 8885 17 0\nctxt 3801\nbtime 1418183276\nprocesses 4601\nprocs_running 2\nprocs_blocked 1\n",
    # No MemAvailable: 3.14.
    "meminfo": "MemTotal:        4000000 kB\nMemFree:         1000000 kB\nBuffers:          100000 kB\n"
               "Cached:          1500000 kB\nShmem:            200000 kB\nSlab:             150000 kB\n"
               "SReclaimable:      90000 kB\nSUnreclaim:        60000 kB\nSwapTotal:       2000000 kB\n"
               "SwapFree:        1900000 kB\nHugePages_Total:       0\n",
    "sys/vm/min_free_kbytes": "67584\n",
    "vmstat": "nr_free_pages 250000\npgpgin 11\npgpgout 12\npswpin 13\npswpout 14\npgfault 15\npgmajfault 16\n",
    "diskstats": DISK + "\n   8       1 sda1 10 0 80 30 0 0 0 0 0 30 30\n",
    # processed dropped squeezed 0 0 0 0 0 collisions; one hexadecimal line a CPU.
    "net/softnet_stat": "0000000a 00000001 00000002 00000000 00000000 00000000 00000000 00000000 00000000\n"
                        "000000ff 00000000 00000003 00000000 00000000 00000000 00000000 00000000 00000000\n",
    "net/sockstat": "sockets: used 97\nTCP: inuse 5 orphan 1 tw 2 alloc 9 mem 3\nUDP: inuse 4 mem 2\nRAW: inuse 0\n"
                    "FRAG: inuse 0 memory 0\n",
    "net/snmp": "Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab "
                "InSegs OutSegs RetransSegs InErrs OutRsts\nTcp: 1 200 120000 -1 71 72 73 74 5 76 77 78 79 80\n"
                "Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors\nUdp: 31 32 33 34 35 36\n",
    "net/netstat": "TcpExt: SyncookiesSent ListenOverflows ListenDrops\nTcpExt: 1 2 3\n"
                   "IpExt: InNoRoutes InTruncatedPkts InMcastPkts OutMcastPkts InBcastPkts OutBcastPkts InOctets "
                   "OutOctets\nIpExt: 0 0 0 0 0 0 501 502\n",
    "schedstat": "version 15\ntimestamp 4294892816\ncpu0 0 0 0 0 0 0 2000000000 3000000000 40\n"
                 "domain0 00000003 1 2 3\ncpu1 0 0 0 0 0 0 5000000000 6000000000 70\n",
    "sys/fs/file-nr": "1024\t0\t400000\n",
    "sys/kernel/osrelease": None,
}


def columns(text, more):
    """Appends to each line what a later kernel has there."""
    return "".join(line + more + "\n" for line in text.splitlines())


def pressure(share, total):
    return f"avg10={share}.00 avg60=0.00 avg300=0.00 total={total}000000\n"


def psi(some, full):
    return "some " + pressure(1, some) + "full " + pressure(0, full)


def with_guest_nice(stat):
    return "\n".join(line + (" 6" if line.startswith("cpu") else "") for line in stat.splitlines()) + "\n"


def newer(before, **changes):
    return {**before, **{name.replace("__", "/"): text for name, text in changes.items()}}


V2_6_32 = BASE
V3_10 = newer(
    V2_6_32, stat=with_guest_nice(BASE["stat"]),  # 2.6.33
    net__softnet_stat=columns(BASE["net/softnet_stat"], " 00000004"))  # received_rps, 2.6.35
V4_18 = newer(
    V3_10, meminfo=BASE["meminfo"].replace("Buffers:", "MemAvailable:    2500000 kB\nBuffers:"),  # 3.14
    vmstat=BASE["vmstat"] + "oom_kill 7\n",  # 4.13
    net__softnet_stat=columns(V3_10["net/softnet_stat"], " 00000005"),  # flow_limit_count, 3.11
    diskstats=columns(BASE["diskstats"], " 21 22 23000 24000"))  # discards
V5_10 = newer(
    V4_18, diskstats=columns(V4_18["diskstats"], " 25 26000"),  # flushes, 5.5
    # 4.20; "full" of the CPU came with 5.13.
    pressure__cpu="some " + pressure(1, 11), pressure__memory=psi(12, 13), pressure__io=psi(14, 15))
V6_6 = newer(
    V5_10, pressure__cpu=psi(11, 0), pressure__irq="full " + pressure(0, 16),  # 5.13, 6.1
    # The backlog, the CPU (1 is offline), the backlog's two queues.
    net__softnet_stat="".join(f"{line} 00000000 0000000{2 * cpu} 00000000 00000000\n" for cpu, line in
                              enumerate(V5_10["net/softnet_stat"].splitlines())),
    meminfo=V4_18["meminfo"] + "Zswap:                 0 kB\nZswapped:              0 kB\nUnaccepted:            0 kB\n")
V6_12 = newer(V6_6, schedstat=BASE["schedstat"].replace("version 15", "version 16"))
RELEASES = {"2.6.32": V2_6_32, "3.10": V3_10, "4.18": V4_18, "5.10": V5_10, "6.6": V6_6, "6.12": V6_12}


def make(release, folder):
    """Writes the tree into `folder` and returns that."""
    for name, text in RELEASES[release].items():
        path = folder / "proc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{release}\n" if text is None else text)
    (folder / "sys").mkdir(exist_ok=True)
    return folder
