from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from realtime_kp.machine import may_have_gpu
from tests.conftest import child_environment

AFTER_YIELDING = """
import os, threading
from realtime_kp.machine import lower_thread_priority
def yielding():
    lower_thread_priority()
    told.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
told = []
thread = threading.Thread(target=yielding)
thread.start()
thread.join()
print(*told)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only there threads have priorities")
@pytest.mark.parametrize("steps", [0, 8, 19])
def test_a_thread_that_yields_never_takes_priority_back(steps: int) -> None:
    here = os.getpriority(os.PRIO_PROCESS, 0)
    command = ["nice", "-n", str(steps), sys.executable, "-c", AFTER_YIELDING]
    child = subprocess.run(command, env=child_environment(), capture_output=True, text=True, check=True)
    began = min(19, here + steps)
    assert began < int(child.stdout) or began == 19
    assert int(child.stdout) <= 19


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only there drivers leave such traces")
@pytest.mark.parametrize(
    ("place", "text", "may"),
    [
        ("dev/nvidia0", "", True),
        ("dev/nvmap", "", True),
        ("proc/driver/nvidia/version", "NVRM version", True),
        ("sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n", True),
        ("sys/bus/pci/devices/0000:01:00.0/vendor", "0x8086\n", False),
        ("dev/dri", "", False),
    ],
)
def test_a_gpu_is_looked_for_where_there_is_a_trace_of_one(
    tmp_path: Path, place: str, text: str, may: bool
) -> None:
    file = tmp_path / place
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert may_have_gpu(tmp_path) is may
