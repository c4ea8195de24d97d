"""`video`: every frame in, every frame out."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from realtime_kp.apps.exit_codes import DAMAGED, DONE, INTERRUPTED, SOURCE
from realtime_kp.apps.hud import hud_info
from realtime_kp.apps.jobs import Job, check_outputs, output_stem, plan_jobs
from realtime_kp.apps.signals import StopSignals
from realtime_kp.apps.summary import StoppedBy, Summary, print_summary, summarise, write_json
from realtime_kp.apps.tables import Tables
from realtime_kp.config import AppConfig
from realtime_kp.errors import SourceError
from realtime_kp.keypoints import TrackedFrame
from realtime_kp.pipeline import Pipeline, RunMeter, build_pipeline
from realtime_kp.render import render
from realtime_kp.sinks import FrameSink, PicturesSink, VideoFileSink
from realtime_kp.sources import is_picture_spec, open_source

log = logging.getLogger(__name__)

_WAKE_S = 0.1


def run_video(sources: list[str], config: AppConfig, console: Console, *, quiet: bool = False) -> int:
    """Process each input in turn.

    Returns:
        0; 3 where one of several inputs could not be read; 6 where one was damaged; 130 where a signal
        ended the run.

    Raises:
        RealtimeKpError: What went wrong.
    """
    jobs = plan_jobs(sources, config)
    for job in jobs:
        check_outputs(job, sources)
    code, failed = DONE, False
    with StopSignals() as signals:
        for job in jobs:
            try:
                code = max(code, _run_job(job, console, signals, quiet))
            except SourceError as exc:
                if len(jobs) == 1:
                    raise
                log.error("%s", exc)
                failed = True
            if signals.received:
                return INTERRUPTED
    return SOURCE if failed else code


def _run_job(job: Job, console: Console, signals: StopSignals, quiet: bool) -> int:
    config = job.config
    source = open_source(job.source, config.input, start_s=config.video.start_s)
    pipeline = build_pipeline(source, config, policy="block", max_frames=config.video.max_frames)
    meter = RunMeter()
    lost: SourceError | None = None
    outputs = _Outputs(job, pipeline, meter)
    with pipeline, _progress(quiet) as progress, outputs:
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
                _advance(progress, task, pipeline, meter)
    stopped_by = _why_stopped(pipeline, signals, lost)
    name = pipeline.source_info.name if pipeline.source_info else output_stem(job.source)
    summary = summarise("video", name, pipeline, meter, written=outputs.written, stopped_by=stopped_by)
    _report(job, summary, console, quiet)
    if lost is not None:
        raise lost
    if pipeline.damage is not None and not signals.received:
        log.warning("%s", pipeline.damage)
        return DAMAGED
    return DONE


def _why_stopped(pipeline: Pipeline, signals: StopSignals, lost: SourceError | None) -> StoppedBy:
    if lost is not None:
        return "source_lost"
    if signals.received:
        return "signal"
    return "limit" if pipeline.limited else "end"


class _Outputs:
    """All that is written of one input; opened with the first frame, closed on exit.

    Attributes:
        written: Annotated frames written.
    """

    def __init__(self, job: Job, pipeline: Pipeline, meter: RunMeter) -> None:
        self._job = job
        self._pipeline = pipeline
        self._meter = meter
        self._stack = ExitStack()
        self._tables = Tables(job.config, pipeline)
        self._annotated: FrameSink | None = None
        self.written = 0

    def __enter__(self) -> Self:
        self._stack.enter_context(self._tables)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def take(self, tracked: TrackedFrame) -> None:
        """Draw and write one frame."""
        started_s = time.perf_counter()
        image = self._draw(tracked)
        drawn_s = time.perf_counter()
        if self._job.target is not None:
            if self._annotated is None:
                self._annotated = self._stack.enter_context(self._make_sink(self._job.target))
            self._annotated.write(image, tracked)
            self.written += 1
        self._tables.write(tracked)
        times = self._meter.done(
            tracked,
            draw_ms=None if image is None else (drawn_s - started_s) * 1e3,
            output_ms=(time.perf_counter() - drawn_s) * 1e3,
        )
        self._tables.log(tracked, times)

    def _make_sink(self, target: Path) -> FrameSink:
        config, info = self._job.config, self._pipeline.source_info
        if self._job.pictures:
            single = not self._job.into_folder
            return PicturesSink(target, overwrite=config.report.overwrite, single=single)
        return VideoFileSink(
            target,
            fps=info.fps if info else None,
            crf=config.output.crf,
            preset=config.output.preset,
            # Players would show nothing for as long as was left out.
            from_zero=config.video.start_s > 0,
            sound=self._sound_file(),
        )

    def _sound_file(self) -> Path | None:
        source = self._job.source
        if not self._job.config.video.audio or "://" in source or is_picture_spec(source):
            return None
        return Path(source) if Path(source).is_file() else None

    def _draw(self, tracked: TrackedFrame) -> NDArray[np.uint8] | None:
        if self._job.target is None:
            return None
        drawing = self._job.config.render
        hud = hud_info(tracked, self._pipeline, self._meter) if "hud" in drawing.layers else None
        return render(tracked, drawing.layers, trail_length=drawing.trail_length, hud=hud)


def _report(job: Job, summary: Summary, console: Console, quiet: bool) -> None:
    if job.config.report.summary is not None:
        write_json(job.config.report.summary, summary.to_dict())
    if not quiet:
        print_summary(summary, console)
        if job.target is not None and summary.values["frames"]["written"]:
            console.print(f"annotated: {job.target}", highlight=False)


def _progress(quiet: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[shown]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=quiet,
    )


def _advance(progress: Progress, task: TaskID, pipeline: Pipeline, meter: RunMeter) -> None:
    info = pipeline.source_info
    total = None if info is None else info.frame_count
    done = pipeline.counts.processed
    shown = (
        f"{done} of {'?' if total is None else total} frames, {meter.rate.recent(time.perf_counter()):.1f}/s"
    )
    progress.update(task, completed=done, total=total, visible=True, shown=shown)
