#!/usr/bin/python3
"""Syslog of other devices: what switches and arrays send, in every form, once, under their address.

What can go wrong, each a case here:
  - a message is lost, repeated or torn: in datagrams, streams of either framing, over kill -9 of the
    probe's connection to the collector;
  - one sender's flood, address or encoding changes what is told of another;
  - an address that cannot be listened at, or a sender that may not, is silent;
  - personal numbers leave the host;
  - a kind of lines that was told before a restart is new again.
"""
import re
import socket
import subprocess
import time

from fengsui import BUILD, PATIENCE, Lab, free_port, run_tests, wait_for


def free_udp_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class World(Lab):
    """A collector, and a probe that listens at a UDP and a TCP port."""

    def __init__(self, rest=""):
        super().__init__()
        self.udp, self.tcp = free_udp_port(), free_port()
        self.listen = f"[udp://127.0.0.1:{self.udp}, tcp://127.0.0.1:{self.tcp}]"
        self.config = self.folder / "probe.yml"
        self.config.write_text("sources:\n  syslog:\n"
                               f"    listen: {self.listen}\n    interval: 100ms\n{rest}")
        self.server = self.collector().start()
        self.agent = self.probe(self.server, flags=["--config", self.config]).start()
        wait_for(lambda: self.server.query("syslog_listener_up == 1"), "the listener")

    def datagram(self, data, source="127.0.0.1"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((source, 0))
            sock.sendto(data, ("127.0.0.1", self.udp))

    def stream(self, *parts, source="127.0.0.1"):
        with socket.create_connection(("127.0.0.1", self.tcp), source_address=(source, 0)) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for part in parts:
                sock.sendall(part)

    def lines(self, source="127.0.0.1"):
        answer = self.server.json("/api/fengsui/v1/logs", path=f"syslog://{source}", limit=10000,
                                  start=f"{time.time() - 600:.3f}", direction="forward")
        lines = answer["data"]["lines"]
        keys = [(line["file"], line["offset"]) for line in lines]
        assert len(keys) == len(set(keys)), "a line is stored twice"
        return [(line["severity"], line["text"]) for line in lines]

    def wait_lines(self, *expected, source="127.0.0.1"):
        wait_for(lambda: len(self.lines(source)) >= len(expected), f"{len(expected)} lines")
        assert self.lines(source) == list(expected), self.lines(source)

    def value(self, expression):
        found = self.server.query(expression)
        return float(found[0]["value"][1]) if found else None


def test_messages_of_every_form_arrive_once():
    with World() as world:
        world.datagram(b"<187>Oct 11 22:14:15 core-sw %LINK-3-UPDOWN: Interface down\n")
        world.wait_lines(("err", "Oct 11 22:14:15 core-sw %LINK-3-UPDOWN: Interface down"))
        world.datagram(b"<165>1 2026-11-28T05:14:15Z arr ctl 1 ID1 - \xef\xbb\xbfdisk 3 failed",
                       "127.0.0.2")
        world.wait_lines(("notice", "2026-11-28T05:14:15Z arr ctl 1 ID1 - disk 3 failed"),
                         source="127.0.0.2")
        world.datagram("<26>负载均衡节点离线".encode("gb18030"), "127.0.0.3")
        world.wait_lines(("crit", "负载均衡节点离线"), source="127.0.0.3")
        world.stream(b"<14>one\n<1", b"5>two\n10 <11>th\nree", b"7 <15>end", source="127.0.0.4")
        world.wait_lines(("info", "one"), ("debug", "two"), ("err", "th\nree"), ("debug", "end"),
                         source="127.0.0.4")
        world.datagram(b"ERROR no priority at all", "127.0.0.5")
        world.wait_lines(("err", "ERROR no priority at all"), source="127.0.0.5")
        wait_for(lambda: world.value("syslog_senders") == 5, "five senders")
        assert world.value('logwatch_lines_total{file="syslog://127.0.0.4",severity="error"}') == 1
        wait_for(lambda: world.value('syslog_received_messages_total{transport="tcp"}') == 4,
                 "the count of streams")
        assert world.value('syslog_received_messages_total{transport="udp"}') == 4
        world.agent.stop()


def test_a_burst_is_whole_and_stored_once_over_an_outage():
    with World() as world:
        world.server.kill()
        sent = [("info", f"message {i}") for i in range(3000)]
        world.stream(*(f"<14>{text}\n".encode() for _, text in sent))
        world.server.start()
        world.wait_lines(*sent)
        world.agent.stop()
        # The senders are remembered: one that is silent from now on is missed all the same.
        world.agent.start()
        last = 'logwatch_last_line_timestamp_seconds{file="syslog://127.0.0.1"} > 0'
        wait_for(lambda: world.value(last), "the sender of the run before")
        assert world.value("syslog_senders") == 1
        world.datagram(b"<14>after")
        world.wait_lines(*sent, ("info", "after"))
        world.agent.stop()


def test_who_may_send_and_what_leaves():
    rest = ("    allow: [127.0.0.1, 127.0.1.0/24]\n    rate_limit: 1\n"
            "    patterns: [{name: link, regex: UPDOWN}]\n")
    with World(rest) as world:
        world.datagram(b"<14>from outside", "127.0.0.2")
        world.stream(b"<14>from outside\n", source="127.0.0.2")
        wait_for(lambda: world.value('syslog_dropped_messages_total{reason="sender_refused"}') == 2,
                 "the refused sender")
        for i in range(30):
            world.datagram(f"<14>chatter {i}".encode(), "127.0.1.9")
        for i in range(15):
            world.datagram(f"<11>UPDOWN {i}".encode(), "127.0.1.9")
        world.datagram("<14>缴费人 13800138000".encode())
        wait_for(lambda: [t for s, t in world.lines("127.0.1.9") if s == "err"] ==
                 [f"UPDOWN {i}" for i in range(15)], "all errors")
        chatter = [t for s, t in world.lines("127.0.1.9") if s == "info"]
        assert 10 <= len(chatter) < 30, chatter
        dropped = 'logwatch_dropped_lines_total{file="syslog://127.0.1.9"}'
        wait_for(lambda: world.value(dropped) == 30 - len(chatter), "the count of dropped lines")
        assert world.value('logwatch_pattern_matches_total{pattern="link"} > 0') == 15
        (_, text), = wait_for(world.lines, "the other sender's line")
        assert text.startswith("缴费人 138*") and text.endswith("*8000"), text
        assert not world.lines("127.0.0.2")
        world.agent.stop()


def test_kinds_of_lines_are_known_over_a_restart():
    new = 'logwatch_templates_new_total{file="syslog://127.0.0.1"}'
    with World("    templates: 10\n") as world:
        world.datagram(b"<14>link of one port is down")
        world.datagram(b"<14>disk is full")
        wait_for(lambda: world.value(new) == 2, "both kinds")
        world.agent.stop()
        world.agent.start()
        wait_for(lambda: world.value(new) == 0, "what is known")
        world.stream(b"<14>link of one port is down\n<14>never before seen here\n")
        wait_for(lambda: world.value('syslog_received_messages_total{transport="tcp"}') == 2
                 and world.value(new) == 1, "the one new kind")
        world.agent.stop()


def test_an_address_in_use_is_told_and_tried_again():
    with World() as world, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        world.agent.stop()
        world.config.write_text("sources: {syslog: {listen: ["
                                f"'tcp://127.0.0.1:{port}', 'udp://127.0.0.1:{world.udp}']}}}}\n")

        def check():
            done = subprocess.run([BUILD / "fengsui-probe", "--check", "--config", world.config,
                                   "--state", world.folder / "state"], capture_output=True,
                                  text=True, timeout=60 * PATIENCE, check=False)
            assert done.returncode == 0, done.stderr
            return next(l for l in done.stdout.splitlines()
                        if l.startswith(("source syslog:", "measured here")))
        assert f"cannot listen at tcp://127.0.0.1:{port}: Address already in use" in check()
        world.agent.start()
        wait_for(lambda: world.value(f'syslog_listener_up{{listen="tcp://127.0.0.1:{port}"}}') == 0,
                 "the address to be told")
        world.datagram(b"<14>heard all the same")
        world.wait_lines(("info", "heard all the same"))
        assert "Address already in use" in world.agent.log.read_text()
        taken.close()
        wait_for(lambda: world.value(f'syslog_listener_up{{listen="tcp://127.0.0.1:{port}"}}') == 1,
                 "the address to be taken", 30)
        world.agent.stop()
        assert re.search(r"^measured here, with nothing to say:.* syslog\b", check())


def test_bad_settings_name_their_line():
    with Lab() as lab:
        path = lab.folder / "probe.yml"
        for text, words in (
                ("listen: [udp://localhost:5514]", "the address must be a number"),
                ("listen: ['udp://0.0.0.0']", "is no address to listen at"),
                ("listen: []", "listen must name 1 to 8 addresses"),
                ("listen: [udp://0.0.0.0:5514], allow: [10.0.0.0/33]", "is no address or network"),
                ("listen: [udp://0.0.0.0:5514], redact: [x]", "is none of"),
                ("listn: [udp://0.0.0.0:5514], enabled: true", 'did you mean "listen"?')):
            path.write_text(f"sources:\n  syslog: {{{text}}}\n")
            done = subprocess.run([BUILD / "fengsui-probe", "--check", "--config", path, "--state",
                                   lab.folder / "state"], capture_output=True, text=True,
                                  timeout=60 * PATIENCE, check=False)
            assert done.returncode != 0 and words in done.stderr and "probe.yml:2" in done.stderr, \
                (text, done.stdout, done.stderr)


if __name__ == "__main__":
    run_tests(globals())
