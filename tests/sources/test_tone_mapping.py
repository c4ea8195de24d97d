"""High dynamic range made of standard pictures by the formulas of the standards, and what comes back."""

from __future__ import annotations

import logging
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from realtime_kp.sources import open_source

PQ, HLG = 16, 18
BT2020 = 9
WHITE_NITS = 203.0
TO_BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])


def pattern() -> NDArray[np.uint8]:
    """`(48, 128, 3) uint8`, RGB: grey steps above saturated and soft colours."""
    image = np.zeros((48, 128, 3), np.uint8)
    for i in range(8):
        image[:24, 16 * i : 16 * i + 16] = 235 * i // 7
    colours = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 30), (160, 120, 90), (90, 120, 160)]
    for i, colour in enumerate(colours):
        image[24:, 20 * i : 20 * i + 20] = colour
    return image


def codes(image: NDArray[np.uint8], transfer: int) -> NDArray[np.float64]:
    value = image / 255
    light = np.where(value < 0.081, value / 4.5, ((value + 0.099) / 1.099) ** (1 / 0.45))
    nits = np.maximum(light @ TO_BT2020.T, 0) * WHITE_NITS
    if transfer == PQ:
        power = (nits / 10_000) ** 0.1593017578125
        return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    luminance = np.maximum(nits @ np.array([0.2627, 0.6780, 0.0593]), 1e-6)[..., None]
    scene = nits / 1000 * (luminance / 1000) ** (-0.2 / 1.2)
    return np.where(
        scene <= 1 / 12,
        np.sqrt(3 * scene),
        0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073,
    )


def write(path: Path, transfer: int) -> Path:
    rgb = np.round(codes(pattern(), transfer) * 65535).astype(np.uint16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width = rgb.shape[:2]
        stream.pix_fmt = "yuv444p10le"
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace = transfer, BT2020, BT2020
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb48le")
            frame = frame.reformat(format="yuv444p10le", dst_colorspace=BT2020)
            frame.pts, frame.color_trc, frame.color_primaries = number, transfer, BT2020
            frame.colorspace = BT2020
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_high_dynamic_range_comes_as_the_standard_picture_that_it_was_made_of(
    tmp_path: Path, transfer: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "realtime_kp")
    with open_source(write(tmp_path / "a.mkv", transfer)) as source:
        frames = list(source)
    assert len(frames) == 3
    found = cv2.cvtColor(frames[2].image_bgr, cv2.COLOR_BGR2RGB).astype(float)
    standard = pattern().astype(float)
    np.testing.assert_array_equal(frames[0].image_bgr, frames[2].image_bgr)
    assert found.std() >= 0.8 * standard.std()
    # Highlights are rolled off, the rest is what it was.
    unchanged = standard.max(axis=2) <= 200
    assert np.abs(found - standard)[unchanged].max() <= 16
    assert np.abs(found - standard)[unchanged].mean() <= 4
    steps = found[12, 8::16].mean(axis=1)
    assert (np.diff(steps) > 15).all()
    assert sum("high dynamic range" in r.message for r in caplog.records) == 1
