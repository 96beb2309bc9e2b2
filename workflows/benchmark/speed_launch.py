"""Runs a command and writes what it and its children used to a file: ``python -S speed_launch.py FILE COMMAND...``.

A process of its own, because the peak memory that Linux counts for a child begins with that of the parent it was forked
from: a small parent spoils nothing.
"""

import json
import os
import sys
import time

started = time.perf_counter()
pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
report = {
    "wall_s": time.perf_counter() - started,
    "cpu_s": usage.ru_utime + usage.ru_stime,
    "peak_mb": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6,
    "code": os.waitstatus_to_exitcode(status),
}
with open(sys.argv[1], "w", encoding="utf-8") as file:
    json.dump(report, file)
