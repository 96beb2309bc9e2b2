from __future__ import annotations

import subprocess
import sys

import pytest

_SCRIPT = """
import resource
import numpy as np
from migradetect.memory import keep_memory
if {keep}:
    keep_memory()
def work():
    images = [np.ones((2048, 2048), np.float32) for _ in range(4)]
work()
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="of the allocator of Linux")
def test_memory_is_kept() -> None:
    faults = [
        int(subprocess.run([sys.executable, "-c", _SCRIPT.format(keep=keep)], capture_output=True, check=True).stdout)
        for keep in (True, False)
    ]
    # pages, small or huge ones, that were asked for anew
    assert faults[0] < 20
    assert faults[1] > 200, "test invalid"
