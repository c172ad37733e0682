#!/usr/bin/python3
"""The fault tests of the store at every call, place and seed, one after the other: a kill before
each call that changes the disk, power cuts by the thousand, bits turned in twelve thousand places,
and a simulated week."""
import subprocess
import sys

from fengsui import BUILD

failed = [name for name in ("disk", "damage", "week")
          if subprocess.run([str(BUILD / "tests" / f"fault_{name}"), "--long"], check=False,
                            stderr=subprocess.DEVNULL).returncode != 0]
print(f"failed: {failed}" if failed else "ok   every call, place and seed", flush=True)
sys.exit(1 if failed else 0)
