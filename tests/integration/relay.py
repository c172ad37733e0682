"""relay.py - a TCP relay between a probe and its collector that is a bad line, or one between zones.

    relay = Relay(collector_port, delay_s=0.5, bytes_per_second=8000)
    relay.port           what the probe connects to
    relay.is_stuck       while true nothing passes, and nobody is told (a black hole)
    relay.drop()         every connection is reset
    relay.close()        nobody listens there any more

It reads no more than a router would queue, so that a sender feels a thin line.  Delay and rate hold
each way by itself.  A thread of its own; the figures may be changed at any time.
"""
import asyncio
import socket
import struct
import threading
import time

QUEUED_SECONDS = 0.5  # what waits inside, at the line's rate
CHUNK_BYTES = 16384
SEEN_BYTES = 65536


class Relay:
    def __init__(self, target_port, delay_s=0.0, bytes_per_second=None, host="127.0.0.1"):
        self.target = (host, target_port)
        self.delay_s, self.rate = delay_s, bytes_per_second
        self.is_stuck = False
        self.connections = 0    # accepted so far
        self.passed = [0, 0]    # bytes to the collector, and from it
        self.seen = bytearray() # the first of them, both ways, as who listens on the line has them
        self.writers = set()
        self.loop = asyncio.new_event_loop()
        self.listener = socket.socket()
        if bytes_per_second is not None:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        self.listener.bind(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.endpoint = f"tcp://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.run, daemon=True)
        started = threading.Event()
        self.loop.call_soon(started.set)
        self.server = None
        self.thread.start()
        started.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def run(self):
        asyncio.set_event_loop(self.loop)
        self.server = self.loop.run_until_complete(
            asyncio.start_server(self.accepted, sock=self.listener, limit=CHUNK_BYTES))
        self.loop.run_forever()
        self.loop.close()

    async def accepted(self, reader, writer):
        self.connections += 1
        self.writers.add(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target,
                                                                   limit=CHUNK_BYTES)
        except OSError:
            writer.transport.abort()
            self.writers.discard(writer)
            return
        self.writers.add(far_writer)
        tasks = [asyncio.ensure_future(self.pump(reader, far_writer, 0)),
                 asyncio.ensure_future(self.pump(far_reader, writer, 1))]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        for each in (writer, far_writer):
            each.transport.abort()
            self.writers.discard(each)

    async def pump(self, reader, writer, way):
        """One way of one connection: what was read leaves at its time, in its order."""
        queue = asyncio.Queue(maxsize=64)

        async def read():
            free = 0.0
            while True:
                size = CHUNK_BYTES if self.rate is None else max(64, int(self.rate / 10))
                data = await reader.read(size)
                free = max(free, time.monotonic())
                if self.rate is not None:
                    free += len(data) / self.rate
                    await asyncio.sleep(max(0.0, free - time.monotonic() - QUEUED_SECONDS))
                await queue.put((free + self.delay_s, data))
                if not data:
                    return

        reading = asyncio.ensure_future(read())
        try:
            while True:
                at, data = await queue.get()
                await asyncio.sleep(max(0.0, at - time.monotonic()))
                while self.is_stuck:
                    await asyncio.sleep(0.02)
                if not data:
                    return
                writer.write(data)
                await writer.drain()
                self.passed[way] += len(data)
                self.seen += data[:max(0, SEEN_BYTES - len(self.seen))]
        except OSError:
            return
        finally:
            reading.cancel()

    def drop(self):
        """A reset, as from a firewall that has forgotten its connections."""
        def reset():
            for writer in list(self.writers):
                sock = writer.get_extra_info("socket")
                if sock is not None:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
        self.loop.call_soon_threadsafe(reset)

    def close(self):
        if not self.thread.is_alive():
            return

        def end():
            if self.server is not None:
                self.server.close()
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            for writer in list(self.writers):
                writer.transport.abort()
            self.loop.call_later(0.05, self.loop.stop)
        self.loop.call_soon_threadsafe(end)
        self.thread.join(10)
