"""One frozen dataclass per stage; each validates itself and says what it got.

Each class is one section of a YAML file and one group of flags (`--tracking.max-age 30`); a field with a
short name has a short flag as well (`--model`). Field docstrings are the help texts.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args, get_origin, get_type_hints

from cyclopts import Parameter

from realtime_kp.errors import ConfigError

LAYERS = ("keypoints", "tracks", "hud")
PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow")


def _require(ok: bool, what: str, got: object) -> None:
    if not ok:
        raise ConfigError(f"{what}, got {got!r}")


def _check_types(stage: object) -> None:
    """Say which field has a value of another type than its annotation names."""
    for name, annotation in get_type_hints(type(stage)).items():
        value = getattr(stage, name)
        if get_origin(annotation) is Literal:
            continue  # the choices are checked one by one, by value
        kinds = get_args(annotation) or (annotation,)
        # A whole number serves as a float; a truth value does not serve as a number.
        fits = isinstance(value, kinds) or (float in kinds and isinstance(value, int))
        if not fits or (isinstance(value, bool) and bool not in kinds):
            wanted = " or ".join("nothing" if kind is type(None) else kind.__name__ for kind in kinds)
            raise ConfigError(f"{name} must be {wanted}, got {value!r}")


def parse_size(text: str, what: str) -> tuple[int, int]:
    """Parse `"640x480"` into (width, height).

    Raises:
        ConfigError: The text is no size.
    """
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if found is None or int(found[1]) == 0 or int(found[2]) == 0:
        raise ConfigError(f"{what} must be a size such as 640x480, got {text!r}")
    return int(found[1]), int(found[2])


@dataclass(frozen=True, slots=True)
class SuperPointConfig:
    """How keypoints are found."""

    model: Annotated[str, Parameter(name=["--model", "model"])] = "base"
    """Weights: a bundled name (base), a hub id (magic-leap-community/superpoint) or a local folder."""

    revision: Annotated[str | None, Parameter(name=["--revision", "revision"])] = None
    """Branch, tag or commit of a hub id."""

    device: Annotated[str, Parameter(name=["--device", "device"])] = "auto"
    """auto, cpu, cuda, cuda:N or mps."""

    engine: Annotated[Literal["auto", "torch", "openvino"], Parameter(name=["--engine", "engine"])] = "auto"
    """What runs the network; auto takes torch on a GPU, OpenVINO on a CPU."""

    precision: Annotated[
        Literal["auto", "fp16", "bf16", "fp32", "int8"], Parameter(name=["--precision", "precision"])
    ] = "auto"
    """Of the network; auto takes fp16 on a GPU, bf16 on CPUs that have it natively, fp32 elsewhere."""

    resize: Annotated[str, Parameter(name=["--resize", "resize"])] = "640"
    """Size that the network sees: 640 is the long side (aspect kept), 640x480 is exact (stretched)."""

    max_keypoints: Annotated[int, Parameter(name=["--max-keypoints", "max-keypoints"])] = 1024
    """Keep this many of the best keypoints."""

    keypoint_threshold: Annotated[float, Parameter(name=["--keypoint-threshold", "keypoint-threshold"])] = (
        0.005
    )
    """Smallest score of a keypoint, 0 to 1."""

    nms_radius: Annotated[int, Parameter(name=["--nms-radius", "nms-radius"])] = 4
    """Non-maximum suppression: no two keypoints within this many network pixels."""

    subpixel: Annotated[bool, Parameter(name=["--subpixel", "subpixel"])] = True
    """Refine each keypoint to a fraction of a pixel (soft-argmax over 5x5 pixels)."""

    descriptor_grid: Annotated[
        Literal["exact", "transformers"], Parameter(name=["--descriptor-grid", "descriptor-grid"])
    ] = "exact"
    """Where descriptors are sampled: exact, or by transformers' own slightly shifted formula."""

    def __post_init__(self) -> None:
        if isinstance(self.resize, int):
            object.__setattr__(self, "resize", str(self.resize))
        _check_types(self)
        _require(bool(self.model), "model must name weights", self.model)
        _require(
            re.fullmatch(r"auto|cpu|cuda(:\d+)?|mps", self.device) is not None,
            "device must be auto, cpu, cuda, cuda:N or mps",
            self.device,
        )
        _require(
            self.engine in ("auto", "torch", "openvino"),
            "engine must be auto, torch or openvino",
            self.engine,
        )
        _require(
            self.precision in ("auto", "fp16", "bf16", "fp32", "int8"),
            "precision must be auto, fp16, bf16, fp32 or int8",
            self.precision,
        )
        self._check_resize()
        _require(1 <= self.max_keypoints <= 100_000, "max_keypoints must be 1 to 100000", self.max_keypoints)
        _require(
            0 <= self.keypoint_threshold <= 1, "keypoint_threshold must be 0 to 1", self.keypoint_threshold
        )
        _require(0 <= self.nms_radius <= 64, "nms_radius must be 0 to 64", self.nms_radius)
        _require(
            self.descriptor_grid in ("exact", "transformers"),
            "descriptor_grid must be exact or transformers",
            self.descriptor_grid,
        )

    def _check_resize(self) -> None:
        if re.fullmatch(r"\d{1,5}", self.resize):
            sides = (int(self.resize),)
        else:
            sides = parse_size(self.resize, "resize")  # type: ignore[assignment]
        _require(
            all(32 <= side <= 8192 and side % 8 == 0 for side in sides),
            "resize must be a multiple of 8 from 32 to 8192 (640, or 640x480)",
            self.resize,
        )


