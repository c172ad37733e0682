"""The static probe on real kernels: each boots in qemu, with nothing beside it but busybox.

Every kernel that Debian's archive still has is asked: the probe must run there and name it, tell what every
kernel can be asked for, leave out what came with a later one, fail in no source, and reach a collector on the host.
With FENGSUI_RECORD=FOLDER what the probe reads there is kept, as the trees of test_kernels.py are.
"""
import functools
import gzip
import io
import os
import pathlib
import re
import sys
import tarfile

import fengsui
import guest

# What the probe opens with its default sources; process 1 and 2 stand for all.
RECORDED = """
/proc/stat /proc/loadavg /proc/uptime /proc/meminfo /proc/vmstat /proc/diskstats /proc/mdstat /proc/schedstat
/proc/interrupts /proc/softirqs /proc/pressure/* /proc/net/arp /proc/net/dev /proc/net/netstat /proc/net/snmp
/proc/net/snmp6 /proc/net/sockstat /proc/net/sockstat6 /proc/net/softnet_stat /proc/net/tcp /proc/net/tcp6
/proc/net/udp /proc/net/udp6 /proc/net/stat/nf_conntrack /proc/sys/fs/file-nr /proc/sys/kernel/hung_task_detect_count
/proc/sys/kernel/osrelease /proc/sys/kernel/pid_max /proc/sys/kernel/threads-max
/proc/sys/kernel/random/entropy_avail /proc/sys/kernel/random/poolsize /proc/sys/vm/min_free_kbytes
/proc/sys/net/ipv4/ip_local_port_range /proc/[12]/stat /proc/[12]/status /proc/[12]/io /proc/[12]/cmdline
/proc/[12]/comm /proc/[12]/statm /proc/[12]/smaps_rollup /proc/[12]/schedstat /proc/[12]/mounts /proc/[12]/cgroup
/sys/block/*/queue/rotational /sys/class/net/*/* /sys/class/net/*/statistics/* /sys/class/thermal/*/type
/sys/class/thermal/*/temp /sys/class/thermal/*/*_state /sys/devices/system/clocksource/clocksource0/*
/sys/class/dmi/id/bios_* /sys/class/dmi/id/chassis_* /sys/class/dmi/id/product_name /sys/class/dmi/id/sys_vendor
/sys/devices/system/cpu/possible /sys/devices/system/cpu/online
""".split()
SCRIPT = """
keep() {
  for path in "$@"; do
    [ -f "$path" ] && mkdir -p "/out/tree${path%%/*}" && {
      cat "$path" >"/out/tree$path" 2>/dev/null || rm "/out/tree$path"; }
  done
}
httpd -p 127.0.0.1:8080
ping -c 2 10.0.2.2 >/dev/null; ping -c 2 127.0.0.1 >/dev/null
/fengsui-probe --once >/out/once 2>/out/log; echo $? >>/out/code
/fengsui-probe --check >/out/check 2>>/out/log; echo $? >>/out/code
uname -r >/out/release
set +x
keep %s
set -x
/fengsui-probe --collector tcp://10.0.2.2:%d --collector-key '%s' --token '%s' --state /data/state \\
  --interval 500ms --instance "%s" 2>>/out/log & probe=$!
sleep %d
kill $probe; wait $probe; echo $? >>/out/code
"""
SECONDS_SENT = 10
CPU_MODES = ("idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user")
# Series that came with a kernel, whatever its configuration, or (False) left with one.
SINCE = {
    "node_memory_MemAvailable_estimated": ((3, 14), False),
    "node_vmstat_oom_kill": ((4, 13), True),
    'node_disk_discards_completed_total{device="vda"}': ((4, 18), True),
    "node_pressure_cpu_waiting_seconds_total": ((4, 20), True),
    "node_pressure_io_stalled_seconds_total": ((4, 20), True),
    'node_disk_flush_requests_total{device="vda"}': ((5, 5), True),
    "node_memory_SecPageTables_bytes": ((6, 0), True),
    "node_kernel_hung_tasks_total": ((6, 13), True),
}


@functools.cache
def booted():
    """{release: (files that the guest left, samples of it in the collector)}; every kernel boots once."""
    seen = {}
    with fengsui.Lab() as lab:
        collector = lab.collector().start()
        keys = collector.data / "keys"
        public, token = ((keys / name).read_text().strip() for name in ("collector.pub", "enrol.token"))
        for release, kernel in guest.kernels().items():
            script = SCRIPT % (" ".join(RECORDED), collector.ingest, public, token, release, SECONDS_SENT)
            left = guest.run(kernel, lab.folder / release, script)
            sent = {what: collector.value(f'{what}{{instance="{release}"}}[5m])') for what in
                    ("count_over_time(node_load1", "max_over_time(node_memory_MemTotal_bytes")}
            seen[release] = left, sent
    return seen


