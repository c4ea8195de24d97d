"""A pipeline from settings."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from realtime_kp.config import AppConfig, SuperPointConfig
from realtime_kp.features import Extractor, MemoryFallbackExtractor, ModelSelectingExtractor, SuperPoint
from realtime_kp.pipeline.channel import Policy
from realtime_kp.pipeline.pacing import Pacer
from realtime_kp.pipeline.pipeline import Pipeline
from realtime_kp.sources import FrameSource
from realtime_kp.tracking import Tracker


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
    adaptive: bool = False,
) -> Pipeline:
    """Put network, tracker and threads together as the settings say; entering the result starts them.

    Args:
        source: Where frames come from.
        config: All settings.
        policy: `block` loses no frame; `drop_oldest` lets the newest win; `auto` drops where the source is
            live.
        pacer: When frames of recordings are due; None takes them as fast as they come.
        loop: Start the source over at its end.
        max_frames: Read no more frames than this.
        skip: Frames that an earlier run was done with.
        tracker: As that run left it.
        keep_state_s: How often frames carry the state of the tracker.
        adaptive: Let the model `auto` be the small one where the other does not keep up with the source.
    """

    def extractor(superpoint: SuperPointConfig) -> Extractor:
        if adaptive and superpoint.model == "auto":
            return ModelSelectingExtractor(superpoint)
        # Where every frame counts and none is waited for, all of them sooner beats each one sooner.
        return SuperPoint(superpoint, latency=policy != "block")

    superpoint = extractor(config.superpoint)
    if config.superpoint.device != "cpu":
        on_cpu = replace(config.superpoint, device="cpu", engine="auto", precision="auto")
        superpoint = MemoryFallbackExtractor(superpoint, lambda: extractor(on_cpu))
    return Pipeline(
        source,
        superpoint,
        tracker or Tracker(config.tracking, trail_length=config.render.trail_length),
        policy=policy,
        queue_size=config.pipeline.queue_size,
        batch=config.pipeline.batch,
        detect_every=config.pipeline.detection_interval,
        pacer=pacer,
        loop=loop,
        max_frames=max_frames,
        skip=skip,
        keep_state_s=keep_state_s,
    )