@dataclass(frozen=True, slots=True)
class TrackingConfig:
    """How keypoints become tracks."""

    kind: Annotated[Literal["descriptor"], Parameter(name=["--tracker", "kind"])] = "descriptor"
    """Tracker: descriptor (mutual nearest neighbours near the predicted place)."""

    match_threshold: Annotated[float, Parameter(name=["--match-threshold", "match-threshold"])] = 0.7
    """Largest distance between two unit descriptors that may match, 0 to 2."""

    search_radius: float = 0.03
    """How far from its predicted place a track is looked for, as a share of the frame's long side."""

    return_radius: float = 0.05
    """The same for a lost track that comes back."""

    confirm_after: int = 3
    """A track is confirmed when this many detections in a row saw it."""

    max_age: int = 60
    """A lost track that was not seen for more than this many frames ends."""

    max_tracks: int = 2048
    """New tracks start only while fewer than this many are alive, lost ones not counted."""

    max_lost: int = 2048
    """Lost tracks that are remembered; the longest lost ones end first."""

    def __post_init__(self) -> None:
        _check_types(self)
        _require(self.kind == "descriptor", "tracking.kind must be descriptor", self.kind)
        _require(
            0 < self.match_threshold <= 2, "match_threshold must be above 0, up to 2", self.match_threshold
        )
        _require(
            0 < self.search_radius <= 0.5, "search_radius must be above 0, up to 0.5", self.search_radius
        )
        _require(
            0 < self.return_radius <= 0.5, "return_radius must be above 0, up to 0.5", self.return_radius
        )
        _require(self.confirm_after >= 1, "confirm_after must be at least 1", self.confirm_after)
        _require(self.max_age >= 0, "max_age must be at least 0", self.max_age)
        _require(self.max_tracks >= 1, "max_tracks must be at least 1", self.max_tracks)
        _require(self.max_lost >= 0, "max_lost must be at least 0", self.max_lost)


