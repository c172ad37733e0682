#!/usr/bin/python3
"""A connection that breaks while the collector has no time for it costs that connection only.

libzmq 4.3 ends the process when a heartbeat is due on a connection that broke while its queue was
full.  So here the thread that reads from the queues is held (ptrace) while a peer sends more than any
probe has to say at once and goes; its connection must be cleaned up meanwhile, and all go on after.
"""
import ctypes
import os
import pathlib
import subprocess
import sys

from fengsui import SKIPPED, Lab, run_tests, wait_for

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
WAIT_FOR_ALL_THREADS = 0x40000000  # __WALL
# Definitions of a million series (DEFINITIONS_MOST of probe/transport_send.c), and batches behind them
# (FLIGHTS_MAX of probe/flights.h).
UNDER_WAY = (1 << 20) // 256 + 128 + 8
PEER = """
import sys, zmq
from zmq.utils.monitor import recv_monitor_message
endpoint, key, count = sys.argv[1], open(sys.argv[2]).read().strip(), int(sys.argv[3])
context = zmq.Context()
socket = context.socket(zmq.DEALER)
socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
socket.curve_serverkey = key.encode()
socket.setsockopt(zmq.SNDHWM, 0)
socket.setsockopt(zmq.HEARTBEAT_IVL, 1000)
monitor = socket.get_monitor_socket()
socket.connect(endpoint)
while recv_monitor_message(monitor)["event"] != zmq.EVENT_HANDSHAKE_SUCCEEDED:
    pass
print("connected", flush=True)
sys.stdin.readline()
for _ in range(count):
    socket.send(bytes(100))
socket.disable_monitor()
monitor.close()
socket.close(linger=-1)
context.term()  # when all is written
"""


def hold(libc, thread):
    """Stops one thread of another process; False if this host does not let us."""
    if libc.ptrace(PTRACE_SEIZE, thread, None, None) != 0:
        return False
    assert libc.ptrace(PTRACE_INTERRUPT, thread, None, None) == 0
    os.waitpid(thread, WAIT_FOR_ALL_THREADS)
    return True


def thread_of(pid, name):
    """The number of a process's thread of that name; 0: there is none yet."""
    return next((int(thread.name) for thread in pathlib.Path(f"/proc/{pid}/task").iterdir()
                 if (thread / "comm").read_text() == name + "\n"), 0)


def sockets(pid):
    """How many a process has open; none once it has ended."""
    try:
        return sum(os.readlink(file).startswith("socket:")
                   for file in pathlib.Path(f"/proc/{pid}/fd").iterdir())
    except FileNotFoundError:
        return 0


def test_a_peer_that_goes_while_its_queue_waits():
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    with Lab() as lab:
        collector = lab.collector("").start()
        pid = collector.process.pid
        reader = wait_for(lambda: thread_of(pid, "ingest"), "the thread that reads")
        before = sockets(pid)
        peer = subprocess.Popen(
            [sys.executable, "-c", PEER, f"tcp://127.0.0.1:{collector.ingest}",
             collector.data / "keys/collector.pub", str(UNDER_WAY)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        try:
            assert peer.stdout.readline() == "connected\n"
            if not hold(libc, reader):
                print("skipped: ptrace is not allowed here")
                sys.exit(SKIPPED)
            peer.stdin.write("\n")
            peer.stdin.flush()
            assert peer.wait(30) == 0
            wait_for(lambda: sockets(pid) <= before, "the connection to be cleaned up", 30)
            assert collector.process.poll() is None, "the collector ended"
        finally:
            peer.kill()
            libc.ptrace(PTRACE_DETACH, reader, None, None)
        lab.probe(collector, interval="1s").start()
        wait_for(lambda: collector.query("up == 1"), "a probe's samples afterwards", 30)


if __name__ == "__main__":
    run_tests(globals())
