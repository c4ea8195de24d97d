"""Settings of the processing stages: one frozen dataclass per stage.

Each class is one section of a YAML file and one group of flags (`--tracking.max-age 30`); a field with a
short name has a short flag as well (`--model`). Field docstrings are the help texts and the YAML comments.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from cyclopts import Parameter

from realtime_kp.config.checks import check_types, number_as_text, require


@dataclass(frozen=True, slots=True)
class SuperPointConfig:
    """How keypoints are found."""

    model: Annotated[str, Parameter(name=["--model", "model"])] = "auto"
    """Weights: auto (base; faster ones in live on a slow CPU), base, small, nano, a folder or a hub id."""

    revision: Annotated[str | None, Parameter(name=["--revision", "revision"])] = None
    """Branch, tag or commit of a Hugging Face model."""

    device: Annotated[str, Parameter(name=["--device", "device"])] = "auto"
    """Compute device: auto, cpu, cuda, cuda:N, mps; Intel: gpu, npu; ONNX: tensorrt, directml, coreml."""

    engine: Annotated[
        Literal["auto", "torch", "openvino", "onnxruntime"], Parameter(name=["--engine", "engine"])
    ] = "auto"
    """torch, openvino or onnxruntime; auto selects torch on a GPU, OpenVINO on a CPU."""

    precision: Annotated[
        Literal["auto", "fp16", "bf16", "fp32", "int8"], Parameter(name=["--precision", "precision"])
    ] = "auto"
    """Network precision; auto: fp16 on a GPU, bf16 on CPUs with native support, else fp32 (live: or int8)."""

    resize: Annotated[str, Parameter(name=["--resize", "resize"])] = "auto"
    """Network input: 640 is a long side (aspect kept), 640x480 exact; auto: 640, less where live is slow."""

    max_keypoints: Annotated[int, Parameter(name=["--max-keypoints", "max-keypoints"])] = 1024
    """Maximum number of keypoints per frame; those with the highest scores are kept."""

    keypoint_threshold: Annotated[float, Parameter(name=["--keypoint-threshold", "keypoint-threshold"])] = (
        0.005
    )
    """Minimum score of a keypoint, 0 to 1."""

    nms_radius: Annotated[int, Parameter(name=["--nms-radius", "nms-radius"])] = 4
    """Non-maximum suppression: no two keypoints within this many network pixels."""

    subpixel: Annotated[bool, Parameter(name=["--subpixel", "subpixel"])] = True
    """Refine each keypoint to a fraction of a pixel (soft-argmax over 5x5 pixels)."""

    descriptor_grid: Annotated[
        Literal["exact", "transformers"], Parameter(name=["--descriptor-grid", "descriptor-grid"])
    ] = "exact"
    """Sampling positions of descriptors: exact, or the slightly shifted formula of transformers."""

    compile: Annotated[bool, Parameter(name=["--compile", "compile"])] = False
    """Fuse network and decoding with torch.compile on NVIDIA GPUs: twice as fast, but the first run delays
    the first frame by about 20 s. No effect elsewhere."""

    def __post_init__(self) -> None:
        number_as_text(self, "resize")
        check_types(self)
        require(bool(self.model), "model must not be empty", self.model)
        require(
            re.fullmatch(r"auto|cpu|cuda(:\d+)?|mps|gpu|npu|tensorrt|directml|coreml", self.device)
            is not None,
            "device must be auto, cpu, cuda, cuda:N, mps, gpu, npu, tensorrt, directml or coreml",
            self.device,
        )
        require(
            self.engine in ("auto", "torch", "openvino", "onnxruntime"),
            "engine must be auto, torch, openvino or onnxruntime",
            self.engine,
        )
        require(
            self.precision in ("auto", "fp16", "bf16", "fp32", "int8"),
            "precision must be auto, fp16, bf16, fp32 or int8",
            self.precision,
        )
        self._check_resize()
        require(1 <= self.max_keypoints <= 100_000, "max_keypoints must be 1 to 100000", self.max_keypoints)
        require(
            0 <= self.keypoint_threshold <= 1, "keypoint_threshold must be 0 to 1", self.keypoint_threshold
        )
        require(0 <= self.nms_radius <= 64, "nms_radius must be 0 to 64", self.nms_radius)
        require(
            self.descriptor_grid in ("exact", "transformers"),
            "descriptor_grid must be exact or transformers",
            self.descriptor_grid,
        )

    def _check_resize(self) -> None:
        if self.resize == "auto":
            return
        sides = self.resize.split("x")
        whole = len(sides) <= 2 and all(re.fullmatch(r"[0-9]{1,9}", side) for side in sides)
        require(
            whole and all(32 <= int(side) <= 8192 and int(side) % 8 == 0 for side in sides),
            "resize must be auto, a long side (640) or a size (640x480) in multiples of 8 from 32 to 8192",
            self.resize,
        )


@dataclass(frozen=True, slots=True)
class TrackingConfig:
    """How keypoints become tracks."""

    kind: Annotated[Literal["hybrid", "flow", "descriptor"], Parameter(name=["--tracker", "kind"])] = "hybrid"
    """hybrid (alignment in every frame, re-identification by descriptor), flow (alignment only) or descriptor
    (descriptor matching only)."""

    match_threshold: Annotated[float, Parameter(name=["--match-threshold", "match-threshold"])] = 0.7
    """Maximum distance between two matching unit-length descriptors, 0 to 2."""

    search_radius: float = 0.03
    """Search radius around the predicted position, as a fraction of the frame's long side."""

    return_radius: float = 0.05
    """Search radius for re-identifying a lost track, as a fraction of the frame's long side."""

    confirm_after: int = 2
    """A track is confirmed when it was seen in this many consecutive frames."""

    max_age: int = 60
    """A lost track that was not seen for more than this many frames ends."""

    max_tracks: int = 1024
    """New tracks start only while fewer than this many are active; lost tracks do not count."""

    max_lost: int = 2048
    """Maximum number of lost tracks kept for re-identification; those lost for longest end first."""

    history: int = 90
    """Number of past frames kept for keypoints that arrive late; of large frames fewer, 256 MiB in all."""

    corners: Literal["auto", "always", "never"] = "auto"
    """Tracks on corners too where the newest detection is over 3 frames old: always, never, auto (live)."""

    only_points: Annotated[bool, Parameter(name=["--only-points", "only-points"], negative="")] = False
    """Show and write points of one's own only; all else is followed unseen: it tells how the camera moves."""

    def __post_init__(self) -> None:
        check_types(self)
        require(
            self.kind in ("hybrid", "flow", "descriptor"),
            "tracking.kind must be hybrid, flow or descriptor",
            self.kind,
        )
        require(
            0 < self.match_threshold <= 2, "match_threshold must be above 0, up to 2", self.match_threshold
        )
        require(0 < self.search_radius <= 0.5, "search_radius must be above 0, up to 0.5", self.search_radius)
        require(0 < self.return_radius <= 0.5, "return_radius must be above 0, up to 0.5", self.return_radius)
        require(self.confirm_after >= 1, "confirm_after must be at least 1", self.confirm_after)
        require(self.max_age >= 0, "max_age must be at least 0", self.max_age)
        require(self.max_tracks >= 1, "max_tracks must be at least 1", self.max_tracks)
        require(
            self.corners in ("auto", "always", "never"),
            "tracking.corners must be auto, always or never",
            self.corners,
        )
        require(1 <= self.history <= 1000, "history must be 1 to 1000", self.history)
        require(self.max_lost >= 0, "max_lost must be at least 0", self.max_lost)


@dataclass(frozen=True, slots=True)
class PipelineConfig:
    """Queues and batches between the threads."""

    queue_size: int = 1
    """Capacity of the queue before the network; when it is full, live drops the oldest frame, files wait."""

    batch: Annotated[int, Parameter(name=["--batch", "batch"])] = 1
    """Frames per network batch; larger batches are faster on GPUs; live always uses 1."""

    detect_every: Annotated[str, Parameter(name=["--detect-every", "detect-every"])] = "auto"
    """Run the network on every Nth frame; auto: every frame, or in live as many as it can process."""

    def __post_init__(self) -> None:
        number_as_text(self, "detect_every")
        check_types(self)
        require(1 <= self.queue_size <= 1000, "queue_size must be 1 to 1000", self.queue_size)
        require(1 <= self.batch <= 256, "batch must be 1 to 256", self.batch)
        require(
            re.fullmatch(r"auto|[1-9]\d{0,5}", self.detect_every) is not None,
            "detect_every must be auto or a whole number from 1 to 999999",
            self.detect_every,
        )

    @property
    def detection_interval(self) -> int | Literal["auto"]:
        """`detect_every` as a number of frames, or `auto`."""
        return "auto" if self.detect_every == "auto" else int(self.detect_every)