def series(text):
    """{name{labels}: value} of an exposition; a line that is none, or one that comes twice, is an error."""
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            assert re.fullmatch(r"# (HELP|TYPE) [a-z_A-Z0-9:]+ .+", line), line
            continue
        match = re.fullmatch(r'([a-zA-Z_:][\w:]*(?:\{(?:\w+="(?:[^"\\]|\\.)*",?)+\})?) (\S+)', line)
        assert match and match.group(1) not in found, line
        found[match.group(1)] = float(match.group(2))
    return found


def told():
    for release, (left, _) in booted().items():
        yield release, series(left["once"].decode())


def test_it_runs_on_each_and_names_it():
    for release, (left, _) in booted().items():
        print(f"     {release}", flush=True)
        assert left["code"].split() == [b"0", b"0", b"0"], (release, left["code"], left["log"])
        assert left["release"].decode().strip() == release
        assert re.search(rf'node_uname_info{{.*release="{re.escape(release)}"', left["once"].decode()), release


def test_what_every_kernel_has_is_told():
    for release, values in told():
        for cpu in range(guest.CPUS):
            spent = {mode: values[f'node_cpu_seconds_total{{cpu="{cpu}",mode="{mode}"}}'] for mode in CPU_MODES}
            # It has run since the boot, which took seconds, not hours.
            assert 0.1 < sum(spent.values()) < 600 * fengsui.PATIENCE, (release, cpu, spent)
        total = values["node_memory_MemTotal_bytes"]
        assert 0.75 * guest.MEMORY < total < guest.MEMORY, (release, total)
        assert 0.5 * total < values["node_memory_MemAvailable_bytes"] < total, release
        assert values['node_filesystem_size_bytes{device="/dev/vda",fstype="ext2",mountpoint="/data"}'] > guest.DISK / 2
        assert values['node_disk_written_bytes_total{device="vda"}'] > 0, release
        assert all(values[f"node_load{minutes}"] >= 0 for minutes in (1, 5, 15)), release
        # Two pings to itself, and two that the emulated network answers: 84 bytes each with their headers of IP.
        assert values['node_network_receive_bytes_total{device="lo"}'] == 2 * 2 * 84, release
        assert values['node_network_receive_bytes_total{device="eth0"}'] > 2 * 84, release
        assert values['node_arp_entries{device="eth0"}'] >= 1, release
        assert values['node_tcp_connection_states{state="listen"}'] == 1, release
        assert values['node_network_up{device="eth0"}'] == 1, release
        assert values["node_vmstat_pgfault"] > 100 and values["node_context_switches_total"] > 100, release
        assert values["node_forks_total"] > 10 and values["node_procs_running"] >= 1, release
        assert 'namedprocess_namegroup_num_procs{groupname="init"}' in values, release


def test_what_came_later_is_missing_before():
    for release, values in told():
        for name, (first, is_there) in SINCE.items():
            expected = (guest.version(release) >= first) == is_there
            assert (name in values) == expected, (release, name)


def test_no_source_fails():
    for release, values in told():
        success = {name: value for name, value in values.items() if name.startswith("node_scrape_collector_success")}
        assert len(success) > 20 and set(success.values()) == {1}, (release, success)
        failures = {name: value for name, value in values.items() if "source_failures_total" in name}
        assert failures and set(failures.values()) == {0}, (release, failures)
        left = booted()[release][0]
        assert b"measured here" in left["check"] and b"permission" not in left["check"], left["check"]
        assert b"level=error" not in left["log"] and b" fails: " not in left["log"], left["log"]


def test_its_samples_arrive():
    for release, (left, sent) in booted().items():
        samples, total = sent.values()
        assert samples >= SECONDS_SENT, (release, sent, left["log"])
        assert total == series(left["once"].decode())["node_memory_MemTotal_bytes"], (release, sent)


def test_what_was_recorded_is_kept():
    folder = os.environ.get("FENGSUI_RECORD")
    for release, (left, _) in booted().items():
        tree = {name: content for name, content in sorted(left.items()) if name.startswith("tree/")}
        assert "tree/proc/stat" in tree and "tree/sys/class/net/eth0/operstate" in tree, release
        if not folder:
            continue
        major, minor = guest.version(release)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for name, content in tree.items():
                entry = tarfile.TarInfo(name.removeprefix("tree/"))
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        target = pathlib.Path(folder) / f"kernel_{major}_{minor}.tar.gz"
        target.write_bytes(gzip.compress(packed.getvalue(), 9, mtime=0))
        print(f"     {target}: {target.stat().st_size} bytes", flush=True)


if __name__ == "__main__":
    if guest.missing():
        print(f"skip: {guest.missing()}")
        sys.exit(fengsui.SKIPPED)
    fengsui.run_tests(globals())
