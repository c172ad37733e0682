"""A real Prometheus that has nothing but remote_read from us: its answers are ours."""
import http.server
import shutil
import sys
import threading
import urllib.request

import snappy

from differential import BEGIN, SPAN_S, Side, compare, made_up, question
from expressions import expressions
from fengsui import Lab, SKIPPED, run_tests
from prometheus_peer import Peer
from remote_message import series
from remote_reader import fields, varint

CONFIG = """
remote_read:
- {{url: "http://127.0.0.1:{port}/api/v1/read", read_recent: true}}
"""
QUERIES = 60


class Stripper(http.server.BaseHTTPRequestHandler):
    """Between the two: forgets that the asker takes streams, so that samples are sent."""
    to = 0
    seen = []

    def do_POST(self):
        body = snappy.decompress(self.rfile.read(int(self.headers["Content-Length"])))
        kept = b"".join(b"\x0a" + varint(len(v)) + v for n, v in fields(body) if n == 1)
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.to}{self.path}", data=snappy.compress(kept), method="POST",
            headers={k: v for k, v in self.headers.items() if k.lower() != "content-length"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            content = answer.read()
            self.seen.append(answer.headers["Content-Type"])
            self.send_response(answer.status)
            for name in ("Content-Type", "Content-Encoding"):
                if answer.headers[name]:
                    self.send_header(name, answer.headers[name])
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def test_what_it_reads_from_us_is_what_we_have():
    with Lab() as lab, http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stripper) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        collector = lab.collector("rules: {evaluation_interval: 1m}\n",
                                  ["--retention", "forever"]).start()
        ours = Side(collector.http)
        ours.write(b"".join(series(labels, samples) for labels, samples in made_up("read", BEGIN)
                            if samples))
        assert collector.request("POST", "/api/fengsui/v1/store/settle")[0] == 200
        Stripper.to = collector.http
        for name, port in (("streamed", collector.http), ("samples", proxy.server_address[1])):
            with Peer(lab, CONFIG.format(port=port), name) as peer:
                theirs, full, different = Side(peer.port), 0, []
                for number, node, chance in expressions("read", QUERIES, BEGIN, BEGIN + SPAN_S):
                    text, when = str(node), question(chance, BEGIN)
                    found = compare((ours, theirs), text, when)
                    full += bool(ours.ask(text, when)[1].get("data", {}).get("result"))
                    if found not in (None, "explained"):
                        different.append(f"{name} {number} {text} at {when}: {found}")
                assert not different, "\n".join(different[:5])
                assert full > QUERIES / 3, full
        assert set(Stripper.seen) == {"application/x-protobuf"}, set(Stripper.seen)
        proxy.shutdown()
        collector.stop()


if __name__ == "__main__":
    if shutil.which("prometheus") is None:
        print("skipped: prometheus is not installed")
        sys.exit(SKIPPED)
    run_tests(globals())
