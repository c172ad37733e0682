#!/usr/bin/env python3
"""The probe's host metrics beside node_exporter's and process-exporter's own.

Names, labels, types and help texts must be the same; values that stand still must be equal, and
counters must lie between two scrapes of the peer.  A recorded tree, where there is one, must give
what node_exporter printed for it.
"""
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request

from fengsui import free_port

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
PROBE = os.path.join(os.environ.get("FENGSUI_BUILD", "."), "fengsui-probe")
PATIENCE_S = 30 * int(os.environ.get("FENGSUI_PATIENCE", "1"))

# What our sources cover, by node_exporter's collectors.
COLLECTORS = ("cpu meminfo loadavg diskstats filesystem netdev netclass uname os stat time vmstat "
              "pressure netstat sockstat tcpstat udp_queues softnet arp conntrack entropy filefd "
              "schedstat timex hwmon thermal_zone cpufreq edac bonding mdadm powersupplyclass dmi "
              "selinux interrupts processes nfs rapl").split()
OURS = re.compile(
    r"node_(cpu_(seconds|guest_seconds)_total|memory_(?!numa_)\w+|load\d+|disk_\w+|filesystem_\w+"
    r"|network_\w+|uname_info|os_(info|version)|boot_time_seconds|context_switches_total"
    r"|forks_total|intr_total|procs_(running|blocked)|time_\w+|vmstat_\w+|pressure_\w+"
    r"|netstat_\w+|sockstat_\w+|tcp_\w+|udp_\w+|softnet_\w+|arp_\w+|nf_conntrack_\w+|entropy_\w+"
    r"|filefd_\w+|kernel_hung_tasks_total|schedstat_\w+|timex_\w+|hwmon_\w+|thermal_zone_temp"
    r"|cooling_device_\w+|cpu_(scaling_)?(frequency_(min_|max_)?hertz|governor)|edac_\w+"
    r"|bonding_\w+|md_\w+|power_supply_\w+|dmi_info|selinux_\w+|interrupts_total"
    r"|nfs_\w+|rapl_\w+|processes_(?!threads_state)\w+|textfile_scrape_error)$|testmetric\d_\d$")
# node_exporter's since 1.6, two fields more than 1.5's.
NETSTAT_FIELDS = ("^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)"
                  "|Icmp6?_(InMsgs|OutMsgs)|TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts"
                  "|TCPOFOQueue|TCPRcvQDrop)|Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens"
                  "|RetransSegs|CurrEstab)"
                  "|Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$")
# Labels that newer node_exporters have and 1.5 lacks.
NEWER_LABELS = {"node_disk_info": {"rotational"}, "node_network_info": {"adminstate"}}
# What the probe has besides: a label set that the peer leaves out, or a name of its own.
EXTRA = re.compile(r"node_memory_MemAvailable_estimated|node_tcp_connection_states\{.*"
                   r"|node_network_receive_nohandler_total.*|node_textfile_scrape_error.*|node_kernel_hung_tasks_total.*"
                   r"|node_softnet_(backlog_len|cpu_collision|flow_limit|received_rps).*")
# Series that are there only while somebody is in that state.
PASSING = re.compile(r'node_processes_state\{state="[^SI]"\}')
# Untyped there, counters all the same.
COUNTED = re.compile(r"node_(vmstat|netstat)_(?!Tcp_CurrEstab|Ip_Forwarding)")
STILL = re.compile(r"node_(memory_(MemTotal|SwapTotal|Hugepagesize)_bytes|filesystem_size_bytes"
                   r"|filesystem_files|boot_time_seconds|disk_info|network_(mtu_bytes|flags|info"
                   r"|protocol_type|iface_id|speed_bytes)|uname_info|os_info|os_version)$")

failures = []


def fail(text):
    failures.append(text)
    print("FAIL", text)


