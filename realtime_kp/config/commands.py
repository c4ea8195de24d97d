"""Settings of input, output and single commands: one frozen dataclass per section."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from realtime_kp.config.checks import check_types, require

PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow")


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

    poses: Annotated[Path | None, Parameter(name=["--poses", "poses"])] = None
    """Write where the reference picture is in each frame to this table: .csv, .jsonl or .parquet."""

    export: Annotated[str | None, Parameter(name=["--export", "export"])] = None
    """Write the tracks for another tool too, FORMAT:FILE (see the command export); repeat it for several."""

    crf: int = 20
    """H.264 constant rate factor, 0 (lossless) to 51; lower means better quality and larger files."""

    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow"] = "veryfast"
    """H.264 encoder preset; slower presets give smaller files."""

    def __post_init__(self) -> None:
        check_types(self)
        good = self.export is None or len(self.exports) == len(self.export.split(";"))
        require(good, "export must be FORMAT:FILE, such as nuke:tracks.nk", self.export)
        require(0 <= self.crf <= 51, "crf must be 0 to 51", self.crf)
        require(self.preset in PRESETS, f"preset must be one of {', '.join(PRESETS)}", self.preset)

    @property
    def exports(self) -> tuple[tuple[str, Path], ...]:
        """`export` as formats with their files."""
        parts = [text.partition(":") for text in (self.export or "").split(";")]
        named = [(name.strip(), file.strip()) for name, _, file in parts]
        return tuple((name, Path(file)) for name, file in named if name and file)


_RERUN_ADDRESSES = ("rerun://", "rerun+http://", "rerun+https://")


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

    rerun: Annotated[str | None, Parameter(name=["--rerun", "rerun"])] = None
    """Show it in Rerun too: spawn (a viewer), rerun+http://HOST:PORT/proxy, or FILE.rrd (a recording)."""

    def __post_init__(self) -> None:
        check_types(self)
        known = self.rerun in (None, "spawn") or self.rerun_file is not None
        known = known or str(self.rerun).startswith(_RERUN_ADDRESSES)
        require(known, "rerun must be spawn, rerun+http://HOST:PORT/proxy or FILE.rrd", self.rerun)
        require(
            self.duration_s is None or self.duration_s > 0,
            "duration must be above 0 seconds",
            self.duration_s,
        )

    @property
    def rerun_file(self) -> Path | None:
        """`rerun` as a file; None where it is none."""
        is_file = self.rerun is not None and "://" not in self.rerun and self.rerun.lower().endswith(".rrd")
        return Path(self.rerun) if is_file and self.rerun is not None else None


@dataclass(frozen=True, slots=True)
class VideoConfig:
    """The annotated output."""

    output: Annotated[Path | None, Parameter(name=["--output", "-o", "output"])] = None
    """Annotated file, or a folder for pictures and for several inputs; default: ./STEM_tracks.mp4."""

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

    concat: Annotated[bool, Parameter(name=["--concat", "concat"], negative="")] = False
    """Inputs are parts of one video, in the order of their numbers: tracks go on from part to part."""

    def __post_init__(self) -> None:
        check_types(self)
        require(
            self.max_frames is None or self.max_frames >= 1, "max_frames must be at least 1", self.max_frames
        )
        require(self.keep_every_s > 0, "keep_every_s must be above 0 seconds", self.keep_every_s)
        require(self.start_s >= 0, "start must be at least 0 seconds", self.start_s)


_LOOP_ONLY_FIELDS = (
    "rate",
    "encode",
    "compare",
    "sweep",
    "pieces",
    "serve",
    "ray",
    "html",
    "profile",
    "baseline",
)


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
    on the first measured frames. With nano without transformers, which does not have its network."""

    sweep: Annotated[str | None, Parameter(name=["--sweep", "sweep"])] = None
    """Also measure all combinations of values: 'model=base,small precision=bf16,int8 resize=320,640'."""

    rounds: Annotated[int, Parameter(name=["--rounds", "rounds"])] = 1
    """Number of alternating rounds of --compare and --sweep; medians are reported."""

    pieces: Annotated[bool, Parameter(name=["--pieces", "pieces"])] = False
    """Also measure each stage separately: wall time, and CPU time summed over all cores, in milliseconds."""

    serve: Annotated[bool, Parameter(name=["--serve", "serve"])] = False
    """Also measure what it costs to show a live run to one browser, at --rate or 30 frames per second."""

    ray: Annotated[bool, Parameter(name=["--ray", "ray"])] = False
    """Also measure the throughput of one worker, two and so on of `video --ray`, with a core each."""

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
