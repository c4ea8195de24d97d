"""`draw`: draws saved tracks onto their video again, without the network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from realtime_kp.apps.console import labelled_progress_bars
from realtime_kp.apps.exit_codes import DAMAGED, DONE, INTERRUPTED
from realtime_kp.apps.signals import StopSignals
from realtime_kp.config import DrawConfig
from realtime_kp.errors import ConfigError, SourceError
from realtime_kp.exports import TrackTable, read_tracks
from realtime_kp.exports.replay import Replay
from realtime_kp.frame import Frame
from realtime_kp.keypoints import TrackedFrame, Tracks
from realtime_kp.render import HeatMap, Look, draw_panel, render
from realtime_kp.sinks import GifSink, OutputLocks, PicturesSink, Sound, VideoFileSink, check_output
from realtime_kp.sources import FrameSource, SourceKind, open_source, source_kind


def run_draw(clip: str, config: DrawConfig, console: Console, *, quiet: bool = False) -> int:
    """Draw a table onto its video.

    Args:
        clip: The video.
        config: The table, the output and the look.
        console: Where the result is printed.
        quiet: Print errors only.

    Returns:
        0; 6 where the video was damaged; 130 after a signal.

    Raises:
        RealtimeKpError: The error to report to the user.
    """
    kind = config.output.suffix.lower()
    if kind not in ("", ".mp4", ".gif"):
        raise ConfigError(
            f"annotated video is written as .mp4, .gif or a folder without a suffix, got {config.output}"
        )
    paths = [config.tracks, *([] if config.beside is None else [config.beside])]
    if kind or not config.output.is_dir():
        check_output(config.output, overwrite=config.overwrite, inputs=[clip, *map(str, paths)])
    panels = [_Panel(path, config) for path in paths]
    starts = {panel.start_s for panel in panels}
    if len(starts) > 1:
        raise SourceError("the two tables begin at different seconds of the video")
    source = open_source(clip, start_s=starts.pop())
    with OutputLocks([config.output]), StopSignals() as signals, source:
        with _sink(clip, source, config) as sink, labelled_progress_bars(quiet, counts=False) as bars:
            task = bars.add_task("draw", total=source.info.frame_count, shown="")
            for image, frame in _images(source, panels):
                sink.write(image, _at_speed(TrackedFrame(frame, None, Tracks.empty()), config.speed))
                bars.update(task, completed=sink.frames, shown=f"{sink.frames} frames")
                if signals.received:
                    break
        drawn = sink.frames
    if not quiet:
        console.print(f"{drawn} frames: {config.output}", highlight=False, soft_wrap=True)
    if signals.received:
        return INTERRUPTED
    return DAMAGED if source.damage is not None else DONE


class _Panel:
    """A table, and the picture of each frame with its tracks.

    Attributes:
        last: The last frame with tracks.
        start_s: Second of the video at which frame 0 of the table is.
    """

    def __init__(self, path: Path, config: DrawConfig) -> None:
        self.path = path
        self._config = config
        self._table = _long_enough(read_tracks(path), config.min_length)
        if len(self._table) == 0:
            raise SourceError(f"{path} holds no track of {config.min_length} frames or more")
        self.last, self.start_s = int(self._table.frames.max()), self._table.start_s
        self._replay = Replay(self._table, config.trail_length)
        self._look = Look(config.colour, config.trails, config.crowded, config.trail_length)
        self._heat: HeatMap | None = None

    def draw(self, frame: Frame) -> NDArray[np.uint8]:
        """The picture of the next frame.

        Raises:
            SourceError: The table is of a video with frames of another size.
        """
        if frame.index == 0:
            _check_size(frame, self._table, self.path)
        tracks = self._replay.tracks(frame.index)
        if self._config.background == "black":
            frame = replace(frame, image_bgr=np.zeros_like(frame.image_bgr))
        if not self._config.heat:
            return render(TrackedFrame(frame, None, tracks), frozenset({"tracks"}), look=self._look)
        if self._heat is None:
            self._heat = HeatMap(frame.size_wh)
        self._heat.add(tracks)
        image = frame.image_bgr.copy()
        self._heat.draw(image)
        return image


def _images(source: FrameSource, panels: list[_Panel]) -> Iterator[tuple[NDArray[np.uint8], Frame]]:
    """The panels of each frame side by side.

    Raises:
        SourceError: A table is of another video.
    """
    count = 0
    for frame in source:
        images = [panel.draw(frame) for panel in panels]
        if len(panels) > 1:
            for panel, image in zip(panels, images, strict=True):
                draw_panel(image, (panel.path.name,), (0, 0))
        yield (images[0] if len(images) == 1 else np.hstack(images)), frame
        count = frame.index + 1
    for panel in panels:
        if count <= panel.last:
            told = f"the table goes on to frame {panel.last}, the video has {count} frames"
            raise SourceError(f"{panel.path} is of another video, or this one is cut short: {told}")


def _long_enough(table: TrackTable, least: int) -> TrackTable:
    _, number, lengths = np.unique(table.ids, return_inverse=True, return_counts=True)
    return table.where(lengths[number] >= least)


def _sink(clip: str, source: FrameSource, config: DrawConfig) -> VideoFileSink | GifSink | PicturesSink:
    info, kind = source.info, config.output.suffix.lower()
    if kind == ".gif":
        return GifSink(config.output)
    if not kind:
        return PicturesSink(config.output, overwrite=config.overwrite)
    heard = source_kind(clip) is SourceKind.VIDEO and config.speed == 1
    return VideoFileSink(
        config.output,
        fps=None if info.fps is None else info.fps * config.speed,
        crf=config.crf,
        sound=Sound(Path(clip), info.begin_s) if heard else None,
        pixel_aspect=info.pixel_aspect,
    )


def _check_size(frame: Frame, table: TrackTable, path: Path) -> None:
    if table.size_wh not in (None, frame.size_wh):
        had, got = ("x".join(map(str, size)) for size in (table.size_wh or (0, 0), frame.size_wh))
        raise SourceError(f"{path} is of another video: its frames are of {had}, those of the video of {got}")


def _at_speed(tracked: TrackedFrame, speed: float) -> TrackedFrame:
    if speed == 1:
        return tracked
    return replace(tracked, frame=replace(tracked.frame, time_s=tracked.frame.time_s / speed))
