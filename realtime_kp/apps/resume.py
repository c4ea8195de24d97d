"""Resume state of a run, kept beside its outputs so that another run can continue it."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np

from realtime_kp import __version__
from realtime_kp.apps.jobs import Job, check_outputs
from realtime_kp.errors import ConfigError, SinkError, SourceError
from realtime_kp.sinks import VideoMark
from realtime_kp.sinks.base import write_error
from realtime_kp.sinks.mp4 import read_comment
from realtime_kp.sources import SourceKind, is_picture_spec, list_pictures, source_kind

_ENTRY, _TIMES, _TRACKER = "run.json", "times.i64", "tracker"
# Settings that may change between the runs, since frames that are already written do not depend on them.
_FREE = frozenset(
    {"video.resume", "video.keep_every_s", "video.audio", "video.max_frames", "output.features"}
)
# What of the input decides where tracks are and what the tables hold.
_INPUT = (
    *("stream", "mask", "roi", "ignore", "equalise", "range", "points"),
    *("reference", "reference_size", "camera", "camera_name"),
)
_SECTIONS = ("superpoint", "tracking", "pipeline", "render", "output", "video")


@dataclass(frozen=True, slots=True)
class RunState:
    """State of a run between two frames.

    Attributes:
        frames: Number of finished frames, which is the index of the next one.
        settings: Settings of the run, which must be the same when it is resumed.
        tracker: Serialised tracker; empty before the first frame.
        video: Position in the annotated video; None without one.
        tracks: Size of the tracks table, bytes; None without one.
        log: Size of the frame log, bytes; None without one.
        poses: Size of the table of poses, bytes; None without one.
    """

    frames: int
    settings: dict[str, Any]
    tracker: bytes
    video: VideoMark | None
    tracks: int | None
    log: int | None
    poses: int | None = None


def state_path(job: Job) -> Path | None:
    """Path of the resume state of a job; None where the job cannot be resumed.

    Live sources cannot be resumed, images are complete one by one, and a features file is written at the end.
    """
    config = job.config
    if job.pictures or job.parts or config.output.features is not None or not _rereadable(job.source):
        return None
    main = job.target or config.output.tracks or config.output.poses
    if main is None:
        return None
    # A table and a video of one stem may be made by two runs.
    return main.with_name(f"{main.stem if job.target else main.name}.partial.state")


def _rereadable(source: str) -> bool:
    return source_kind(source) not in (SourceKind.CAMERA, SourceKind.STREAM, SourceKind.PIPE)


def settings_of(job: Job) -> dict[str, Any]:
    """Settings on which the frames of a job depend, as plain values by dotted names."""
    values: dict[str, Any] = {
        f"{section}.{key}": value
        for section, keys in job.config.to_dict(_SECTIONS).items()
        for key, value in keys.items()
    }
    values = {name: value for name, value in values.items() if name not in _FREE}
    inputs = job.config.to_dict(("input",))["input"]
    values |= {f"input.{name}": inputs[name] for name in _INPUT}
    values["source"] = job.source
    if is_picture_spec(job.source):
        values["input.picture_fps"] = job.config.input.picture_fps
    if Path(job.source).is_file():
        status = os.stat(job.source)
        values["source's size and time of change"] = [status.st_size, status.st_mtime_ns]
    # A stream cannot mix the output of two encoders.
    values["version"] = [__version__, av.__version__]
    plain: dict[str, Any] = json.loads(json.dumps(values, default=str))
    return plain


def begin(job: Job, sources: list[str]) -> RunState | Literal["done"] | None:
    """Decide how a job starts, and check its outputs.

    Args:
        job: The job.
        sources: Inputs of the run.

    Returns:
        The state to resume from; None to start from the beginning; "done" where nothing is left to do.

    Raises:
        ConfigError: The job cannot be resumed, its settings have changed, or a name is wrong.
        SinkError: An output exists, is an input, or was made from another input; or its folder is missing.
    """
    path, config = state_path(job), job.config
    unfinished = path is not None and path.exists()
    if config.video.resume:
        state = find_state(job)
        if state is not None:
            return state
        main = job.target or config.output.tracks or config.output.poses
        if main is not None and main.exists() and not config.report.overwrite:
            _check_whole(job, main)
            _check_input(job.source, main)
            return "done"
    elif unfinished and not config.report.overwrite:
        raise SinkError(
            f"an earlier run with {job.source} was interrupted ({path}): --resume continues it, "
            "--overwrite starts again"
        )
    check_outputs(job, sources)
    if unfinished and path is not None:
        path.unlink()
    return None


def _check_whole(job: Job, main: Path) -> None:
    output, report = job.config.output, job.config.report
    for path in (output.tracks, output.features, output.poses, report.summary, report.log):
        if path is not None and not path.exists():
            raise SinkError(
                f"{main} is there, but {path}, which belongs to it, is not: --overwrite writes both again"
            )


def input_note(source: str) -> str:
    """What an annotated video notes of its input, to tell a replaced one later; empty without files."""
    status = [path.stat() for path in _input_files(source)]
    if not status:
        return ""
    size, changed_ns = sum(one.st_size for one in status), max(one.st_mtime_ns for one in status)
    return f"realtime-kp input: {len(status)} files, {size} bytes, changed at {changed_ns} ns"


def _check_input(source: str, main: Path) -> None:
    """Refuse a finished output of another input than the one that is there now."""
    noted = read_comment(main) if main.suffix.lower() == ".mp4" else ""
    if noted.startswith("realtime-kp input: "):
        same = noted == (input_note(source) or noted)
    else:
        written_ns = main.stat().st_mtime_ns
        same = all(path.stat().st_mtime_ns <= written_ns for path in _input_files(source))
    if not same:
        raise SinkError(
            f"{source} was changed or replaced after {main} was made: --overwrite makes it again, another "
            "--output keeps both"
        )


def _input_files(source: str) -> list[Path]:
    if is_picture_spec(source):
        try:
            return [path for path in list_pictures(source) if path.is_file()]
        except SourceError:
            return []
    return [Path(source)] if Path(source).is_file() else []


def save_state(path: Path, state: RunState) -> None:
    """Write the state by an atomic rename, so that a complete one exists at any time.

    Raises:
        SinkError: The file cannot be written.
    """
    new = path.with_name(path.name + ".new")
    entry: dict[str, Any] = {
        "frames": state.frames,
        "settings": state.settings,
        "tracks": state.tracks,
        "log": state.log,
        "poses": state.poses,
    }
    try:
        with zipfile.ZipFile(new, "w", zipfile.ZIP_STORED) as file:
            if state.video is not None:
                entry["video"] = {"size_wh": state.video.size_wh, "zero_s": state.video.zero_s}
                # Differences are stored, which compress well at a constant frame rate.
                steps = np.diff(state.video.times, prepend=0)
                file.writestr(_TIMES, steps.astype("<i8").tobytes(), zipfile.ZIP_DEFLATED, 1)
            file.writestr(_TRACKER, state.tracker)
            file.writestr(_ENTRY, json.dumps(entry))
        os.replace(new, path)
    except OSError as exc:
        new.unlink(missing_ok=True)
        raise write_error(path, exc) from exc


def load_state(path: Path) -> RunState:
    """Read a state written by `save_state`.

    Raises:
        SinkError: The file is no such state.
    """
    try:
        with zipfile.ZipFile(path) as file:
            entry = json.loads(file.read(_ENTRY))
            video = None
            if "video" in entry:
                times = np.cumsum(np.frombuffer(file.read(_TIMES), "<i8")).astype(np.int64)
                width, height = entry["video"]["size_wh"]
                video = VideoMark(times, (int(width), int(height)), float(entry["video"]["zero_s"]))
            return RunState(
                int(entry["frames"]),
                dict(entry["settings"]),
                file.read(_TRACKER),
                video,
                entry["tracks"],
                entry["log"],
                entry["poses"],
            )
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError) as exc:
        raise SinkError(f"cannot continue from {path}: {exc}; start again with --overwrite") from exc


def find_state(job: Job) -> RunState | None:
    """State that an earlier run of a job left; None where there is none.

    Raises:
        ConfigError: This job cannot be resumed, or its settings have changed.
        SinkError: The state cannot be read.
    """
    path = state_path(job)
    if path is None:
        raise ConfigError(
            f"--resume cannot continue {job.source}: it takes a video file, a tracks table or an .mp4 as "
            "output, and no --features"
        )
    if not path.exists():
        return None
    state = load_state(path)
    now = settings_of(job)
    for name in now.keys() | state.settings.keys():
        before, wanted = state.settings.get(name), now.get(name)
        if before != wanted:
            raise ConfigError(
                f"--resume needs the settings of the earlier run: {name} was {before!r} and is {wanted!r}; "
                "change it back, or start again with --overwrite"
            )
    return state
