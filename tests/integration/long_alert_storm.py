#!/usr/bin/python3
"""test_alert_storm.py with two hundred kills."""
import os
import unittest

os.environ.setdefault("FENGSUI_STORM_KILLS", "200")
os.environ.setdefault("FENGSUI_STORM_SLACK", "1")

from test_alert_storm import AlertStorm  # noqa: E402,F401

if __name__ == "__main__":
    unittest.main(verbosity=2)
