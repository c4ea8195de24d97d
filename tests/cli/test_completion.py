"""Completion in the shell."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.conftest import child_environment


def test_bash_completes_commands_and_flags_once_it_is_installed(tmp_path: Path) -> None:
    # The shell is the one in which the command is called.
    words = f"'{sys.executable}' -m realtime_kp --install-completion && true"
    environment = child_environment(
        HOME=str(tmp_path), SHELL="/bin/bash", XDG_DATA_HOME=str(tmp_path / "data")
    )
    done = subprocess.run(
        ["bash", "-c", words], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    scripts = [path for path in tmp_path.rglob("*realtime-kp*") if path.is_file()]
    assert scripts, list(tmp_path.rglob("*"))
    text = scripts[0].read_text()
    assert "calibrate" in text
    assert "--max-keypoints" in text
    checked = subprocess.run(["bash", "-n", str(scripts[0])], capture_output=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stderr
