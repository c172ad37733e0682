"""The jvm source against a real virtual machine with a real Jolokia, in Debian's Jetty.

What is told must be what the kernel says of that process, and what it was started with; where the agent's
policy forbids a question the rest is there all the same.
"""
import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import urllib.request

import fengsui
from fengsui import Lab, run_tests, wait_for

JARS = pathlib.Path("/usr/share/java")
NEEDED = [*(f"jetty9-{part}" for part in ("http", "io", "security", "server", "servlet", "util", "xml")),
          "servlet-api", "json-simple", "jolokia-core"]
HEAP = 64 << 20
SERVER = """<?xml version="1.0"?>
<!DOCTYPE Configure PUBLIC "-//Jetty//Configure//EN" "http://www.eclipse.org/jetty/configure_9_3.dtd">
<Configure id="server" class="org.eclipse.jetty.server.Server">
  <Call name="addConnector"><Arg>
    <New class="org.eclipse.jetty.server.ServerConnector">
      <Arg><Ref refid="server"/></Arg>
      <Set name="host">127.0.0.1</Set>
      <Set name="port">%d</Set>
    </New>
  </Arg></Call>
  <Set name="handler">
    <New class="org.eclipse.jetty.servlet.ServletContextHandler">
      <Set name="contextPath">/</Set>
      <Call name="addServlet"><Arg>org.jolokia.http.AgentServlet</Arg><Arg>/jolokia/*</Arg></Call>
    </New>
  </Set>
</Configure>
"""
NO_CALLS = "<restrict><commands><command>read</command><command>version</command></commands></restrict>\n"


@contextlib.contextmanager
def machine(folder, name, *flags, policy=None):
    """A JVM with Jolokia at the port that is given back with its process."""
    home = folder / name
    home.mkdir()
    port = fengsui.free_port()
    (home / "jetty.xml").write_text(SERVER % port)
    if policy:
        (home / "jolokia-access.xml").write_text(policy)
    path = ":".join([str(home), *(str(JARS / f"{jar}.jar") for jar in NEEDED)])
    with open(home / "log", "wb") as log:
        process = subprocess.Popen(["java", f"-Xmx{HEAP}", *flags, "-cp", path,
                                    "org.eclipse.jetty.xml.XmlConfiguration", home / "jetty.xml"],
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}/jolokia"
        wait_for(lambda: urllib.request.urlopen(f"{url}/version", timeout=5).status == 200, f"{name} to answer", 60)
        yield process, url
    finally:
        process.kill()
        process.wait()


def kernel_says(pid):
    """Start in seconds since boot, CPU seconds, threads."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    hertz = os.sysconf("SC_CLK_TCK")
    return int(fields[19]) / hertz, (int(fields[11]) + int(fields[12])) / hertz, int(fields[17])


def boot_time():
    return next(int(line.split()[1]) for line in pathlib.Path("/proc/stat").read_text().splitlines()
                if line.startswith("btime"))


def watch(lab, collector, targets):
    rows = ", ".join(f'{{url: "{url}", job: {job}}}' for job, url in targets.items())
    config = lab.folder / "jvm.yml"
    config.write_text(f"sources: {{jvm: {{interval: 300ms, targets: [{rows}]}}}}\n")
    return lab.probe(collector, name="app", interval="300ms", flags=("--config", config, "--instance", "app")).start()


def test_a_real_machine_tells_what_the_kernel_says_of_it():
    with Lab() as lab, machine(lab.folder, "open", "-XX:+UseG1GC") as (open_, first), \
            machine(lab.folder, "shut", "-XX:+UseSerialGC", policy=NO_CALLS) as (_, second):
        collector = lab.collector().start()
        watch(lab, collector, {"open": first, "shut": second})

        def value(name, job="open", **labels):
            pairs = ",".join(f'{key}="{text}"' for key, text in {"job": job, **labels}.items())
            return collector.value(f"{name}{{{pairs}}}")

        for job in ("open", "shut"):
            wait_for(lambda job=job: value("jvm_threads_current", job), f"{job} to be told", 60)
        # G1 has all of its heap; the serial collector keeps one survivor space back.
        assert value("jvm_memory_max_bytes", area="heap") == HEAP
        assert 0.9 * HEAP < value("jvm_memory_max_bytes", "shut", area="heap") < HEAP
        assert 0 < value("jvm_memory_used_bytes", area="heap") < HEAP
        for pool in ("G1 Eden Space", "G1 Survivor Space", "G1 Old Gen", "Metaspace"):
            assert value("jvm_memory_pool_used_bytes", pool=pool) is not None, pool
        assert value("jvm_gc_collection_seconds_count", gc="G1 Young Generation") is not None
        assert value("jvm_gc_collection_seconds_count", "shut", gc="Copy") is not None
        assert value("jvm_classes_currently_loaded") > 1000
        assert value("jvm_buffer_pool_used_buffers", pool="direct") is not None

        started, used, threads = kernel_says(open_.pid)
        # The machine takes its start when it is up; the boot's time is whole seconds.
        assert -2 < value("process_start_time_seconds") - boot_time() - started < 30 * fengsui.PATIENCE
        # What was told is older than what the kernel says now, by some looks.
        assert 0 < value("process_cpu_seconds_total") <= used + 0.1
        # Its own threads (collectors, compilers) are not Java's.
        assert 5 < value("jvm_threads_current") <= threads
        info = collector.query('jvm_runtime_info{job="open"}')[0]["metric"]
        told = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True).stderr
        assert info["version"] in told, (info, told)

        # What the policy forbids is missing, and nothing else.
        assert value("jvm_threads_deadlocked") == 0
        assert value("jvm_threads_deadlocked", "shut") is None
        assert value("jvm_threads_peak", "shut") >= value("jvm_threads_daemon", "shut")

        up = 'up{job="open"}'
        assert collector.value(up) == 1
        open_.kill()
        wait_for(lambda: collector.value(up) == 0, "its end to be told", 30)
        assert collector.value('up{job="shut"}') == 1


if __name__ == "__main__":
    missing = [f"{jar}.jar" for jar in NEEDED if not (JARS / f"{jar}.jar").exists()]
    if shutil.which("java") is None or missing:
        print(f"skipped: no {' '.join(missing) or 'java'} here")
        sys.exit(fengsui.SKIPPED)
    run_tests(globals())
