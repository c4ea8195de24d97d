"""What every run may write beside pictures: tracks table, features file, frame log."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Self

from realtime_kp.config import AppConfig
from realtime_kp.keypoints import TrackedFrame
from realtime_kp.pipeline import Pipeline
from realtime_kp.sinks import FeaturesSink, FrameLog, FrameSink, TracksTableSink
from realtime_kp.timing import StageTimes


class Tables:
    """The tables that the settings ask for; opened with the first frame, closed on exit.

    Args:
        config: Names the files.
        pipeline: Tells which model is running, for the features file.
    """

    def __init__(self, config: AppConfig, pipeline: Pipeline) -> None:
        self._config = config
        self._pipeline = pipeline
        self._stack = ExitStack()
        self._sinks: list[FrameSink] | None = None
        self._log: FrameLog | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def write(self, tracked: TrackedFrame) -> None:
        """Add a frame to the tracks table and the features file."""
        if self._sinks is None:
            self._sinks = self._open()
        for sink in self._sinks:
            sink.write(None, tracked)

    def log(self, tracked: TrackedFrame, times_ms: StageTimes) -> None:
        """Add a frame, done with, to the frame log."""
        if self._log is not None:
            self._log.write(tracked, times_ms)

    def _open(self) -> list[FrameSink]:
        output, log = self._config.output, self._config.report.log
        sinks: list[FrameSink] = []
        if output.tracks is not None:
            sinks.append(self._stack.enter_context(TracksTableSink(output.tracks)))
        if output.features is not None:
            model = self._pipeline.model_info
            metadata = {"model": model.model, "revision": model.revision or "", "precision": model.precision}
            sinks.append(self._stack.enter_context(FeaturesSink(output.features, metadata)))
        if log is not None:
            self._log = self._stack.enter_context(FrameLog(log))
        return sinks
