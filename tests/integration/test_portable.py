"""The static probe where there is nothing but a kernel, and an old one.

It runs with an empty folder as its root (no library, no /etc, no /dev: only /proc), under qemu's user emulation that claims to be Linux 2.6.32
and 3.10, and, which asks for more, under a filter that answers ENOSYS to every system call that came
after those (x86-64 numbers them by age): what libraries ask of newer kernels they must do without.
What is not shown by this: flags that old calls learned later, and the bugs of a real old kernel.
"""
import ctypes
import os
import pathlib
import platform
import re
import shutil
import struct
import subprocess
import sys

import fengsui

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROBE = fengsui.BUILD.parent / "portable/fengsui-probe"
SIZE_MOST = 4 << 20
LAST_CALL = {"2.6.32": 298, "3.10.0": 313}  # perf_event_open, finit_module
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
ALLOW, ENOSYS, EINVAL = 0x7FFF0000, 0x00050000 | 38, 0x00050000 | 22
NEWFSTATAT, AT_EMPTY_PATH = 262, 0x1000


def forget_calls_after(last):
    """For a child, before it becomes the probe."""
    rows = [(0x20, 0, 0, 0),              # load the call's number
            (0x25, 5, 0, last),           # greater: ENOSYS
            (0x15, 0, 3, NEWFSTATAT),     # another call: let it pass
            (0x20, 0, 0, 16 + 3 * 8),     # load its flags
            (0x45, 0, 1, AT_EMPTY_PATH),  # known since 2.6.39
            (0x06, 0, 0, EINVAL), (0x06, 0, 0, ALLOW), (0x06, 0, 0, ENOSYS)]
    code = b"".join(struct.pack("HBBI", *row) for row in rows)
    program = ctypes.create_string_buffer(code)
    fprog = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(rows), ctypes.addressof(program)))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
                      (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, fprog, 0, 0)):
        if libc.prctl(*arguments) != 0:
            os._exit(98)


def watched(lab, collector, name, command, state, **options):
    """Starts a probe as `name`, and sees its data arrive, a log line of it, too."""
    keys = collector.data / "keys"
    arguments = ["--collector", f"tcp://127.0.0.1:{collector.ingest}", "--collector-key",
                 (keys / "collector.pub").read_text().strip(), "--token",
                 (keys / "enrol.token").read_text().strip(), "--state", state, "--interval", "500ms",
                 "--instance", name]
    log = lab.folder / f"{name}.log"
    with open(log, "wb") as out:
        process = subprocess.Popen([*map(str, command), *map(str, arguments)], stdin=subprocess.DEVNULL,
                                   stdout=out, stderr=out, **options)
    try:
        query = f'fengsui_probe_spool_bytes{{instance="{name}"}}'
        fengsui.wait_for(lambda: process.poll() is not None or collector.query(query),
                         f"data of {name}", 60)
        assert process.poll() is None, log.read_text()
        process.terminate()
        assert process.wait(60 * fengsui.PATIENCE) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def names_told(**options):
    """The metrics of --once, but those that come and go by themselves."""
    done = subprocess.run([PROBE, "--once"], capture_output=True, text=True, check=True, **options)
    return {line.split()[2] for line in done.stdout.splitlines() if line.startswith("# TYPE ")}


def test_it_is_one_small_file_that_needs_no_other():
    assert PROBE.stat().st_size <= SIZE_MOST, PROBE.stat().st_size
    told = subprocess.run(["readelf", "-lW", PROBE], capture_output=True, text=True, check=True).stdout
    assert "INTERP" not in told and "DYNAMIC" not in told, told


def test_it_works_in_an_empty_folder_as_root():
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        print("skip test_it_works_in_an_empty_folder_as_root: only root may chroot")
        return
    with fengsui.Lab() as lab:
        collector = lab.collector().start()
        empty = lab.folder / "empty"
        empty.mkdir()
        (empty / "proc").mkdir()
        shutil.copy(PROBE, empty / "probe")
        enter = 'mount -t proc proc "$0/proc" && exec chroot "$0" /probe "$@"'
        watched(lab, collector, "bare", ["unshare", "--mount", "sh", "-c", enter, empty], "/state")
        assert sorted(path.name for path in empty.iterdir()) == ["probe", "proc", "state"]


def test_it_does_without_calls_that_old_kernels_lack():
    if platform.machine() != "x86_64":
        print("skip test_it_does_without_calls_that_old_kernels_lack: numbers are those of x86-64")
        return
    with fengsui.Lab() as lab:
        collector = lab.collector().start()
        lines = lab.folder / "app.log"
        lines.write_text("of an old host\n")
        for release, last in LAST_CALL.items():
            watched(lab, collector, f"old-{release}", [PROBE, "--log", lines],
                    lab.folder / f"state-{release}", preexec_fn=lambda last=last: forget_calls_after(last))
            assert collector.query(f'logwatch_lines_total{{instance="old-{release}"}}[5m]'), release
            # And nothing is missing that a new kernel would have shown.
            assert names_told(preexec_fn=lambda last=last: forget_calls_after(last)) == names_told()
        # The filter is one that can fail.
        done = subprocess.run([PROBE, "--version"], capture_output=True, check=False,
                              preexec_fn=lambda: forget_calls_after(0))
        assert done.returncode != 0


def test_it_runs_under_qemu_as_on_old_kernels():
    qemu = shutil.which("qemu-x86_64") or shutil.which("qemu-x86_64-static")
    if qemu is None or platform.machine() != "x86_64":
        print("skip test_it_runs_under_qemu_as_on_old_kernels: no qemu-user here")
        return
    for release in LAST_CALL:
        done = subprocess.run([qemu, "-r", release, PROBE, "--once"], capture_output=True, text=True,
                              check=False)
        assert done.returncode == 0, done.stderr
        told = re.search(r'node_uname_info\{.*release="([^"]*)"', done.stdout)
        assert told is not None and told.group(1) == release, told


if __name__ == "__main__":
    if not PROBE.exists():
        print(f"skip: no {PROBE}; deploy/portable/build.sh makes it (tests/run.sh --long does)")
        sys.exit(fengsui.SKIPPED)
    fengsui.run_tests(globals())
