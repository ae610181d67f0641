"""What a spawned program says of its memory."""

PEAK = r"""
import re
def peak():
    # Not ru_maxrss: on Linux that of the process which started this one counts too.
    with open("/proc/self/status", encoding="ascii") as file:
        return int(re.search(r"VmHWM:\s+(\d+) kB", file.read())[1]) / 1024
"""
"""Defines ``peak``: the most that the process has held in memory, in MiB."""
