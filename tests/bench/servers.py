"""The stores under test.  To add one, write a class like these and put it in ALL (README.md).
Everything listens on 127.0.0.1 only."""
import json
import os
import time
import urllib.parse
import urllib.request

from place import BUILD, output


def du(path, wanted=lambda relative: True):
    """(sum of sizes, sum of allocated bytes) of the regular files under path"""
    size = allocated = 0
    for base, _, files in os.walk(path):
        for name in files:
            full = os.path.join(base, name)
            if not wanted(os.path.relpath(full, path)):
                continue
            try:
                status = os.lstat(full)
            except OSError:
                continue
            size += status.st_size
            allocated += status.st_blocks * 512
    return size, allocated


# Two benchmarks on one machine: give one of them ports of its own.
SHIFT = int(os.environ.get("PORT_SHIFT", 0))


class Server:
    name = ""
    port = 0
    modes = {}      # mode of blast -> path it posts to
    nocache = ""    # query argument that turns a result cache off
    env = {}
    sent = ""       # selector of what was sent to it, where it has series of its own making
    rule_counters = None  # (evaluations, failures)

    def base(self):
        return f"http://127.0.0.1:{self.port}"

    def get(self, path, timeout=600):
        return urllib.request.urlopen(self.base() + path, timeout=timeout).read()

    def post(self, path, timeout=600):
        request = urllib.request.Request(self.base() + path, data=b"", method="POST")
        return urllib.request.urlopen(request, timeout=timeout).read()

    def query(self, expression, at=None, extra=""):
        arguments = {"query": expression}
        if at is not None:
            arguments["time"] = str(at)
        answer = json.loads(self.get("/api/v1/query?" + urllib.parse.urlencode(arguments) + extra,
                                     timeout=300))
        if answer["status"] != "success":
            raise RuntimeError(answer)
        return answer["data"]["result"]

    def counter(self, name):
        """Sum of one of the server's own counters."""
        text = self.get("/metrics").decode()
        return sum(float(line.split()[-1]) for line in text.split("\n")
                   if line.startswith((name + "{", name + " ")))

    def version(self):
        return ""

    def command(self, folder, rules=None, interval="1m"):
        raise NotImplementedError

    def settle(self, folder):
        """Makes everything accepted durable, searchable and fully compacted."""

    def disk(self, folder):
        """Bytes: total = the folder as it stands, settled = samples and index at rest."""
        raise NotImplementedError


class Prometheus(Server):
    name = "prometheus"
    port = 19090 + SHIFT
    modes = {"rw": "/api/v1/write"}
    rule_counters = ("prometheus_rule_evaluations_total",
                     "prometheus_rule_evaluation_failures_total")

    def version(self):
        return output(["prometheus", "--version"]).split("\n")[0]

    def command(self, folder, rules=None, interval="1m"):
        config = folder + "/prometheus.yml"
        with open(config, "w") as f:
            f.write(f"global:\n  evaluation_interval: {interval}\n")
            if rules:
                f.write(f"rule_files:\n  - {rules}\n")
        return ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--web.enable-remote-write-receiver", "--web.enable-admin-api",
                "--storage.tsdb.retention.time=90d", "--query.max-samples=500000000",
                "--log.level=warn"]

    def settle(self, folder):
        answer = json.loads(self.post("/api/v1/admin/tsdb/snapshot?skip_head=false"))
        self.snapshot = f"{folder}/data/snapshots/{answer['data']['name']}"

    def disk(self, folder):
        total = du(folder + "/data", lambda path: not path.startswith("snapshots/"))[1]
        snapshot = getattr(self, "snapshot", None)
        settled = du(snapshot)[1] if snapshot and os.path.isdir(snapshot) else total
        return dict(total=total, settled=settled)  # a snapshot: everything as blocks


class Victoria(Server):
    name = "victoria"
    port = 19428 + SHIFT
    modes = {"rw": "/api/v1/write", "text": "/api/v1/import/prometheus",
             "json": "/api/v1/import"}
    nocache = "nocache=1"

    def version(self):
        return "victoria-metrics " + output(
            ["dpkg-query", "-W", "-f", "${Version}", "victoria-metrics"])

    def command(self, folder, rules=None, interval="1m"):
        return ["victoria-metrics", f"-storageDataPath={folder}/data",
                f"-httpListenAddr=127.0.0.1:{self.port}", "-retentionPeriod=12",
                "-search.maxUniqueTimeseries=2000000", "-search.maxSeries=2000000",
                "-search.maxQueryDuration=300s", "-loggerLevel=WARN"]

    def settle(self, folder):
        self.get("/internal/force_flush")
        self.get("/internal/force_merge")
        quiet = 0
        deadline = time.monotonic() + 600
        while quiet < 4 and time.monotonic() < deadline:  # merging goes on in the background
            quiet = quiet + 1 if self.counter("vm_active_merges") == 0 else 0
            time.sleep(0.5)

    def disk(self, folder):
        data = folder + "/data"
        return dict(total=du(data)[1],
                    settled=du(data + "/data")[1] + du(data + "/indexdb")[1])


class Fengsui(Server):
    """Ours, through its outer contract."""
    name = "ours"
    port = 19470 + SHIFT
    modes = {"rw": "/api/v1/write", "rw2": "/api/v1/write"}
    sent = '{__name__!="",job!="fengsui-collector"}'
    native = True  # fengsui-swarm plays the same frames over the wire
    rule_counters = ("fengsui_collector_rule_evaluations_total",
                     "fengsui_collector_rule_evaluation_failures_total")
    program = os.environ.get("FENGSUI_COLLECTOR", BUILD + "/fengsui-collector")

    def endpoint(self):
        return f"tcp://127.0.0.1:{self.port + 1}"

    def version(self):
        return output([self.program, "--version"]).strip()

    def command(self, folder, rules=None, interval="1m"):
        command = [self.program, "--data", folder + "/data", "--http",
                   f"127.0.0.1:{self.port}", "--ingest", self.endpoint(),
                   "--retention", "forever"]
        if rules:
            config = folder + "/collector.yml"
            with open(config, "w") as f:
                f.write(f"rules:\n  evaluation_interval: {interval}\n  files: [{rules}]\n")
            command += ["--config", config]
        return command

    def settle(self, folder):
        self.post("/api/fengsui/v1/store/settle?days=true")

    def disk(self, folder):
        # LMDB files are sparse: what they cost is what is allocated.
        total = du(folder + "/data")[1]
        return dict(total=total, settled=total)


ALL = {server.name: server for server in (Prometheus(), Victoria(), Fengsui())}
