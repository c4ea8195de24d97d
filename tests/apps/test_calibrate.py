"""`calibrate` through the whole command."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime_kp.cli import main
from realtime_kp.lens import Lens, read_lens
from tests.conftest import write_clip
from tests.lens.boards import chessboard, views

LENS = Lens((640, 480), (520.0, 516.0), (322.0, 236.0), (-0.28, 0.09, 0.001, -0.0005, -0.01))
WORDS = ["--board", "9x6", "--square", "0.03", "--no-window"]


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    return views(chessboard((9, 6)), (10, 7), LENS, 18)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["video", "folder"])
@pytest.mark.timeout(600)
def test_a_lens_is_found_and_written(
    folder: Path, pictures: list[np.ndarray], kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if kind == "video":
        # Six frames a view: only some are looked at.
        shown = [picture for picture in pictures for _ in range(6)]
        write_clip(folder / "board.mp4", shown, fps=30, options={"crf": "14"})
    else:
        (folder / "board.mp4").mkdir()
        for number, picture in enumerate(pictures):
            cv2.imwrite(f"board.mp4/{number:03d}.png", picture)
    assert main(["calibrate", "board.mp4", *WORDS, "-o", "c.yaml", "--coverage", "seen.png"]) == 0
    np.testing.assert_allclose(read_lens(Path("c.yaml")).focal_xy, LENS.focal_xy, rtol=0.005)
    assert "reprojection error" in capsys.readouterr().out
    seen = cv2.imread("seen.png")
    # Where the board was, the picture is green.
    assert (seen[..., 1].astype(int) - seen[..., 2] > 20).mean() > 0.02
    assert main(["calibrate", "board.mp4", *WORDS, "-o", "c.yaml"]) == 5


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_was_found_straightens_the_pictures(folder: Path, pictures: list[np.ndarray]) -> None:
    write_clip(folder / "board.mp4", pictures, fps=5, options={"crf": "14"})
    assert main(["calibrate", "board.mp4", *WORDS, "-q"]) == 0
    words = ["video", "board.mp4", "--camera", "camera.yaml", "--undistort", "--model", "small", "-q"]
    assert main([*words, "--draw", "none", "-o", "o.mp4", "--max-frames", "8"]) == 0
    capture = cv2.VideoCapture("o.mp4")
    bends = []
    try:
        while True:
            read, image = capture.read()
            if not read:
                break
            found, corners = cv2.findChessboardCornersSB(image, (9, 6))
            for row in corners.reshape(6, 9, 2) if found else []:
                across = np.linalg.svd(row - row.mean(axis=0))[2][1]
                bends.append(np.abs((row - row.mean(axis=0)) @ across).max())
    finally:
        capture.release()
    assert len(bends) >= 18
    assert np.median(bends) < 0.4


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--board", "8x6", "--square", "0.03"], 3, "no 8x6 chessboard was seen"),
        (["--board", "9x6", "--square", "0.03"], 3, "2 views of the board are too few"),
        (["--board", "9", "--square", "0.03"], 2, "board must be columns and rows such as 9x6"),
        (["--board", "9x6", "--square", "0"], 2, "square must be above 0"),
        (["--board", "9x6", "--square", "0.03", "--charuco", "9X9_1"], 2, "no dictionary of markers"),
        (["--board", "9x6", "--square", "0.03", "--marker", "0.02"], 2, "marker needs charuco"),
        (["--board", "9x6", "--square", "0.03", "--max-views", "3"], 2, "max_views must be 8"),
        (["--board", "9x6"], 2, "--square"),
    ],
)
def test_what_cannot_be_calibrated_is_one_line(
    folder: Path,
    pictures: list[np.ndarray],
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    told: str,
) -> None:
    (folder / "views").mkdir()
    for number, picture in enumerate(pictures[:3]):
        cv2.imwrite(f"views/{number}.png", picture)
    assert main(["calibrate", "views", "--no-window", "-q", *words]) == code
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 1
    assert told in errors[0]
    assert not Path("camera.yaml").exists()


def test_pictures_of_several_sizes_are_refused(
    folder: Path, pictures: list[np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "views").mkdir()
    cv2.imwrite("views/0.png", pictures[0])
    cv2.imwrite("views/1.png", pictures[1][:400])
    assert main(["calibrate", "views", "-q", *WORDS]) == 3
    assert "several sizes" in capsys.readouterr().err
