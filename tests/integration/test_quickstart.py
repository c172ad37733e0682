"""deploy/quickstart.sh, as a newcomer runs it, with the programs that are already built.

Its two ports are fixed (9470 and 9471), so this test gives way to whatever listens there.
"""
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request

import fengsui

SOURCE = pathlib.Path(__file__).resolve().parents[2]
PORTS = (9470, 9471)
CHECKOUT = None  # a copy of deploy/, so that build/quickstart/ of the real one is left alone


def quickstart(*arguments, code=0):
    # To files, not pipes: what it starts outlives it and must not hold a pipe of ours open.
    with tempfile.TemporaryFile("w+") as output:
        done = subprocess.run(
            [str(CHECKOUT / "deploy/quickstart.sh"), *arguments], stdout=output, stderr=output,
            stdin=subprocess.DEVNULL, timeout=120, check=False,
            env=dict(os.environ, FENGSUI_BUILD=str(fengsui.BUILD)))
        output.seek(0)
        told = output.read()
    assert done.returncode == code, f"{arguments} ended with {done.returncode}:\n{told}"
    return told


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def query(expression):
    url = "http://127.0.0.1:9470/api/v1/query?" + urllib.parse.urlencode({"query": expression})
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)["data"]["result"]


def process_ids():
    """Of the programs of this build that were started from our checkout."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(word.startswith(bytes(CHECKOUT)) for word in words[1:]):
            found[int(entry.name)] = pathlib.Path(os.fsdecode(words[0])).name
    return found


def test_it_starts_both_and_data_flows():
    told = quickstart()
    assert "http://127.0.0.1:9470/" in told and "quickstart.sh --stop" in told, told
    assert re.search(r"Probes +1 up", told), told
    assert sorted(process_ids().values()) == ["fengsui-collector", "fengsui-probe"]
    assert query("node_load1")
    fengsui.wait_for(lambda: query("up == 1"), "the collector to say that the probe is up")


def test_a_second_start_replaces_the_first():
    before = set(process_ids())
    assert len(before) == 2, before
    told = quickstart()
    assert "stopped fengsui-probe" in told and "stopped fengsui-collector" in told, told
    after = set(process_ids())
    assert len(after) == 2 and not after & before, (before, after)
    assert query("node_load1")


def test_stop_leaves_nothing_running():
    told = quickstart("--stop")
    assert "stopped fengsui-probe" in told and "stopped fengsui-collector" in told, told
    assert process_ids() == {}
    assert not any(listens(port) for port in PORTS)
    assert "stopped" not in quickstart("--stop")


def test_a_port_in_use_is_named_and_nothing_starts():
    for port in PORTS:
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("127.0.0.1", port))
            s.listen()
            told = quickstart(code=1)
        assert f"127.0.0.1:{port}" in told, told
        assert process_ids() == {}


def test_an_unknown_argument_is_refused():
    assert "--nonsense" in quickstart("--nonsense", code=2)


if __name__ == "__main__":
    if os.environ.get("FENGSUI_SANITIZE"):
        print("skip: quickstart is tested with the release build")
        sys.exit(fengsui.SKIPPED)
    taken = [port for port in PORTS if listens(port)]
    if taken:
        print(f"skip: something listens on port {taken[0]}")
        sys.exit(fengsui.SKIPPED)
    with tempfile.TemporaryDirectory(prefix="fengsui-quickstart-") as folder:
        CHECKOUT = pathlib.Path(folder).resolve()
        shutil.copytree(SOURCE / "deploy", CHECKOUT / "deploy")
        try:
            fengsui.run_tests(globals())
        finally:
            quickstart("--stop")
