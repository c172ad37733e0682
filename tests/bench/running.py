"""A store under test as a process, and what is sent to it: for bench.py and query/."""
import json
import os
import shutil
import signal
import subprocess
import threading
import time

from place import BUILD, LIVE, RUN, busy, cpu, memory
from sets import frames, number

CALM_SECONDS = number("CALM_S", 15)   # at most, before a run, for the machine to be quiet
NICE = number("NICE", 0)  # below 0 (root only): other work matters less


def renice():
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    except OSError:
        pass


def calm(percent=12):
    """Waits (bounded) for the rest of the machine to be quiet for 2 s."""
    start, quiet = time.monotonic(), 0
    while time.monotonic() - start < CALM_SECONDS and quiet < 2:
        before = busy()
        time.sleep(1)
        quiet = quiet + 1 if (busy() - before) * 100 < percent else 0
    return quiet >= 2


class Watch(threading.Thread):
    """Peak memory of one process, looked at every 0.25 s."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.ending, self.peak = pid, False, {}

    def run(self):
        while not self.ending:
            try:
                for key, value in memory(self.pid).items():
                    self.peak[key] = max(value, self.peak.get(key, 0))
            except OSError:
                return
            time.sleep(0.25)


class Running:
    """A server in a folder of its own."""

    def __init__(self, server, fresh=True, wait=True, **options):
        self.server, self.folder = server, f"{RUN}/{server.name}"
        if fresh:
            shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder, exist_ok=True)
        command = server.command(self.folder, **options)
        self.started = time.monotonic()
        self.log = open(self.folder + "/log", "ab")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT,
                                        env={**os.environ, **server.env}, cwd=self.folder,
                                        preexec_fn=renice)
        self.pid = self.process.pid
        LIVE.append(self.process)
        if wait:
            self.wait_for("vector(1)", None, lambda result: True)

    def wait_for(self, expression, at, good, limit_s=600):
        """Seconds from exec until the query answers and good(result)."""
        while time.monotonic() - self.started < limit_s:
            if self.process.poll() is not None:
                with open(self.folder + "/log") as f:
                    raise RuntimeError("server exited: " + f.read()[-2000:])
            try:
                if good(self.server.query(expression, at)):
                    return time.monotonic() - self.started
            except Exception:
                pass
            time.sleep(0.005)
        raise RuntimeError("not ready in time")

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        try:
            self.process.wait(120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def rest(self, limit_s=60):
        """Waits until it uses < 3 % CPU for 3 s; CPU seconds used meanwhile."""
        start, quiet, deadline = cpu(self.pid), 0, time.monotonic() + limit_s
        while time.monotonic() < deadline and quiet < 3:
            before = cpu(self.pid)
            time.sleep(1)
            quiet = quiet + 1 if cpu(self.pid) - before < 0.03 else 0
        return cpu(self.pid) - start


def sender(server, mode, name, first=0, end=None, folder=None):
    """The command that sends a data set, or some steps of it."""
    if mode in ("native", "backlog"):
        keys = f"{folder}/data/keys/"
        command = [BUILD + "/fengsui-swarm", "--collector", server.endpoint(),
                   "--collector-key", keys + "collector.pub", "--token", keys + "enrol.token",
                   "--json", "--from", str(first)]
        command += ["--backlog"] if mode == "backlog" else []
        return command + (["--until", str(end)] if end else []) + ["--frames", *frames(name)]
    return [BUILD + "/bench/blast", "-u", f"127.0.0.1:{server.port}{server.modes[mode]}", "-m",
            mode, "-f", str(first), *(["-t", str(end)] if end else []), *frames(name)]


def send(running, mode, name, wait=True, **steps):
    process = subprocess.Popen(sender(running.server, mode, name, folder=running.folder,
                                      **steps), stdout=subprocess.PIPE, text=True,
                               preexec_fn=renice)
    LIVE.append(process)
    if not wait:
        return process
    printed = process.communicate()[0]
    return json.loads(printed)
