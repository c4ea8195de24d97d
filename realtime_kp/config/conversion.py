"""What of a model is converted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from realtime_kp.config.checks import check_types, require
from realtime_kp.config.rendering import require_choice
from realtime_kp.config.stages import SuperPointConfig

_FORMATS = Literal["onnx", "openvino", "torchscript"]
_PRECISIONS = Literal["fp32", "fp16"]


@dataclass(frozen=True, slots=True)
class ConvertConfig:
    """What is converted, and how."""

    to: Annotated[_FORMATS, Parameter(name="--to")]
    """onnx (.onnx), openvino (.xml, with a .bin beside it) or torchscript (.pt)."""

    output: Annotated[Path, Parameter(name=["--output", "-o"])]
    """The file to write."""

    model: Annotated[str, Parameter(name="--model")] = "base"
    """Weights: base, small, nano, a local folder or a Hugging Face id."""

    revision: Annotated[str | None, Parameter(name="--revision")] = None
    """Branch, tag or commit of a Hugging Face model."""

    resize: Annotated[str, Parameter(name="--resize")] = "dynamic"
    """Size of the input, such as 640x480, for one image; or dynamic: any size, any number of images."""

    precision: Annotated[_PRECISIONS, Parameter(name="--precision")] = "fp32"
    """Arithmetic of the network: fp32 or fp16; inputs and outputs are the same."""

    with_keypoints: Annotated[bool, Parameter(name="--with-keypoints", negative="")] = False
    """All up to the keypoints: suppression, the best ones, sub-pixel places, descriptors."""

    max_keypoints: Annotated[int, Parameter(name="--max-keypoints")] = 1024
    """Number of keypoints, up to 3840, which is TensorRT's limit; unused ones have the score 0."""

    keypoint_threshold: Annotated[float, Parameter(name="--keypoint-threshold")] = 0.005
    """Minimum score of a keypoint, 0 to 1."""

    nms_radius: Annotated[int, Parameter(name="--nms-radius")] = 4
    """Non-maximum suppression: no two keypoints within this many pixels."""

    subpixel: Annotated[bool, Parameter(name="--subpixel")] = True
    """Refine each keypoint to a fraction of a pixel (soft-argmax over 5x5 pixels)."""

    overwrite: Annotated[bool, Parameter(name="--overwrite")] = False
    """Replace an existing file."""

    def __post_init__(self) -> None:
        check_types(self)
        require_choice("to", _FORMATS, self.to)
        require_choice("precision", _PRECISIONS, self.precision)
        self._check_keypoints()
        sides = self.resize.split("x")
        exact = len(sides) == 2 and all(
            one.isdecimal() and int(one) % 8 == 0 and int(one) >= 32 for one in sides
        )
        require(
            exact or self.resize == "dynamic",
            "resize must be dynamic, or a size such as 640x480 in multiples of 8 from 32 on",
            self.resize,
        )
        _ = self.superpoint  # checks what it holds

    def _check_keypoints(self) -> None:
        usual = {"max_keypoints": 1024, "keypoint_threshold": 0.005, "nms_radius": 4, "subpixel": True}
        for name, value in usual.items():
            alone = self.with_keypoints or getattr(self, name) == value
            require(alone, f"{name} goes with --with-keypoints", getattr(self, name))

    @property
    def size_wh(self) -> tuple[int, int] | None:
        """`resize` as two numbers; None for any size."""
        if self.resize == "dynamic":
            return None
        width, height = self.resize.split("x")
        return int(width), int(height)

    @property
    def superpoint(self) -> SuperPointConfig:
        """The same as settings of the extractor, which checks them."""
        return SuperPointConfig(
            model=self.model,
            revision=self.revision,
            resize="auto" if self.resize == "dynamic" else self.resize,
            max_keypoints=self.max_keypoints,
            keypoint_threshold=self.keypoint_threshold,
            nms_radius=self.nms_radius,
            subpixel=self.subpixel,
        )
