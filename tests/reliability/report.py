"""Prints the table of a run of the fault matrix: ``python report.py FILE``, the one that CBS_TEST_REPORT named.

A line for each provider and nature of trouble: cells played, and what came of them. Whether each outcome was one of the
permitted is what the tests say.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

_WIDTHS = (10, 8, 5, 7, 11)


def rows(lines):
    """Yield the rows of the table, in reStructuredText: docs/reliability-table.inc."""
    played = Counter()
    for line in lines:
        cell = json.loads(line)
        came = "success" if cell["outcome"] == "success" else "error"
        played[cell["provider"].removesuffix("Harness"), cell["nature"], came] += 1
    rule = "  ".join("=" * width for width in _WIDTHS)
    yield from (rule, _row("provider", "trouble", "cells", "success", "typed error"), rule)
    for provider, nature in sorted({key[:2] for key in played}):
        success, error = played[provider, nature, "success"], played[provider, nature, "error"]
        yield _row(provider, nature, success + error, success, error)
    yield rule


def _row(*cells):
    return "  ".join(f"{cell:<{width}}" for cell, width in zip(map(str, cells), _WIDTHS, strict=True)).rstrip()


if __name__ == "__main__":
    print("\n".join(rows(Path(sys.argv[1]).read_text(encoding="utf-8").splitlines())))
