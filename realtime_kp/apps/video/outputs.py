"""Outputs of `video` for one input, and the state to resume from."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from realtime_kp.apps.hud_lines import hud_info
from realtime_kp.apps.jobs import Job
from realtime_kp.apps.result_files import Tables
from realtime_kp.apps.resume import RunState, input_note, save_state, settings_of, state_path
from realtime_kp.keypoints import TrackedFrame
from realtime_kp.pipeline import Pipeline, RunMeter
from realtime_kp.render import Look, Straightener, render
from realtime_kp.sinks import PicturesSink, Sound, VideoFileSink
from realtime_kp.sources import SourceKind, source_kind


class Outputs:
    """Outputs of one input; opened with the first frame, closed on exit.

    Every few seconds the resume state is saved beside the outputs; it is removed when the input is finished.

    Args:
        job: The input and its outputs.
        pipeline: Provides source and model.
        meter: Counts every frame.
        resume: State of an earlier run whose outputs are continued.

    Attributes:
        complete: Set by the caller when the whole input was processed.
    """

    def __init__(self, job: Job, pipeline: Pipeline, meter: RunMeter, resume: RunState | None = None) -> None:
        self._job = job
        self._pipeline = pipeline
        self._meter = meter
        self._resume = resume
        self._stack = ExitStack()
        self._tables = Tables(job.config, pipeline, resume, job.copies)
        self._annotated: VideoFileSink | PicturesSink | None = None
        self._state_path = state_path(job)
        self._settings = settings_of(job)
        # A state is valid only once the next frame was written.
        self._due: RunState | None = None
        self._opened = False
        self._straightener = Straightener()
        self.complete = False

    def __enter__(self) -> Self:
        self._stack.enter_context(self._tables)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self._resume is not None:
            with self._stack:
                self._open()  # nothing may be left to do but to finish what is there
        else:
            self._stack.__exit__(kind, error, trace)
        self._finish_state()

    @property
    def written(self) -> int:
        """Number of annotated frames written, with those of an earlier run."""
        return 0 if self._annotated is None else self._annotated.frames

    def take(self, tracked: TrackedFrame) -> None:
        """Draw and write one frame."""
        started_s = time.perf_counter()
        image = self._draw(tracked)
        drawn_s = time.perf_counter()
        self._open(tracked)
        if self._annotated is not None:
            self._annotated.write(image, tracked)
        self._tables.write(tracked)
        times = self._meter.done(
            tracked,
            draw_ms=None if image is None else (drawn_s - started_s) * 1e3,
            output_ms=(time.perf_counter() - drawn_s) * 1e3,
        )
        self._tables.log(tracked, times)
        self._note(tracked)

    def _open(self, tracked: TrackedFrame | None = None) -> None:
        if self._opened:
            return
        self._opened = True
        if self._job.target is not None:
            sink = self._make_sink(self._job.target)
            self._stack.enter_context(sink)
            self._annotated = sink
        self._tables.open(None if tracked is None else tracked.frame.size_wh)
        if self._state_path is not None and self._resume is None:
            save_state(self._state_path, RunState(0, self._settings, b"", None, None, None))

    def _note(self, tracked: TrackedFrame) -> None:
        """Save the resume state when it is due."""
        if self._state_path is None:
            return
        if self._due is not None:
            save_state(self._state_path, self._due)
            self._due = None
        if tracked.tracker_state is not None:
            video = self._annotated.mark if isinstance(self._annotated, VideoFileSink) else None
            self._due = RunState(
                tracked.frame.index + 1,
                self._settings,
                tracked.tracker_state,
                video,
                self._tables.tracks_mark,
                self._tables.log_mark,
                self._tables.poses_mark,
            )

    def _finish_state(self) -> None:
        """After all files were closed: remove the state of a finished input, else save the last valid one."""
        if self._state_path is None:
            return
        if self.complete:
            self._state_path.unlink(missing_ok=True)
        elif self._due is not None:
            save_state(self._state_path, self._due)

    def _make_sink(self, target: Path) -> VideoFileSink | PicturesSink:
        config, info = self._job.config, self._pipeline.source_info
        if self._job.pictures:
            single = not self._job.into_folder
            return PicturesSink(target, overwrite=config.report.overwrite, single=single)
        return VideoFileSink(
            target,
            fps=info.fps if info else None,
            crf=config.output.crf,
            preset=config.output.preset,
            # Otherwise players would show nothing for the duration of the skipped part.
            from_zero=config.video.start_s > 0,
            sound=self._sound(),
            pixel_aspect=info.pixel_aspect if info else None,
            resume=None if self._resume is None else self._resume.video,
            comment=input_note(self._job.source),
        )

    def _sound(self) -> Sound | None:
        source, info = self._job.source, self._pipeline.source_info
        whole = source_kind(source) is SourceKind.VIDEO and not self._job.parts
        heard = self._job.config.video.audio and whole
        return Sound(Path(source), 0.0 if info is None else info.begin_s) if heard else None

    def _draw(self, tracked: TrackedFrame) -> NDArray[np.uint8] | None:
        if self._job.target is None:
            return None
        drawing = self._job.config.render
        hud = None
        if "hud" in drawing.layers:
            info = self._pipeline.source_info
            hud = hud_info(tracked, self._pipeline, self._meter, due=info is not None and info.live)
        if drawing.undistort:
            tracked = self._straightener.straightened(tracked, drawing.trail_length)
        return render(tracked, drawing.layers, look=Look.of(drawing), hud=hud)
