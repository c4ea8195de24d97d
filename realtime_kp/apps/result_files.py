"""Result files that every run may write: tracks table, poses, features file, frame log."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from realtime_kp.apps.jobs import shown
from realtime_kp.apps.resume import RunState
from realtime_kp.apps.table_notes import table_notes
from realtime_kp.config import AppConfig
from realtime_kp.keypoints import TrackedFrame
from realtime_kp.pipeline import Pipeline
from realtime_kp.sinks import FeaturesSink, FrameLog, FrameSink, PosesSink, TracksTableSink, notes_file
from realtime_kp.timing import StageTimes


class Tables:
    """The result files in the settings; opened with the first frame, closed on exit.

    Args:
        config: Names of the files.
        pipeline: Provides the model, for the features file.
        resume: State of an earlier run whose files are continued.
        copies: Folder of the local copies of what is in an object store; None where nothing is.
    """

    def __init__(
        self,
        config: AppConfig,
        pipeline: Pipeline,
        resume: RunState | None = None,
        copies: Path | None = None,
    ) -> None:
        self._config = config
        self._pipeline = pipeline
        self._resume = resume
        self._copies = copies
        self._stack = ExitStack()
        self._sinks: list[FrameSink] | None = None
        self._tracks: TracksTableSink | None = None
        self._poses: PosesSink | None = None
        self._log: FrameLog | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def write(self, tracked: TrackedFrame) -> None:
        """Add a frame to the tables and the features file."""
        for sink in self.open(tracked.frame.size_wh):
            sink.write(None, tracked)

    def log(self, tracked: TrackedFrame, times_ms: StageTimes) -> None:
        """Add a finished frame to the frame log."""
        if self._log is not None:
            self._log.write(tracked, times_ms)

    @property
    def tracks_mark(self) -> int | None:
        """Size of the tracks table so far, bytes; None without one."""
        return None if self._tracks is None else self._tracks.mark

    @property
    def log_mark(self) -> int | None:
        """Size of the frame log so far, bytes; None without one."""
        return None if self._log is None else self._log.mark

    @property
    def poses_mark(self) -> int | None:
        """Size of the table of poses so far, bytes; None without one."""
        return None if self._poses is None else self._poses.mark

    def open(self, size_wh: tuple[int, int] | None = None) -> list[FrameSink]:
        """Open the files if they are not open yet.

        Args:
            size_wh: Width and height of the frames; None where no frame has come.
        """
        if self._sinks is None:
            self._sinks = self._opened(size_wh)
        return self._sinks

    def _opened(self, size_wh: tuple[int, int] | None) -> list[FrameSink]:
        notes = table_notes(self._config, self._pipeline, size_wh)
        if notes["source"] is not None:
            notes["source"] = shown(notes["source"], self._copies)
        output, log = self._config.output, self._config.report.log
        tracks, lines = (None, None) if self._resume is None else (self._resume.tracks, self._resume.log)
        sinks: list[FrameSink] = []
        if output.tracks is not None:
            info = self._pipeline.source_info
            table = TracksTableSink(
                output.tracks,
                tracks,
                with_lost=output.lost_tracks,
                with_pictures=info is not None and info.still,
                with_lens=self._config.input.camera is not None,
                notes=None if self._is_told(output.tracks, size_wh) else notes,
            )
            self._tracks = self._stack.enter_context(table)
            sinks.append(self._tracks)
        if output.features is not None:
            model = self._pipeline.model_info
            metadata = {"model": model.model, "revision": model.revision or "", "precision": model.precision}
            sinks.append(self._stack.enter_context(FeaturesSink(output.features, metadata)))
        if output.poses is not None:
            poses = PosesSink(
                output.poses,
                None if self._resume is None else self._resume.poses,
                metric=self._config.input.reference_size is not None,
                notes=None if self._is_told(output.poses, size_wh) else notes,
            )
            self._poses = self._stack.enter_context(poses)
            sinks.append(self._poses)
        if log is not None:
            self._log = self._stack.enter_context(FrameLog(log, lines))
        return sinks

    def _is_told(self, table: Path, size_wh: tuple[int, int] | None) -> bool:
        """Whether the notes of an earlier run stay: those of one without a frame know no model."""
        beside = notes_file(table)
        return self._resume is not None and size_wh is None and beside is not None and beside.exists()
