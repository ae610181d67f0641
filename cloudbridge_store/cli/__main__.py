"""``python -m cloudbridge_store.cli``: the command, where the script is not on the path."""

from __future__ import annotations

from cloudbridge_store.cli import main

main()
