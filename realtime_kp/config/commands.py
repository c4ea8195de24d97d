"""Settings of input, output and single commands: one frozen dataclass per section."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from realtime_kp.config.checks import check_types, number_as_text, parse_size, require

PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow")

_BOX = re.compile(r"\s*(\d{1,6})\s*,\s*(\d{1,6})\s*,\s*0*([1-9]\d{0,5})\s*,\s*0*([1-9]\d{0,5})\s*")


@dataclass(frozen=True, slots=True)
class InputConfig:
    """How sources are read."""

    camera_size: Annotated[str | None, Parameter(name=["--camera-size", "camera-size"])] = "640x480"
    """Frame size requested from a camera; the camera may choose another."""

    camera_fps: Annotated[float | None, Parameter(name=["--camera-fps", "camera-fps"])] = 30.0
    """Frame rate requested from a camera."""

    camera_fourcc: Annotated[str | None, Parameter(name=["--camera-fourcc", "camera-fourcc"])] = "MJPG"
    """Pixel format requested from a camera; most reach their full frame rate only with MJPG."""

    timeout_s: float = 2.5
    """Seconds without a frame until a camera or stream counts as lost; opening may take twice as long."""

    reconnect: Annotated[str, Parameter(name=["--reconnect", "reconnect"])] = "auto"
    """Attempts to reopen a lost camera or stream: forever, never or a number; auto: forever, in live only."""

    max_pixels: Annotated[int, Parameter(name=["--max-pixels", "max-pixels"])] = 100_000_000
    """Frames and pictures that declare more pixels than this are rejected before decoding."""

    picture_fps: Annotated[float, Parameter(name=["--picture-fps", "picture-fps"])] = 10.0
    """Frame rate of a folder of pictures that is read as a video."""

    stream: int | None = None
    """Number of the video stream to read where an input holds several; null takes the largest."""

    mask: Annotated[Path | None, Parameter(name=["--mask", "mask"])] = None
    """Picture whose black parts are ignored, or a folder with one for each frame, by file name or number."""

    roi: Annotated[str | None, Parameter(name=["--roi", "roi"])] = None
    """Region X,Y,W,H in source pixels, all else is ignored; repeat it for several (in files: X,Y,W,H;...)."""

    range: str | None = None
    """Values LO,HI that are shown as black and white, of pictures and cameras of 16 bits; null finds them."""

    def __post_init__(self) -> None:
        number_as_text(self, "reconnect")
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
            "reconnect must be auto, forever, never or a whole number up to 999999",
            self.reconnect,
        )
        require(0 < self.timeout_s <= 3600, "timeout_s must be above 0, up to 3600", self.timeout_s)
        require(self.max_pixels >= 1, "max_pixels must be at least 1", self.max_pixels)
        require(0 < self.picture_fps <= 1000, "picture_fps must be above 0, up to 1000", self.picture_fps)
        require(self.stream is None or self.stream >= 0, "stream must be at least 0", self.stream)
        good = self.roi is None or len(self.regions) == len(self.roi.split(";"))
        require(good, "roi must be X,Y,W,H in whole pixels, W and H above 0, such as 0,0,320,240", self.roi)
        require(
            self.range is None or self.value_range is not None,
            "range must be two numbers such as 100,4095, the lower first",
            self.range,
        )

    @property
    def regions(self) -> tuple[tuple[int, int, int, int], ...]:
        """`roi` as left, top, width and height, pixels; empty where it is not given, or is none."""
        boxes = [_BOX.fullmatch(text) for text in (self.roi or "").split(";")]
        return tuple((int(b[1]), int(b[2]), int(b[3]), int(b[4])) for b in boxes if b is not None)

    @property
    def value_range(self) -> tuple[float, float] | None:
        """`range` as two numbers; None where it is not given, or is none."""
        number = r"[+-]?\d+(?:\.\d*)?"
        found = re.fullmatch(rf"\s*({number})\s*,\s*({number})\s*", self.range or "")
        if found is None or float(found[1]) >= float(found[2]):
            return None
        return float(found[1]), float(found[2])

    @property
    def reconnect_attempts(self) -> int | None:
        """Maximum number of consecutive failed attempts; None is unlimited, 0 never reconnects."""
        if self.reconnect == "forever":
            return None
        return int(self.reconnect) if self.reconnect.isdecimal() else 0


@dataclass(frozen=True, slots=True)
class ReportConfig:
    """What is reported about a run."""

    summary: Annotated[Path | None, Parameter(name=["--summary", "summary"])] = None
    """Write the summary of the run to this JSON file."""

    log: Annotated[Path | None, Parameter(name=["--log", "log"])] = None
    """Write one JSON line per frame to this file."""

    overwrite: Annotated[bool, Parameter(name=["--overwrite", "overwrite"])] = False
    """Replace existing output files."""

    def __post_init__(self) -> None:
        check_types(self)


@dataclass(frozen=True, slots=True)
class OutputConfig:
    """Tables and features to write, and video encoding."""

    tracks: Annotated[Path | None, Parameter(name=["--tracks", "tracks"])] = None
    """Write the tracks to this table: .csv, .jsonl or .parquet."""

    lost_tracks: Annotated[bool, Parameter(name=["--lost-tracks", "lost-tracks"])] = False
    """Write lost tracks to the table too, where they are predicted."""

    features: Annotated[Path | None, Parameter(name=["--features", "features"])] = None
    """Write keypoints, scores and descriptors of every frame to this .safetensors file."""

    crf: int = 20
    """H.264 constant rate factor, 0 (lossless) to 51; lower means better quality and larger files."""

    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow"] = "veryfast"
    """H.264 encoder preset; slower presets give smaller files."""

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
    """Record the displayed frames to this MP4 file from the start; the v key turns recording off and on."""

    loop: Annotated[bool, Parameter(name=["--loop", "loop"])] = False
    """Restart files at their end."""

    mirror: Annotated[bool, Parameter(name=["--mirror", "mirror"])] = False
    """Mirror the displayed frames, as selfie cameras do; keypoints and tables are not mirrored."""

    def __post_init__(self) -> None:
        check_types(self)
        require(
            self.duration_s is None or self.duration_s > 0,
            "duration must be above 0 seconds",
            self.duration_s,
        )


@dataclass(frozen=True, slots=True)
class VideoConfig:
    """The annotated output."""

    output: Annotated[Path | None, Parameter(name=["--output", "-o", "output"])] = None
    """Annotated file, or a folder for pictures and for several inputs; default: ./<stem>_tracks.mp4."""

    annotate: Annotated[bool, Parameter(name=["annotate"], negative="--no-video")] = True
    """Write the annotated output; --no-video omits it."""

    audio: Annotated[bool, Parameter(name=["--audio", "audio"])] = True
    """Keep the audio of a video file in the annotated file; --no-audio omits it."""

    max_frames: Annotated[int | None, Parameter(name=["--max-frames", "max-frames"])] = None
    """Stop after this many frames of each input."""

    resume: Annotated[bool, Parameter(name=["--resume", "resume"], negative="")] = False
    """Continue an interrupted run of the same command; finished outputs are left unchanged."""

    keep_every_s: float = 5.0
    """Interval in seconds between saves of the progress for --resume; each save takes a few megabytes."""

    start_s: Annotated[float, Parameter(name=["--start", "start-s"])] = 0.0
    """Start at this second of each input."""

    def __post_init__(self) -> None:
        check_types(self)
        require(
            self.max_frames is None or self.max_frames >= 1, "max_frames must be at least 1", self.max_frames
        )
        require(self.keep_every_s > 0, "keep_every_s must be above 0 seconds", self.keep_every_s)
        require(self.start_s >= 0, "start must be at least 0 seconds", self.start_s)


_LOOP_ONLY_FIELDS = ("rate", "encode", "compare", "sweep", "pieces", "html", "profile", "baseline")


@dataclass(frozen=True, slots=True)
class BenchConfig:
    """What is measured."""

    frames: Annotated[int, Parameter(name=["--frames", "frames"])] = 200
    """Number of measured frames."""

    warmup: Annotated[int, Parameter(name=["--warmup", "warmup"])] = 10
    """Number of warm-up frames before the measured ones; they are not measured."""

    rate: Annotated[float | None, Parameter(name=["--rate", "rate"])] = None
    """Also measure an open loop: frames arrive at this rate per second, latency counts from
    the intended arrival."""

    encode: Annotated[bool, Parameter(name=["--encode", "encode"])] = False
    """Encode the annotated frames to H.264 as well, as `video` does."""

    compare: Annotated[bool, Parameter(name=["--compare", "compare"])] = False
    """Also run the reference loop of transformers, fp32 and half precision, and ORB and SIFT with matching,
    on the first measured frames."""

    sweep: Annotated[str | None, Parameter(name=["--sweep", "sweep"])] = None
    """Also measure all combinations of values: 'model=base,small precision=bf16,int8 resize=320,640'."""

    rounds: Annotated[int, Parameter(name=["--rounds", "rounds"])] = 1
    """Number of alternating rounds of --compare and --sweep; medians are reported."""

    pieces: Annotated[bool, Parameter(name=["--pieces", "pieces"])] = False
    """Also measure each stage separately: wall time, and CPU time summed over all cores, in milliseconds."""

    html: Annotated[Path | None, Parameter(name=["--report", "html"])] = None
    """Write a self-contained HTML page with plots to this file."""

    profile: Annotated[Path | None, Parameter(name=["--profile", "profile"])] = None
    """Write a timeline of all threads to this JSON file, for ui.perfetto.dev."""

    baseline: Annotated[Path | None, Parameter(name=["--baseline", "baseline"])] = None
    """Summary of an earlier bench with the same source and settings, to compare with."""

    tolerance: Annotated[float, Parameter(name=["--tolerance", "tolerance"])] = 10.0
    """Per cent by which speed or end-to-end latency may be worse than --baseline; beyond it bench exits with
    7."""

    known_motion: Annotated[bool, Parameter(name=["--known-motion", "known-motion"])] = False
    """Measure tracking accuracy under a known motion instead, on clips of pictures or the demo scene."""

    why: Annotated[bool, Parameter(name=["--why", "why"])] = False
    """With --known-motion: also print where tracks are lost: at depth edges, by ending although their point
    is visible, by sliding off it, or by not returning."""

    real_motion: Annotated[bool, Parameter(name=["--real-motion", "real-motion"])] = False
    """Measure track survival and geometric consistency on real video instead."""

    compare_frames: int = 20
    """Number of frames for --compare and --pieces."""

    def __post_init__(self) -> None:
        check_types(self)
        require(self.frames >= 2, "frames must be at least 2", self.frames)
        require(self.warmup >= 0, "warmup must be at least 0", self.warmup)
        require(
            self.rate is None or 0 < self.rate <= 10_000,
            "rate must be above 0, up to 10000 frames per second",
            self.rate,
        )
        require(
            not (self.known_motion and self.real_motion),
            "give known_motion or real_motion, not both",
            self.real_motion,
        )
        if self.known_motion or self.real_motion:
            for name in _LOOP_ONLY_FIELDS:
                value = getattr(self, name)
                require(
                    value in (None, False),
                    f"{name} cannot be combined with known_motion or real_motion",
                    value,
                )
        require(0 <= self.tolerance <= 10_000, "tolerance must be 0 or more per cent", self.tolerance)
        require(1 <= self.rounds <= 100, "rounds must be 1 to 100", self.rounds)
        require(self.compare_frames >= 2, "compare_frames must be at least 2", self.compare_frames)
