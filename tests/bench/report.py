#!/usr/bin/env python3
"""Markdown tables from the results: ratios of ours to the peers first, then what they come from.

usage: report.py [FILE]      (also printed; default build/bench/report.md)
"""
import os
import platform
import statistics
import sys

from place import HERE, WORK, results

sys.path.insert(0, HERE + "/query")
import table as query_table  # noqa: E402

MIB = 1 << 20
LINES = []


def put(text=""):
    LINES.append(text)
    print(text)


def table(head, rows):
    if not rows:
        return
    put("| " + " | ".join(head) + " |")
    put("|" + " --- |" * len(head))
    for row in rows:
        put("| " + " | ".join(str(cell) for cell in row) + " |")
    put()


def spread(values, form="{:.0f}"):
    if not values:
        return "-"
    median = form.format(statistics.median(values))
    if len(values) == 1:
        return median
    return f"{median} ({form.format(min(values))}..{form.format(max(values))})"


def median(values):
    return statistics.median(values) if values else None


class Stores:
    def __init__(self, rows):
        self.rows = rows

    def values(self, key, server, modes=None, stages=("repeat", "ingest"), data="wide"):
        return [row[key] for row in self.rows
                if row["stage"] in stages and row["server"] == server and key in row and
                (modes is None or row["mode"] in modes) and
                (data is None or row.get("data", data) == data)]

    def best(self, key, server):
        """The best median over all paths."""
        found = []
        for mode, data in (("rw", "wide"), ("text", "wide_text"), ("json", "wide_json")):
            value = median(self.values(key, server, (mode,), ("repeat", "ingest", "paths"), data))
            if value:
                found.append(value)
        return max(found, default=None)


def versus(rows, what, goal, ours, peer, least=False, unit=""):
    """One line of the first table: our value over the peer's, and whether that is enough."""
    if not ours or not peer:
        return
    ratio = ours / peer
    is_met = ratio >= goal if least else ratio <= goal
    rows.append((what, f"{ours:.4g} {unit}", f"{peer:.4g} {unit}", f"{ratio:.3f}",
                 f"{'≥' if least else '≤'} {goal:g}", "yes" if is_met else "NO"))


def store_ratios(rows, stores):
    def one(key, server, *more, **options):
        return median(stores.values(key, server, *more, **options))

    speed = "samples_per_cpu_s"
    versus(rows, "ingest, own wire, a backlog / VictoriaMetrics' best path (a bulk import), "
           "samples a CPU-second", 10,
           one(speed, "ours", ("backlog",)), stores.best(speed, "victoria"), least=True)
    versus(rows, "ingest, own wire, a backlog / VictoriaMetrics, remote write, samples a "
           "CPU-second", 10, one(speed, "ours", ("backlog",)), one(speed, "victoria", ("rw",)),
           least=True)
    versus(rows, "ingest, own wire, a tick a message / VictoriaMetrics, remote write, samples a "
           "CPU-second", 10, one(speed, "ours", ("native",)), one(speed, "victoria", ("rw",)),
           least=True)
    versus(rows, "ingest, remote write / VictoriaMetrics, samples a CPU-second", 3,
           one(speed, "ours", ("rw",)), one(speed, "victoria", ("rw",)), least=True)
    second = median(stores.values(speed, "ours", ("rw2",), ("paths",), "wide_rw2"))
    versus(rows, "ingest, remote write 2.0 / VictoriaMetrics' 1.0, samples a CPU-second", 3,
           second, one(speed, "victoria", ("rw",)), least=True)
    versus(rows, "ingest, remote write 2.0 / our 1.0, samples a CPU-second", 1,
           second, one(speed, "ours", ("rw",)), least=True)
    versus(rows, "ingest, remote write / Prometheus, samples a CPU-second", 1,
           one(speed, "ours", ("rw",)), one(speed, "prometheus", ("rw",)), least=True)
    for peer, goal in (("victoria", 0.7), ("prometheus", 0.4)):
        for data in ("wide", "long", "real1", "real15"):
            options = dict(stages=("ingest", "long", "disk"), data=data)
            versus(rows, f"disk, settled, {data} / {peer}", goal,
                   one("bytes_per_sample", "ours", ("rw",), **options),
                   one("bytes_per_sample", peer, ("rw",), **options), unit="B/sample")
    versus(rows, "memory a series, remote write / VictoriaMetrics", 0.5,
           one("anon_per_series", "ours", ("rw",)), one("anon_per_series", "victoria", ("rw",)),
           unit="B")
    versus(rows, "memory a series, own wire / VictoriaMetrics", 0.5,
           one("anon_per_series", "ours", ("native",)),
           one("anon_per_series", "victoria", ("rw",)), unit="B")
    cost = {row["server"]: row["cpu_ms_per_round"] for row in stores.rows
            if row["stage"] == "rules" and row["case"] == "rules"}
    versus(rows, "100 alert rules once / Prometheus, CPU", 0.2, cost.get("ours"),
           cost.get("prometheus"), unit="ms")
    versus(rows, "kill -9 to the first full answer / Prometheus", 0.25,
           median([x for x in stores.values("full_s", "ours", stages=("kill",)) if x > 0]),
           median([x for x in stores.values("full_s", "prometheus", stages=("kill",)) if x > 0]),
           unit="s")


