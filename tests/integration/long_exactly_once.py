#!/usr/bin/python3
"""test_exactly_once.py with two minutes of killing."""
import os

os.environ["FENGSUI_KILL_SECONDS"] = "120"

import test_exactly_once  # noqa: E402
from fengsui import run_tests  # noqa: E402

run_tests(vars(test_exactly_once))
