#!/usr/bin/python3
"""What the probe's smaller sources measure arrives, and what ends here ends over there.

What can go wrong, each a case here:
  - a source runs under --once and not on the loop and its workers;
  - a text file's series outlive the file;
  - a bad text file is not told, neither as a metric nor in the log, or costs the good ones;
  - --check does not say what is not measured.
"""
import os
import re
import shutil
import subprocess

from fengsui import BUILD, Lab, run_tests, wait_for

# On every Linux that these tests run on, containers included.
EVERYWHERE = ("node_vmstat_pgfault", "node_netstat_Tcp_InSegs", "node_sockstat_sockets_used",
              'node_tcp_connection_states{state="listen"}', "node_udp_queues", "node_filefd_maximum",
              "node_softnet_processed_total", "node_textfile_scrape_error")


def put(folder, name, text):
    """As a good writer does: beside its place, then renamed."""
    (folder / "new").write_text(text)
    os.rename(folder / "new", folder / name)


def start(lab, folder):
    config = folder.parent / "sources.yml"
    config.write_text(f"sources:\n  textfile: {{directories: [{folder}], interval: 200ms}}\n")
    collector = lab.collector()
    probe = lab.probe(collector, interval="200ms", flags=["--config", str(config)])
    collector.start()
    probe.start()
    return collector, probe


def test_small_sources_arrive_and_text_files_come_and_go():
    with Lab() as lab:
        folder = lab.folder / "text"
        folder.mkdir(parents=True)
        put(folder, "backup.prom", '# TYPE backup_bytes gauge\nbackup_bytes{type="full"} 7\n')
        collector, probe = start(lab, folder)
        for name in EVERYWHERE:
            wait_for(lambda: collector.query(name), f"{name} has arrived")
        wait_for(lambda: collector.value("backup_bytes") == 7, "the file's metric has arrived")
        put(folder, "backup.prom", '# TYPE backup_bytes gauge\nbackup_bytes{type="full"} 8\n')
        wait_for(lambda: collector.value("backup_bytes") == 8, "a change of the file is seen")

        put(folder, "broken.prom", "this is no metric at all {\n")
        wait_for(lambda: collector.value("node_textfile_scrape_error") == 1, "an error is told")
        wait_for(lambda: "broken.prom:1" in probe.tail(), "the log says where")
        assert collector.value("backup_bytes") == 8
        (folder / "broken.prom").unlink()
        wait_for(lambda: collector.value("node_textfile_scrape_error") == 0, "it is mended")

        (folder / "backup.prom").unlink()
        wait_for(lambda: not collector.query("backup_bytes"), "the metric ends with its file")
        assert collector.query("node_vmstat_pgfault")


def test_check_says_what_is_not_measured_and_why():
    with Lab() as lab:
        lab.folder.mkdir(parents=True, exist_ok=True)
        config = lab.folder / "probe.yml"
        config.write_text(f"sources:\n  textfile: {{directories: [{lab.folder}/nowhere]}}\n"
                          "  load: {enabled: false}\n")
        tree = lab.folder / "proc"
        tree.mkdir()
        (tree / "meminfo").write_text("MemTotal: 1 kB\n")
        done = subprocess.run([BUILD / "fengsui-probe", "--config", config, "--check", "--procfs", tree,
                               "--sysfs", tree], text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        for told in ("source pressure: not on this host; it needs /proc/pressure",
                     "source interrupts: off; \"enabled: true\" turns it on",
                     f"source textfile: {lab.folder}/nowhere: ", "source load: off\n"):
            assert told in done.stdout, f"{told!r} is not in\n{done.stdout}"
        assert "source memory" not in done.stdout, done.stdout
        working = re.search(r"^measured here, with nothing to say: (.*)$", done.stdout, re.M).group(1)
        assert "memory" in working.split(", ") and "pressure" not in working.split(", "), working


def test_check_tells_a_plain_user_the_truth_about_the_state_folder():
    if os.geteuid() != 0:
        print("skip test_check_tells_a_plain_user_the_truth_about_the_state_folder: not root")
        return
    with Lab() as lab:
        lab.folder.chmod(0o755)
        closed, opened = lab.folder / "closed", lab.folder / "open"
        for folder, mode in ((closed, 0o755), (opened, 0o777)):
            folder.mkdir()
            folder.chmod(mode)
        program = lab.folder / "fengsui-probe"
        shutil.copy(BUILD / "fengsui-probe", program)
        for state, told in ((closed / "a/b", "may NOT make it"), (opened / "a/b", "will be made"),
                            (closed, "NOT writable"), (opened, "writable")):
            done = subprocess.run([program, "--user", "nobody", "--check", "--state", state], text=True,
                                  capture_output=True, check=False)
            line = re.search(r"^state folder .*$", done.stdout, re.M).group(0)
            assert line.endswith(told) or told in line and told == "NOT writable", line
            # It is so.
            done = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", "mkdir", "-p",
                                   state / "probe"], capture_output=True, check=False)
            assert (done.returncode == 0) == ("NOT" not in told), (state, told, done.stderr)


if __name__ == "__main__":
    run_tests(globals())