def size_ratios(rows, stores):
    """What scale.py measured."""
    def one(key, stage, server, **wanted):
        return median([row[key] for row in stores.rows
                       if row["stage"] == stage and row["server"] == server and
                       all(row[name] == value for name, value in wanted.items())])

    stored = one("stored", "restart", "ours")
    if stored:
        for what, key in (("to the first full answer", "full_s"),
                          ("processor until then", "full_cpu_s")):
            versus(rows, f"kill -9, {stored / 1e6:.0f} M samples stored: {what} / Prometheus",
                   0.25, one(key, "restart", "ours"), one(key, "restart", "prometheus"), unit="s")
    sizes = dict.fromkeys(row["series"] for row in stores.rows if row["stage"] == "memory")
    for series in sizes:
        for mode, name in (("rw", "remote write"), ("native", "own wire")):
            versus(rows, f"memory a series of {series}, {name} / VictoriaMetrics", 0.5,
                   one("anon_per_series", "memory", "ours", series=series, mode=mode),
                   one("anon_per_series", "memory", "victoria", series=series), unit="B")
    versus(rows, "ack p99 at half of peak ingest / 200 ms", 1, one("lat_p99_ms", "paced", "ours"),
           200, unit="ms")


def agent_ratios(rows, agents):
    last = {row["agent"]: row for row in agents}
    peers = [last.get("node_exporter"), last.get("process_exporter")]
    if None in peers:
        return
    series = sum(row["series"] for row in peers)
    cycle_ms = sum(row["cpu_ms_per_cycle"] for row in peers)
    wire = sum(row["wire_bytes_per_cycle"] for row in peers) / series
    for name in ("fengsui-probe", "fengsui-probe portable"):
        ours = last.get(name)
        if ours is None:
            continue
        against = "/ node_exporter + process_exporter"
        versus(rows, f"{name}: CPU a cycle and series {against}", 1 / 8,
               ours["cpu_ms_per_cycle"] / max(ours["series"], 1) * 1e3,
               cycle_ms / series * 1e3, unit="us")
        versus(rows, f"{name}: CPU a cycle {against}", 1 / 8, ours["cpu_ms_per_cycle"], cycle_ms,
               unit="ms")
        versus(rows, f"{name}: wire bytes a sample / gzipped scrapes", 0.2,
               ours["wire_bytes_per_sample"], wire, unit="B")
        versus(rows, f"{name}: PSS {against}", 1, ours["pss"] / MIB,
               sum(row["pss"] for row in peers) / MIB, unit="MiB")
        versus(rows, f"{name}: PSS / 4 MiB", 1, ours["pss"] / MIB, 4, unit="MiB")


def machine():
    with open("/proc/cpuinfo") as f:
        names = [line.split(":")[1].strip() for line in f if line.startswith("model name")]
    put(f"{os.cpu_count()} × {names[0] if names else platform.machine()}, "
        f"Linux {platform.release()}.")
    versions = {row["server"]: row["version"] for row in results("versions")}
    put("; ".join(versions.values()) + ".")
    put()


def limits_table(stores):
    """What the machine could do at most, beside what ingest needs of it."""
    rows = [row for row in stores.rows if row["stage"] == "limits"]
    if not rows:
        return
    row = rows[-1]
    put("## Limits of the machine\n")
    table(["memcpy MB/s", "fdatasync of 4 KiB, ms p50 / p99", "CURVE decryption MB/s, 1 / 16 KiB"],
          [(row["memcpy_mb_per_s"], f"{row['fdatasync_p50_ms']} / {row['fdatasync_p99_ms']}",
            f"{row['decrypt_1k_mb_per_s']} / {row['decrypt_16k_mb_per_s']}")])


def ingest_tables(stores):
    groups = {}
    for row in stores.rows:
        if row["stage"] in ("repeat", "paths", "ingest", "long"):
            groups.setdefault((row["data"], row["server"], row["mode"]), []).append(row)

    def column(group, key, scale=1.0, form="{:.0f}"):
        return spread([row[key] / scale for row in group if key in row], form)

    put("## Ingest, memory, disk\n")
    table(["set", "server", "mode", "runs", "samples", "k samples/s", "k samples a CPU-s",
           "wire B/sample", "ack ms p50", "p99", "RSS peak MiB", "anon B/series",
           "disk B/sample settled", "as it stands", "other CPU %"],
          [(*key, len(group), group[0]["samples"], column(group, "samples_per_s", 1e3),
            column(group, "samples_per_cpu_s", 1e3),
            spread([row["bytes"] / max(row["samples"], 1) for row in group], "{:.2f}"),
            column(group, "lat_p50_ms", form="{:.1f}"), column(group, "lat_p99_ms"),
            column(group, "peak_rss", MIB), column(group, "anon_per_series"),
            column(group, "bytes_per_sample", form="{:.3f}"),
            column(group, "bytes_per_sample_total", form="{:.3f}"),
            column(group, "other_cpu_pct")) for key, group in sorted(groups.items())])
    bad = [row for row in stores.rows if row.get("bad") or row.get("lost") and "mode" in row]
    table(["set", "server", "mode", "requests refused", "connections lost", "said"],
          [(row["data"], row["server"], row["mode"], row["bad"], row["lost"], row["err"])
           for row in bad])


