"""What is told of one small host whose /proc is that of 2.6.32, 3.10, 4.18, 5.10, 6.6 and 6.12.

All that the oldest kernel's tree gives is in kernel_2_6_32.prom, checked by hand against the tree; for later
ones what comes and what goes is below.  Nothing else may differ: what a kernel does not know is missing, not 0.
Those trees are written from documents; kernel_*.tar.gz are what real kernels said of a small guest of two CPUs, one
disk and one network, recorded by long_kernels.py, and kernel_*.prom is what is told of each.
"""
import pathlib
import subprocess
import tarfile
import tempfile

import fengsui
import kernel_trees

HERE = pathlib.Path(__file__).parent
OLDEST = (HERE / "kernel_2_6_32.prom").read_text().splitlines()
RECORDED = ("5_10", "6_1", "6_12", "7_3")
# Of this process or of the kernel that runs here, not of the tree.
OF_HERE = ("node_timex", "node_time_", "node_scrape", "node_textfile", "node_uname", "node_os_")


def per_cpu(name, value, cpus=(0, 1)):
    return [f'{name}{{cpu="{cpu}"}} {value}' for cpu in cpus]


def of_disk(**values):
    return [f'node_disk_{name}{{device="sda"}} {value}' for name, value in values.items()]


def moved(lines, old, new):
    """Of CPU `old`: the same lines, of CPU `new`."""
    return [line.replace(f'cpu="{old}"', f'cpu="{new}"') for line in lines]


def changes():
    """(release, lines that come, lines that go), from one to the next."""
    yield "2.6.32", [], []
    yield "3.10", ([f'node_cpu_guest_seconds_total{{cpu="{cpu}",mode="nice"}} 0.06' for cpu in (0, 1)]
                   + per_cpu("node_softnet_received_rps_total", 4)), []
    yield "4.18", (per_cpu("node_softnet_flow_limit_count_total", 5)
                   + of_disk(discards_completed_total=21, discards_merged_total=22,
                             discarded_sectors_total=23000, discard_time_seconds_total=24)
                   + ["node_vmstat_oom_kill 7", "node_memory_MemAvailable_bytes 2560000000"]), [
                       # (1000000 + 100000 + 1500000 + 90000 - 200000 - 67584) kB
                       "node_memory_MemAvailable_bytes 2480553984", "node_memory_MemAvailable_estimated 1"]
    yield "5.10", (of_disk(flush_requests_total=25, flush_requests_time_seconds_total=26)
                   + [f"node_pressure_{what}_seconds_total {value}" for what, value in
                      (("cpu_waiting", 11), ("memory_waiting", 12), ("memory_stalled", 13),
                       ("io_waiting", 14), ("io_stalled", 15))]), []
    gone = [line for line in OLDEST if line.startswith("node_softnet") and 'cpu="1"' in line]
    gone += per_cpu("node_softnet_received_rps_total", 4, [1]) + per_cpu("node_softnet_flow_limit_count_total", 5, [1])
    yield "6.6", (moved(gone, 1, 2) + per_cpu("node_softnet_backlog_len", 0, (0, 2))
                  + ["node_pressure_irq_stalled_seconds_total 16", "node_memory_Unaccepted_bytes 0",
                     "node_memory_Zswap_bytes 0", "node_memory_Zswapped_bytes 0"]), gone
    yield "6.12", [], []


def told(folder):
    done = subprocess.run([fengsui.BUILD / "fengsui-probe", "--once", "--procfs", folder / "proc", "--sysfs",
                           folder / "sys", "--rootfs", folder], capture_output=True, text=True, check=False,
                          timeout=60 * fengsui.PATIENCE)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    failed = [line for line in lines if line.startswith("node_scrape_collector_success{") and not line.endswith("} 1")]
    assert not failed, failed
    return {line for line in lines
            if line.startswith(("node_", "namedprocess_namegroup_")) and not line.startswith(OF_HERE)}


def must_be(release, found, expected):
    assert found == expected, f"{release}: too much: {sorted(found - expected)}; missing: {sorted(expected - found)}"


def test_each_kernel_is_told_as_far_as_it_goes():
    expected = set(OLDEST)
    assert [release for release, _, _ in changes()] == list(kernel_trees.RELEASES)
    for release, coming, going in changes():
        assert set(going) <= expected and not set(coming) & expected, release
        expected = (expected - set(going)) | set(coming)
        with tempfile.TemporaryDirectory(prefix="fengsui-kernel-") as place:
            must_be(release, told(kernel_trees.make(release, pathlib.Path(place))), expected)


def test_what_real_kernels_said_is_told():
    for release in RECORDED:
        with tempfile.TemporaryDirectory(prefix="fengsui-kernel-") as place:
            with tarfile.open(HERE / f"kernel_{release}.tar.gz") as tree:
                tree.extractall(place)
            found = told(pathlib.Path(place))
        must_be(release, found, set((HERE / f"kernel_{release}.prom").read_text().splitlines()))


if __name__ == "__main__":
    fengsui.run_tests(globals())
