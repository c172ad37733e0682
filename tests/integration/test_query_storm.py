"""Queries of every kind at once, while samples come in: nobody sees half a write or another's answer.

Its subject is threads: the sanitizers' builds run it, too.
"""
import json
import pathlib
import random
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "peer"))
from expressions import Maker  # noqa: E402
from fengsui import Lab, PATIENCE, run_tests  # noqa: E402
from remote_message import series, write  # noqa: E402
from remote_reader import RE, XOR_CHUNKS, accepts, ask, query, read_chunks  # noqa: E402

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ROUNDS = 60           # of the writer, each a sample of every series
ASKERS = 4
LEAST_QUESTIONS = 40  # of all askers together, so that the two do meet


class Storm:
    def __init__(self, collector):
        self.collector, self.begin = collector, int(time.time()) - 3000
        self.written, self.is_over = 0, False
        self.asked, self.wrong = 0, []
        self.names = [{"__name__": name, "job": job, "instance": f"i{n}"}
                      for name in ("g", "h", "g2", "c_total", "d_total") for job in "ab"
                      for n in range(4)]

    def put(self):
        """A round: every series gets the round's number, all in one write."""
        at = (self.begin + self.written * 15) * 1000 + 250
        message = b"".join(series(labels, [(float(self.written), at)]) for labels in self.names)
        assert write(self.collector, message)[0] == 204
        self.written += 1

    def question(self, chance, maker):
        """A random expression: an answer, or an error that PromQL has."""
        end = self.begin + self.written * 15
        path, form = "/api/v1/query", {"query": str(maker.make()).replace(
            "holt_winters", "double_exponential_smoothing"), "time": end}
        if chance.random() < 0.4:
            path = "/api/v1/query_range"
            form = {"query": form["query"], "start": end - 600, "end": end, "step": 15}
        code, body = self.collector.request("POST", path, urllib.parse.urlencode(form).encode(),
                                            FORM)
        status = json.loads(body)
        fine = code == 200 and status["status"] == "success" or \
            code in (400, 422) and status["errorType"] in ("bad_data", "execution")
        assert fine, (form, code, body[:500])

    def whole_rounds(self):
        """Whatever is seen of a round is all of it, and what was answered 204 is seen."""
        known = self.written
        at = self.begin + known * 15 + 60
        result = self.collector.query(
            'count by (v) (count_values without (job) ("v", {__name__=~"g|h|c_total"}))', at)
        seen = {int(r["metric"]["v"]): int(r["value"][1]) for r in result}
        assert len(seen) == 1 and max(seen) >= known - 1, (known, seen)
        value, = (float(r["value"][1]) for r in self.collector.query(
            'count(last_over_time({__name__=~"g|h|c_total"}[1h]))', at))
        assert value == 24, value

    def read(self):
        known = self.written
        code, body = ask(self.collector, query(0, (self.begin + 10 ** 6) * 1000,
                                               (RE, "__name__", "g|d_total")) + accepts(XOR_CHUNKS))
        assert code == 200, body
        found, = read_chunks(body, 1)
        assert len(found) == 16, len(found)
        assert all(len(samples) >= known for _, samples in found), known

    def run(self, number):
        chance = random.Random(f"storm {number}")
        maker = Maker(chance, self.begin, self.begin + 15 * ROUNDS)
        try:
            while not self.is_over:
                kind = chance.random()
                if kind < 0.7:
                    self.question(chance, maker)
                elif kind < 0.85:
                    self.whole_rounds()
                elif kind < 0.95:
                    self.read()
                else:
                    names = self.collector.json("/api/v1/label/instance/values",
                                                **{"match[]": "g"})["data"]
                    assert names == [f"i{n}" for n in range(4)], names
                self.asked += 1
        except Exception as error:  # noqa: BLE001 - told by the test's own thread
            self.wrong.append(repr(error)[:1000])


def test_queries_of_every_kind_while_samples_come_in():
    with Lab() as lab:
        collector = lab.collector().start()
        storm = Storm(collector)
        for _ in range(3):
            storm.put()
        askers = [threading.Thread(target=storm.run, args=(n,)) for n in range(ASKERS)]
        for thread in askers:
            thread.start()
        deadline = time.monotonic() + 60 * PATIENCE
        while (storm.written < ROUNDS or storm.asked < LEAST_QUESTIONS) and not storm.wrong:
            assert time.monotonic() < deadline, (storm.written, storm.asked)
            if storm.written < ROUNDS:
                storm.put()
            else:
                time.sleep(0.01)
        storm.is_over = True
        for thread in askers:
            thread.join()
        assert not storm.wrong, storm.wrong
        last = collector.value("max(g)", storm.begin + storm.written * 15)
        assert last == storm.written - 1, last
        assert collector.request("POST", "/api/fengsui/v1/store/settle")[0] == 200
        storm.whole_rounds()
        storm.read()
        collector.stop()


if __name__ == "__main__":
    run_tests(globals())
