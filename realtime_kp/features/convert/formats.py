"""Conversion of a model to the file formats of other runtimes."""

from __future__ import annotations

import copy
import io
import json
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from realtime_kp.errors import ArgumentError, ConfigError, ModelError, first_line
from realtime_kp.features.decode.settings import DecodeSettings, block_px
from realtime_kp.features.models import Model

if TYPE_CHECKING:
    from torch import nn

Format = Literal["onnx", "openvino", "torchscript"]
FORMATS: dict[str, str] = {"onnx": ".onnx", "openvino": ".xml", "torchscript": ".pt"}
OPSET = 17
MOST_KEYPOINTS = 3840  # TensorRT's TopK takes no more (its documentation of operators)
_USUAL_HW = (480, 640)
_OUTPUTS = ("logits", "descriptor_map")
_KEYPOINT_OUTPUTS = ("keypoints", "scores", "descriptors")


@dataclass(frozen=True, slots=True)
class Conversion:
    """What is converted.

    Attributes:
        format: `onnx`, `openvino` or `torchscript`.
        size_wh: Width and height of the input; None for any size, and any number of images.
        half: Weights and arithmetic of the network in float16; inputs and outputs stay what they are.
        keypoints: Settings of decoding, for all up to the keypoints; None for the network alone.
        threshold: Keypoints that do not score above it have the score 0.
    """

    format: Format
    size_wh: tuple[int, int] | None = None
    half: bool = False
    keypoints: DecodeSettings | None = None
    threshold: float = 0.005

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise ArgumentError(f"a network is converted to {', '.join(FORMATS)}, got {self.format!r}")
        if self.size_wh is not None and any(side < 32 or side % 8 for side in self.size_wh):
            raise ArgumentError(f"the size must be multiples of 8 from 32 on, got {self.size_wh}")
        settings = self.keypoints
        if settings is None:
            return
        if not 1 <= settings.max_keypoints <= MOST_KEYPOINTS:
            raise ArgumentError(
                f"with keypoints there may be up to {MOST_KEYPOINTS}, which is TensorRT's limit, got "
                f"{settings.max_keypoints}"
            )
        block = block_px(settings.nms_radius)
        if (
            self.size_wh is not None
            and settings.max_keypoints > self.size_wh[0] * self.size_wh[1] // block**2
        ):
            raise ArgumentError(
                f"an input of {self.size_wh[0]}x{self.size_wh[1]} has fewer than {settings.max_keypoints} "
                "places for keypoints: ask for fewer, or a larger input"
            )


def convert(model: Model, conversion: Conversion, version: str) -> dict[str, bytes]:
    """Convert a model.

    The input is `grey`, `(B, H, W) uint8`; H and W are multiples of 8. The outputs of the network alone are
    `logits` and `descriptor_map` (`HeadsOnly`), with keypoints `keypoints`, `scores` and `descriptors`
    (`WithKeypoints`). Of OpenVINO float16 means the weights: it computes as its device does best.

    Args:
        model: The weights.
        conversion: What is converted.
        version: Version of this tool, for the metadata.

    Returns:
        Contents by suffix: one file, of OpenVINO `.xml` and `.bin`.

    Raises:
        ConfigError: A package is missing.
        ModelError: The weights cannot be loaded or converted.
    """
    import torch

    from realtime_kp.features.convert.exported_network import HeadsOnly, WithKeypoints

    if conversion.format == "onnx":
        _need_onnx()
    network = copy.deepcopy(model.network()).eval().requires_grad_(False)
    if conversion.half and conversion.format != "openvino":
        network.half()
    settings = conversion.keypoints
    module = (
        HeadsOnly(network) if settings is None else WithKeypoints(network, settings, conversion.threshold)
    )
    notes = _notes(model, conversion, version)
    try:
        with torch.inference_mode(), _quiet():
            if conversion.format == "torchscript":
                return {".pt": _torchscript(module, conversion, notes)}
            onnx = _onnx(module, conversion)
    except (RuntimeError, ValueError) as exc:
        raise ModelError(f"{model.ref.name} cannot be converted: {first_line(exc)}") from exc
    if conversion.format == "onnx":
        return {".onnx": _with_notes(onnx, notes)}
    return _openvino(onnx, conversion, notes)


