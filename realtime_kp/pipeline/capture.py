"""The thread that reads the source."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from realtime_kp.errors import SourceError
from realtime_kp.frame import Frame
from realtime_kp.pipeline.distributor import Distributor
from realtime_kp.pipeline.early_frames import kept_until_ready
from realtime_kp.pipeline.pacing import Pacer
from realtime_kp.pipeline.shared import Captured, Shared
from realtime_kp.sources import FrameSource, Regions, SourceInfo

_MIN_PAUSE_S = 0.005


class CaptureWorker:
    """Owns the source: opens, reads and releases it.

    Args:
        source: The frame source.
        out: Receives the frames.
        shared: State shared by the threads of the run.
        pacer: Paces the frames of recordings; None reads them as fast as possible.
        loop: Restart the source at its end.
        max_frames: Stop before the frame with this index; None reads to the end.
        skip: Number of leading frames to skip.
        regions: Gives the frames their masks; None masks nothing.
        prepare: What every frame gets besides, such as its lens.
    """

    def __init__(
        self,
        source: FrameSource,
        out: Distributor,
        shared: Shared,
        pacer: Pacer | None = None,
        loop: bool = False,
        max_frames: int | None = None,
        skip: int = 0,
        regions: Regions | None = None,
        prepare: Sequence[Callable[[Frame], Frame]] = (),
    ) -> None:
        self._regions = regions
        self._prepare = tuple(prepare)
        self._source = source
        self._out = out
        self._shared = shared
        self._pacer = pacer
        self._loop = loop
        self._max_frames = max_frames
        self._skip = skip

    def run(self) -> None:
        """Read frames until the source or the run ends.

        Raises:
            SourceError: The source has no frames, or cannot be opened or read.
        """
        with self._source as source:
            info = self._shared.info = source.info
            self._out.configure(live=info.live, still=info.still)
            self._shared.opened.set()
            if not info.live:
                self._shared.ready.wait()
            try:
                self._pass_on(source, info)
            except SourceError as exc:
                if self._shared.read == 0:
                    raise
                self._shared.lost = exc
            self._shared.damage = source.damage
            if self._shared.read == 0 and not self._skip and not self._shared.stop.is_set():
                raise SourceError(f"{info.name} holds no frames")
        self._out.close()

    def _pass_on(self, source: FrameSource, info: SourceInfo) -> None:
        for frame, grab_at_s, grab_ms in self._frames(source, info):
            if info.live and not self._shared.gate.try_pass():
                self._shared.discarded_paused += 1
                continue
            if self._pacer is not None and not info.live:
                frame = self._pacer.wait(frame, self._shared.stop)
            self._out.put(Captured(frame, grab_at_s, grab_ms, time.perf_counter()))

    def _frames(self, source: FrameSource, info: SourceInfo) -> Iterator[tuple[Frame, float, float]]:
        """Yield each frame, when reading it began (`time.perf_counter`), and how many milliseconds it took.

        Index and timestamp continue when the source restarts.

        A live source is read from the start. Frames from before the network is ready are kept where none may
        be lost; else they are discarded and not counted: the first ones shown would be as old as the loading.
        """
        next_time_s, next_index = 0.0, 0
        while not self._reached_max_frames():
            first_index, first_time_s, zero_index = self._shared.read, next_time_s, next_index
            zero_s = 0.0 if first_index == 0 else None  # a restarted source continues without a time gap
            frames: Iterator[Frame] = iter(source)
            if info.live and not self._out.drops:
                frames = kept_until_ready(frames, self._shared.ready, self._shared.stop)
            for passed_over in islice(frames, self._skip):
                if self._shared.stop.is_set():
                    return
                if self._regions is not None:
                    self._regions.pass_over(passed_over)
            while True:
                if not info.live:
                    self._wait_while_paused()
                started_s = time.perf_counter()
                frame = next(frames, None)
                if frame is None or self._shared.stop.is_set():
                    break
                grab_ms = (time.perf_counter() - started_s) * 1e3
                if not self._shared.ready.is_set():
                    continue
                # Pictures keep their places, also after one that cannot be read.
                index = zero_index + frame.index if info.still else self._skip + self._shared.read
                if zero_s is None:
                    zero_s = frame.time_s
                stamp_ns = frame.stamp_ns if first_index == 0 else None  # a clock does not repeat
                time_s = first_time_s + frame.time_s - zero_s
                frame = replace(frame, index=index, time_s=time_s, stamp_ns=stamp_ns)
                if self._regions is not None:
                    controls = self._shared.controls
                    frame = frame if controls.everywhere else self._regions.on(frame, controls.regions)
                for step in self._prepare:
                    frame = step(frame)
                self._shared.read += 1
                yield frame, started_s, grab_ms
                next_index = index + 1
                next_time_s = frame.time_s + 1 / (info.fps or 30.0)
                if self._reached_max_frames():
                    return
            if not self._loop or self._shared.read == first_index or self._shared.stop.is_set():
                return

    def _reached_max_frames(self) -> bool:
        done = self._skip + self._shared.read
        self._shared.limited = self._max_frames is not None and done >= self._max_frames
        return self._shared.limited

    def _wait_while_paused(self) -> None:
        # Only recordings wait here, and their clock must pause too; a live source is read and discarded.
        before_s = time.perf_counter()
        self._shared.gate.wait_to_pass()
        if self._pacer is not None and time.perf_counter() - before_s > _MIN_PAUSE_S:
            self._pacer.rebase()
