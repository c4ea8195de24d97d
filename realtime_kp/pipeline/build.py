"""Construction of a pipeline from settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

from realtime_kp.config import AppConfig, InputConfig, SuperPointConfig
from realtime_kp.errors import ArgumentError, ConfigError
from realtime_kp.features import Extractor, MemoryFallbackExtractor, ModelSelectingExtractor, SuperPoint
from realtime_kp.frame import Frame
from realtime_kp.pipeline.channel import Policy
from realtime_kp.pipeline.inference import FoundElsewhere
from realtime_kp.pipeline.pacing import Pacer
from realtime_kp.pipeline.pipeline import Pipeline
from realtime_kp.reference import ReferencePicture
from realtime_kp.sources import Equaliser, FrameSource, KnownLens, Regions, read_picture
from realtime_kp.tracking import Tracker, read_query_points

# Rings of detections that are old by less than this are drawn where the tracks beside them have gone.
_LIVE_TRAIL_LENGTH = 65


def build_pipeline(
    source: FrameSource,
    config: AppConfig,
    *,
    policy: Policy | Literal["auto"],
    pacer: Pacer | None = None,
    loop: bool = False,
    max_frames: int | None = None,
    skip: int = 0,
    tracker: Tracker | None = None,
    keep_state_s: float | None = None,
    select_model: bool = False,
    superpoint: Extractor | None = None,
    found_elsewhere: FoundElsewhere | None = None,
) -> Pipeline:
    """Build a pipeline from the settings; entering it starts the threads.

    Args:
        source: The frame source.
        config: All settings.
        policy: Queue policy: `block` applies back-pressure and loses no frame; `drop_oldest` drops the oldest
            waiting frame; `auto` drops for live sources and blocks for recordings.
        pacer: Paces the frames of recordings; None reads them as fast as possible.
        loop: Restart the source at its end.
        max_frames: Stop before the frame with this index; None reads to the end.
        skip: Number of leading frames to skip because an earlier run has processed them.
        tracker: Tracker restored from that run; None creates one from the settings.
        keep_state_s: Interval in seconds at which frames carry the serialised tracker state; None never.
        select_model: Replace `auto` of model, input size and precision by what is fast enough for live.
        superpoint: The network; None makes one from the settings.
        found_elsewhere: Asked for every frame before the network; None runs the network on all of them.

    Returns:
        The pipeline, not yet started.
    """

    def extractor(superpoint: SuperPointConfig) -> Extractor:
        if select_model and superpoint.model == "auto":
            return ModelSelectingExtractor(superpoint)
        if select_model and "auto" in (superpoint.resize, superpoint.precision):
            return ModelSelectingExtractor(superpoint, (superpoint.model,))
        # With `block`, throughput matters and not the latency of a single frame: several batches may be in
        # flight.
        return SuperPoint(superpoint, latency=policy != "block")

    if superpoint is None:
        superpoint = _falling_back(config.superpoint, extractor)
    tracking = config.tracking
    if tracking.corners == "auto" and policy == "drop_oldest":
        tracking = replace(tracking, corners="always")
    trail_length = config.render.trail_length
    if policy != "block":
        trail_length = max(trail_length, _LIVE_TRAIL_LENGTH)
    if tracker is None:
        tracker = Tracker(tracking, trail_length=trail_length)
        _add_points(tracker, config.input.points)
    return Pipeline(
        source,
        superpoint,
        tracker,
        policy=policy,
        queue_size=config.pipeline.queue_size,
        batch=config.pipeline.batch,
        detect_every=config.pipeline.detection_interval,
        pacer=pacer,
        loop=loop,
        max_frames=max_frames,
        skip=skip,
        keep_state_s=keep_state_s,
        regions=Regions(config.input),
        reference=_reference(config.input),
        prepare=preparation(config),
        found_elsewhere=found_elsewhere,
    )


def make_extractor(config: SuperPointConfig) -> Extractor:
    """The network of a run that loses no frame, to be given to several runs in turn."""
    return _falling_back(config, lambda superpoint: SuperPoint(superpoint, latency=False))


def _falling_back(config: SuperPointConfig, extractor: Callable[[SuperPointConfig], Extractor]) -> Extractor:
    """An extractor that goes on on the CPU where a GPU has too little memory."""
    if config.device == "cpu":
        return extractor(config)
    on_cpu = replace(config, device="cpu", engine="auto", precision="auto")
    return MemoryFallbackExtractor(extractor(config), lambda: extractor(on_cpu))


def preparation(config: AppConfig) -> list[Callable[[Frame], Frame]]:
    """What every frame gets as it is read.

    Raises:
        ConfigError: The lens cannot be read, or is missing.
    """
    lens = KnownLens.of(config.input)
    if config.render.undistort and lens is None:
        raise ConfigError("--undistort removes the distortion of a lens: name the lens with --camera")
    steps: list[Callable[[Frame], Frame]] = [] if lens is None else [lens.on]
    return [*steps, Equaliser().on] if config.input.equalise == "clahe" else steps


def _reference(config: InputConfig) -> ReferencePicture | None:
    if config.reference_size is not None and (config.camera is None or config.reference is None):
        raise ConfigError("--reference-size tells distances: give --reference and --camera with it")
    if config.reference is None:
        return None
    try:
        return ReferencePicture(
            read_picture(config.reference), config.reference.name, config.reference_size_m
        )
    except ArgumentError as exc:
        raise ConfigError(str(exc)) from exc


def _add_points(tracker: Tracker, file: Path | None) -> None:
    if file is None:
        return
    if tracker.config.kind == "descriptor":
        raise ConfigError("--points needs --tracker hybrid or flow: descriptor follows keypoints only")
    for point in read_query_points(file):
        tracker.add(point.xy, point.name, frame=point.frame, time_s=point.time_s)
