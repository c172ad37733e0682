"""The table of what run.py measured: ours beside the faster peer, and whether that is enough.

Also printed by ../report.py; alone: table.py writes queries.md of the work folder.
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from place import WORK, results

MIB = 1 << 20
HALF_OVER_MS = 1  # a peer that takes longer is to be beaten by two, else just met
PEERS = ("prometheus", "victoria")


def latest(rows):
    """{(query, server, case): row}, the last of each."""
    return {(row["query"], row["server"], row["case"]): row for row in rows}


def verdict(ours, peer, goal):
    if ours is None or peer is None:
        return "-", "-"
    ratio = ours / peer
    return f"{ratio:.2f}", "pass" if ratio <= goal else "**MISS**"


def took(row):
    if row is None or "error" in row:
        return "-"
    return f"{row['median_ms']:.2f} (cpu {row['cpu_ms']:.2f})"


def value(row):
    return None if row is None or "error" in row else row["median_ms"]


def fastest(found, name, case):
    rows = [found.get((name, server, case)) for server in PEERS]
    return min((row for row in rows if value(row) is not None), key=value, default=None)


def line(found, name, data):
    def row(server, case):
        return found.get((name, server, case))
    best = fastest(found, name, "cold")
    goal = 0.5 if best and value(best) > HALF_OVER_MS else 1
    ours, moved = row("ours", "cold"), row("ours", "moved")
    cold = verdict(value(ours), value(best), goal)
    cpu = verdict(ours.get("cpu_ms") if ours else None, best.get("cpu_ms") if best else None, 1)[0]
    again = verdict(value(moved), value(row("victoria", "moved")), 1)
    rows = [one for one in (ours, row("prometheus", "cold"), row("victoria", "cold")) if one]
    agree = len({one.get("series") for one in rows if "error" not in one}) <= 1
    peaks = "/".join(f"{one['peak'] / MIB:.0f}" if "peak" in one else "-" for one in rows)
    return (name, data, took(ours), took(row("prometheus", "cold")), took(row("victoria", "cold")),
            cold[0], f"≤ {goal:g}", cold[1], cpu, took(moved), took(row("victoria", "moved")),
            again[0], again[1], peaks, "yes" if agree else "NO")


HEAD = ("query", "set", "ours ms", "Prometheus ms", "VictoriaMetrics ms", "ratio", "goal", "",
        "CPU ratio", "moved: ours ms", "VictoriaMetrics, cached", "ratio", "", "peak MiB", "same")


def rules_lines(rows):
    """100 alert rules over all hosts: processor time a round."""
    cost = {row["server"]: row["cpu_ms_per_round"] for row in rows
            if row["stage"] == "rules" and row["case"] == "rules"}
    ours, peer = cost.get("ours"), cost.get("prometheus")
    if not ours or not peer:
        return []
    ratio, said = verdict(ours, peer, 0.2)
    peaks = {row["server"]: row.get("peak", 0) / MIB for row in rows
             if row["stage"] == "rules" and row["case"] == "rules"}
    return ["", "| 100 alert rules, CPU ms a round | ours | Prometheus | ratio | goal | | peak MiB |",
            "|" + " --- |" * 7,
            f"| over all hosts | {ours:.1f} | {peer:.1f} | {ratio} | ≤ 0.2 | {said} | "
            f"{peaks['ours']:.0f}/{peaks['prometheus']:.0f} |"]


def lines():
    rows = results("queries")
    if not rows:
        return []
    found = latest(rows)
    names = dict.fromkeys((row["query"], row["data"]) for row in rows)
    cells = [line(found, name, data) for name, data in names]
    cold = [cell[7] for cell in cells]
    again = [cell[12] for cell in cells]
    return ["Cold against the faster peer, then moved by one step against VictoriaMetrics with its "
            "cache; medians. Peak: memory over rest while asked, ours/Prometheus/VictoriaMetrics.",
            "", "| " + " | ".join(HEAD) + " |", "|" + " --- |" * len(HEAD),
            *("| " + " | ".join(cell) + " |" for cell in cells), "",
            f"Cold: {cold.count('pass')} of {len(cold)} pass; moved: {again.count('pass')} of "
            f"{len(again)}.", *rules_lines(results("stores"))]


def main():
    text = "\n".join(["# Queries", "", *lines()]) + "\n"
    print(text)
    with open(WORK + "/queries.md", "w") as f:
        f.write(text)


if __name__ == "__main__":
    main()
