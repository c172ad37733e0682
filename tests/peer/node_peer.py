"""node_peer.py - servers of other makes, from npm, as the peer tests run them.

What they need is in package.json with its lock, and is fetched once a build folder; where there
is no node, no npm or no registry, the tests that want them are skipped.
"""
import hashlib
import json
import pathlib
import shutil
import subprocess
import sys
import threading

from fengsui import BUILD, SKIPPED, wait_for

HERE = pathlib.Path(__file__).resolve().parent
FILES = ("package.json", "package-lock.json")


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIPPED)


def modules():
    """The folder node_modules as the lock file wants it."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        skip("node or npm is not installed")
    wanted = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in FILES)).hexdigest()
    folder = BUILD / "peer-npm" / wanted[:16]  # a folder of its own: tests run side by side
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        import fcntl
        with open(folder / "lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "complete").exists():
                for name in FILES:
                    shutil.copy(HERE / name, folder)
                done = subprocess.run(
                    ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline",
                     "--loglevel=error"], cwd=folder, capture_output=True, text=True, check=False)
                if done.returncode != 0:
                    skip(f"npm could not fetch the peers: {done.stderr.strip()[-200:]}")
                (folder / "complete").touch()
    return folder / "node_modules"


def make_certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{folder}/tls.key",
                    "-out", f"{folder}/tls.crt", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True,
                   capture_output=True)


class NodePeer:
    """A script beside us under node: JSON lines in, JSON lines out."""

    def __init__(self, script, password="", folder="", port=0):
        self.events = []
        self.process = subprocess.Popen(
            ["node", str(HERE / script), str(modules()), str(port), password, str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self.listen, daemon=True).start()
        self.port = self.wait("listening")["listening"]

    def listen(self):
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def all(self, kind):
        return [event for event in list(self.events) if kind in event]

    def wait(self, kind, count=1, seconds=20):
        """The count-th event that has this key."""
        wait_for(lambda: self.process.poll() is None and len(self.all(kind)) >= count,
                 f"{count} of {kind!r}; there are {self.events[-8:]}", seconds)
        return self.all(kind)[count - 1]

    def tell(self, **command):
        """Returns when it is obeyed."""
        count = len(self.all("obeyed"))
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        self.wait("obeyed", count + 1)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
