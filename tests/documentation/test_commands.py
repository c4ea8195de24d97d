"""Every command and program of README and docs that can run here runs, page by page, in order."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime_kp.lens import Lens
from realtime_kp.sources import procedural_picture
from tests.conftest import child_environment, write_clip
from tests.documentation.blocks import PAGES, ROOT, Block, blocks_of
from tests.lens.boards import chessboard, views

# What makes a block impossible or too expensive here.
REASONS = (
    "changes",
    "for macOS",
    "for Windows",
    "installs",
    "needs a bucket",
    "needs a camera",
    "needs a cluster",
    "needs a ROS",
    "needs COLMAP",
    "needs Docker",
    "needs the",
    "opens a",
    "takes hours",
    "takes minutes",
    "test-command",
)
RUN = [
    pytest.param(page, id=str(page.relative_to(ROOT)))
    for page in PAGES
    if any(block.language in ("bash", "python") and not block.not_run for block in blocks_of(page))
]

# The smallest network keeps a run short; whatever else the command says is as it stands.
FAST = """#!/bin/sh
case "$1 $*" in
    *--help*|"train"*|"evaluate"*|"convert"*|"export"*|"draw"*|"calibrate"*) set -- "$@" ;;
    "live "*--model*|"video "*--model*|"bench "*--model*) set -- "$@" --resize 160 ;;
    "live "*|"video "*|"bench "*) set -- "$@" --resize 160 --model small ;;
esac
exec "{python}" -m realtime_kp "$@"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the pages name: a video, another one, pictures, a mask, points, a board, a lens."""
    capture = cv2.VideoCapture(str(ROOT / "tests/data/box.mp4"))
    frames = [cv2.resize(capture.read()[1], (320, 240), interpolation=cv2.INTER_AREA) for _ in range(50)]
    capture.release()
    write_clip(tmp_path / "walk.mp4", frames[:40])
    write_clip(tmp_path / "bikes.mp4", frames[10:])
    for name in ("photos", "night"):
        (tmp_path / name).mkdir()
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"photos/{number}.png"), procedural_picture((320, 240), number))
    cv2.imwrite(str(tmp_path / "mask.png"), np.full((240, 320), 255, np.uint8))
    cv2.imwrite(str(tmp_path / "face.png"), frames[0][60:200, 80:260])
    (tmp_path / "points.csv").write_text("frame,x,y,name\n0,120.5,80.0,corner\n5,200.0,90.0,label\n")
    lens = Lens((640, 480), (520.0, 520.0), (320.0, 240.0), (-0.2, 0.05, 0.0, 0.0))
    shown = views(chessboard((9, 6)), (10, 7), lens, 16)
    write_clip(tmp_path / "board.mp4", [view for view in shown for _ in range(7)])
    return tmp_path


def run(block: Block, folder: Path) -> None:
    """Run a block, with the command of this package on the path."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    command = programs / "realtime-kp"
    command.write_text(FAST.replace("{python}", sys.executable))
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    words = ["bash", "-euo", "pipefail", "-c"] if block.language == "bash" else [sys.executable, "-c"]
    done = subprocess.run(
        [*words, block.text],
        cwd=folder,
        env=child_environment(PATH=path, PYTHONPATH=str(ROOT), COLUMNS="200"),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, f"{block.text}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", RUN)
def test_what_a_page_says_runs(page: Path, folder: Path) -> None:
    for block in blocks_of(page):
        if block.language in ("bash", "python") and not block.not_run:
            run(block, folder)


def test_what_is_not_run_says_why() -> None:
    for page in PAGES:
        for block in blocks_of(page):
            assert not block.not_run or block.not_run.startswith(REASONS), (page, block.not_run)
