#!/usr/bin/python3
"""test_import_export.py's months, as a year of one host: 200 series every five minutes."""
from test_import_export import import_months

import_months(series=200, days=365, step=300, bound=512 << 20)
print("ok   a year", flush=True)