@dataclass(frozen=True, slots=True)
class PipelineConfig:
    """How the threads are coupled."""

    queue_size: int = 1
    """Frames that may wait for the network; live drops the oldest beyond that, files wait."""

    detect_every: Annotated[str, Parameter(name=["--detect-every", "detect-every"])] = "auto"
    """Run the network on every Nth frame, tracks are predicted between; auto: on each that reaches it."""

    def __post_init__(self) -> None:
        if isinstance(self.detect_every, int):
            object.__setattr__(self, "detect_every", str(self.detect_every))
        _check_types(self)
        _require(1 <= self.queue_size <= 1000, "queue_size must be 1 to 1000", self.queue_size)
        _require(
            re.fullmatch(r"auto|[1-9]\d{0,5}", self.detect_every) is not None,
            "detect_every must be auto or a whole number from 1",
            self.detect_every,
        )

    @property
    def detection_interval(self) -> int:
        """Every how many of the frames that reach the network it looks at one."""
        return 1 if self.detect_every == "auto" else int(self.detect_every)


@dataclass(frozen=True, slots=True)
class RenderConfig:
    """What is drawn."""

    draw: Annotated[str, Parameter(name=["--draw", "draw"])] = "keypoints,tracks,hud"
    """Layers, separated by commas: keypoints, tracks, hud; none for the bare picture."""

    trail_length: Annotated[int, Parameter(name=["--trail-length", "trail-length"])] = 20
    """How many past places of a track its trail shows."""

    def __post_init__(self) -> None:
        _check_types(self)
        unknown = self.layers - set(LAYERS)
        _require(not unknown, f"draw takes {', '.join(LAYERS)} or none", self.draw)
        _require(1 <= self.trail_length <= 1000, "trail_length must be 1 to 1000", self.trail_length)

    @property
    def layers(self) -> frozenset[str]:
        """The layers to draw."""
        names = frozenset(name.strip() for name in self.draw.split(","))
        return names - {"none", ""}


@dataclass(frozen=True, slots=True)
class InputConfig:
    """How sources are read."""

    camera_size: Annotated[str | None, Parameter(name=["--camera-size", "camera-size"])] = "640x480"
    """Size asked of a camera; the camera may choose another."""

    camera_fps: Annotated[float | None, Parameter(name=["--camera-fps", "camera-fps"])] = 30.0
    """Frame rate asked of a camera."""

    camera_fourcc: Annotated[str | None, Parameter(name=["--camera-fourcc", "camera-fourcc"])] = "MJPG"
    """Pixel format asked of a camera; most give their full rate only as MJPG."""

    timeout_s: float = 3.0
    """How long opening or reading a camera or stream may take."""

    picture_fps: Annotated[float, Parameter(name=["--picture-fps", "picture-fps"])] = 10.0
    """Rate at which a folder of pictures counts as a video."""

    def __post_init__(self) -> None:
        _check_types(self)
        if self.camera_size is not None:
            parse_size(self.camera_size, "camera_size")
        _require(
            self.camera_fps is None or 0 < self.camera_fps <= 1000,
            "camera_fps must be above 0, up to 1000",
            self.camera_fps,
        )
        _require(
            self.camera_fourcc is None or re.fullmatch(r"[!-~]{4}", self.camera_fourcc) is not None,
            "camera_fourcc must be four characters such as MJPG",
            self.camera_fourcc,
        )
        _require(0 < self.timeout_s <= 3600, "timeout_s must be above 0, up to 3600", self.timeout_s)
        _require(0 < self.picture_fps <= 1000, "picture_fps must be above 0, up to 1000", self.picture_fps)


@dataclass(frozen=True, slots=True)
class ReportConfig:
    """What is told about a run."""

    summary: Annotated[Path | None, Parameter(name=["--summary", "summary"])] = None
    """Write the run's figures to this JSON file."""

    log: Annotated[Path | None, Parameter(name=["--log", "log"])] = None
    """Write one JSON line a frame to this file."""

    overwrite: Annotated[bool, Parameter(name=["--overwrite", "overwrite"])] = False
    """Replace outputs that exist already."""

    def __post_init__(self) -> None:
        _check_types(self)


