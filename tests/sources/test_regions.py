"""Masks and regions of the settings become masks of frames."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime_kp import ConfigError, Frame, SourceError
from realtime_kp.config import InputConfig
from realtime_kp.sources import Regions
from tests.conftest import make_frame


def masked(config: InputConfig, frame: Frame | None = None) -> np.ndarray:
    mask = Regions(config).on(make_frame() if frame is None else frame).mask
    assert mask is not None
    return mask


def write(path: Path, hidden: tuple[slice, slice], size_wh: tuple[int, int] = (64, 48)) -> Path:
    image = np.full((size_wh[1], size_wh[0]), 255, np.uint8)
    image[hidden] = 0
    cv2.imwrite(str(path), image)
    return path


def test_without_settings_frames_stay_as_they_are() -> None:
    frame = make_frame()
    assert Regions(InputConfig()).on(frame) is frame


def test_what_lies_in_one_of_the_regions_counts() -> None:
    mask = masked(InputConfig(roi="0,0,10,20; 50,40,100,100"))
    wanted = np.zeros((48, 64), bool)
    wanted[:20, :10] = wanted[40:, 50:] = True
    assert (mask.astype(bool) == wanted).all()


def test_further_regions_come_and_go() -> None:
    regions = Regions(InputConfig())
    one, two = (0, 0, 10, 10), (30, 20, 10, 10)
    counts = []
    for more in ((one,), (one, two), (), ((100, 0, 5, 5),), (two,)):
        mask = regions.on(make_frame(), more).mask
        counts.append(None if mask is None else int(mask.sum()))
    assert counts == [100, 200, None, None, 100]
    assert Regions(InputConfig(roi="0,0,20,20")).on(make_frame(), (two,)).mask.sum() == 500  # type: ignore[union-attr]


def test_a_picture_masks_what_is_black_at_any_size(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("realtime_kp").propagate = True
    file = write(tmp_path / "m.png", np.s_[:, :16], (32, 24))
    mask = masked(InputConfig(mask=file))
    assert not mask[:, :32].any()
    assert mask[:, 32:].all()
    assert "stretched" not in caplog.text
    both = masked(InputConfig(mask=file, roi="0,0,40,48"))
    assert both.sum() == 8 * 48
    masked(InputConfig(mask=write(tmp_path / "n.png", np.s_[:5], (48, 48))))
    assert "of 48x48 is stretched to frames of 64x48" in caplog.text


def test_a_folder_is_asked_by_name_and_by_number(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("realtime_kp").propagate = True
    for number, name in enumerate(("a.png", "b.jpg.png", "mask_0007.png")):
        write(tmp_path / name, np.s_[number : number + 1])
    regions = Regions(InputConfig(mask=tmp_path))

    def hidden_row(frame: Frame) -> list[int]:
        mask = regions.on(frame).mask
        return [] if mask is None else np.flatnonzero(~mask.any(axis=1)).tolist()

    assert hidden_row(replace(make_frame(3), origin="/x/a.jpg")) == [0]
    assert hidden_row(replace(make_frame(4), origin="/x/b.jpg")) == [1]
    assert hidden_row(make_frame(7)) == [2]
    assert hidden_row(replace(make_frame(5), origin="/x/frame7.jpg")) == [2]
    assert hidden_row(replace(make_frame(7), origin="/x/frame6.jpg")) == []
    assert hidden_row(make_frame(8)) == []
    assert "holds no mask for some frames, such as frame6.jpg" in caplog.text


def test_a_mask_that_hides_all_is_refused_but_not_that_of_one_frame_of_many(tmp_path: Path) -> None:
    black = write(tmp_path / "0.png", np.s_[:])
    with pytest.raises(SourceError, match="black: it leaves nothing"):
        masked(InputConfig(mask=black))
    left = write(tmp_path / "left.png", np.s_[:, :32])
    with pytest.raises(SourceError, match="black within the regions"):
        masked(InputConfig(mask=left, roi="0,0,20,20"))
    assert not masked(InputConfig(mask=tmp_path)).any()


def test_what_cannot_be_used_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nothere"):
        masked(InputConfig(mask=tmp_path / "nothere.png"))
    with pytest.raises(ConfigError, match="no region lies within the picture of 64x48"):
        masked(InputConfig(roi="64,0,10,10"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="holds no pictures"):
        masked(InputConfig(mask=tmp_path / "empty"))
