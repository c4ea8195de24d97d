"""A logo and a running clock are found while the picture moves, and nothing where there are none."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from realtime_kp import Frame
from realtime_kp.config import InputConfig
from realtime_kp.sources import DemoSpec, Regions, open_source
from realtime_kp.sources.overlays import OverlayFinder

LOGO, CLOCK = (slice(24, 56), slice(250, 312)), (slice(204, 228), slice(12, 120))


def stamped(image: NDArray[np.uint8], second: int) -> NDArray[np.uint8]:
    """With a logo in the top right corner and a clock in the bottom left one."""
    image = image.copy()
    cv2.putText(image, "LOGO", (250, 50), cv2.FONT_HERSHEY_DUPLEX, 0.8, (255, 255, 255), 2)
    cv2.putText(image, f"12:34:{second:02d}", (14, 224), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255, 255, 255), 2)
    return image


def frames(spec: str, count: int = 150, *, stamps: bool = True, fps: float = 30.0) -> list[Frame]:
    scene = DemoSpec.parse(spec).scene()
    images = [scene.render(i) for i in range(count)]
    if stamps:
        images = [stamped(image, int(i / fps)) for i, image in enumerate(images)]
    return [Frame(i, i / fps, 0.0, image) for i, image in enumerate(images)]


def found(shown: list[Frame], finder: OverlayFinder | None = None) -> NDArray[np.uint8] | None:
    finder = OverlayFinder() if finder is None else finder
    overlay = None
    for frame in shown:
        overlay = finder.overlay(frame)
    return overlay


@pytest.mark.slow
@pytest.mark.parametrize(
    "spec", ["demo:?size=320x240&seed=1", "demo:?size=320x240&flicker=1&occluder=1", "demo:room?size=320x240"]
)
def test_logo_and_clock_are_found_and_nothing_else(spec: str) -> None:
    shown = frames(spec)
    overlay = found(shown)
    assert overlay is not None
    text = stamped(np.zeros_like(shown[0].image_bgr), 4).max(axis=2) > 0
    assert overlay[text].mean() > 0.98
    near = np.zeros_like(overlay)
    near[LOGO] = near[CLOCK] = 1
    assert overlay[cv2.dilate(near, np.ones((25, 25), np.uint8)) == 0].mean() < 0.01
    bare = found(frames(spec, stamps=False))
    assert bare is None or not bare.any()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_strong_compression_hides_neither_letters_nor_motion(tmp_path: Path, seed: int) -> None:
    path, shown = tmp_path / "a.mp4", frames(f"demo:?size=320x240&seed={seed}")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "30", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for frame in shown:
            picture = av.VideoFrame.from_ndarray(frame.image_bgr, format="bgr24")
            picture.pts, picture.time_base = frame.index, Fraction(1, 30)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    text, finder = stamped(np.zeros_like(shown[0].image_bgr), 4).max(axis=2) > 0, OverlayFinder()
    with open_source(path) as source:
        for frame in source:
            overlay = finder.overlay(frame)
            if frame.index > 118:
                assert overlay is not None
                assert overlay[text].all()


def test_without_motion_nothing_is_known() -> None:
    assert found(frames("demo:?size=320x240&motion=still")) is None


def test_what_was_found_stays_while_the_picture_stands_still_and_goes_with_the_scene() -> None:
    shown, finder = frames("demo:?size=320x240"), OverlayFinder()
    before = found(shown, finder)
    still = [replace(shown[-1], index=150 + i, time_s=5 + i / 30) for i in range(150)]
    after = found(still, finder)
    assert before is not None
    assert after is not None
    assert (after == before).all()
    assert finder.overlay(replace(shown[-1], session=1)) is None


def test_regions_leave_overlays_out_and_know_them_after_frames_that_were_passed_over() -> None:
    shown = frames("demo:?size=320x240")
    config = InputConfig(ignore="overlays", roi="0,0,320,200")
    whole, resumed = Regions(config), Regions(config)
    masks = [whole.on(frame).mask for frame in shown]
    for frame in shown[:100]:
        resumed.pass_over(frame)
    again = [resumed.on(frame).mask for frame in shown[100:]]
    for ours, theirs in zip(again, masks[100:], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    last = masks[-1]
    assert last is not None
    assert not last[200:].any()
    text = stamped(np.zeros_like(shown[0].image_bgr), 4).max(axis=2) > 0
    assert last[text].mean() < 0.02
    assert last[80:180, 80:240].all()