class Metrics:
    """The text format, parsed: type and help by name, value by (name, labels)."""

    def __init__(self, text):
        self.types, self.helps, self.values = {}, {}, {}
        for line in text.split("\n"):
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ", 3)
                self.types[name] = kind
            elif line.startswith("# HELP "):
                parts = line.split(" ", 3)
                self.helps[parts[2]] = parts[3] if len(parts) > 3 else ""
            elif line and line[0] != "#":
                match = re.match(r"([a-zA-Z0-9_:]+)(?:\{(.*)\})? (\S+)(?: \d+)?$", line)
                if match is None:
                    continue
                labels = re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or "")
                # To Prometheus a label without a value is no label.
                key = (match[1], frozenset((n, v) for n, v in labels if v))
                self.values[key] = float(match[3])

    def without_labels(self, unwanted):
        """The same, with labels dropped: {metric name: {label name}}."""
        other = Metrics("")
        other.types, other.helps = self.types, self.helps
        for (name, labels), value in self.values.items():
            drop = unwanted.get(name, ())
            other.values[(name, frozenset(l for l in labels if l[0] not in drop))] = value
        return other


def show(key):
    return key[0] + "{" + ",".join(f'{n}="{v}"' for n, v in sorted(key[1])) + "}"


def scrape(url):
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
                return Metrics(answer.read().decode())
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def probe_once(*arguments, textfiles=(), more=""):
    with tempfile.TemporaryDirectory() as state:
        config = os.path.join(state, "probe.yml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"sources:\n  interrupts: {{enabled: true}}\n"
                       f"  textfile: {{directories: [{', '.join(textfiles)}]}}\n{more}")
        done = subprocess.run([PROBE, "--config", config, "--once", "--state", state, *arguments],
                              text=True,
                              capture_output=True, timeout=PATIENCE_S, check=False)
    if done.returncode != 0:
        fail(f"fengsui-probe --once ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def compare_meta(ours, peers, wanted, who):
    for name, kind in peers.types.items():
        if not wanted(name) or name not in ours.types:
            continue
        if ours.types[name] != kind:
            fail(f"{name} is a {ours.types[name]}, {who}'s a {kind}")
        if ours.helps[name] != peers.helps[name]:
            fail(f"help of {name}: {ours.helps[name]!r}, {who}'s {peers.helps[name]!r}")


def compare_live():
    if not shutil.which("prometheus-node-exporter"):
        print("skipped: prometheus-node-exporter is not installed")
        return
    port = free_port()
    # Debian's package sets other exclusions than node_exporter itself: back to its own.
    peer = subprocess.Popen(
        ["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{port}",
         "--collector.netdev.device-exclude=^$", "--collector.tcpstat",
         "--collector.interrupts", "--collector.processes",
         f"--collector.netstat.fields={NETSTAT_FIELDS}",
         "--collector.filesystem.mount-points-exclude="
         "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = (f"http://127.0.0.1:{port}/metrics?"
               + "&".join(f"collect[]={name}" for name in COLLECTORS))
        before = scrape(url)
        text = probe_once()
        after = scrape(url)
    finally:
        peer.terminate()
        peer.wait()
    ours = Metrics(text).without_labels(NEWER_LABELS)
    compare_meta(ours, after, OURS.match, "node_exporter")
    steady = [key for key in before.values if key in after.values and OURS.match(key[0])]
    print(f"node_exporter: {len(steady)} series compared")
    if len(steady) < 100:
        fail("node_exporter gave next to nothing")
    for key in steady:
        low, high = before.values[key], after.values[key]
        if key not in ours.values:
            if not PASSING.match(show(key)):
                fail(f"missing: {show(key)}")
            continue
        value = ours.values[key]
        if STILL.match(key[0]) and low == high and value != high:
            fail(f"{show(key)} is {value}, node_exporter's {high}")
        # A hundredth of a second either way: the two read the same clock at different moments.
        is_counter = after.types.get(key[0]) == "counter" or COUNTED.match(key[0])
        if is_counter and low <= high and \
                not low - 0.011 <= value <= high + 0.011:
            fail(f"{show(key)} is {value}, node_exporter had {low} before and {high} after")
    for key in ours.values:
        if OURS.match(key[0]) and key not in after.values and key not in before.values and \
                not EXTRA.match(show(key)) and not PASSING.match(show(key)):
            fail(f"node_exporter has no {show(key)}")
    check_with_promtool(text, after)


def check_with_promtool(text, peers):
    """promtool may only complain of names that node_exporter itself gives."""
    if not shutil.which("promtool"):
        print("skipped: promtool is not installed")
        return
    done = subprocess.run(["promtool", "check", "metrics"], input=text, text=True,
                          capture_output=True, timeout=PATIENCE_S, check=False)
    for line in (done.stdout + done.stderr).splitlines():
        name = line.split(" ", 1)[0]
        # process-exporter calls its counters of errors so.
        if line and name not in peers.types and not name.startswith("namedprocess_scrape_"):
            fail(f"promtool: {line}")


def many_threads(command):
    """A process of that name with two threads called alpha beside its first; it is ready."""
    os.symlink(os.path.realpath(sys.executable), command)
    child = subprocess.Popen(
        [command, "-c", "import ctypes, threading, time\n"
         "def rest(ready):\n"
         "    ctypes.CDLL(None).prctl(15, b'alpha', 0, 0, 0)\n"
         "    ready.set()\n"
         "    time.sleep(1000)\n"
         "for _ in range(2):\n"
         "    ready = threading.Event()\n"
         "    threading.Thread(target=rest, args=(ready,), daemon=True).start()\n"
         "    ready.wait()\n"
         "print('ready', flush=True)\n"
         "time.sleep(1000)\n"], stdout=subprocess.PIPE)
    if child.stdout.readline() != b"ready\n":
        fail("no process with threads")
    return child


def compare_processes():
    if not shutil.which("prometheus-process-exporter"):
        print("skipped: prometheus-process-exporter is not installed")
        return
    port = free_port()
    # Processes of our own, whose numbers stand still: a command's name is its file's.
    with tempfile.TemporaryDirectory() as folder:
        commands = {"fengsui-one": 1, "fengsui-three": 3, "fengsui-many": 1}
        children = [many_threads(os.path.join(folder, "fengsui-many"))]
        for name, count in list(commands.items())[:2]:
            os.symlink(shutil.which("sleep"), os.path.join(folder, name))
            children += [subprocess.Popen([os.path.join(folder, name), "1000"])
                         for _ in range(count)]
        config = os.path.join(folder, "config.yml")
        with open(config, "w", encoding="utf-8") as file:
            file.write('process_names:\n- name: "{{.Comm}}"\n  cmdline:\n  - ".+"\n')
        peer = subprocess.Popen(
            ["prometheus-process-exporter", "-config.path", config, "-web.listen-address", f"127.0.0.1:{port}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            scrape(f"http://127.0.0.1:{port}/metrics")
            ours = Metrics(probe_once(more="  processes: {threads: true}\n"))
            peers = scrape(f"http://127.0.0.1:{port}/metrics")
        finally:
            for process in [peer, *children]:
                process.terminate()
                process.wait()

    def is_group(name):  # where each thread waits is a debugger's question
        return name.startswith("namedprocess_") and "wchan" not in name
    for name in peers.types:
        if is_group(name) and name not in ours.types:
            fail(f"missing: {name}")
    compare_meta(ours, peers, is_group, "process-exporter")
    compared = 0
    for key, value in peers.values.items():
        labels = dict(key[1])
        if not is_group(key[0]) or labels.get("groupname") not in commands:
            continue
        mine = ours.values.get(key)
        compared += 1
        # How memory is shared changes with every process that starts; and a busy host's page
        # tables may take the probe more than its first tick.
        if "proportional" in labels.get("memtype", ""):
            if mine is not None and value > 0 and not 0 < mine < 1e9:
                fail(f"{show(key)} is {mine}, process-exporter's {value}")
        elif mine is None:
            fail(f"missing: {show(key)}")
        elif "state" in labels and labels["groupname"] == "fengsui-many":
            pass  # it adds the threads' states to the processes'
        elif peers.types[key[0]] == "gauge" and abs(mine - value) > 1e-9 * abs(value):
            fail(f"{show(key)} is {mine}, process-exporter's {value}")
    print(f"process-exporter: {compared} series compared")
    if compared != 3 * 23 + 2 * 9:
        fail("process-exporter has not the series of three groups, one of them of two thread names")


def unpack_udev(archive, target):
    """node_exporter keeps udev's data base as a text archive (ttar)."""
    with open(archive, encoding="utf-8") as file:
        lines = file.read().split("\n")
    at = 0
    while at < len(lines):
        if lines[at].startswith("Directory: "):
            os.makedirs(os.path.join(target, lines[at][11:]), exist_ok=True)
        elif lines[at].startswith("Path: "):
            count = int(lines[at + 1].split(" ")[1])
            with open(os.path.join(target, lines[at][6:]), "w", encoding="utf-8") as file:
                file.write("\n".join(lines[at + 2:at + 2 + count]) + "\n")
            at += 1 + count
        at += 1


def compare_recorded():
    shared = os.environ.get("FENGSUI_SHARED", os.path.join(ROOT, "..", "shared"))
    archive = os.path.join(shared, "conformance", "node_exporter", "fixtures.tar.gz")
    if not os.path.exists(archive):
        print("skipped: no recorded tree (conformance/node_exporter/fixtures.tar.gz)")
        return
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(archive) as tar:
            tar.extractall(folder)
        unpack_udev(os.path.join(folder, "udev.ttar"), os.path.join(folder, "run"))
        ours = Metrics(probe_once("--procfs", f"{folder}/proc", "--sysfs", f"{folder}/sys",
                                  "--rootfs", folder,
                                  textfiles=[f"{folder}/textfile/two_metric_files"]))
        with open(os.path.join(folder, "e2e-output.txt"), encoding="utf-8") as file:
            peers = Metrics(file.read())
    # A control character in it, which people would not like to read.
    ours, peers = (m.without_labels({"node_dmi_info": {"product_version"}}) for m in (ours, peers))
    # Not in the recorded tree: net/dev (that test asks the running kernel), os-release, cpuinfo.
    def is_recorded(name):
        return OURS.match(name) and not re.match(
            r"node_(cpu_frequency_hertz|network_(receive|transmit)_(?!queue)|os_|uname|filesystem|time_)", name)
    ours.helps = {name: text.replace(folder, "collector/fixtures")
                  for name, text in ours.helps.items()}
    ours.values = {(name, frozenset((n, v.replace(folder, "collector/fixtures"))
                                    for n, v in labels)): value
                   for (name, labels), value in ours.values.items()}
    compare_meta(ours, peers, is_recorded, "node_exporter")
    compared = 0
    for key, value in peers.values.items():
        if not is_recorded(key[0]):
            continue
        compared += 1
        # A kernel that does not tell has no 0 here.
        if key[0] == "node_softnet_backlog_len" or (key[0] == "node_nfs_requests_total" and
                                                    value == 0 and key not in ours.values):
            continue
        if key not in ours.values:
            fail(f"recorded: missing {show(key)}")
        elif ours.values[key] != value:
            fail(f"recorded: {show(key)} is {ours.values[key]}, not {value}")
    # That test leaves these interfaces and unknown speeds out.
    for key, value in ours.values.items():
        labels = dict(key[1])
        if is_recorded(key[0]) and key not in peers.values and \
                labels.get("device") not in ("dmz", "int", "nope") and \
                labels.get("chip") != "bogus" and \
                not (key[0] == "node_network_speed_bytes" and value < 0):
            fail(f"recorded: node_exporter has no {show(key)}")
    print(f"recorded tree: {compared} series compared")
    if compared < 1000:
        fail("the recorded tree gave next to nothing")


def main():
    if not os.path.exists(PROBE):
        print(f"skipped: {PROBE} is not built")
        return 77
    compare_live()
    compare_processes()
    compare_recorded()
    print(f"{len(failures)} differences")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