def size_tables(stores):
    def grouped(stage, *keys):
        groups = {}
        for row in stores.rows:
            if row["stage"] == stage:
                groups.setdefault(tuple(row[key] for key in keys), []).append(row)
        return sorted(groups.items())

    def column(group, key, scale=1.0, form="{:.0f}"):
        return spread([row[key] / scale for row in group], form)

    rows = [(*key, len(group), column(group, "stored", 1e6), column(group, "full_s", form="{:.2f}"),
             column(group, "full_cpu_s", form="{:.2f}"), sum(row["lost"] for row in group))
            for key, group in grouped("restart", "server", "series")]
    if rows:
        put("## Restart after kill -9 under load\n")
    table(["server", "series", "runs", "M samples stored", "full answer after s",
           "processor until then s", "acknowledged and lost"], rows)
    rows = [(*key, len(group), column(group, "idle_anon", MIB), column(group, "peak_anon", MIB),
             column(group, "peak_file", MIB), column(group, "anon_per_series"))
            for key, group in grouped("memory", "series", "server", "mode")]
    if rows:
        put("## Memory a series\n")
    table(["series", "server", "mode", "runs", "idle anon MiB", "peak anon MiB",
           "peak mapped MiB", "anon B/series"], rows)
    rows = [(key[0], len(group), column(group, "peak_samples_per_s", 1e3), column(group, "probes"),
             column(group, "lat_p50_ms"), column(group, "lat_p99_ms"), column(group, "lat_max_ms"),
             column(group, "cpu_pct"), column(group, "other_cpu_pct"))
            for key, group in grouped("paced", "server")]
    if rows:
        put("## Acknowledgements at half of peak ingest\n")
    table(["server", "runs", "peak, k samples/s", "probes of 1000 series",
           "ack ms p50", "p99", "most", "CPU %", "other CPU %"], rows)


def other_tables(stores, agents):
    rows = [(row["server"], row["accepted"], row["present"], row["lost"], row["under_way"],
             row["answers_s"], row["full_s"]) for row in stores.rows if row["stage"] == "kill"]
    if rows:
        put("## kill -9 under load\n")
    table(["server", "accepted", "present after", "lost", "under way", "answers after s",
           "full answer after s"], rows)
    rows = [(row["server"], row["case"], row["hosts"], row["rounds"], row["failures"],
             f"{row['cpu_s']} / {row['wall_s']}", row["cpu_ms_per_round"]) for row in stores.rows
            if row["stage"] == "rules"]
    if rows:
        put("## Alert rules\n")
    table(["server", "case", "hosts", "rounds", "failures", "CPU s / wall s", "CPU ms a round"],
          rows)
    if agents:
        put("## Agents\n")
    table(["agent", "extra processes", "series", "CPU % (quarters)", "CPU ms a cycle",
           "PSS MiB", "RSS MiB", "private dirty MiB", "wire B a cycle", "wire B/sample",
           "start s"],
          [(row["agent"], row["dummies"], row["series"],
            f"{row['cpu_pct']:.2f} ({'/'.join(map(str, row['cpu_pct_quarters']))})",
            row["cpu_ms_per_cycle"], f"{row['pss'] / MIB:.2f}", f"{row['rss'] / MIB:.2f}",
            f"{row['private_dirty'] / MIB:.2f}", row["wire_bytes_per_cycle"],
            row["wire_bytes_per_sample"], row["startup_s"]) for row in agents])


def main():
    stores, rows = Stores(results("stores")), []
    agents = [row for row in results("agents") if row.get("stage") != "start"]
    put("# Fengsui beside its peers\n")
    machine()
    store_ratios(rows, stores)
    size_ratios(rows, stores)
    agent_ratios(rows, agents)
    put("## Ratios\n")
    table(["what", "ours", "peer", "ratio", "goal", "met"], rows)
    limits_table(stores)
    ingest_tables(stores)
    if results("queries"):
        put("## Queries\n")
        for line in query_table.lines():
            put(line)
        put()
    size_tables(stores)
    other_tables(stores, agents)
    path = sys.argv[1] if len(sys.argv) > 1 else WORK + "/report.md"
    with open(path, "w") as f:
        f.write("\n".join(LINES) + "\n")


main()
