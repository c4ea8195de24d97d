"""Converted networks under the runtimes that they are for, against the extractor itself."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import cache

import av
import cv2
import numpy as np
import pytest

from realtime_kp import SuperPoint
from realtime_kp.errors import ArgumentError
from realtime_kp.features.convert import Conversion, convert
from realtime_kp.features.decode.settings import DecodeSettings
from realtime_kp.features.models import find_model
from realtime_kp.keypoints import Keypoints
from tests.conftest import DATA

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore:.torch.jit.load. is deprecated"),
]

Run = Callable[[np.ndarray], list[np.ndarray]]
SETTINGS = DecodeSettings(1024, 4, find_model("small").border_px, True, "exact")
SIZE_WH = (320, 240)


@cache
def images() -> list[np.ndarray]:
    """Three frames of a real video, of the network's size, so that nothing is scaled."""
    with av.open(str(DATA / "box.mp4")) as container:
        frames = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    return [cv2.resize(frames[i], SIZE_WH, interpolation=cv2.INTER_AREA) for i in (0, 20, 40)]


@cache
def expected() -> list[Keypoints]:
    with SuperPoint(model="small", precision="fp32", device="cpu", resize="320x240") as superpoint:
        return [superpoint(image) for image in images()]


def grey(count: int) -> np.ndarray:
    return np.stack([cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in images()[:count]])


@cache
def converted(
    kind: str, size_wh: tuple[int, int] | None, half: bool, with_keypoints: bool, model: str = "small"
) -> dict[str, bytes]:
    settings = SETTINGS if with_keypoints else None
    return convert(find_model(model), Conversion(kind, size_wh, half, settings), "1.2.3")  # type: ignore[arg-type]


def runner(kind: str, files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Run:
    if kind == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(files[".onnx"], providers=["CPUExecutionProvider"])
        return lambda pixels: session.run(None, {"grey": pixels})
    if kind == "openvino":
        import openvino

        folder = tmp_path_factory.mktemp("openvino")
        for suffix, data in files.items():
            (folder / f"n{suffix}").write_bytes(data)
        model = openvino.Core().compile_model(folder / "n.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return lambda pixels: [model([pixels])[output] for output in model.outputs]
    import torch

    module = torch.jit.load(io.BytesIO(files[".pt"]))
    return lambda pixels: [values.numpy() for values in module(torch.from_numpy(pixels))]


def compared(found: list[np.ndarray], row: int) -> tuple[float, float, float]:
    """Share of our keypoints that are there within 0.1 px, the reverse, and the least cosine of those."""
    xy, scores, descriptors = (values[row] for values in found)
    used = scores > 0
    xy, descriptors = xy[used], descriptors[used]
    ours = expected()[row]
    gaps = np.linalg.norm(ours.xy[:, None] - xy, axis=2)
    nearest = gaps.argmin(axis=1)
    same = gaps.min(axis=1) < 0.1
    cosines = (ours.descriptors[same].astype(float) * descriptors[nearest[same]]).sum(axis=1)
    return float(same.mean()), float((gaps.min(axis=0) < 0.1).mean()), float(cosines.min())


@pytest.mark.parametrize("kind", ["onnx", "openvino", "torchscript"])
@pytest.mark.parametrize(("size_wh", "count"), [(SIZE_WH, 1), (None, 1), (None, 3)])
def test_keypoints_are_those_of_the_extractor(
    tmp_path_factory: pytest.TempPathFactory, kind: str, size_wh: tuple[int, int] | None, count: int
) -> None:
    run = runner(kind, converted(kind, size_wh, False, True), tmp_path_factory)
    found = run(grey(count))
    assert [values.shape for values in found] == [(count, 1024, 2), (count, 1024), (count, 1024, 128)]
    assert all(values.dtype == np.float32 for values in found)
    for row in range(count):
        ours, theirs, cosine = compared(found, row)
        assert len(expected()[row]) > 100
        assert min(ours, theirs) >= 0.995
        assert cosine >= 0.999
        scores = found[1][row]
        assert (np.diff(scores) <= 0).all()
        assert (scores[scores > 0] > 0.005).all()


@pytest.mark.parametrize("kind", ["onnx", "torchscript"])
def test_in_half_precision_most_keypoints_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, kind: str
) -> None:
    found = runner(kind, converted(kind, None, True, True), tmp_path_factory)(grey(1))
    ours, theirs, cosine = compared(found, 0)
    assert min(ours, theirs) >= 0.97
    assert cosine >= 0.99
    assert len(converted(kind, None, True, True)[{"onnx": ".onnx"}.get(kind, ".pt")]) < 1.4e6


@pytest.mark.parametrize(("model", "length"), [("small", 128), ("nano", 64)])
@pytest.mark.parametrize("kind", ["onnx", "openvino", "torchscript"])
def test_the_network_alone(
    tmp_path_factory: pytest.TempPathFactory, kind: str, model: str, length: int
) -> None:
    run = runner(kind, converted(kind, None, False, False, model), tmp_path_factory)
    logits, descriptor_map = run(grey(2))
    assert (logits.shape, descriptor_map.shape) == ((2, 65, 30, 40), (2, 30, 40, length))
    import torch

    with torch.inference_mode():
        wanted = find_model(model).network()(torch.from_numpy(grey(2)))
    np.testing.assert_allclose(logits, wanted[0], atol=2e-3)
    np.testing.assert_allclose(descriptor_map, wanted[1], atol=2e-3)


def test_names_opset_and_notes() -> None:
    import onnx
    import openvino
    import torch

    graph = onnx.load_from_string(converted("onnx", None, False, True)[".onnx"])
    assert [one.name for one in graph.graph.input] == ["grey"]
    assert [one.name for one in graph.graph.output] == ["keypoints", "scores", "descriptors"]
    assert {one.domain: one.version for one in graph.opset_import} == {"": 17}
    notes = {one.key: one.value for one in graph.metadata_props}
    assert notes["model"] == "superpoint-open-small"
    assert notes["written_by"] == "realtime-kp 1.2.3"
    assert notes["max_keypoints"] == "1024"
    assert "centre of the top left pixel is (0, 0)" in notes["coordinates"]
    files = converted("openvino", None, False, True)
    read = openvino.Core().read_model(files[".xml"], files[".bin"])
    assert read.get_rt_info(["realtime_kp", "model"]).value == "superpoint-open-small"
    extra = {"realtime_kp.json": ""}
    torch.jit.load(io.BytesIO(converted("torchscript", None, False, True)[".pt"]), _extra_files=extra)
    assert json.loads(extra["realtime_kp.json"])["input_size"] == "dynamic"


def test_no_operation_that_tensorrt_lacks() -> None:
    import onnx

    graph = onnx.load_from_string(converted("onnx", SIZE_WH, False, True)[".onnx"]).graph
    assert not {"ScatterND", "ScatterElements", "NonZero", "Loop", "If", "Mod"} & {
        node.op_type for node in graph.node
    }
    assert all(len(node.output) == 1 for node in graph.node if node.op_type == "MaxPool")


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"format": "tflite"}, "onnx, openvino, torchscript"),
        ({"size_wh": (100, 64)}, "multiples of 8"),
        ({"keypoints": DecodeSettings(3841, 4, 4, True, "exact")}, "up to 3840"),
        ({"size_wh": (64, 64), "keypoints": SETTINGS}, "fewer than 1024 places"),
    ],
)
def test_what_cannot_be_converted(values: dict[str, object], told: str) -> None:
    with pytest.raises(ArgumentError, match=told):
        Conversion(**{"format": "onnx", **values})  # type: ignore[arg-type]
