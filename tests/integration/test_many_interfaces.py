#!/usr/bin/python3
"""A host with ten thousand network interfaces is collected whole: its tick is several batches."""
import re

from fengsui import Lab, run_tests, wait_for

INTERFACES = 10000
COLUMNS = 16


def write_tree(folder, step):
    """/proc/net/dev of such a host."""
    (folder / "net").mkdir(parents=True, exist_ok=True)
    lines = ["Inter-|   Receive  |  Transmit", " face |bytes packets |bytes packets"]
    for n in range(INTERFACES):
        lines.append(f"veth{n}: " + " ".join(str(n + column * step) for column in range(COLUMNS)))
    made = folder / "net" / "dev.new"
    made.write_text("\n".join(lines) + "\n")
    made.rename(folder / "net" / "dev")


def test_ten_thousand_interfaces_are_stored_and_none_is_left_out():
    with Lab() as lab:
        collector = lab.collector().start()
        tree = lab.folder / "proc"
        write_tree(tree, 1)
        probe = lab.probe(collector, interval="2s", flags=[
            "--procfs", tree, "--sysfs", tree, "--rootfs", tree, "--instance", "large"]).start()
        count = 'count({__name__=~"node_network_.+",instance="large",device=~"veth.*"})'
        wait_for(lambda: collector.value(count) == INTERFACES * COLUMNS, "every series to be there")
        assert collector.value('node_network_receive_packets_total{device="veth9999"}') == 10000

        # The first column and the last are in different batches: each is coded against its own.
        for column in ("receive_bytes", "transmit_compressed"):
            twice = (f'count(count_over_time(node_network_{column}_total{{instance="large"}}[5m]) > 1)')
            wait_for(lambda: collector.value(twice) == INTERFACES, "the next tick")
        assert collector.value('fengsui_probe_keys_needed_total{instance="large"}') == 0
        wait_for(lambda: collector.value('fengsui_probe_batches_sent_total{instance="large"}') >= 6,
                 "a tick of several batches")
        assert not re.search("refused|too many", probe.log.read_text(errors="replace"))


if __name__ == "__main__":
    run_tests(globals())
