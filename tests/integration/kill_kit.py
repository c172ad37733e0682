"""kill_kit.py - what goes on in a collector that is killed under full load, and what must be there.

Every actor is a thread that gives the collector something to do and knows what it was promised.  It
holds `turn` while a request is under way and its outcome unknown: whoever holds all turns sees every
promise as it stands.

  Swarm    rounds of samples over the real wire, as fast as they are taken; a round is acknowledged
           as a whole, and what a query has shown of one under way may not go again
  Late     remote write to any time of two days, few values: the last write of a time wins
  Old      remote write of whole hours that are past the age of samples: only roll-ups keep them
  Gone     remote write, and deletes of it
  Keeping  settling, backups, queries: they may fail only because nobody answers
"""
import http.client
import json
import random
import shutil
import subprocess
import threading
import time
import urllib.parse

from fengsui import BUILD, PATIENCE
from remote_message import series, write

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
KEPT_DAYS = 3  # samples; roll-ups for ever
UNANSWERED = (OSError, http.client.HTTPException)
MASK = (1 << 64) - 1


class Actor(threading.Thread):
    """Does step() again and again.  What it finds wrong ends the campaign: see `wrong`."""

    def __init__(self, collector, seed):
        super().__init__(daemon=True)
        self.collector, self.random = collector, random.Random(f"{type(self).__name__}{seed}")
        self.turn, self.ending, self.wrong, self.done = threading.Lock(), threading.Event(), None, 0

    def run(self):
        while not self.ending.is_set() and self.wrong is None:
            try:
                with self.turn:
                    self.step()
            except UNANSWERED:
                pass
            except Exception as error:  # pylint: disable=broad-except
                self.wrong = error
            self.ending.wait(self.random.uniform(*self.rest))

    rest = (0.0, 0.01)  # seconds between two steps: a rate of the load

    def step(self):
        raise NotImplementedError

    def check(self):
        """All turns are held, and the collector is ready."""

    def end(self):
        self.ending.set()
        self.join()


def expect(code, text, *wanted):
    if code not in wanted:
        raise AssertionError(f"answered {code}: {text[:500]!r}")


# -- over the wire ---------------------------------------------------------------------------------

def mix(x):
    """random_mix() of tests/bench/kit/random.h."""
    x = (x + 0x9e3779b97f4a7c15) & MASK
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9 & MASK
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb & MASK
    return x ^ (x >> 31)


KINDS = "CSESSSSESCSPSSSDSPSS"  # of the swarm's twenty families (load_make.c)
FAMILIES = ("node_cpu_seconds_total", "node_cpu_guest_seconds_total",
            "node_network_receive_bytes_total", "node_network_receive_errs_total",
            "node_network_receive_drop_total", "node_network_mtu_bytes", "node_network_up",
            "node_disk_reads_completed_total", "node_disk_reads_merged_total",
            "node_disk_io_time_seconds_total", "node_disk_io_now", "node_filesystem_avail_bytes",
            "node_filesystem_size_bytes", "node_filesystem_files", "node_filesystem_readonly",
            "node_hwmon_temp_celsius", "node_hwmon_temp_crit_celsius",
            "namedprocess_namegroup_memory_bytes", "namedprocess_namegroup_num_procs",
            "namedprocess_namegroup_num_threads")


def made_sum(seed, probe, ref, ticks):
    """What the swarm sends of a series in a round: the sum of load_made_value()."""
    self = mix(mix(seed ^ mix(probe + 1)) ^ mix(ref))
    kind, rate = KINDS[ref % len(KINDS)], 1 + self % 200
    if kind == "S":
        return ticks * (0 if self % 4 == 0 else self % 1000000)
    total = 0.0
    for tick in range(ticks):
        now = mix(self ^ (tick + 1))
        if kind == "E":
            total += (self >> 20) % 1000000000 + tick * rate + now % (rate + 1)
        elif kind == "C":
            total += ((self >> 20) % 100000000 + tick * rate + now % (rate + 1)) / 100
        elif kind == "P":
            total += 4096.0 * ((self >> 20) % 1000000 + now % 64)
        else:
            total += ((self >> 20) % 9000 + now % 250) / 100
    return total


