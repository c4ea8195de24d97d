"""`video`: processes every frame of its inputs, in order."""

from __future__ import annotations

import logging
import time
from dataclasses import replace

from rich.console import Console
from rich.progress import Progress, TaskID

from realtime_kp.apps.console import labelled_progress_bars
from realtime_kp.apps.exit_codes import DAMAGED, DONE, INTERRUPTED, SOURCE
from realtime_kp.apps.exporting import exporting
from realtime_kp.apps.jobs import Job, output_stem, plan_jobs
from realtime_kp.apps.resume import RunState, begin, state_path
from realtime_kp.apps.signals import StopSignals
from realtime_kp.apps.summary import StoppedBy, Summary, print_summary, summarise, write_json
from realtime_kp.apps.video.outputs import Outputs
from realtime_kp.config import AppConfig
from realtime_kp.errors import ConfigError, SinkError, SourceError
from realtime_kp.keypoints import TrackedFrame
from realtime_kp.pipeline import Pipeline, RunMeter, build_pipeline
from realtime_kp.sinks import OutputLocks
from realtime_kp.sources import join_sources, open_source
from realtime_kp.tracking import restore_tracker

log = logging.getLogger(__name__)

_WAKE_S = 0.1


def run_video(sources: list[str], config: AppConfig, console: Console, *, quiet: bool = False) -> int:
    """Process all inputs in turn.

    Returns:
        0; 3 where one of several inputs could not be read; 6 where one was damaged; 130 after a signal.

    Raises:
        RealtimeKpError: The error to report to the user.
    """
    if config.output.poses is not None and config.input.reference is None:
        raise ConfigError("--poses tells where a reference picture is: name one with --reference")
    if config.tracking.only_points and config.input.points is None:
        raise ConfigError("--only-points shows points of your own only: name them with --points")
    if config.output.exports and config.video.resume and config.output.tracks is None:
        raise ConfigError("--resume goes on with a tracks table: name one with --tracks, for --export too")
    if config.video.concat and len(sources) > 1:
        if config.video.resume:
            raise ConfigError("--resume does not go with --concat: join the parts first, or start again")
        log.info("the sound of the parts is left out")
    jobs = plan_jobs(sources, config)
    inputs = [source for job in jobs for source in (job.source, *job.parts)]
    for job in jobs:
        with OutputLocks(job.outputs):
            begin(job, inputs)  # what is wrong with any of them is said before any work
    code, failed = DONE, False
    with StopSignals() as signals:
        for job in jobs:
            try:
                with OutputLocks(job.outputs):
                    code = max(code, _begin_and_run(job, inputs, console, signals, quiet))
            except SourceError as exc:
                if len(jobs) == 1:
                    raise
                log.error("%s", exc)
                failed = True
            if signals.received:
                return INTERRUPTED
    return SOURCE if failed else code


def _begin_and_run(job: Job, inputs: list[str], console: Console, signals: StopSignals, quiet: bool) -> int:
    state = begin(job, inputs)
    if state == "done":
        log.info("%s exists already: nothing to continue", job.target or job.config.output.tracks)
        return DONE
    with exporting(job.config, None if job.parts else job.source) as config:
        return _run_job(replace(job, config=config), state, console, signals, quiet)


def _run_job(job: Job, state: RunState | None, console: Console, signals: StopSignals, quiet: bool) -> int:
    pipeline = _build(job, state)
    meter = RunMeter()
    lost: SourceError | None = None
    outputs = Outputs(job, pipeline, meter, state)
    with pipeline, labelled_progress_bars(quiet, counts=False) as progress, outputs:
        task = progress.add_task(output_stem(job.source), total=None, visible=False, shown="")
        while not pipeline.finished and not signals.received:
            try:
                tracked = pipeline.poll(_WAKE_S)
            except SourceError as exc:
                if not pipeline.counts.processed:
                    raise
                lost = exc
                break
            if tracked is not None:
                outputs.take(tracked)
                _advance(progress, task, tracked, pipeline, meter)
        outputs.complete = pipeline.finished and not signals.received and lost is None
    stopped_by = _why_stopped(pipeline, signals, lost)
    name = pipeline.source_info.name if pipeline.source_info else output_stem(job.source)
    summary = summarise("video", name, pipeline, meter, written=outputs.written, stopped_by=stopped_by)
    if state is not None:
        summary = replace(summary, values={**summary.values, "resumed_at_frame": state.frames})
    _report(job, summary, console, quiet)
    if lost is not None:
        raise lost
    if pipeline.damage is not None and not signals.received:
        log.warning("%s", pipeline.damage)
        return DAMAGED
    return DONE


def _build(job: Job, state: RunState | None) -> Pipeline:
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
    )


def _why_stopped(pipeline: Pipeline, signals: StopSignals, lost: SourceError | None) -> StoppedBy:
    if lost is not None:
        return "source_lost"
    if signals.received:
        return "signal"
    return "limit" if pipeline.limited else "end"


def _report(job: Job, summary: Summary, console: Console, quiet: bool) -> None:
    if job.config.report.summary is not None:
        write_json(job.config.report.summary, summary.to_dict())
    if not quiet:
        print_summary(summary, console)
        if job.target is not None and summary.values["frames"]["written"]:
            console.print(f"annotated: {job.target}", highlight=False)


def _advance(
    progress: Progress, task: TaskID, tracked: TrackedFrame, pipeline: Pipeline, meter: RunMeter
) -> None:
    info = pipeline.source_info
    total = None if info is None else info.frame_count
    done = tracked.frame.index + 1
    shown = (
        f"{done} of {'?' if total is None else total} frames, {meter.rate.recent(time.perf_counter()):.1f}/s"
    )
    progress.update(task, completed=done, total=total, visible=True, shown=shown)
