"""Values of the HUD from a running pipeline."""

from __future__ import annotations

import time

from realtime_kp.keypoints import TrackedFrame
from realtime_kp.pipeline import Pipeline, RunMeter
from realtime_kp.render import HudInfo


def hud_info(
    tracked: TrackedFrame, pipeline: Pipeline, meter: RunMeter, notes: tuple[str, ...] = ()
) -> HudInfo:
    """Collect the current values."""
    latency = meter.recent.percentiles()
    model = pipeline.model_info
    return HudInfo(
        fps=meter.rate.recent(time.perf_counter()),
        latency_p50_ms=latency.p50 if latency else None,
        latency_p95_ms=latency.p95 if latency else None,
        queue_depth=pipeline.queue_depth,
        dropped=pipeline.counts.dropped,
        keypoints=meter.keypoints if tracked.found is None else len(tracked.found),
        detections_per_s=meter.detections.recent(time.perf_counter()),
        detection_age=tracked.detection_age,
        tracks=len(tracked.tracks.confirmed),
        running_on=f"{model.engine} {model.device} {model.precision}",
        notes=notes,
    )
