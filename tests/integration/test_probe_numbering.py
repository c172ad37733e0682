#!/usr/bin/python3
"""A real probe against a collector that counts: every number arrives once, whatever dies."""
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from probe_collector import Collector

PROGRAM = os.path.join(os.environ.get("FENGSUI_BUILD", "build/release"), "fengsui-probe")
PATIENCE = float(os.environ.get("FENGSUI_PATIENCE", "1"))
# Sources whose usual interval is not the probe's.
OF_THEIR_OWN_PACE = ("processes", "systemd", "interrupts", "nfs", "selinux", "cpufreq", "mdadm", "edac",
                     "hwmon", "thermal_zone", "power_supply", "rapl")


class Probe:
    def __init__(self, directory, collector, *flags):
        self.state = os.path.join(directory, "state")
        self.log = os.path.join(directory, "probe.log")
        self.command = [PROGRAM, "--collector", collector.endpoint, "--collector-key",
                        collector.key, "--state", self.state, "--interval", "100ms",
                        "--instance", "host-1", *flags]
        self.process = None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stderr=log)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        code = self.process.wait(10)
        if code != 0:
            sys.stderr.write("\n".join(self.log_text().splitlines()[-40:]) + "\n")
        return code

    def log_text(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()


class Numbering(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="probe-")
        self.collector = Collector()
        self.probe = Probe(self.directory, self.collector)

    def tearDown(self):
        if self.probe.process is not None and self.probe.process.poll() is None:
            self.probe.kill()
        self.collector.end()
        shutil.rmtree(self.directory)

    def stored(self):
        return sum(len(stream.batches) for stream in self.collector.streams.values())

    def settle(self, count, seconds=20):
        """Serves until `count` more batches are there."""
        goal = self.stored() + count
        self.assertTrue(self.collector.serve(seconds * PATIENCE, lambda: self.stored() >= goal),
                        self.probe.log_text())

    def only_stream(self):
        self.assertEqual(len(self.collector.streams), 1)
        return next(iter(self.collector.streams.values()))

    def assert_whole(self, stream, with_gaps=False):
        self.assertEqual(stream.conflicts, [])
        if not with_gaps:
            self.assertEqual(stream.gaps, {})
        numbers = sorted(set(stream.batches) | set(stream.gaps))
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
        ticks = [stream.batches[n][1] for n in sorted(stream.batches)]
        self.assertEqual(ticks, sorted(set(ticks)), "ticks strictly increase")

    def test_batches_arrive_numbered_and_based(self):
        self.probe.start()
        self.settle(20)
        self.assertEqual(self.probe.stop(), 0)
        stream = self.only_stream()
        self.assert_whole(stream)
        self.assertGreater(stream.based, 5)
        self.assertEqual(self.collector.hellos[0]["instance"], b"host-1")
        self.assertEqual(self.collector.hellos[0]["interval_ms"], 100)

    def test_ticks_lie_on_a_grid_that_a_restart_keeps(self):
        self.probe.start()
        self.settle(15)
        self.probe.stop()
        self.probe.start()
        self.settle(15)
        phases = [tick % 100 for _, tick, _, _ in self.only_stream().batches.values()]
        common = max(set(phases), key=phases.count)
        # Events at a start and two first looks, each in one batch or two, have times of their own.
        self.assertLessEqual(sum(phase != common for phase in phases), 9)

    def kept(self, since=0):
        """(tick, samples) of each batch in the log, from that byte of it on."""
        return re.findall(r"keeping the batch of tick (\d+): (\d+) samples",
                          self.probe.log_text()[since:])

    def test_a_restart_with_nothing_left_over_sends_at_once(self):
        # An hour between two ticks of anything: what comes within seconds has not waited for one.
        config = os.path.join(self.directory, "probe.yml")
        with open(config, "w", encoding="utf-8") as file:
            file.write("interval: 1h\nsources:\n" + "".join(
                f"  {name}: {{interval: 1h}}\n" for name in OF_THEIR_OWN_PACE))
        at = self.probe.command.index("--interval")
        self.probe.command[at:at + 2] = ["--config", config, "--log-level", "debug"]
        since = 0
        for _ in range(2):
            self.probe.start()
            self.assertTrue(self.collector.serve(20 * PATIENCE, lambda since=since: (
                any(int(samples) > 100 for _, samples in self.kept(since)) and
                self.stored() == len(self.kept()))), self.probe.log_text())
            self.assertEqual(self.probe.stop(), 0)
            since = len(self.probe.log_text())
        ticks = [int(tick) for tick, _ in self.kept()]
        self.assertEqual(ticks, sorted(set(ticks)))
        self.assertLess(ticks[-1] - ticks[0], 3600_000)
        self.assert_whole(self.only_stream())

    def test_killed_at_random_no_number_is_lost_or_given_twice(self):
        rng = random.Random(7)
        for _ in range(12):
            self.probe.start()
            self.collector.serve(rng.uniform(0.05, 0.9))
            self.probe.kill()
        self.probe.start()
        self.settle(10)
        self.assertEqual(self.probe.stop(), 0)
        stream = self.only_stream()
        self.assert_whole(stream)
        last_offer = self.collector.hellos[-1]["streams"][-1]
        self.assertGreaterEqual(max(stream.batches) + 1, last_offer[2])

    def test_after_an_outage_the_newest_comes_first_and_the_backlog_follows(self):
        self.probe.start()
        self.settle(5)
        self.collector.close()
        time.sleep(4)  # the outage itself
        self.collector.open()
        before = len(self.only_stream().order)
        self.settle(45)
        order = self.only_stream().order[before:]
        self.assertGreater(order[0], order[1])
        backlog = [n for n in order if n < order[0]]
        self.assertEqual(backlog, sorted(backlog))
        self.probe.stop()
        self.assert_whole(self.only_stream())

    def test_a_collector_that_does_not_acknowledge_gets_everything_again(self):
        self.collector.acknowledging = False
        self.probe.start()
        self.settle(10)
        self.probe.kill()
        self.collector.acknowledging = True
        self.probe.start()
        self.settle(10)
        self.probe.stop()
        self.assert_whole(self.only_stream())

    def test_a_key_that_is_needed_comes_again_alone(self):
        self.probe.start()
        self.settle(10)
        number = max(self.only_stream().batches) + 3
        self.collector.need_key.add(number)
        self.settle(15)
        self.probe.stop()
        stream = self.only_stream()
        self.assertFalse(stream.batches[number][3], "sent plain")
        self.assert_whole(stream)

    def test_pending_nothing_but_greetings_is_sent(self):
        self.collector.approved = False
        self.probe.start()
        self.assertTrue(self.collector.serve(10, lambda: len(self.collector.hellos) > 0))
        self.collector.serve(1)
        self.assertEqual(self.stored(), 0)
        self.collector.approved = True
        self.probe.kill()
        self.probe.start()
        self.settle(15)
        self.assert_whole(self.only_stream())

    def test_a_small_window_is_enough(self):
        self.collector.window = 1
        self.probe.start()
        self.settle(20)
        self.probe.stop()
        self.assert_whole(self.only_stream())

    def test_a_restored_copy_begins_a_new_epoch_and_loses_nothing_silently(self):
        self.probe.start()
        self.settle(10)
        self.probe.kill()
        copy = self.probe.state + ".copy"
        shutil.copytree(self.probe.state, copy)
        self.probe.start()
        self.settle(15)
        self.probe.kill()
        self.collector.close()
        shutil.rmtree(self.probe.state)
        os.rename(copy, self.probe.state)
        self.probe.start()
        time.sleep(1.5)  # it measures, and gives numbers away a second time
        self.collector.open()
        self.settle(20)
        # The newest comes first; the backlog in as many groups as its bytes make.
        last = list(self.collector.streams.values())[-1]
        self.assertTrue(self.collector.serve(
            20 * PATIENCE, lambda: len(last.batches) == max(last.batches)), "the backlog is there")
        self.probe.stop()
        self.assertEqual(len(self.collector.streams), 2)
        old, new = self.collector.streams.values()
        self.assert_whole(old, with_gaps=True)
        self.assert_whole(new)
        self.assertTrue(set(old.gaps.values()) <= {"epoch_lost"})
        # What was measured before the collector was back is in the new epoch.
        self.assertLess(new.batches[1][1], max(t for _, t, _, _ in new.batches.values()) - 1500)
        self.assertIn("restored_from_copy", self.probe.log_text())

    def test_a_stream_to_be_renewed_goes_on_under_a_new_epoch(self):
        self.probe.start()
        self.settle(10)
        epoch, stream = next(iter(self.collector.streams.items()))
        stream.renew = True
        self.assertTrue(self.collector.serve(15, lambda: len(self.collector.streams) == 2))
        self.settle(10)
        self.probe.stop()
        new = [s for e, s in self.collector.streams.items() if e != epoch][0]
        self.assert_whole(new)

    def test_lines_of_a_file_survive_kills(self):
        path = os.path.join(self.directory, "app.log")
        open(path, "w").close()
        self.probe.command += ["--log", path]
        for turn in range(4):
            self.probe.start()
            with open(path, "a", encoding="utf-8") as file:
                file.write("line %d\n" % turn)
            self.settle(5)
            self.probe.kill()
        self.assert_whole(self.only_stream())

    def test_a_bad_file_on_hangup_changes_nothing(self):
        config = os.path.join(self.directory, "probe.yml")
        with open(config, "w", encoding="utf-8") as file:
            file.write("interval: 100ms\n")
        self.probe.command += ["--config", config]
        self.probe.start()
        self.settle(5)
        with open(config, "w", encoding="utf-8") as file:
            file.write("intervall: 1s\n")
        self.probe.process.send_signal(signal.SIGHUP)
        self.settle(5)
        self.assertIn("did you mean", self.probe.log_text())
        with open(config, "w", encoding="utf-8") as file:
            file.write("interval: 200ms\n")
        self.probe.process.send_signal(signal.SIGHUP)
        self.settle(10)
        self.assertEqual(self.probe.stop(), 0)
        self.assert_whole(self.only_stream())

    def test_a_disk_that_is_full_at_the_start_is_waited_for(self):
        os.mkdir(self.probe.state)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "fengsui",
                           self.probe.state], capture_output=True, check=False).returncode != 0:
            self.skipTest("tmpfs cannot be mounted here")
        try:
            ballast = os.path.join(self.probe.state, "ballast")
            with self.assertRaises(OSError), open(ballast, "wb", buffering=0) as file:
                while file.write(b"x" * 4096):
                    pass
            self.probe.start()
            self.collector.serve(10, lambda: "tried every" in self.probe.log_text())
            self.assertIsNone(self.probe.process.poll(), self.probe.log_text())
            self.assertIn("tried every", self.probe.log_text())
            subprocess.run(["mount", "-o", "remount,size=32m", self.probe.state], check=True)
            self.settle(10)
            self.assertEqual(self.probe.stop(), 0)
        finally:
            if self.probe.process is not None and self.probe.process.poll() is None:
                self.probe.kill()
            subprocess.run(["umount", self.probe.state], check=True)

    def test_unusable_flags_end_with_2(self):
        for flags in (["--interva", "1s"], ["--interval", "1x"], ["--collector", "here"], []):
            code = subprocess.run([PROGRAM, *flags], stderr=subprocess.DEVNULL,
                                  check=False).returncode
            self.assertEqual(code, 2, flags)


if __name__ == "__main__":
    unittest.main(verbosity=2)
