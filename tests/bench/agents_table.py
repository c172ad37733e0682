"""Agents beside each other as a Markdown table: medians of results/agents.jsonl, and what they come to by the goals.

By itself it prints the table of what was measured last.
"""
import os
import statistics

from place import PORTABLE, WORK, results

MIB = 1 << 20
PEERS = ("node_exporter", "process_exporter")


def medians(rows):
    """The agent's figures, each the median of its rounds."""
    found = {}
    for row in rows:
        if row.get("stage") != "start":
            found.setdefault(row["agent"], []).append(row)
    keys = ("series", "cpu_ms_per_cycle", "cpu_pct", "pss", "private_dirty", "wire_bytes_per_cycle",
            "wire_bytes_per_sample")
    return {agent: {key: statistics.median(row[key] for row in group) for key in keys}
            for agent, group in found.items()}


def starts(rows):
    return {row["agent"]: row for row in rows if row.get("stage") == "start"}


def goals(ours, peers, start):
    """(what, ours, the peer's or the limit, ratio, goal, met) by row."""
    rows = []

    def one(what, value, against, goal, form="{:.2f}"):
        ratio = value / against
        rows.append((what, form.format(value), form.format(against), f"{ratio:.3f}", f"≤ {goal:.3g}",
                     "yes" if ratio <= goal else "NO"))
    if peers:
        series = sum(peer["series"] for peer in peers)
        one("CPU ms a cycle / both exporters", ours["cpu_ms_per_cycle"],
            sum(peer["cpu_ms_per_cycle"] for peer in peers), 1 / 8)
        one("CPU us a series / both exporters", ours["cpu_ms_per_cycle"] / ours["series"] * 1e3,
            sum(peer["cpu_ms_per_cycle"] for peer in peers) / series * 1e3, 1 / 8)
        one("wire B a sample / gzipped scrapes", ours["wire_bytes_per_sample"],
            sum(peer["wire_bytes_per_cycle"] for peer in peers) / series, 1 / 5)
        one("PSS MiB / both exporters", ours["pss"] / MIB, sum(peer["pss"] for peer in peers) / MIB, 1)
    one("PSS MiB / 4 MiB", ours["pss"] / MIB, 4, 1)
    one("private dirty MiB / 2.5 MiB", ours["private_dirty"] / MIB, 2.5, 1)
    one("% of a core at 1 s / 3 %", ours["cpu_pct"], 3, 1)
    if start:
        one("start to first batch ms, median / 50 ms", statistics.median(start["ms"]), 50, 1, "{:.0f}")
        one("... the best of nine / 50 ms", min(start["ms"]), 50, 1, "{:.0f}")
        one("... processor ms until then, median / 50 ms", statistics.median(start["cpu_ms"]), 50, 1,
            "{:.0f}")
    return rows


def table(head, rows):
    return ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head),
            *("| " + " | ".join(map(str, row)) + " |" for row in rows), ""]


def lines():
    rows = results("agents")
    agents, begun = medians(rows), starts(rows)
    peers = [agents[name] for name in PEERS if name in agents]
    peers = peers if len(peers) == len(PEERS) else []
    out = table(["agent", "series", "CPU ms a cycle", "CPU %", "PSS MiB", "private dirty MiB",
                 "wire B a cycle", "wire B/sample"],
                [(name, round(row["series"]), f"{row['cpu_ms_per_cycle']:.2f}",
                  f"{row['cpu_pct']:.2f}", f"{row['pss'] / MIB:.2f}",
                  f"{row['private_dirty'] / MIB:.2f}", round(row["wire_bytes_per_cycle"]),
                  f"{row['wire_bytes_per_sample']:.2f}") for name, row in agents.items()])
    for name in ("fengsui-probe", "fengsui-probe portable"):
        if name in agents:
            out += [f"{name}:", ""]
            shown = goals(agents[name], peers, begun.get(name))
            bare = agents.get(name + ", no processes")
            if bare is not None:
                shown.append(("% of a core at 1 s, no processes / 0.3 %", f"{bare['cpu_pct']:.2f}",
                              "0.30", f"{bare['cpu_pct'] / 0.3:.3f}", "≤ 1",
                              "yes" if bare["cpu_pct"] <= 0.3 else "NO"))
            if "portable" in name:
                size = os.path.getsize(PORTABLE) / MIB
                shown.append(("file MiB / 4 MiB", f"{size:.2f}", "4.00", f"{size / 4:.3f}", "≤ 1",
                              "yes" if size <= 4 else "NO"))
            out += table(["what", "ours", "against", "ratio", "goal", "met"], shown)
    return out


def write():
    text = "\n".join(lines()) + "\n"
    with open(WORK + "/agents.md", "w") as f:
        f.write(text)
    print(text)


if __name__ == "__main__":
    write()
