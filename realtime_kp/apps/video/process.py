"""One input of `video` from its first frame to its last."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from realtime_kp.apps.exporting import exporting
from realtime_kp.apps.jobs import Job, output_stem, shown
from realtime_kp.apps.remote.mirror import is_done, put_outputs, with_input
from realtime_kp.apps.resume import RunState, begin, state_path
from realtime_kp.apps.summary import StoppedBy, Summary, summarise, write_json
from realtime_kp.apps.video.outputs import Outputs
from realtime_kp.errors import SinkError, SourceError
from realtime_kp.features import Extractor
from realtime_kp.keypoints import TrackedFrame
from realtime_kp.pipeline import FoundElsewhere, Pipeline, RunMeter, build_pipeline
from realtime_kp.sources import join_sources, open_source
from realtime_kp.tracking import restore_tracker

log = logging.getLogger(__name__)

_WAKE_S = 0.1

# Called after each frame.
Watch = Callable[[TrackedFrame, Pipeline, RunMeter], None]


@dataclass(frozen=True, slots=True)
class Processed:
    """What became of an input.

    Attributes:
        summary: Its summary; None where all was done before.
        damage: What of it could not be read; None where there was nothing, or it was stopped.
        lost: Why it ended prematurely; frames so far are kept.
    """

    summary: Summary | None
    damage: str | None = None
    lost: SourceError | None = None


def process(
    job: Job,
    inputs: list[str],
    *,
    stopped: Callable[[], bool],
    watch: Watch,
    superpoint: Extractor | None = None,
    found_elsewhere: FoundElsewhere | None = None,
) -> Processed:
    """Process an input, or go on with it, and write its outputs and its summary.

    Args:
        job: The input and its outputs.
        inputs: All inputs of the run, none of which may be replaced.
        stopped: Asked again and again; True ends it, and what was finished is kept.
        watch: Called after each frame.
        superpoint: The network, where it is loaded already; None loads one.
        found_elsewhere: Asked for every frame before the network; None runs the network on all of them.

    Raises:
        RealtimeKpError: It cannot be read, or its outputs cannot be written.
    """
    if job.copies is not None and is_done(job):
        log.info("%s: its outputs exist already, nothing to continue", job.name)
        return Processed(None)
    with with_input(job) as local:
        state = begin(local, inputs)
        if state == "done":
            log.info("%s exists already: nothing to continue", local.target or local.config.output.tracks)
            return Processed(None)
        with exporting(local.config, None if local.parts else local.source) as config:
            planned = replace(local, config=config)
            pipeline = _build(planned, state, superpoint, found_elsewhere)
            done = _processed(planned, state, pipeline, stopped, watch)
        if not stopped():
            put_outputs(local)
        return done


def _processed(
    job: Job, state: RunState | None, pipeline: Pipeline, stopped: Callable[[], bool], watch: Watch
) -> Processed:
    meter = RunMeter()
    lost: SourceError | None = None
    outputs = Outputs(job, pipeline, meter, state)
    with pipeline, outputs:
        while not pipeline.finished and not stopped():
            try:
                tracked = pipeline.poll(_WAKE_S)
            except SourceError as exc:
                if not pipeline.counts.processed:
                    raise
                lost = exc
                break
            if tracked is not None:
                outputs.take(tracked)
                watch(tracked, pipeline, meter)
        interrupted = stopped()
        outputs.complete = pipeline.finished and not interrupted and lost is None
    stopped_by: StoppedBy = "limit" if pipeline.limited else "end"
    if lost is not None or interrupted:
        stopped_by = "source_lost" if lost is not None else "signal"
    name = pipeline.source_info.name if pipeline.source_info else output_stem(job.source)
    name = shown(name, job.copies)
    summary = summarise("video", name, pipeline, meter, written=outputs.written, stopped_by=stopped_by)
    if state is not None:
        summary = replace(summary, values={**summary.values, "resumed_at_frame": state.frames})
    if job.config.report.summary is not None:
        write_json(job.config.report.summary, summary.to_dict())
    return Processed(summary, None if interrupted else pipeline.damage, lost)


def _build(
    job: Job,
    state: RunState | None,
    superpoint: Extractor | None,
    found_elsewhere: FoundElsewhere | None,
) -> Pipeline:
    config = job.config
    start_s = config.video.start_s
    source = (
        join_sources((job.source, *job.parts), config.input, start_s=start_s)
        if job.parts
        else open_source(job.source, config.input, start_s=start_s)
    )
    tracker = None
    if state is not None and state.frames:
        log.info("%s: continuing at frame %d", job.source, state.frames)
        try:
            tracker = restore_tracker(state.tracker)
        except ValueError as exc:
            raise SinkError(f"cannot continue {job.source}: {exc}; start again with --overwrite") from exc
    return build_pipeline(
        source,
        config,
        policy="block",
        max_frames=config.video.max_frames,
        skip=0 if state is None else state.frames,
        tracker=tracker,
        keep_state_s=None if state_path(job) is None else config.video.keep_every_s,
        superpoint=superpoint,
        found_elsewhere=found_elsewhere,
    )
