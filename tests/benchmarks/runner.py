"""Runs workloads of several clients in turn, each in a fresh process, and prints medians and ratios.

Absolute seconds belong to the machine they were taken on. The ratios to the first client are what is worth quoting: the
clients alternate within a round, so that a machine which slows down slows all of them.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

Workload = Callable[[], object]
"""Does one measured piece of work; what must be prepared is done by whoever makes it."""


def measure(work: Workload) -> dict[str, float]:
    """Run ``work`` in this process; seconds of wall and CPU, and the peak of resident memory in MiB."""
    wall, cpu = time.perf_counter(), _cpu()
    work()
    wall, cpu = time.perf_counter() - wall, _cpu() - cpu
    # What a program of its own took in memory is its own.
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {"wall": wall, "cpu": cpu, "rss": (children or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024}


def _cpu() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def run_alone(
    script: str, client: str, workload: str, arguments: Sequence[str], python: str = sys.executable
) -> dict[str, float] | str:
    """Measure one workload of one client in a process of its own; a text says why that was not possible.

    :param python: the interpreter of an environment that has the client, where this one does not.
    """
    command = [python, script, "--client", client, "--workload", workload, *arguments]
    # Start-up is measured as users have it: with the bytecode that the first start left.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["failed"])[-1]
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def compare(
    script: str,
    clients: Sequence[str],
    workloads: Mapping[str, str],
    rounds: int,
    arguments: Sequence[str],
    pythons: Mapping[str, str] | None = None,
) -> str:
    """Return a table in Markdown: for each workload the median of each client, and its ratio to the first client."""
    lines = ["| workload | client | wall s | CPU s | peak MiB | wall, ratio |", "|---|---|---:|---:|---:|---:|"]
    for workload, title in workloads.items():
        results: dict[str, list[dict[str, float]]] = {client: [] for client in clients}
        missing: dict[str, str] = {}
        for number in range(rounds):
            # Another one begins each time: the first to touch fresh memory pays for it.
            turn = number % len(clients)
            for client in (*clients[turn:], *clients[:turn]):
                if client not in missing:
                    outcome = run_alone(
                        script, client, workload, arguments, (pythons or {}).get(client, sys.executable)
                    )
                    if isinstance(outcome, str):
                        missing[client] = outcome
                    else:
                        results[client].append(outcome)
        lines += _rows(title, clients, results, missing)
    return "\n".join(lines)


def _rows(
    title: str, clients: Sequence[str], results: Mapping[str, list[dict[str, float]]], missing: Mapping[str, str]
) -> list[str]:
    rows = []
    base = None
    for client in clients:
        if client in missing:
            rows.append(f"| {title} | {client} | {missing[client]} | | | |")
            continue
        wall, cpu, rss = (statistics.median(each[name] for each in results[client]) for name in ("wall", "cpu", "rss"))
        base = base or wall
        rows.append(f"| {title} | {client} | {wall:.3f} | {cpu:.3f} | {rss:.0f} | {wall / base:.2f} |")
    return rows
