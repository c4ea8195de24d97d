from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from realtime_kp.config import InputConfig
from realtime_kp.errors import ArgumentError, ConfigError
from realtime_kp.frame import Frame
from realtime_kp.lens import Lens, lens_text
from realtime_kp.sources import DemoSpec, KnownLens

LENS = Lens((640, 480), (400.0, 400.0), (322.0, 236.0), (-0.3, 0.09, 0.001, -0.0005, -0.01))


def frame(width: int, height: int) -> Frame:
    return Frame(0, 0.0, 0.0, np.zeros((height, width, 3), np.uint8))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "c.yaml").write_text(lens_text(LENS))
    return tmp_path / "c.yaml"


def known(file: Path) -> KnownLens:
    lens = KnownLens.of(InputConfig(camera=file))
    assert lens is not None
    return lens


def test_without_a_file_there_is_no_lens() -> None:
    assert KnownLens.of(InputConfig()) is None


def test_frames_get_the_lens_at_their_size(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "realtime_kp"):
        lens = known(file)
        assert lens.on(frame(640, 480)).lens == LENS
        assert lens.on(frame(320, 240)).lens == LENS.scaled((320, 240))
    assert caplog.messages == []


def test_a_scaled_lens_is_told(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "realtime_kp"):
        known(file).on(frame(1280, 960))
    assert caplog.messages == ["c.yaml for 640x480 is scaled to 1280x960"]


def test_a_lens_without_a_size_is_for_the_first_frame(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = file.read_text().splitlines()
    file.write_text("\n".join(line for line in lines if not line.startswith("image_")))
    with caplog.at_level(logging.INFO, "realtime_kp"):
        lens = known(file)
        assert lens.on(frame(640, 480)).lens == LENS
        assert lens.on(frame(320, 240)).lens == LENS.scaled((320, 240))
        assert lens.on(frame(640, 360)).lens is None
    assert caplog.messages[0] == "c.yaml tells no picture size: taken to be for 640x480"


def test_a_lens_of_another_aspect_is_refused(file: Path) -> None:
    with pytest.raises(ConfigError, match="does not fit pictures of 640x360"):
        known(file).on(frame(640, 360))


def test_a_source_that_changes_its_aspect_goes_on_without(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lens = known(file)
    lens.on(frame(640, 480))
    assert lens.on(frame(640, 360)).lens is None
    assert "go on without a lens" in caplog.text
    assert lens.on(frame(640, 480)).lens == LENS


def test_a_frame_takes_a_lens_of_its_size_only() -> None:
    with pytest.raises(ArgumentError, match="lens of a frame of 320x240 must be of that size, got 640x480"):
        replace(frame(320, 240), lens=LENS)


@pytest.mark.parametrize("scene", ["demo", "demo:room"])
def test_the_demo_through_a_lens(file: Path, scene: str) -> None:
    bent, plain = DemoSpec.parse(f"{scene}?lens={file}").scene(), DemoSpec.parse(scene).scene()
    assert bent.render(3).shape == plain.render(3).shape
    rng = np.random.default_rng(0)
    xy = (rng.uniform(0.1, 0.9, (200, 2)) * (640, 480)).astype(np.float32)
    there, visible = bent.truth(3, 3, xy)
    np.testing.assert_allclose(there[visible], xy[visible], atol=0.01)
    assert visible.mean() > 0.99
    moved, visible = bent.truth(3, 12, xy)
    first, later = (bent.render(i).astype(np.float32) for i in (3, 12))
    alike = []
    for before, after in zip(*(np.rint(places[visible]).astype(int) for places in (xy, moved)), strict=True):
        if (np.minimum(before, after) < 6).any() or (np.maximum(before, after) > (633, 473)).any():
            continue
        patches = [
            image[y - 5 : y + 6, x - 5 : x + 6].ravel() for image, (x, y) in ((first, before), (later, after))
        ]
        alike.append(np.corrcoef(*patches)[0, 1])
    assert np.median(alike) > 0.6


def test_a_lens_that_is_too_wide_for_the_demo(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text(
        lens_text(Lens((640, 480), (190.0, 190.0), (319.5, 239.5), (0.0,) * 4, "fisheye"))
    )
    with pytest.raises(ConfigError, match="too wide"):
        DemoSpec.parse(f"demo?lens={tmp_path / 'f.yaml'}").scene()
