"""Values of the HUD from a running pipeline."""

from __future__ import annotations

import time

from realtime_kp.keypoints import TrackedFrame
from realtime_kp.pipeline import Pipeline, RunMeter
from realtime_kp.render import HudInfo


def hud_info(
    tracked: TrackedFrame,
    pipeline: Pipeline,
    meter: RunMeter,
    notes: tuple[str, ...] = (),
    *,
    due: bool = True,
) -> HudInfo:
    """Collect the current values.

    Args:
        tracked: The frame.
        pipeline: The run.
        meter: Its measurements.
        notes: Short words such as PAUSED or REC.
        due: Whether frames are due at a time; else they are processed as fast as possible.
    """
    latency = meter.recent.percentiles()
    model = pipeline.model_info
    size = "x".join(str(side) for side in pipeline.inference_size or ())
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
        running_on=f"{model.model} {size} {model.engine} {model.device} {model.precision}",
        notes=(*_reference(tracked), *notes),
        progress="" if due else _progress(tracked, pipeline),
    )


def _reference(tracked: TrackedFrame) -> tuple[str, ...]:
    pose = tracked.reference
    if pose is None:
        return ()
    return (f"reference: {pose.inliers} patches" if pose.visible else "reference: not in sight",)


def _progress(tracked: TrackedFrame, pipeline: Pipeline) -> str:
    info, done = pipeline.source_info, tracked.frame.index + 1
    total = None if info is None else info.frame_count
    return f"frame {done}" if total is None else f"frame {done} of {max(total, done)}"
