"""`draw`: draws saved tracks onto their video again, without the network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console

from realtime_kp.apps.console import labelled_progress_bars
from realtime_kp.apps.exit_codes import DAMAGED, DONE, INTERRUPTED
from realtime_kp.apps.signals import StopSignals
from realtime_kp.config import DrawConfig
from realtime_kp.errors import ConfigError, SourceError
from realtime_kp.exports import TrackTable, read_tracks
from realtime_kp.exports.replay import Replay
from realtime_kp.frame import Frame
from realtime_kp.keypoints import TrackedFrame
from realtime_kp.render import render
from realtime_kp.sinks import OutputLocks, Sound, VideoFileSink, check_output
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
    if config.output.suffix.lower() != ".mp4":
        raise ConfigError(f"annotated video is written as .mp4, got {config.output}")
    check_output(config.output, overwrite=config.overwrite, inputs=[clip, str(config.tracks)])
    table = _long_enough(read_tracks(config.tracks), config.min_length)
    if len(table) == 0:
        raise SourceError(f"{config.tracks} holds no track of {config.min_length} frames or more")
    source = open_source(clip)
    with OutputLocks([config.output]), StopSignals() as signals, source:
        drawn = 0
        with _sink(clip, source, config) as sink, labelled_progress_bars(quiet, counts=False) as bars:
            task = bars.add_task("draw", total=source.info.frame_count, shown="")
            for tracked in _tracked(source, table, config):
                image = render(tracked, frozenset({"tracks"}), trail_length=config.trail_length)
                sink.write(image, _at_speed(tracked, config.speed))
                drawn += 1
                bars.update(task, completed=drawn, shown=f"{drawn} frames")
                if signals.received:
                    break
    if not quiet:
        console.print(f"{drawn} frames: {config.output}", highlight=False, soft_wrap=True)
    if signals.received:
        return INTERRUPTED
    return DAMAGED if source.damage is not None else DONE


def _long_enough(table: TrackTable, least: int) -> TrackTable:
    _, number, lengths = np.unique(table.ids, return_inverse=True, return_counts=True)
    return table.where(lengths[number] >= least)


def _sink(clip: str, source: FrameSource, config: DrawConfig) -> VideoFileSink:
    info = source.info
    heard = source_kind(clip) is SourceKind.VIDEO and config.speed == 1
    return VideoFileSink(
        config.output,
        fps=None if info.fps is None else info.fps * config.speed,
        crf=config.crf,
        sound=Sound(Path(clip), info.begin_s) if heard else None,
        pixel_aspect=info.pixel_aspect,
    )


def _tracked(source: FrameSource, table: TrackTable, config: DrawConfig) -> Iterator[TrackedFrame]:
    """All frames with their tracks.

    Raises:
        SourceError: The table is of another video.
    """
    replay, last = Replay(table, config.trail_length), int(table.frames.max())
    index = -1
    for index, frame in enumerate(source):
        if index == 0:
            _check_size(frame, table, config.tracks)
        tracks = replay.tracks(index)
        if config.background == "black":
            frame = replace(frame, image_bgr=np.zeros_like(frame.image_bgr))
        yield TrackedFrame(replace(frame, index=index), None, tracks)
    if index < last:
        raise SourceError(
            f"{config.tracks} is of another video: it goes on to frame {last}, which has {index + 1} frames"
        )


def _check_size(frame: Frame, table: TrackTable, path: Path) -> None:
    if table.size_wh not in (None, frame.size_wh):
        had, got = ("x".join(map(str, size)) for size in (table.size_wh or (0, 0), frame.size_wh))
        raise SourceError(f"{path} is of another video: its frames are of {had}, those of the video of {got}")


def _at_speed(tracked: TrackedFrame, speed: float) -> TrackedFrame:
    if speed == 1:
        return tracked
    return replace(tracked, frame=replace(tracked.frame, time_s=tracked.frame.time_s / speed))
