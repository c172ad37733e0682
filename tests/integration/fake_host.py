"""fake_host.py - this machine once more, to be installed on, written to and thrown away.

A FakeHost is an overlay over / in namespaces of its own: what is written there goes to memory, its
processes end with it, /run is empty (nobody sees systemd), the network is the real one.  So dpkg,
rpm and installers run as they are, as root, and the machine under the tests stays as it is.
"""
import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import textwrap

from fengsui import PATIENCE

SET_UP = r"""
set -e
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
cd "$1/root"
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mkdir -p run/lock
rm -f usr/sbin/policy-rc.d
touch fake-host
# Not before its root is the overlay: whoever enters earlier is on the real machine.
exec chroot . sh -c 'echo ready; sleep infinity; :' # the shell buries whom nobody else does
"""


def why_not():
    """One line that says why there can be none here, or None."""
    if os.geteuid() != 0:
        return "only root can make a host to install on"
    for program in ("unshare", "nsenter", "chroot"):
        if shutil.which(program) is None:
            return f"no {program} here"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /mnt && cd /mnt && mkdir u w r && '
         'mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w /mnt/r'],
        capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"no overlay over / here: {done.stderr.strip()}"


class FakeHost(contextlib.AbstractContextManager):
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="fengsui-host-"))
        self.holder = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private",
             "sh", "-c", SET_UP, "sh", self.folder], stdout=subprocess.PIPE, text=True)
        assert self.holder.stdout.readline() == "ready\n", "the host was not made"
        children = pathlib.Path(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children")
        self.pid = children.read_text().split()[0]
        assert self.has("/fake-host") and not pathlib.Path("/fake-host").exists(), \
            "this would be the real machine"

    def _enter(self, command, text):
        """Runs a shell's command line there, and nowhere else."""
        return subprocess.run(
            ["nsenter", f"--target={self.pid}", "--mount", "--pid", "--root", "--wd", "sh", "-c",
             f"test -e /fake-host || exit 99; {command}"], input=text, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False, timeout=120 * PATIENCE,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"})

    def run(self, command, code=0):
        """A command line on that host: what it said."""
        done = self._enter(command, "")
        assert code is None or done.returncode == code, \
            f"{command!r} ended with {done.returncode}:\n{textwrap.indent(done.stdout, '  ')}"
        return done.stdout

    # By programs of that host: seen from here its links would lead into this machine's files.
    def read(self, name):
        return self.run(f"cat {name}")

    def write(self, name, text):
        assert self._enter(f"cat >{name}", text).returncode == 0, name

    def has(self, name):
        """Is there such a file?  A link counts as one, wherever it leads."""
        return self._enter(f"test -e {name} || test -L {name}", "").returncode == 0

    def __exit__(self, kind, error, trace):
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        return False