def _notes(model: Model, conversion: Conversion, version: str) -> dict[str, str]:
    size, settings = conversion.size_wh, conversion.keypoints
    notes: dict[str, Any] = {
        "written_by": f"realtime-kp {version}",
        "model": model.ref.name,
        "licence": model.ref.licence,
        "input": "grey: (B, H, W) uint8, H and W multiples of 8",
        "input_size": "dynamic" if size is None else f"{size[0]}x{size[1]}",
        "precision": "fp16" if conversion.half else "fp32",
        "descriptor_dim": model.descriptor_dim,
        "border_px": model.border_px,
        "coordinates": "pixels of the input, x right and y down; the centre of the top left pixel is (0, 0)",
    }
    if settings is not None:
        notes |= {
            "max_keypoints": settings.max_keypoints,
            "nms_radius": settings.nms_radius,
            "keypoint_threshold": conversion.threshold,
            "subpixel": settings.subpixel,
            "descriptor_grid": settings.descriptor_grid,
        }
    return {name: str(value) for name, value in notes.items()}


def _example(conversion: Conversion) -> Any:
    import torch

    height, width = _USUAL_HW if conversion.size_wh is None else conversion.size_wh[::-1]
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 255, (1, height, width), dtype=torch.uint8, generator=generator)


def _torchscript(module: nn.Module, conversion: Conversion, notes: dict[str, str]) -> bytes:
    import torch

    # A check would run it twice more, and compare scores of equal keypoints in any order.
    traced: Any = torch.jit.trace(  # type: ignore[no-untyped-call]
        module, (_example(conversion),), check_trace=False
    )
    file = io.BytesIO()
    torch.jit.save(traced, file, _extra_files={"realtime_kp.json": json.dumps(notes)})
    return file.getvalue()


def _onnx(module: nn.Module, conversion: Conversion) -> bytes:
    import torch

    outputs = _OUTPUTS if conversion.keypoints is None else _KEYPOINT_OUTPUTS
    axes: dict[str, dict[int, str]] = {}
    if conversion.size_wh is None:
        axes = {"grey": {0: "batch", 1: "height", 2: "width"}, **{name: {0: "batch"} for name in outputs}}
        if conversion.keypoints is None:
            axes["logits"] |= {2: "rows", 3: "columns"}
            axes["descriptor_map"] |= {1: "rows", 2: "columns"}
    file = io.BytesIO()
    torch.onnx.export(
        module,
        (_example(conversion),),
        file,  # type: ignore[arg-type]  # the exporter without dynamo takes files as well
        dynamo=False,
        opset_version=OPSET,
        input_names=["grey"],
        output_names=list(outputs),
        dynamic_axes=axes,
    )
    return file.getvalue()


def _with_notes(data: bytes, notes: dict[str, str]) -> bytes:
    import onnx

    graph = onnx.load_from_string(data)
    onnx.helper.set_model_props(graph, notes)
    onnx.checker.check_model(graph)
    return bytes(graph.SerializeToString())


def _openvino(data: bytes, conversion: Conversion, notes: dict[str, str]) -> dict[str, bytes]:
    import openvino

    graph = openvino.Core().read_model(data)
    for name, text in notes.items():
        graph.set_rt_info(text, ["realtime_kp", name])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.xml"
        openvino.save_model(graph, path, compress_to_fp16=conversion.half)
        return {suffix: path.with_suffix(suffix).read_bytes() for suffix in (".xml", ".bin")}


def _need_onnx() -> None:
    try:
        import onnx  # noqa: F401
    except ImportError as exc:
        raise ConfigError("onnx needs its package: pip install 'realtime-kp[onnx]'") from exc


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress torch's warnings of its exporters, and of values that it takes for constants as they are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