@dataclass(frozen=True, slots=True)
class OutputConfig:
    """What is written of the tracks, and how video is encoded."""

    tracks: Annotated[Path | None, Parameter(name=["--tracks", "tracks"])] = None
    """Write the tracks to this table: .csv, .jsonl or .parquet."""

    features: Annotated[Path | None, Parameter(name=["--features", "features"])] = None
    """Write keypoints, scores and descriptors of every frame to this .safetensors file."""

    crf: int = 20
    """H.264 quality, 0 (lossless) to 51; lower is better and larger."""

    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow"] = "veryfast"
    """H.264 encoder preset; slower is smaller."""

    def __post_init__(self) -> None:
        _check_types(self)
        _require(0 <= self.crf <= 51, "crf must be 0 to 51", self.crf)
        _require(self.preset in PRESETS, f"preset must be one of {', '.join(PRESETS)}", self.preset)


@dataclass(frozen=True, slots=True)
class LiveConfig:
    """The live window."""

    window: Annotated[bool, Parameter(name=["--window", "window"])] = True
    """Show a window; --no-window runs headless."""

    duration_s: Annotated[float | None, Parameter(name=["--duration", "duration-s"])] = None
    """Stop after this many seconds."""

    record: Annotated[Path | None, Parameter(name=["--record", "record"])] = None
    """Record what is shown to this MP4 file from the start; v switches it off and on."""

    loop: Annotated[bool, Parameter(name=["--loop", "loop"])] = False
    """Start files over at their end."""

    mirror: Annotated[bool, Parameter(name=["--mirror", "mirror"])] = False
    """Show the picture mirrored, as selfie cameras do; keypoints and tables stay unmirrored."""

    def __post_init__(self) -> None:
        _check_types(self)
        _require(
            self.duration_s is None or 0 < self.duration_s < math.inf,
            "duration must be above 0 seconds",
            self.duration_s,
        )


@dataclass(frozen=True, slots=True)
class VideoConfig:
    """The annotated output."""

    output: Annotated[Path | None, Parameter(name=["--output", "-o", "output"])] = None
    """Annotated file, or a folder for pictures and for several inputs; default: <stem>_tracks.mp4 here."""

    annotate: Annotated[bool, Parameter(name=["annotate", "--video"], negative="--no-video")] = True
    """Write the annotated output; --no-video leaves it out."""

    max_frames: Annotated[int | None, Parameter(name=["--max-frames", "max-frames"])] = None
    """Stop after this many frames of each input."""

    start_s: Annotated[float, Parameter(name=["--start", "start-s"])] = 0.0
    """Begin at this second of each input."""

    def __post_init__(self) -> None:
        _check_types(self)
        _require(
            self.max_frames is None or self.max_frames >= 1, "max_frames must be at least 1", self.max_frames
        )
        _require(0 <= self.start_s < math.inf, "start must be at least 0 seconds", self.start_s)


@dataclass(frozen=True, slots=True)
class BenchConfig:
    """What is measured."""

    frames: Annotated[int, Parameter(name=["--frames", "frames"])] = 200
    """Frames that count."""

    warmup: Annotated[int, Parameter(name=["--warmup", "warmup"])] = 10
    """Frames before them that do not."""

    rate: Annotated[float | None, Parameter(name=["--rate", "rate"])] = None
    """Also measure in the open loop: frames arrive at this rate, latency counts from the intended arrival."""

    encode: Annotated[bool, Parameter(name=["--encode", "encode"])] = False
    """Encode the annotated frames to H.264 as well, as `video` does."""

    compare: Annotated[bool, Parameter(name=["--compare", "compare"])] = False
    """Also run transformers' own processor, model and post-processing on the same frames."""

    compare_frames: int = 20
    """How many frames that comparison takes."""

    def __post_init__(self) -> None:
        _check_types(self)
        _require(self.frames >= 2, "frames must be at least 2", self.frames)
        _require(self.warmup >= 0, "warmup must be at least 0", self.warmup)
        _require(self.rate is None or 0 < self.rate <= 10_000, "rate must be above 0 a second", self.rate)
        _require(self.compare_frames >= 2, "compare_frames must be at least 2", self.compare_frames)
