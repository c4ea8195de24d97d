"""Files of several pictures play, and those of one picture stay pictures."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from realtime_kp.errors import SourceError
from realtime_kp.sources import MovingPictureSource, PicturesSource, open_source
from tests.conftest import numbered_image

COUNT = 12


def pictures(count: int = COUNT) -> list[Image.Image]:
    return [Image.fromarray(np.ascontiguousarray(numbered_image(i)[..., ::-1])) for i in range(count)]


def save(path: Path, **options: object) -> Path:
    first, *rest = pictures()
    first.save(path, save_all=True, append_images=rest, **options)
    return path


@pytest.mark.parametrize("suffix", [".png", ".apng", ".webp", ".avif", ".tif", ".gif"])
def test_all_pictures_come_at_their_times(tmp_path: Path, suffix: str) -> None:
    options = {} if suffix == ".tif" else {"duration": 40}
    if suffix == ".webp":
        options["lossless"] = True
    with open_source(save(tmp_path / f"a{suffix}", **options)) as source:
        frames, info = list(source), source.info
    step_s = 0.1 if suffix == ".tif" else 0.04
    assert [f.time_s for f in frames] == pytest.approx([step_s * i for i in range(COUNT)], abs=2e-3)
    levels = [float(f.image_bgr.mean()) for f in frames]
    assert levels == pytest.approx([float(numbered_image(i).mean()) for i in range(COUNT)], abs=4)
    assert info.frame_count == COUNT
    assert not info.still


def test_start_passes_over_the_first_ones(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", duration=40)
    with open_source(path, start_s=0.2) as source:
        frames = list(source)
    assert [f.time_s for f in frames] == pytest.approx([0.04 * i for i in range(5, COUNT)])
    with open_source(path, start_s=9) as source, pytest.raises(SourceError, match="after second 9"):
        list(source)


def test_thumbnails_and_second_views_are_no_film(tmp_path: Path) -> None:
    first, second = pictures(2)
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second.resize((16, 12))])
    first.save(tmp_path / "b.jpg", format="MPO", save_all=True, append_images=[second])
    for name in ("a.tif", "b.jpg"):
        assert isinstance(open_source(tmp_path / name), PicturesSource)


def test_a_single_avif_is_a_picture_with_its_transparency_on_black(tmp_path: Path) -> None:
    image = np.full((48, 64, 4), 200, np.uint8)
    image[:, :32, 3], image[:, 32:, 3] = 255, 0
    Image.fromarray(image).save(tmp_path / "a.avif", quality=100)
    with open_source(tmp_path / "a.avif") as source:
        (frame,) = list(source)
    assert isinstance(source, PicturesSource)
    assert frame.image_bgr[:, :28].mean() == pytest.approx(200, abs=4)
    assert frame.image_bgr[:, 36:].max() <= 4


def test_pages_of_sixteen_bits_share_one_range(tmp_path: Path) -> None:
    pages = [Image.fromarray(np.full((48, 64), value, np.uint16)) for value in (300, 2000, 4000)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with open_source(tmp_path / "a.tif") as source:
        levels = [int(f.image_bgr[0, 0, 0]) for f in source]
    assert isinstance(source, MovingPictureSource)
    assert levels[0] < levels[1] < levels[2]
    assert cv2.imread(str(tmp_path / "a.tif"), cv2.IMREAD_UNCHANGED).dtype == np.uint16


def test_in_a_set_the_first_picture_is_taken_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("realtime_kp").propagate = True
    for name in ("a.png", "b.webp"):
        save(tmp_path / name)
    with open_source(str(tmp_path)) as source:
        assert len(list(source)) == 2
    assert "a.png holds several pictures" in caplog.text
    assert "b.webp" not in caplog.text
