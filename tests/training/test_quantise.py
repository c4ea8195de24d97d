from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime_kp import ModelError, SuperPoint
from realtime_kp.cli import main
from realtime_kp.features.weights_store import find_weights
from realtime_kp.sources import DemoSpec, procedural_picture


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The small bundled model without its 8-bit version."""
    folder = tmp_path / "model"
    shutil.copytree(find_weights("small").location, folder)
    for path in folder.glob("openvino_int8.*"):
        path.unlink()
    return folder


@pytest.mark.slow
def test_the_8_bit_version_finds_the_same_keypoints(model: Path, tmp_path: Path) -> None:
    for seed in range(6):
        cv2.imwrite(str(tmp_path / f"{seed}.png"), procedural_picture((352, 352), seed))
    assert main(["quantise", "--model", str(model), "--images", str(tmp_path), "-q"]) == 0
    assert (model / "openvino_int8.bin").stat().st_size < 2_000_000
    image = DemoSpec().scene().render(0)
    assert_same_keypoints(model, image)
    # Brighter than most of what it was calibrated on.
    assert_same_keypoints(model, (100 + image * 0.6).astype(np.uint8))


def assert_same_keypoints(model: Path, image: np.ndarray) -> None:
    found = []
    for precision in ("fp32", "int8"):
        with SuperPoint(model=str(model), precision=precision, max_keypoints=512) as superpoint:
            found.append(superpoint(image))
            assert superpoint.info.precision == precision
    gaps = np.linalg.norm(found[0].xy[:, None] - found[1].xy[None], axis=2)
    close = gaps.min(axis=1) <= 1
    assert close.mean() > 0.93
    cosines = (found[0].descriptors * found[1].descriptors[gaps.argmin(axis=1)]).sum(axis=1)
    assert cosines[close].mean() > 0.99


def test_weights_without_an_8_bit_version_say_so(model: Path) -> None:
    with (
        pytest.raises(ModelError, match=r"without an int8 version.*quantise"),
        SuperPoint(model=str(model), precision="int8"),
    ):
        pass


def test_8_bits_are_for_openvino(model: Path) -> None:
    with (
        pytest.raises(ModelError, match="int8 is for OpenVINO"),
        SuperPoint(model=str(model), precision="int8", engine="torch"),
    ):
        pass