class Swarm(Actor):
    """Rounds one after the other, each in a time of its own; all but the last few are deleted."""
    probes, series, ticks, interval_ms, seed, kept = 40, 100, 150, 2000, 11, 6
    rest = (0, 0)

    def __init__(self, collector, seed):
        super().__init__(collector, seed)
        # Whole numbers of intervals since 1970, so that no two rounds share a time.
        self.width_ms = (self.ticks + 10) * self.interval_ms
        self.first_ms = (int(time.time() * 1000) - 2 * DAY_MS) // self.width_ms * self.width_ms
        self.rounds, self.deleted, self.shown, self.process = 0, 0, 0, None
        self.sums = {f"swarm-{p:04}": sum(made_sum(self.seed, p, ref, self.ticks)
                                          for ref in range(self.series))
                     for p in range(self.probes)}

    def start_of(self, number):
        return self.first_ms + number * self.width_ms

    def run(self):
        while not self.ending.is_set() and self.wrong is None:
            try:
                self.play()
                with self.turn:
                    self.rounds, self.shown = self.rounds + 1, 0
                self.forget()
            except UNANSWERED:
                pass
            except Exception as error:  # pylint: disable=broad-except
                self.wrong = error

    def play(self):
        """Until all of it is acknowledged, whatever is killed meanwhile."""
        self.process = subprocess.Popen(
            [BUILD / "fengsui-swarm", "--collector", f"tcp://127.0.0.1:{self.collector.ingest}",
             "--collector-key", self.collector.data / "keys/collector.pub", "--token",
             self.collector.data / "keys/enrol.token", "--probes", str(self.probes), "--series",
             str(self.series), "--interval", f"{self.interval_ms}ms", "--samples",
             str(self.probes * self.series * self.ticks), "--seed", str(self.seed), "--start",
             str(self.start_of(self.rounds)), "--fast", "--give-up",
             f"{int(180 * PATIENCE)}s", "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        out, err = self.process.communicate()
        if self.process.returncode != 0:
            raise AssertionError(f"the swarm ended with {self.process.returncode}: {err}{out}")
        self.done += json.loads(out)["samples"]

    def forget(self):
        while self.rounds - self.deleted > self.kept and not self.ending.is_set():
            with self.turn:
                delete(self.collector, '{instance=~"swarm-.*"}', self.start_of(self.deleted),
                       self.start_of(self.deleted + 1) - 1)
                self.deleted += 1

    def ask(self, number, term):
        """The sum of a term over all families, in a round; the term has {} for its samples."""
        window = f"[{self.width_ms - 1}ms]"
        return self.collector.query(" + ".join(
            "(" + term.format(f'{family}{{instance=~"swarm-.*"}}{window}') + ")"
            for family in FAMILIES), (self.start_of(number + 1) - 1) / 1000)

    def by_instance(self, number, function):
        return {row["metric"]["instance"]: float(row["value"][1]) for row in
                self.ask(number, f"sum by (instance) ({function}({{}}))")}

    def count(self, number):
        return float(self.ask(number, "sum(count_over_time({})) or vector(0)")[0]["value"][1])

    def note(self):
        """What can be seen of the round under way is durable."""
        with self.turn:
            number = self.rounds
            self.shown = max(self.shown, self.count(number))

    def check(self):
        for number in range(max(self.deleted - 2, 0), self.deleted):
            assert self.count(number) == 0, f"round {number} was deleted: {self.count(number)}"
        for number in range(self.deleted, self.rounds):
            # The delete of the oldest may have been carried out before its answer was lost.
            is_in_doubt = number == self.deleted and self.rounds - number > self.kept
            if is_in_doubt and self.count(number) == 0:
                continue
            counts = self.by_instance(number, "count_over_time")
            wanted = dict.fromkeys(self.sums, self.series * self.ticks)
            assert counts == wanted, f"round {number}: {diff(counts, wanted)}"
            sums = self.by_instance(number, "sum_over_time")
            far = {key: (sums[key], self.sums[key]) for key in sums
                   if abs(sums[key] - self.sums[key]) > 1e-9 * abs(self.sums[key])}
            assert not far, f"round {number}: sums {far}"
        seen, most = self.count(self.rounds), self.probes * self.series * self.ticks
        assert self.shown <= seen <= most, \
            f"round {self.rounds} under way: {self.shown} had been seen, {seen} are there of {most}"

    def end(self):
        self.ending.set()
        if self.process is not None and self.process.poll() is None:
            self.process.wait()
        self.join()


def diff(got, wanted):
    wrong = {key: (got.get(key), wanted.get(key)) for key in got.keys() | wanted.keys()
             if got.get(key) != wanted.get(key)}
    return f"{len(wrong)} wrong, (found, wanted): {dict(list(wrong.items())[:5])}"


# -- by remote write -------------------------------------------------------------------------------

def delete(collector, selector, start_ms, end_ms):
    code, text = collector.request("POST", "/api/v1/admin/tsdb/delete_series?" +
                                   urllib.parse.urlencode({"match[]": selector,
                                                           "start": f"{start_ms / 1000:.3f}",
                                                           "end": f"{end_ms / 1000:.3f}"}))
    expect(code, text, 204)


class Late(Actor):
    count, limit = 8, 60_000  # series, times that are remembered

    def __init__(self, collector, seed):
        super().__init__(collector, seed)
        self.now_ms, self.may = int(time.time()) // 60 * 60_000, {}

    def step(self):
        keys = list(self.may) if len(self.may) > self.limit else None
        last = {}
        for _ in range(200):
            key = self.random.choice(keys) if keys else (
                self.random.randrange(self.count),
                self.now_ms - 30_000 * self.random.randrange(4 * 60 if self.random.random() < 0.5
                                                             else 2 * 24 * 120))
            last[key] = float(self.random.randrange(5))
        rows = {}
        for (n, ms), value in last.items():
            rows.setdefault(n, []).append((value, ms))
        try:
            code, text = write(self.collector, b"".join(
                series({"__name__": "late", "n": str(n)}, samples) for n, samples in rows.items()))
        except UNANSWERED:
            for key, value in last.items():
                self.may[key] = self.may.get(key, {None}) | {value}
            raise
        expect(code, text, 204)
        self.may.update({key: {value} for key, value in last.items()})
        self.done += len(last)

    def check(self):
        rows = self.collector.query(f"late[{2 * 24 + 1}h]", self.now_ms / 1000)
        found = {(int(row["metric"]["n"]), round(at * 1000)): float(value)
                 for row in rows for at, value in row["values"]}
        wrong = {key: (found.get(key), values) for key, values in self.may.items()
                 if found.get(key) not in values}
        assert not wrong, f"{len(wrong)} of {len(self.may)}: {list(wrong.items())[:5]}"
        assert found.keys() <= self.may.keys(), "samples nobody wrote"
        assert sum(len(row["values"]) for row in rows) == len(found), "a time came twice"


class Old(Actor):
    """Hours of the days before samples are kept: repeated until they are acknowledged; some are
    deleted then.  A query's windows are whole buckets, so records answer as samples would."""
    count, rest = 4, (0.05, 0.3)
    steps = 60

    def __init__(self, collector, seed):
        super().__init__(collector, seed)
        self.end_ms = (int(time.time() * 1000) // DAY_MS - KEPT_DAYS - 2) * DAY_MS
        self.hours, self.gone, self.doubtful, self.again = [], set(), set(), None

    def values(self, hour_ms):
        return [float(mix(hour_ms + i) % 1000) for i in range(self.steps)]

    def step(self):
        if self.again is None and self.hours and self.random.random() < 0.1:
            hour = self.random.choice(self.hours)
            self.doubtful.add(hour)
            delete(self.collector, "old", hour + 1, hour + HOUR_MS)
            self.doubtful.discard(hour)
            self.gone.add(hour)
            return
        if self.again is None:
            days = 40
            self.again = self.end_ms - HOUR_MS * (1 + self.random.randrange(days * 24))
            if self.again in self.hours:
                self.again = None
                return
        hour = self.again
        samples = [(value, hour + (i + 1) * HOUR_MS // self.steps)
                   for i, value in enumerate(self.values(hour))]
        expect(*write(self.collector, b"".join(
            series({"__name__": "old", "n": str(n)}, samples) for n in range(self.count))), 204)
        self.again = None
        self.hours.append(hour)
        self.done += self.count * self.steps

    def check(self):
        for function, of in (("count_over_time", len), ("sum_over_time", sum),
                             ("max_over_time", max), ("min_over_time", min)):
            rows = self.collector.json(
                "/api/v1/query_range", query=f"{function}(old[1h])", step=3600,
                start=(self.end_ms - 41 * DAY_MS) / 1000, end=self.end_ms / 1000)
            found = {(row["metric"]["n"], round(at * 1000) - HOUR_MS): float(value)
                     for row in rows["data"]["result"] for at, value in row["values"]}
            for hour in self.hours:
                wanted = {float(of(self.values(hour)))}
                if hour in self.gone:
                    wanted = {None}
                elif hour in self.doubtful:
                    wanted |= {None}
                for n in range(self.count):
                    got = found.get((str(n), hour))
                    assert got in wanted, f"{function} of old {n} at {hour}: {got}, not {wanted}"
            strange = {key for key in found if key[1] not in self.hours and key[1] != self.again}
            assert not strange, f"hours nobody wrote: {list(strange)[:5]}"


class Gone(Actor):
    """Series in blocks; of every second the first half is deleted.  Nothing is written twice."""
    rest, block = (0.02, 0.1), 100

    def __init__(self, collector, seed):
        super().__init__(collector, seed)
        self.start_ms = int(time.time()) // 60 * 60_000 - DAY_MS
        self.written, self.deleted, self.asked = [], set(), set()

    def times(self, number):
        """A block's, anywhere in the day."""
        first = self.start_ms + mix(number) % (20 * 60) * 60_000
        return [first + 1000 * i for i in range(self.block)]

    def step(self):
        number = len(self.written)
        owed = [n for n in self.asked if n not in self.deleted] or \
               [n for n in self.written if n % 2 == 1 and n not in self.deleted][:1]
        if owed:
            self.asked.add(owed[0])
            at = self.times(owed[0])
            delete(self.collector, f'gone{{block="{owed[0]}"}}', at[0], at[self.block // 2 - 1])
            self.deleted.add(owed[0])
            return
        expect(*write(self.collector, series({"__name__": "gone", "block": str(number)},
                                             [(float(number), at) for at in self.times(number)])),
               204)
        self.written.append(number)
        self.done += self.block

    def check(self):
        at = (self.start_ms + DAY_MS) / 1000
        found = {}
        for what in ("count", "sum"):
            for row in self.collector.query(f"{what}_over_time(gone[25h])", at):
                found[(what, int(row["metric"]["block"]))] = float(row["value"][1])
        for n in self.written:
            whole, half = self.block, self.block - self.block // 2
            wanted = {half} if n in self.deleted else {whole, half} if n in self.asked else {whole}
            assert found.get(("count", n)) in wanted, \
                f"block {n}: {found.get(('count', n))}, not {wanted}"
            assert found[("sum", n)] == n * found[("count", n)]
        extra = {n for _, n in found if n not in self.written and n != len(self.written)}
        assert not extra, f"blocks nobody wrote: {extra}"


# -- and besides -----------------------------------------------------------------------------------

class Settle(Actor):
    """Flush, merge, expiry, roll-up, the rewriting of what holds deleted samples."""
    rest = (0.1, 2.0)

    def step(self):
        what = self.random.choice(("settle", "settle?days=true", "clean"))
        path = "/api/v1/admin/tsdb/clean_tombstones" if what == "clean" else \
            f"/api/fengsui/v1/store/{what}"
        expect(*self.collector.request("POST", path, b"", timeout=120), 200, 204)
        self.done += 1


class Backup(Actor):
    """Those that are not cut short are verified."""
    rest = (0.2, 1.5)

    def step(self):
        target = self.collector.folder / "backup"
        shutil.rmtree(target, ignore_errors=True)
        made = subprocess.run(
            [BUILD / "fengsuictl", "--lang", "en", "--url",
             f"http://127.0.0.1:{self.collector.http}", "backup",
             *self.random.choice(([], ["--copy"])), target], capture_output=True, text=True,
            check=False)
        if made.returncode == 0:
            verify(target)
            self.done += 1
        shutil.rmtree(target, ignore_errors=True)


class Queries(Actor):
    rest = (0.0, 0.1)

    def step(self):
        question = self.random.choice((
            "count(late)", "sum(count_over_time(late[2d]))", "sum by (n) (rate(old[1h]))",
            'count({instance=~"swarm-.*"})', "topk(3, sum by (block) (count_over_time(gone[1d])))"))
        ago = self.random.choice((0, 60, 3600, DAY_MS / 1000, 20 * DAY_MS / 1000))
        code, text = self.collector.get("/api/v1/query", query=question, time=time.time() - ago)
        expect(code, text, 200)
        self.done += 1


def verify(folder):
    done = subprocess.run([BUILD / "fengsuictl", "--lang", "en", "store", "verify", folder],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"store verify {folder}: {done.stdout}{done.stderr}"
