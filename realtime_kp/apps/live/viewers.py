"""The browsers that watch a live run: what they are told, and what they ask for."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from realtime_kp.apps.hud_lines import hud_info
from realtime_kp.apps.live.inputs import UserInput
from realtime_kp.apps.live.keys import THRESHOLD_RANGE, LiveState
from realtime_kp.config import AUTO_TOKEN, AppConfig
from realtime_kp.keypoints import TrackedFrame
from realtime_kp.pipeline import Pipeline, RunMeter
from realtime_kp.render import HELP_LINES, HudInfo, Look
from realtime_kp.serve import (
    Clicked,
    Dragged,
    Figures,
    KeyPressed,
    LiveStatus,
    LiveView,
    PageSettings,
    Phase,
    SettingChanged,
    ViewerRequest,
    ViewServer,
)
from realtime_kp.sources import BrowserCamera

_TELL_EVERY_S = 0.2


class Viewers:
    """The server of a run.

    Args:
        name: Name of the source.
        config: All settings.
        camera: Where pictures of a visitor's camera go; None where the source is another.
    """

    def __init__(self, name: str, config: AppConfig, camera: BrowserCamera | None = None) -> None:
        self._config = config
        self._camera = camera
        self._server = ViewServer(config.browser, _page_settings(name, config), camera)
        self._told_at_s = 0.0
        self._offered = 0

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.__exit__(kind, error, trace)

    def print_link(self, console: Console) -> None:
        """Say where the page is; a token only where it was made here."""
        made = self._config.browser.token == AUTO_TOKEN
        link = self._server.link if made else self._server.address
        console.print(f"open {link} in a browser", soft_wrap=True, highlight=False, markup=False)

    def show(self, tracked: TrackedFrame, drawn_bgr: NDArray[np.uint8]) -> None:
        """Show a frame."""
        self._server.show(LiveView(tracked, drawn_bgr))

    def inputs(self) -> list[UserInput]:
        """What viewers have done since the last call."""
        return [_input_of(request) for request in self._server.requests()]

    def wait(self, timeout_s: float) -> None:
        """Wait until a viewer does something, or for a time."""
        self._server.wait_for_request(timeout_s)

    def offer(self, files: list[Path]) -> None:
        """Offer those of a growing list of files that were not offered yet."""
        for file in files[self._offered :]:
            self._server.offer(file)
        self._offered = len(files)

    def tell(
        self,
        state: LiveState,
        pipeline: Pipeline,
        meter: RunMeter,
        tracked: TrackedFrame | None,
        *,
        recording: bool,
        now: bool = False,
    ) -> None:
        """Tell how the run is doing, five times a second, or now."""
        at_s = time.perf_counter()
        if not now and at_s - self._told_at_s < _TELL_EVERY_S:
            return
        self._told_at_s = at_s
        reason = self._reason(pipeline, tracked)
        phase: Phase = "loading" if tracked is None else "lost" if reason else "running"
        info = None if tracked is None else hud_info(tracked, pipeline, meter, state.notes(recording))
        status = LiveStatus(
            phase=phase,
            reason=reason,
            figures=_figures(pipeline, info),
            running_on="" if info is None else info.running_on,
            notes=() if info is None else info.notes,
            paused=state.paused,
            still=state.paused or pipeline.finished,
            recording=recording,
            everywhere=state.everywhere,
            threshold=state.threshold,
            max_keypoints=state.max_keypoints or self._config.superpoint.max_keypoints,
            regions=state.regions,
            layers=tuple(sorted(state.layers)),
        )
        self._server.tell(status)

    def _reason(self, pipeline: Pipeline, tracked: TrackedFrame | None) -> str:
        """Why no frames come; empty where they do."""
        lost_s = pipeline.source_lost_s
        if self._camera is not None and (tracked is None or lost_s is not None):
            return "waiting for pictures of a browser's camera"
        if tracked is None:
            return "loading the network"
        return "" if lost_s is None else f"source lost {lost_s:.0f} s ago, trying again"


def _page_settings(name: str, config: AppConfig) -> PageSettings:
    return PageSettings(
        source=name,
        mirror=config.live.mirror,
        undistort=config.render.undistort,
        trail_length=config.render.trail_length,
        max_keypoints=config.superpoint.max_keypoints,
        threshold_range=THRESHOLD_RANGE,
        look=Look.of(config.render),
        help_lines=HELP_LINES[1:-1],
        layers=tuple(sorted(config.render.layers)),
    )


def _input_of(request: ViewerRequest) -> UserInput:
    match request:
        case KeyPressed():
            return UserInput(key=request.key)
        case Clicked():
            clicked = (request.x, request.y, request.right)
            return UserInput(clicked=clicked, drawn=request.drawn, frame=request.frame)
        case Dragged():
            x0, y0, x1, y1 = (round(value) for value in request.bounds)
            return UserInput(dragged=(x0, y0, x1, y1), drawn=request.drawn)
        case SettingChanged():
            return UserInput(threshold=request.threshold, max_keypoints=request.max_keypoints)


def _figures(pipeline: Pipeline, info: HudInfo | None) -> Figures:
    counts = pipeline.counts
    frames = Figures(read=counts.read, processed=counts.processed, dropped=counts.dropped)
    if info is None:
        return frames
    return replace(
        frames,
        fps=info.fps,
        latency_p50_ms=info.latency_p50_ms,
        latency_p95_ms=info.latency_p95_ms,
        detections_per_s=info.detections_per_s,
        detection_age=info.detection_age,
        keypoints=info.keypoints,
        tracks=info.tracks,
    )
