#!/usr/bin/python3
"""test_link_cut.py with the link down for a minute."""
import os
import runpy

os.environ["FENGSUI_CUT_SECONDS"] = "60"
runpy.run_path(os.path.join(os.path.dirname(__file__), "test_link_cut.py"), run_name="__main__")
