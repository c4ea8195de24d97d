"""What is read and written, and what belongs to one command only: one frozen dataclass per section."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from realtime_kp.config.checks import check_types, parse_size, require

PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow")


@dataclass(frozen=True, slots=True)
class InputConfig:
    """How sources are read."""

    camera_size: Annotated[str | None, Parameter(name=["--camera-size", "camera-size"])] = "640x480"
    """Size asked of a camera; the camera may choose another."""

    camera_fps: Annotated[float | None, Parameter(name=["--camera-fps", "camera-fps"])] = 30.0
    """Frame rate asked of a camera."""

    camera_fourcc: Annotated[str | None, Parameter(name=["--camera-fourcc", "camera-fourcc"])] = "MJPG"
    """Pixel format asked of a camera; most give their full rate only as MJPG."""

    timeout_s: float = 2.5
    """For how long a camera or stream may be silent before it counts as lost; opening may take twice that."""

    reconnect: Annotated[str, Parameter(name=["--reconnect", "reconnect"])] = "auto"
    """A camera or stream that is lost is tried again forever, never or N times; auto: in live forever."""

    max_pixels: Annotated[int, Parameter(name=["--max-pixels", "max-pixels"])] = 100_000_000
    """Frames and pictures that declare more pixels than this are refused before they are decoded."""

    picture_fps: Annotated[float, Parameter(name=["--picture-fps", "picture-fps"])] = 10.0
    """Rate at which a folder of pictures counts as a video."""

    def __post_init__(self) -> None:
        if isinstance(self.reconnect, int) and not isinstance(self.reconnect, bool):
            object.__setattr__(self, "reconnect", str(self.reconnect))
        check_types(self)
        if self.camera_size is not None:
            parse_size(self.camera_size, "camera_size")
        require(
            self.camera_fps is None or 0 < self.camera_fps <= 1000,
            "camera_fps must be above 0, up to 1000",
            self.camera_fps,
        )
        require(
            self.camera_fourcc is None or re.fullmatch(r"[!-~]{4}", self.camera_fourcc) is not None,
            "camera_fourcc must be four characters such as MJPG",
            self.camera_fourcc,
        )
        require(
            re.fullmatch(r"auto|forever|never|\d{1,6}", self.reconnect) is not None,
            "reconnect must be auto, forever, never or a whole number",
            self.reconnect,
        )
        require(0 < self.timeout_s <= 3600, "timeout_s must be above 0, up to 3600", self.timeout_s)
        require(self.max_pixels >= 1, "max_pixels must be at least 1", self.max_pixels)
        require(0 < self.picture_fps <= 1000, "picture_fps must be above 0, up to 1000", self.picture_fps)

    @property
    def reconnect_attempts(self) -> int | None:
        """How many attempts in a row may fail; None for any number, 0 where there is none."""
        if self.reconnect == "forever":
            return None
        return int(self.reconnect) if self.reconnect.isdecimal() else 0


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
        check_types(self)


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
        check_types(self)
        require(0 <= self.crf <= 51, "crf must be 0 to 51", self.crf)
        require(self.preset in PRESETS, f"preset must be one of {', '.join(PRESETS)}", self.preset)


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
        check_types(self)
        require(
            self.duration_s is None or 0 < self.duration_s < math.inf,
            "duration must be above 0 seconds",
            self.duration_s,
        )


@dataclass(frozen=True, slots=True)
class VideoConfig:
    """The annotated output."""

    output: Annotated[Path | None, Parameter(name=["--output", "-o", "output"])] = None
    """Annotated file, or a folder for pictures and for several inputs; default: <stem>_tracks.mp4 here."""

    annotate: Annotated[bool, Parameter(name=["annotate"], negative="--no-video")] = True
    """Write the annotated output; --no-video leaves it out."""

    audio: Annotated[bool, Parameter(name=["--audio", "audio"])] = True
    """Keep the sound of a video file in the annotated one; --no-audio leaves it out."""

    max_frames: Annotated[int | None, Parameter(name=["--max-frames", "max-frames"])] = None
    """Stop after this many frames of each input."""

    resume: Annotated[bool, Parameter(name=["--resume", "resume"], negative="")] = False
    """Go on where an earlier run of the same command was cut off; what is done already is left alone."""

    keep_every_s: float = 5.0
    """How often a run notes how far it got, for --resume; a few megabytes each time."""

    start_s: Annotated[float, Parameter(name=["--start", "start-s"])] = 0.0
    """Begin at this second of each input."""

    def __post_init__(self) -> None:
        check_types(self)
        require(
            self.max_frames is None or self.max_frames >= 1, "max_frames must be at least 1", self.max_frames
        )
        require(0 < self.keep_every_s < math.inf, "keep_every_s must be above 0 seconds", self.keep_every_s)
        require(0 <= self.start_s < math.inf, "start must be at least 0 seconds", self.start_s)


_OF_LOOPS = ("rate", "encode", "compare", "sweep", "pieces", "html", "profile", "baseline")


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
    """Also run transformers' own loop, fp32 and half, and ORB and SIFT with matching, on the first frames."""

    sweep: Annotated[str | None, Parameter(name=["--sweep", "sweep"])] = None
    """Also measure all combinations of such values: 'model=base,small precision=bf16,int8 resize=320,640'."""

    rounds: Annotated[int, Parameter(name=["--rounds", "rounds"])] = 1
    """How often what --compare and --sweep add is measured, in turn; medians count."""

    pieces: Annotated[bool, Parameter(name=["--pieces", "pieces"])] = False
    """Also measure each stage by itself: milliseconds, and the processor time of all cores."""

    html: Annotated[Path | None, Parameter(name=["--report", "html"])] = None
    """Write a self-contained HTML page with plots to this file."""

    profile: Annotated[Path | None, Parameter(name=["--profile", "profile"])] = None
    """Write what every thread did when to this JSON file, for ui.perfetto.dev."""

    baseline: Annotated[Path | None, Parameter(name=["--baseline", "baseline"])] = None
    """Summary of an earlier bench of the same things: tell what changed since."""

    tolerance: Annotated[float, Parameter(name=["--tolerance", "tolerance"])] = 10.0
    """By how many per cent speed or end-to-end latency may be worse than there before bench exits with 7."""

    known_motion: Annotated[bool, Parameter(name=["--known-motion", "known-motion"])] = False
    """Measure trackers against a known motion instead, on clips made of pictures or of the demo scene."""

    real_motion: Annotated[bool, Parameter(name=["--real-motion", "real-motion"])] = False
    """Measure on video how long tracks live, and whether they move as one scene, instead."""

    compare_frames: int = 20
    """How many frames the other loops and the pieces take."""

    def __post_init__(self) -> None:
        check_types(self)
        require(self.frames >= 2, "frames must be at least 2", self.frames)
        require(self.warmup >= 0, "warmup must be at least 0", self.warmup)
        require(self.rate is None or 0 < self.rate <= 10_000, "rate must be above 0 a second", self.rate)
        require(
            not (self.known_motion and self.real_motion),
            "known_motion and real_motion exclude each other",
            self.real_motion,
        )
        if self.known_motion or self.real_motion:
            for name in _OF_LOOPS:
                value = getattr(self, name)
                require(
                    value in (None, False), f"{name} is of loops, not of known_motion or real_motion", value
                )
        require(0 <= self.tolerance <= 10_000, "tolerance must be 0 or more per cent", self.tolerance)
        require(1 <= self.rounds <= 100, "rounds must be 1 to 100", self.rounds)
        require(self.compare_frames >= 2, "compare_frames must be at least 2", self.compare_frames)
