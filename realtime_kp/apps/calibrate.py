"""`calibrate`: finds the lens of a camera from views of a board."""

from __future__ import annotations

import logging
import math
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from realtime_kp.apps.exit_codes import DONE, INTERRUPTED
from realtime_kp.apps.signals import StopSignals
from realtime_kp.config import CalibrateConfig, InputConfig
from realtime_kp.errors import ArgumentError, ConfigError, SourceError
from realtime_kp.lens import lens_text
from realtime_kp.lens.board import Board, BoardView
from realtime_kp.lens.calibration import LEAST_VIEWS, Calibration, ViewCollector, calibrate
from realtime_kp.render import draw_board, draw_coverage, draw_panel
from realtime_kp.sinks import Window, check_output, window_problem, write_atomically, write_picture
from realtime_kp.sources import FrameSource, open_source

log = logging.getLogger(__name__)

_EVERY_S = 0.19
TITLE = "realtime-kp calibrate"


def run_calibrate(source: str, config: CalibrateConfig, console: Console, *, quiet: bool = False) -> int:
    """Collect views of a board, find the lens and write its file.

    Args:
        source: A camera, video, or folder of pictures.
        config: The board and the files.
        console: Where the result is printed.
        quiet: Print errors only.

    Returns:
        0; 130 after a signal that came before there were enough views.

    Raises:
        RealtimeKpError: The error to report to the user.
    """
    for path in (config.output, config.coverage):
        if path is not None:
            check_output(path, overwrite=config.overwrite, inputs=[source])
    try:
        board = Board(config.corners, config.square_m, config.charuco, config.marker_m)
    except ArgumentError as exc:
        raise ConfigError(str(exc)) from exc
    with StopSignals() as signals, ExitStack() as stack:
        window = _window(config, stack)
        collection = _Collection(board, config.max_views, window)
        collection.run(open_source(source, InputConfig(camera_size=config.camera_size)), signals)
        interrupted = signals.received and len(collection.collector.views) < LEAST_VIEWS
    if config.coverage is not None and collection.image is not None:
        write_picture(config.coverage, collection.image)
    if interrupted:
        return INTERRUPTED
    if not collection.seen:
        kind = f"ChArUco board of {config.board} squares" if config.charuco else f"{config.board} chessboard"
        raise SourceError(
            f"no {kind} was seen in {source}: is that the number of "
            f"{'squares' if config.charuco else 'inner corners, and are all of them'} in the picture?"
        )
    found = calibrate(collection.collector.views, config.model)
    notes = {"reprojection_error_px": round(found.error_px, 4), "views": found.views}
    write_atomically(config.output, lens_text(found.lens, notes).encode())
    if not quiet:
        _print(console, found, collection.collector.coverage, config.output)
    return DONE


def _window(config: CalibrateConfig, stack: ExitStack) -> Window | None:
    if not config.window:
        return None
    problem = window_problem()
    if problem is not None:
        log.warning("%s: collecting without a window, as with --no-window", problem)
        return None
    return stack.enter_context(Window(TITLE))


class _Collection:
    """Reads frames and collects views until there are enough, the source ends or the user stops.

    Attributes:
        collector: The views.
        seen: Number of frames in which the board was found.
        image: The newest frame with all that was found; None before the first.
    """

    def __init__(self, board: Board, max_views: int, window: Window | None) -> None:
        self._board = board
        self._max_views = max_views
        self._window = window
        self.collector = ViewCollector()
        self.seen = 0
        self.image: NDArray[np.uint8] | None = None

    def run(self, source: FrameSource, signals: StopSignals) -> None:
        """Collect views.

        Raises:
            SourceError: The source cannot be read, or its pictures have several sizes.
        """
        next_s, size_wh = -math.inf, None
        with source:
            still = source.info.still
            for frame in source:
                if not still and frame.time_s < next_s:
                    continue
                next_s = frame.time_s + _EVERY_S
                if size_wh not in (None, frame.size_wh):
                    raise SourceError("the pictures have several sizes: calibrate each by itself")
                size_wh = frame.size_wh
                self._take(frame.image_bgr, self._board.find(frame.image_bgr))
                if signals.received or self._user_stops() or len(self.collector.views) >= self._max_views:
                    return

    def _take(self, image_bgr: NDArray[np.uint8], view: BoardView | None) -> None:
        if view is not None:
            self.seen += 1
            if self.collector.add(view):
                log.info(
                    "view %d, %.0f %% of the picture",
                    len(self.collector.views),
                    100 * self.collector.coverage,
                )
        image = image_bgr.copy()
        draw_coverage(image, self.collector.views, self.collector.covered)
        if view is not None:
            draw_board(image, view)
        draw_panel(
            image,
            (
                f"{len(self.collector.views)} views, {self.collector.coverage:.0%} of the picture",
                "board seen" if view is not None else "no board",
                "show it in the corners and tilted; q ends",
            ),
            (0, 0),
        )
        self.image = image

    def _user_stops(self) -> bool:
        if self._window is None or self.image is None:
            return False
        self._window.show(self.image)
        return self._window.key() in ("q", "esc") or self._window.closed


def _print(console: Console, found: Calibration, coverage: float, output: Path) -> None:
    lens = found.lens
    (fx, fy), (cx, cy), (width, height) = lens.focal_xy, lens.centre_xy, lens.size_wh
    sure = "" if found.focal_sigma_px is None else f" ± {found.focal_sigma_px:.2f}"
    for line in (
        f"lens: {lens.model}, of pictures of {width}x{height}",
        f"focal length {fx:.2f}{sure} and {fy:.2f} px, centre {cx:.2f}, {cy:.2f}",
        f"{found.views} views in {coverage:.0%} of the picture, reprojection error {found.error_px:.3f} px",
        f"written: {output}; use it with --camera {output}",
    ):
        console.print(line, highlight=False, soft_wrap=True)
