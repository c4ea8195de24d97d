"""The Python interface: `track()` and the classes that it uses. Its `__all__` is the list of public names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from io import IOBase
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_type_hints

from realtime_kp.config import AppConfig, InputConfig, SuperPointConfig, TrackingConfig, load_config
from realtime_kp.config.checks import require
from realtime_kp.errors import ArgumentError, ConfigError, ModelError, RealtimeKpError, SinkError, SourceError
from realtime_kp.exports import TrackTable, read_tracks, to_supervision
from realtime_kp.features import SuperPoint
from realtime_kp.frame import Frame
from realtime_kp.keypoints import Keypoints, Track, TrackedFrame, Tracks, TrackState
from realtime_kp.lens import Lens, read_lens
from realtime_kp.many import dataset_of
from realtime_kp.pipeline import Pipeline, Policy, build_pipeline
from realtime_kp.sources import FrameSource, open_source
from realtime_kp.tracking import Tracker

__all__ = [
    "AppConfig",
    "ArgumentError",
    "ConfigError",
    "Frame",
    "FrameSource",
    "Keypoints",
    "Lens",
    "ModelError",
    "Pipeline",
    "RealtimeKpError",
    "SinkError",
    "SourceError",
    "SuperPoint",
    "Track",
    "TrackState",
    "TrackTable",
    "TrackedFrame",
    "Tracker",
    "Tracks",
    "load_config",
    "open_source",
    "read_lens",
    "read_tracks",
    "to_supervision",
    "track",
    "track_many",
]


def track(
    source: str | int | Path | FrameSource,
    *,
    config: AppConfig | None = None,
    max_frames: int | None = None,
    policy: Policy | Literal["auto"] = "auto",
    **settings: Any,
) -> Iterator[TrackedFrame]:
    """Track keypoints through a source.

    Files yield every frame, in order, with its keypoints. Cameras and streams yield the newest frame; frames
    that arrive while the loop is busy are dropped. Their frames do not wait for the network: `keypoints` is
    None, and `newest` holds the newest detection. With `detect_every=1` in the pipeline section of `config`,
    frames wait.

    Args:
        source: An argument of `open_source` (digits are a camera index, a `Path` is always a file or folder),
            or a source of your own.
        config: All settings; default settings without it.
        max_frames: Stop after this many frames, 1 or more.
        policy: `block` loses no frame, `drop_oldest` yields the newest, `auto` decides by the kind of source.
        **settings: Fields of `SuperPointConfig`, `TrackingConfig` and `InputConfig` that differ from
            `config`, such as `model="base"`, `max_keypoints=512`, `max_age=30` or `roi="0,0,320,240"`.

    Yields:
        One `TrackedFrame` per frame. Closing the generator stops and joins the threads.

    Raises:
        ConfigError: A setting is unknown or invalid.
        SourceError: The source cannot be opened or read, or is none.
        ModelError: Weights, engine or device are not available.
    """
    config = _with_settings(AppConfig() if config is None else config, settings)
    require(policy in (*get_args(Policy), "auto"), "policy must be block, drop_oldest or auto", policy)
    # The rule for a number of frames, and its message, are those of the command.
    max_frames = replace(config.video, max_frames=max_frames).max_frames
    return _run(build_pipeline(_source(source, config), config, policy=policy, max_frames=max_frames))


def track_many(
    inputs: Sequence[str | Path],
    *,
    config: AppConfig | None = None,
    max_frames: int | None = None,
    workers: int | None = None,
    cpus_per_worker: float = 1,
    gpus_per_worker: float = 0,
    **settings: Any,
) -> Any:
    """Track keypoints through many videos, on the workers of a Ray cluster.

    Each video is tracked as a whole by one worker. Without a cluster, Ray starts one on this machine.

    Args:
        inputs: Videos, or whatever else `open_source` takes, which every machine sees.
        config: All settings; default settings without it.
        max_frames: Stop after this many frames of each.
        workers: Most workers; None takes as many as there is room for.
        cpus_per_worker: CPU cores of each.
        gpus_per_worker: GPUs of each; 0.25 lets four share one.
        **settings: As for `track`.

    Returns:
        A `ray.data.Dataset` with the columns of the tracks table, and `video` and `error` beside: the rows of
        a video come together. One that cannot be read is one row whose `error` says why. It is computed when
        it is read: `track_many(…).write_parquet(folder)`, `.to_pandas()`, `.iter_batches()`.

    Raises:
        ConfigError: Ray is missing, or a setting is unknown or invalid.
    """
    config = _with_settings(AppConfig() if config is None else config, settings)
    config = replace(config, video=replace(config.video, max_frames=max_frames))
    names = [str(name) for name in inputs]
    require(workers is None or workers >= 1, "workers must be at least 1", workers)
    return dataset_of(names, config, workers=workers, cpus=cpus_per_worker, gpus=gpus_per_worker)


def _source(source: str | int | Path | FrameSource, config: AppConfig) -> FrameSource:
    parts = ("__enter__", "__exit__", "__iter__")
    if all(hasattr(type(source), part) for part in parts) and not isinstance(source, IOBase):
        return cast(FrameSource, source)
    return open_source(cast("str | int | Path", source), config.input)


def _run(pipeline: Pipeline) -> Iterator[TrackedFrame]:
    with pipeline:
        yield from pipeline


def _with_settings(config: AppConfig, settings: dict[str, Any]) -> AppConfig:
    require(isinstance(config, AppConfig), "config must be an AppConfig, as load_config() returns it", config)
    parts = {"superpoint": SuperPointConfig, "tracking": TrackingConfig, "input": InputConfig}
    owners = {field.name: name for name, part in parts.items() for field in fields(part)}
    unknown = sorted(set(settings) - set(owners))
    if unknown:
        raise ConfigError(f"track() has no setting {unknown[0]!r}")
    # Names of files may be text, as on the command line.
    files = {
        key for part in parts.values() for key, kind in get_type_hints(part).items() if Path in get_args(kind)
    }
    settings = {
        key: Path(value) if key in files and isinstance(value, str) else value
        for key, value in settings.items()
    }
    changed = {
        name: replace(
            getattr(config, name), **{key: value for key, value in settings.items() if owners[key] == name}
        )
        for name in parts
    }
    return replace(config, **changed)
