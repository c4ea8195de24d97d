"""Locks on outputs, between descriptors of one process as between processes."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from realtime_kp.errors import SinkError
from realtime_kp.sinks import OutputLocks


def test_one_owner_a_set_of_outputs(tmp_path: Path) -> None:
    first, second = tmp_path / "a.mp4", tmp_path / "t.csv"
    with OutputLocks([first, second]):
        with pytest.raises(SinkError, match=rf"t\.csv is being written by process {os.getpid()}"):
            OutputLocks([second, tmp_path / "b.mp4"]).__enter__()
        with OutputLocks([tmp_path / "b.mp4"]):  # what the refused one had taken is free again
            pass
    with OutputLocks([second]):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_file_that_was_left_behind_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / ".a.mp4.lock").write_text("999999")
    with OutputLocks([tmp_path / "a.mp4"]):
        assert (tmp_path / ".a.mp4.lock").read_text() == str(os.getpid())
    assert list(tmp_path.iterdir()) == []


def test_folders_that_are_missing_are_said_by_those_who_write(tmp_path: Path) -> None:
    with OutputLocks([tmp_path / "no" / "such" / "a.mp4"]):
        assert list(tmp_path.iterdir()) == []


def test_there_is_never_more_than_one_owner(tmp_path: Path) -> None:
    inside, most, guard = 0, 0, threading.Lock()

    def own(turns: int) -> None:
        nonlocal inside, most
        for _ in range(turns):
            try:
                with OutputLocks([tmp_path / "a.mp4"]):
                    with guard:
                        inside += 1
                        most = max(most, inside)
                    with guard:
                        inside -= 1
            except SinkError:
                continue

    threads = [threading.Thread(target=own, args=(300,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert list(tmp_path.iterdir()) == []
