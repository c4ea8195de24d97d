"""Networks under ONNX Runtime as an engine, and what it cannot run."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime_kp import SuperPoint
from realtime_kp.config import SuperPointConfig
from realtime_kp.errors import ModelError
from realtime_kp.features.convert import Conversion, convert
from realtime_kp.features.decode.settings import DecodeSettings
from realtime_kp.features.engines.selection import choose_engine
from realtime_kp.features.models import find_model
from realtime_kp.keypoints import Keypoints
from realtime_kp.sources import procedural_picture

IMAGE = cv2.resize(procedural_picture((640, 480), 3), (320, 240), interpolation=cv2.INTER_AREA)


@cache
def expected() -> Keypoints:
    with SuperPoint(model="small", precision="fp32", device="cpu", resize="320") as superpoint:
        return superpoint(IMAGE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small network alone, in full and half precision, and with keypoints."""
    folder, model = tmp_path_factory.mktemp("onnx"), find_model("small")
    settings = DecodeSettings(100, 4, model.border_px, True, "exact")
    for name, conversion in (
        ("full.onnx", Conversion("onnx")),
        ("half.onnx", Conversion("onnx", half=True)),
        ("keypoints.onnx", Conversion("onnx", keypoints=settings)),
        ("fixed.onnx", Conversion("onnx", (320, 240))),
    ):
        (folder / name).write_bytes(convert(model, conversion, "0")[".onnx"])
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("model", ["small", "full.onnx", "fixed.onnx"])
def test_keypoints_are_the_same(folder: Path, model: str) -> None:
    name = str(folder / model) if model.endswith(".onnx") else model
    with SuperPoint(model=name, engine="onnxruntime", device="cpu", resize="320") as superpoint:
        found = superpoint(IMAGE)
        info = superpoint.info
    assert (info.engine, info.device, info.precision) == ("onnxruntime", "cpu", "fp32")
    assert info.model == (model if model.endswith(".onnx") else "superpoint-open-small")
    gaps = np.linalg.norm(expected().xy[:, None] - found.xy, axis=2)
    assert len(found) > 100
    assert (gaps.min(axis=1) < 0.1).mean() >= 0.995
    same = gaps.min(axis=1) < 0.1
    cosines = (expected().descriptors[same] * found.descriptors[gaps.argmin(axis=1)[same]]).sum(axis=1)
    assert cosines.min() >= 0.999


@pytest.mark.slow
def test_a_file_tells_its_precision(folder: Path) -> None:
    half = SuperPointConfig(model=str(folder / "half.onnx"))
    assert choose_engine(half).precision == "fp16"
    with pytest.raises(ModelError, match="is in fp16; convert it again"):
        choose_engine(SuperPointConfig(model=str(folder / "half.onnx"), precision="fp32"))
    with SuperPoint(half) as superpoint:
        assert len(superpoint(IMAGE)) > 100


@pytest.mark.slow
def test_a_network_for_one_size_tells_that_it_does_not_take_others(folder: Path) -> None:
    with (
        SuperPoint(model=str(folder / "fixed.onnx"), resize="160") as superpoint,
        pytest.raises(ModelError, match=r"onnxruntime cannot run the network on images of 1 x 120 x 160"),
    ):
        superpoint(IMAGE)


@pytest.mark.slow
def test_other_files_are_refused(folder: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(ModelError, match="without --with-keypoints"),
        SuperPoint(model=str(folder / "keypoints.onnx")),
    ):
        pass
    (tmp_path / "torn.onnx").write_bytes((folder / "full.onnx").read_bytes()[:5000])
    with pytest.raises(ModelError, match=r"cannot load .*torn\.onnx"):
        choose_engine(SuperPointConfig(model=str(tmp_path / "torn.onnx")))
    with pytest.raises(ModelError, match="without weights to load"):
        find_model(str(folder / "full.onnx")).network()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"engine": "onnxruntime", "device": "mps"}, "does not run on mps"),
        ({"engine": "onnxruntime", "precision": "int8"}, "fp32 or fp16, not int8"),
        ({"engine": "openvino", "device": "directml"}, "is for ONNX Runtime, not for openvino"),
        ({"device": "directml"}, "no DmlExecutionProvider.*pip install onnxruntime-directml"),
        ({"engine": "openvino", "model": "x.onnx"}, "is for ONNX Runtime, not for openvino"),
        ({"model": "none.onnx"}, "none.onnx"),
    ],
)
def test_what_it_cannot_do(settings: dict[str, str], told: str) -> None:
    with pytest.raises(ModelError, match=told):
        choose_engine(SuperPointConfig(**settings))  # type: ignore[arg-type]


def test_without_the_package_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ModelError, match=r"pip install 'realtime-kp\[onnx\]'"):
        choose_engine(SuperPointConfig(engine="onnxruntime"))


@pytest.mark.parametrize("device", ["gpu", "npu"])
def test_devices_of_openvino_that_are_not_there(device: str) -> None:
    from realtime_kp.features.engines.openvino_engine import other_devices

    if device in other_devices():
        assert choose_engine(SuperPointConfig(device=device)).precision == "fp16"
        return
    with pytest.raises(ModelError, match=f"OpenVINO finds no {device} here, only cpu"):
        choose_engine(SuperPointConfig(device=device))
