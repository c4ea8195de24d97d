"""Disks, folders and pipes that fail under the real command."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from realtime_kp.apps.resume import load_state
from tests.apps.command import Command
from tests.conftest import child_environment

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for faults")]

VIDEO = ["video", "demo?frames=5000&size=320x240", "--model", "small", "--resize", "160", "--output.crf", "1"]
OUTPUTS = ["-o", "out/o.mp4", "--tracks", "out/t.csv", "--log", "l.jsonl", "-q"]
_DROP_BOUND, _READ_AND_WRITE_ALL = 24, (1, 2)  # prctl's PR_CAPBSET_DROP; CAP_DAC_OVERRIDE and _READ_SEARCH


def shown(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def faulty(folder: Path) -> tuple[int, str]:
    """Run until the fault ends it."""
    with Command(folder, *VIDEO, *OUTPUTS) as command:
        return command.ended(60)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder `out` on a disk of 3 MB."""
    out = tmp_path / "out"
    out.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(out)]
    if subprocess.run(words, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk; a limit on file sizes is tested for all")
    yield tmp_path
    subprocess.run(["umount", "-l", str(out)], check=True)


def test_a_full_disk_ends_the_run_and_leaves_what_was_written(small_disk: Path) -> None:
    code, errors = faulty(small_disk)
    assert code == 5, errors
    assert "No space left on device (ENOSPC)" in errors
    assert "Traceback" not in errors
    done = len((small_disk / "l.jsonl").read_text().splitlines())
    assert shown(small_disk / "out" / "o.partial.mkv") >= done - 2 > 5
    assert not (small_disk / "out" / "o.mp4").exists()


def test_once_there_is_room_again_it_goes_on(small_disk: Path, tmp_path: Path) -> None:
    words = [*VIDEO, *OUTPUTS, "--resume", "--video.keep-every-s", "0.3"]
    with Command(small_disk, *words) as command:
        assert command.ended(60)[0] == 5
    done = load_state(small_disk / "out" / "o.partial.state").frames
    subprocess.run(["mount", "-o", "remount,size=100m", str(small_disk / "out")], check=True)
    with Command(small_disk, *words, "--max-frames", str(done + 20)) as command:
        code, errors = command.ended(60)
        assert code == 0, errors
    assert shown(small_disk / "out" / "o.mp4") == done + 20


def test_a_file_that_may_not_grow_on(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))

    with Command(tmp_path, *VIDEO, *OUTPUTS, "--video.keep-every-s", "1000", prepare=limit) as command:
        code, errors = command.ended(60)
    assert code == 5, errors
    assert "File too large (EFBIG)" in errors
    done = len((tmp_path / "l.jsonl").read_text().splitlines())
    assert shown(tmp_path / "out" / "o.partial.mkv") >= done - 2 > 5


def test_a_folder_that_is_removed(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with Command(tmp_path, *VIDEO, *OUTPUTS) as command:
        command.wait_for(20)
        shutil.rmtree(tmp_path / "out")
        code, errors = command.ended(20)
    assert code == 5, errors
    assert "(ENOENT)" in errors
    assert "Traceback" not in errors


def test_permission_that_is_lost(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()

    def like_everybody() -> None:
        # Root may write anywhere unless it gives that up.
        for capability in _READ_AND_WRITE_ALL if os.geteuid() == 0 else ():
            assert ctypes.CDLL(None).prctl(_DROP_BOUND, capability, 0, 0, 0) == 0

    with Command(tmp_path, *VIDEO, *OUTPUTS, prepare=like_everybody) as command:
        command.wait_for(20)
        (tmp_path / "out").chmod(0o555)
        try:
            code, errors = command.ended(20)
        finally:
            (tmp_path / "out").chmod(0o755)
    assert code == 5, errors
    assert "Permission denied (EACCES)" in errors
    done = len((tmp_path / "l.jsonl").read_text().splitlines())
    assert shown(tmp_path / "out" / "o.partial.mkv") >= done - 2


def test_a_reader_of_the_figures_that_has_gone(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    words = [sys.executable, "-m", "realtime_kp", *VIDEO, "-o", "o.mp4", "--max-frames", "5"]
    found = subprocess.run(
        words,
        cwd=tmp_path,
        env=child_environment(),
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(write)
    assert found.returncode == 5, found.stderr
    assert "Traceback" not in found.stderr
    assert shown(tmp_path / "o.mp4") == 5
