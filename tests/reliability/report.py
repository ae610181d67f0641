"""Prints the table of a run of the fault matrix: ``python report.py FILE``, the one that CBS_TEST_REPORT named.

A line for each provider and nature of trouble: cells played, and what came of them. Whether each outcome was one of the
permitted is what the tests say.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

from cloudbridge_store.testing.reliability.troubles import TROUBLES

_NATURES = {trouble.name: trouble.nature for trouble in TROUBLES}


def nature_of(cell):
    """Return the nature of a cell's trouble; a cell reads ``operation: trouble, how often``."""
    return _NATURES[cell.partition(": ")[2].rpartition(", ")[0]]


def rows(lines):
    """Yield the rows of the table, in Markdown."""
    played = Counter()
    for line in lines:
        cell = json.loads(line)
        came = "success" if cell["outcome"] == "success" else "error"
        played[cell["provider"].removesuffix("Harness"), nature_of(cell["cell"]), came] += 1
    yield "| provider | trouble | cells | success | typed error |"
    yield "|---|---|---:|---:|---:|"
    for provider, nature in sorted({key[:2] for key in played}):
        success, error = played[provider, nature, "success"], played[provider, nature, "error"]
        yield f"| {provider} | {nature} | {success + error} | {success} | {error} |"


if __name__ == "__main__":
    print("\n".join(rows(Path(sys.argv[1]).read_text(encoding="utf-8").splitlines())))
