"""`video`: processes every frame of its inputs, in order."""

from __future__ import annotations

import logging
import time

from rich.console import Console
from rich.progress import Progress, TaskID

from realtime_kp.apps.console import labelled_progress_bars
from realtime_kp.apps.exit_codes import DAMAGED, DONE, INTERRUPTED, SOURCE
from realtime_kp.apps.jobs import Job, output_stem, plan_jobs, shown
from realtime_kp.apps.remote.mirror import mirrored, planned
from realtime_kp.apps.resume import begin
from realtime_kp.apps.signals import StopSignals
from realtime_kp.apps.summary import print_summary
from realtime_kp.apps.video.process import process
from realtime_kp.config import AppConfig
from realtime_kp.errors import ConfigError, SourceError
from realtime_kp.keypoints import TrackedFrame
from realtime_kp.pipeline import Pipeline, RunMeter
from realtime_kp.sinks import OutputLocks

log = logging.getLogger(__name__)


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
    with mirrored(sources, config) as plan:
        jobs = plan_jobs(plan.sources, plan.config)
        if plan.root is not None:
            jobs = planned(jobs, plan.root)
        return _run_all(jobs, plan.config, console, quiet)


def _run_all(jobs: list[Job], config: AppConfig, console: Console, quiet: bool) -> int:
    inputs = [source for job in jobs for source in (job.source, *job.parts)]
    for job in jobs:
        with OutputLocks(job.outputs):
            begin(job, inputs)  # what is wrong with any of them is said before any work
    if config.fleet.ray is not None:
        from realtime_kp.apps.fleet.command import run_fleet

        return run_fleet(jobs, inputs, config, console, quiet=quiet)
    if config.fleet.chunk_minutes is not None:
        log.warning("--chunk-minutes is for the workers of --ray: nothing is cut")
    code, failed = DONE, False
    with StopSignals() as signals:
        for job in jobs:
            try:
                with OutputLocks(job.outputs):
                    code = max(code, _run(job, inputs, console, signals, quiet))
            except SourceError as exc:
                if len(jobs) == 1:
                    raise
                log.error("%s", exc)
                failed = True
            if signals.received:
                return INTERRUPTED
    return SOURCE if failed else code


def _run(job: Job, inputs: list[str], console: Console, signals: StopSignals, quiet: bool) -> int:
    with labelled_progress_bars(quiet, counts=False) as progress:
        task = progress.add_task(output_stem(job.source), total=None, visible=False, shown="")
        done = process(
            job,
            inputs,
            stopped=lambda: signals.received,
            watch=lambda tracked, pipeline, meter: _advance(progress, task, tracked, pipeline, meter),
        )
    if done.summary is not None and not quiet:
        print_summary(done.summary, console)
        if job.target is not None and done.summary.values["frames"]["written"]:
            console.print(f"annotated: {shown(job.target, job.copies)}", highlight=False)
    if done.lost is not None:
        raise done.lost
    if done.damage is not None:
        log.warning("%s", done.damage)
        return DAMAGED
    return DONE


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
