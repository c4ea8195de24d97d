from __future__ import annotations

import os
import subprocess
import sys

import pytest

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
