"""prometheus_peer.py - a real Prometheus beside a collector."""
import subprocess
import urllib.error
import urllib.parse
import urllib.request

from fengsui import free_port, wait_for


def ask(port, method, path, body=None, headers=None):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{urllib.parse.quote(path, safe='/?&=[]%:,.-_~()*')}",
        data=body.encode() if isinstance(body, str) else body, headers=headers or {},
        method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


class Peer:
    """Debian's Prometheus on a folder of the lab's; ready when it is entered."""

    def __init__(self, lab, config="", name="prometheus"):
        self.port = free_port()
        folder = lab.folder / name
        folder.mkdir()
        (folder / "prometheus.yml").write_text(config or "global: {}\n")
        self.log = open(folder / "log", "wb")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={folder}/prometheus.yml",
             f"--storage.tsdb.path={folder}/data", "--web.enable-remote-write-receiver",
             "--web.enable-admin-api", f"--web.listen-address=127.0.0.1:{self.port}"],
            stdout=self.log, stderr=self.log)

    def __enter__(self):
        wait_for(lambda: ask(self.port, "GET", "/-/ready")[0] == 200, "the peer", 60)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()
