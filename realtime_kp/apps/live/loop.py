"""The render loop of `live`: what is shown, written and answered, frame by frame."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from realtime_kp.apps.hud_lines import hud_info
from realtime_kp.apps.live.inputs import UserInput, point_at, window_input, with_settings
from realtime_kp.apps.live.keys import LiveState, make_reference, press
from realtime_kp.apps.live.recorder import Recorder, snapshot
from realtime_kp.apps.result_files import Tables
from realtime_kp.apps.signals import StopSignals
from realtime_kp.apps.summary import StoppedBy
from realtime_kp.config import AppConfig
from realtime_kp.errors import SourceError
from realtime_kp.keypoints import TrackedFrame
from realtime_kp.lens import StraightView
from realtime_kp.pipeline import Pipeline, RunMeter
from realtime_kp.render import (
    Look,
    Straightener,
    draw_banner,
    draw_drag,
    draw_help,
    draw_regions,
    render,
    waiting_picture,
)
from realtime_kp.sinks import RerunSink, Window

if TYPE_CHECKING:
    from realtime_kp.apps.live.viewers import Viewers

log = logging.getLogger(__name__)

_WAKE_S = 0.02
_LOG_EVERY_S = 1.0
TITLE = "realtime-kp"


class LiveLoop:
    """The render loop and its outputs; runs on the main thread.

    Args:
        pipeline: The run.
        config: All settings.
        show: Whether to open a window.
        viewers: The server for browsers; None for none.
        console: Where the address of the server is told.

    Attributes:
        meter: Measurements of the loop.
        recorder: The recording.
        lost: Why the source ended prematurely; frames so far are kept.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        config: AppConfig,
        show: bool,
        viewers: Viewers | None = None,
        console: Console | None = None,
    ) -> None:
        self._viewers = viewers
        self._console = console or Console()
        self._pipeline = pipeline
        self._config = config
        self._show = show
        self._stack = ExitStack()
        self._window: Window | None = None
        self._tables = Tables(config, pipeline)
        self._rerun = None if config.live.rerun is None else RerunSink(config.live.rerun)
        self._last: TrackedFrame | None = None
        self._logged_at_s = time.perf_counter()
        self._told_lost_s: int | None = None
        self._straightener = Straightener()
        self.meter = RunMeter()
        self.recorder = Recorder(config)
        self.lost: SourceError | None = None
        self.state = LiveState(
            layers=config.render.layers,
            threshold=config.superpoint.keypoint_threshold,
            reference=pipeline.reference,
        )

    def __enter__(self) -> Self:
        self._stack.enter_context(self.recorder)
        self._stack.enter_context(self._tables)
        if self._rerun is not None:
            self._stack.enter_context(self._rerun)
        if self._viewers is not None:
            self._stack.enter_context(self._viewers)
            self._viewers.print_link(self._console)
        if self._show:
            self._window = self._stack.enter_context(Window(TITLE))
            self._window.show(waiting_picture("loading the network ..."))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def run(self, signals: StopSignals) -> StoppedBy:
        """Draw frames until the source ends, the user quits, the duration is over or a signal arrives."""
        duration_s = self._config.live.duration_s
        ends_at_s: float | None = None
        while True:
            if signals.received:
                return "signal"
            if self._user_quits():
                return "user"
            try:
                tracked = self._pipeline.poll(_WAKE_S)
            except SourceError as exc:
                if self._last is None:
                    raise
                self.lost = exc
                return "source_lost"
            if tracked is not None:
                self._take(tracked)
                # Loading does not count towards the duration.
                if ends_at_s is None and duration_s is not None:
                    ends_at_s = time.perf_counter() + duration_s
            elif self._pipeline.finished and not self._held_by_still_picture():
                return "end"
            else:
                self._tell_of_loss()
            if ends_at_s is not None and time.perf_counter() >= ends_at_s:
                return "limit"
            self._log_line()

    def _held_by_still_picture(self) -> bool:
        info = self._pipeline.source_info
        watched = self._window is not None or self._viewers is not None
        return watched and info is not None and info.still and self._last is not None

    def _tell_of_loss(self) -> None:
        """Show a message on the last frame, updated once a second, while the source is lost."""
        lost_s = self._pipeline.source_lost_s
        told_s, self._told_lost_s = self._told_lost_s, None if lost_s is None else int(lost_s)
        if self._told_lost_s not in (None, told_s):
            self._show_again()

    def _take(self, tracked: TrackedFrame) -> None:
        self._last = tracked
        for refusal in tracked.refusals:
            self.state = self.state.noting(refusal)
        started_s = time.perf_counter()
        image = self._draw(tracked)
        drawn_s = time.perf_counter()
        if self._window is not None:
            self._window.show(image)
        self.recorder.write(image, tracked, self._pipeline)
        if self._viewers is not None:
            self._viewers.show(tracked, image)
        self._tables.write(tracked)
        if self._rerun is not None:
            self._rerun.write(image, tracked)
        finished_s = time.perf_counter()
        times = self.meter.done(
            tracked, draw_ms=(drawn_s - started_s) * 1e3, output_ms=(finished_s - drawn_s) * 1e3
        )
        self._tables.log(tracked, times)

    def _draw(self, tracked: TrackedFrame) -> NDArray[np.uint8]:
        hud = None
        if "hud" in self.state.layers:
            hud = hud_info(tracked, self._pipeline, self.meter, self.state.notes(self.recorder.on))
        shown = tracked
        if self._config.render.undistort:
            shown = self._straightener.straightened(tracked, self._config.render.trail_length)
        image = render(
            shown,
            self.state.layers,
            look=Look.of(self._config.render),
            hud=hud,
            mirror=self._config.live.mirror,
        )
        if not self.state.everywhere:
            draw_regions(image, self.state.regions, mirror=self._config.live.mirror, view=self._view(tracked))
        if self._window is not None and self._window.dragging is not None:
            draw_drag(image, self._window.dragging)
        if self.state.help_shown:
            draw_help(image)
        return image

    def _view(self, tracked: TrackedFrame) -> StraightView | None:
        lens = tracked.frame.lens
        return self._straightener.view(lens) if self._config.render.undistort and lens is not None else None

    def _show_again(self) -> None:
        """Draw the last frame again with the current settings."""
        if self._last is None or (self._window is None and self._viewers is None):
            return
        image = self._draw(self._last)
        lost_s = self._pipeline.source_lost_s
        if lost_s is not None:
            draw_banner(image, f"source lost {lost_s:.0f} s ago, trying again")
        if self._window is not None:
            self._window.show(image)
        if self._viewers is not None:
            self._viewers.show(self._last, image)

    def _user_quits(self) -> bool:
        given: list[UserInput] = []
        if self._window is not None:
            # After the last frame the window alone sets the pace.
            given.append(window_input(self._window, 20 if self._pipeline.finished else 1))
            if self._window.closed:
                return True
        if self._viewers is not None:
            if self._window is None and self._pipeline.finished:
                self._viewers.wait(_WAKE_S)
            given += self._viewers.inputs()
        self._answer([one for one in given if not one.nothing])
        self._tell_viewers()
        return self.state.quitting

    def _answer(self, given: list[UserInput]) -> None:
        """Do what the user asks for, and show the last frame as it is now; of a slider that moves, once."""
        if not given:
            return
        before = self.state.controls
        for one in given:
            if self._last is not None:
                mirror, view = self._config.live.mirror, self._view(self._last)
                self.state = point_at(self.state, one, self._last, mirror=mirror, view=view)
            self.state = with_settings(self.state, one, self._config.superpoint.max_keypoints)
            if one.key is not None:
                self._press(one.key)
        if self.state.controls != before:
            self._pipeline.apply(self.state.controls)
        self._show_again()
        self._tell_viewers(now=True)

    def _tell_viewers(self, *, now: bool = False) -> None:
        if self._viewers is not None:
            self._viewers.offer(self.recorder.finished)
            recording = self.recorder.on
            self._viewers.tell(
                self.state, self._pipeline, self.meter, self._last, recording=recording, now=now
            )

    def _press(self, key: str) -> None:
        if key == "v":
            self.recorder.toggle()
        elif key == "s" and self._last is not None:
            note, files = snapshot(self._draw(self._last), self._last)
            self.state = self.state.noting(note)
            self.recorder.finished.extend(files)
        elif key == "n" and self._last is not None:
            self.state = make_reference(self.state, self._last)
        elif key == "." and self.state.paused:
            self._pipeline.step()
        self.state = press(self.state, key)

    def _log_line(self) -> None:
        now_s = time.perf_counter()
        if now_s - self._logged_at_s < _LOG_EVERY_S or self._last is None:
            return
        self._logged_at_s = now_s
        latency = self.meter.recent.percentiles()
        log.info(
            "%5.1f FPS  latency p50 %.0f ms p95 %.0f ms  dropped %d  "
            "detections %.1f/s  keypoints %s  tracks %d%s",
            self.meter.rate.recent(now_s),
            latency.p50 if latency else 0.0,
            latency.p95 if latency else 0.0,
            self._pipeline.counts.dropped,
            self.meter.detections.recent(now_s),
            "-" if self.meter.keypoints is None else self.meter.keypoints,
            len(self._last.tracks.confirmed),
            "  paused" if self.state.paused else "",
        )
