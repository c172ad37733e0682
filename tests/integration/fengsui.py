"""fengsui.py - real processes for the integration tests: a collector, probes, and what they say.

Every test makes a Lab, which gives each process a folder and free ports, and ends them all.  The
programs come from FENGSUI_BUILD (a CMake build folder).  Waiting is always for a condition with a
deadline, never for a time.
"""
import collections
import contextlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

BUILD = pathlib.Path(os.environ.get("FENGSUI_BUILD", "build/release")).resolve()
# Sanitizers make everything slower; deadlines stretch, assertions do not.
PATIENCE = float(os.environ.get("FENGSUI_PATIENCE", "1"))
SKIPPED = 77  # what ctest is told to take as "skipped"


def free_port():
    """One to listen on, below those that the kernel gives to outgoing connections: another suite's
    would have it by the time it is listened on."""
    for _ in range(1000):
        port = random.randrange(20000, 32000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass
    raise AssertionError("no free port between 20000 and 32000")


def wait_for(condition, what, seconds=20, every=0.05):
    """Calls `condition` until it returns something true, and returns that."""
    deadline = time.monotonic() + seconds * PATIENCE
    last = None
    while time.monotonic() < deadline:
        try:
            value = condition()
            if value:
                return value
        except (OSError, urllib.error.URLError, ValueError, KeyError) as error:
            last = error
        time.sleep(every)
    raise AssertionError(f"waited {seconds} s for {what}" + (f": {last!r}" if last else ""))


class Process:
    """A program of ours with its log in a file."""

    def __init__(self, lab, name, arguments, folder):
        self.lab, self.name, self.arguments, self.folder = lab, name, arguments, folder
        self.log = folder / f"{name}.log"
        self.process = None

    def start(self):
        with open(self.log, "ab") as log:
            log.write(b"--- start\n")
            log.flush()
            self.process = subprocess.Popen(
                [str(BUILD / self.name)] + [str(a) for a in self.arguments],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder)
        return self

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        if self.alive():
            self.process.send_signal(number)

    def kill(self):
        """kill -9, and waits until it is gone."""
        if self.process is not None:
            self.signal(signal.SIGKILL)
            self.process.wait()

    def stop(self, code=0):
        """SIGTERM; the exit code must be `code` (a sanitizer's report changes it)."""
        if self.process is None:
            return
        self.signal(signal.SIGTERM)
        try:
            got = self.process.wait(60 * PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not stop; its log:\n{self.tail()}") from None
        assert got == code, f"{self.name} ended with {got}; its log:\n{self.tail()}"
        self.process = None

    def tail(self, lines=40):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class Collector(Process):
    def __init__(self, lab, folder, config=None, flags=()):
        folder.mkdir(parents=True, exist_ok=True)
        self.http, self.ingest = free_port(), free_port()
        self.data = folder / "data"
        arguments = ["--data", self.data, "--http", f"127.0.0.1:{self.http}", "--ingest",
                     f"tcp://127.0.0.1:{self.ingest}", *flags]
        if config is not None:
            (folder / "collector.yml").write_text(config)
            arguments = ["--config", folder / "collector.yml"] + arguments
        super().__init__(lab, "fengsui-collector", arguments, folder)

    def start(self, ready=True):
        super().start()
        if ready:
            self.wait_ready()
        return self

    def wait_ready(self):
        def check():
            assert self.alive(), f"the collector ended; its log:\n{self.tail()}"
            return self.get("/-/ready")[0] == 200
        wait_for(check, "the collector to be ready", 30)

    def request(self, method, path, body=None, headers=None, timeout=30):
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", data=body,
                                         headers=headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout * PATIENCE) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def get(self, path, /, **parameters):
        query = "?" + urllib.parse.urlencode(parameters, doseq=True) if parameters else ""
        return self.request("GET", path + query)

    def json(self, path, /, **parameters):
        code, body = self.get(path, **parameters)
        assert code == 200, f"GET {path} gave {code}: {body[:500]!r}"
        return json.loads(body)

    def query(self, expression, at=None):
        """An instant query's result list."""
        extra = {} if at is None else {"time": at}
        return self.json("/api/v1/query", query=expression, **extra)["data"]["result"]

    def value(self, expression, at=None):
        """The value of a query that yields one series; None if it yields none."""
        result = self.query(expression, at)
        assert len(result) <= 1, f"{expression} gave {len(result)} series"
        return float(result[0]["value"][1]) if result else None

    def probes(self):
        return self.json("/api/fengsui/v1/probes")["data"]

    def ctl(self, *arguments, code=0):
        done = subprocess.run(
            [str(BUILD / "fengsuictl"), "--url", f"http://127.0.0.1:{self.http}",
             *map(str, arguments)], capture_output=True, text=True, timeout=60 * PATIENCE,
            check=False)
        assert done.returncode == code, \
            f"fengsuictl {arguments} ended with {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout


class Probe(Process):
    def __init__(self, lab, folder, collector, flags=(), interval="1s", endpoint=None):
        folder.mkdir(parents=True, exist_ok=True)
        self.state = folder / "state"
        keys = collector.data / "keys"
        super().__init__(lab, "fengsui-probe", [
            "--collector", endpoint or f"tcp://127.0.0.1:{collector.ingest}", "--collector-key",
            keys / "collector.pub", "--token", keys / "enrol.token", "--state", self.state,
            "--interval", interval, *flags], folder)


def kept_ticks(probe):
    """What the probe's own log says it was about to keep: a list of {tick: samples}, one for each
    life of the process.  A tick is logged just before it is kept, so only the last of a life may
    be missing.  Series that ended (a file system was unmounted) are no samples: a query over a
    range passes over their markers."""
    lives = []
    for line in probe.log.read_text(errors="replace").splitlines():
        if line == "--- start":
            lives.append({})
        found = re.search(r"keeping the batch of tick (\d+): (\d+) samples", line)
        if found:
            lives[-1][int(found[1])] = int(found[2])
    return lives


def grid_ticks(probe, interval_ms=1000):
    """Ticks with samples that the first life's log tells, but for the first looks, which are off
    the grid and of some sources only, and for the last two, which may be missing."""
    ticks = [tick for tick, samples in list(kept_ticks(probe)[0].items())[:-2] if samples]
    phases = collections.Counter(tick % interval_ms for tick in ticks)
    return [tick for tick in ticks if phases[tick % interval_ms] == max(phases.values())]


def kept_late(probe):
    """Samples with a time of their own, by that time, as the probe's own log tells: a source that
    was late may have read its values in the very millisecond of another tick."""
    late = collections.Counter()
    for line in probe.log.read_text(errors="replace").splitlines():
        found = re.search(r"late in the batch of tick \d+: (\d+) samples of (\d+)", line)
        if found:
            late[int(found[2])] += int(found[1])
    return late


class Lab(contextlib.AbstractContextManager):
    """A temporary folder and everything that runs in it."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="fengsui-test-"))
        self.processes = []

    def collector(self, config=None, flags=(), name="collector"):
        process = Collector(self, self.folder / name, config, flags)
        self.processes.append(process)
        return process

    def probe(self, collector, name="probe", **options):
        process = Probe(self, self.folder / name, collector, **options)
        self.processes.append(process)
        return process

    def __exit__(self, kind, error, trace):
        failed = kind is not None
        for process in reversed(self.processes):
            if failed and process.log.exists():
                sys.stderr.write(f"--- {process.log}\n{process.tail()}\n")
            process.kill()
        if not failed or not os.environ.get("FENGSUI_KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)
        return False


def run_tests(namespace):
    """Runs every function named test_* of a module, or those named on the command line; prints a
    line for each and ends with 1 if one failed."""
    wanted = sys.argv[1:]
    failed = count = 0
    for name, function in list(namespace.items()):
        if not name.startswith("test_") or (wanted and name not in wanted):
            continue
        count += 1
        started = time.monotonic()
        try:
            function()
            print(f"ok   {name} ({time.monotonic() - started:.1f} s)", flush=True)
        except AssertionError as error:
            failed += 1
            print(f"FAIL {name}: {error}", flush=True)
            import traceback
            traceback.print_exc()
    assert count > 0, "no such test"
    sys.exit(1 if failed else 0)
