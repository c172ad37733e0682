#!/usr/bin/env python3
"""make.py - writes ../zh/*.json and ../en/*.json; with --check it says whether they are as written.

    dashboards/grafana/source/make.py            after a change of a board_*.py
    dashboards/grafana/source/make.py --check    exit code 1 if a file is not what the source says
"""
import pathlib
import sys

import board_collector
import board_host
import board_hosts
import kit

FOLDER = pathlib.Path(__file__).resolve().parent.parent


def boards():
    return [board_hosts.board(), board_host.board(), board_collector.board()]


def main():
    stale = []
    for board in boards():
        for language in kit.LANGUAGES:
            path = FOLDER / language / f"{board.uid}.json"
            made = kit.to_json(board.in_language(language))
            if "--check" not in sys.argv[1:]:
                path.write_text(made, encoding="utf-8")
            elif not path.exists() or path.read_text(encoding="utf-8") != made:
                stale.append(path)
    for path in stale:
        print(f"{path.relative_to(FOLDER)} is not what source/ says: run source/make.py")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
