#!/usr/bin/python3
"""A storm of alerts, and a collector that is killed in it: what is owed is told, nothing twice."""
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from alert_storm import Storm  # noqa: E402

KILLS = int(os.environ.get("FENGSUI_STORM_KILLS", "5"))
SEED = int(os.environ.get("FENGSUI_STORM_SEED", str(time.time_ns() % 1000000)))


class AlertStorm(unittest.TestCase):
    def test_nothing_owed_is_lost_and_nothing_is_told_twice(self):
        print(f"FENGSUI_STORM_SEED={SEED}", file=sys.stderr)
        storm = Storm(SEED)
        try:
            storm.run(KILLS, (0.2, 1.6))
            wrong = storm.judge()
        finally:
            storm.close()
        print(storm.summary(), file=sys.stderr)
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
