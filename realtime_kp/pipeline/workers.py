"""Two of the three threads behind the render loop: capture and tracking."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from threadpoolctl import threadpool_limits

from realtime_kp.errors import SourceError
from realtime_kp.frame import Frame
from realtime_kp.keypoints import Detection, Keypoints, TrackedFrame
from realtime_kp.pipeline.channel import Channel, ChannelClosedError
from realtime_kp.pipeline.distributor import Distributor
from realtime_kp.pipeline.pacing import Pacer
from realtime_kp.pipeline.shared import Captured, Detected, Shared
from realtime_kp.sources import FrameSource, SourceInfo
from realtime_kp.timing import StageStarts, StageTimes
from realtime_kp.tracking import Tracker, save_tracker

_STOOD_STILL_S = 0.005


class CaptureWorker:
    """Owns the source: opens it, reads it, releases it.

    Args:
        source: Where frames come from.
        out: Sends them on their way.
        shared: The run.
        pacer: When frames of recordings are due; None takes them as they come.
        loop: Start over at the end.
        max_frames: Stop before the frame of this index.
        skip: Frames to pass over before the first that counts.
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
    ) -> None:
        self._source = source
        self._out = out
        self._shared = shared
        self._pacer = pacer
        self._loop = loop
        self._max_frames = max_frames
        self._skip = skip

    def run(self) -> None:
        """Read until the source ends or the run does."""
        with self._source as source:
            info = self._shared.info = source.info
            self._out.decide(live=info.live, still=info.still)
            self._shared.opened.set()
            if not info.live:
                self._shared.ready.wait()
            for frame, grab_at_s, grab_ms in self._frames(source, info):
                if info.live and not self._shared.gate.try_pass():
                    self._shared.discarded_paused += 1
                    continue
                if self._pacer is not None and not info.live:
                    frame = self._pacer.wait(frame, self._shared.stop)
                self._out.put(Captured(frame, grab_at_s, grab_ms, time.perf_counter()))
            self._shared.damage = source.damage
            if self._shared.read == 0 and not self._skip and not self._shared.stop.is_set():
                raise SourceError(f"{info.name} holds no frames")
        self._out.close()

    def _frames(self, source: FrameSource, info: SourceInfo) -> Iterator[tuple[Frame, float, float]]:
        """Frames, when reading them began, and how many milliseconds it took.

        Index and time go on when the source loops.

        A live source is read from the start, but what comes before the network is ready is nobody's frame:
        else the first ones shown would be as old as the loading took.
        """
        next_time_s = 0.0
        while not self._limited():
            first_index, first_time_s = self._shared.read, next_time_s
            zero_s = 0.0 if first_index == 0 else None  # of further rounds the first frame follows at once
            frames: Iterator[Frame] = iter(source)
            for _ in islice(frames, self._skip):
                if self._shared.stop.is_set():
                    return
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
                index = self._skip + self._shared.read
                if zero_s is None:
                    zero_s = frame.time_s
                frame = replace(frame, index=index, time_s=first_time_s + frame.time_s - zero_s)
                self._shared.read += 1
                yield frame, started_s, grab_ms
                next_time_s = frame.time_s + 1 / (info.fps or 30.0)
                if self._limited():
                    return
            if not self._loop or self._shared.read == first_index or self._shared.stop.is_set():
                return

    def _limited(self) -> bool:
        done = self._skip + self._shared.read
        self._shared.limited = self._max_frames is not None and done >= self._max_frames
        return self._shared.limited

    def _wait_while_paused(self) -> None:
        # A camera goes on while nobody looks; a recording stands still, and its clock with it.
        before_s = time.perf_counter()
        self._shared.gate.wait_to_pass()
        if self._pacer is not None and time.perf_counter() - before_s > _STOOD_STILL_S:
            self._pacer.rebase()


class TrackingWorker:
    """Owns the tracker.

    Args:
        tracker: The tracker.
        frames: Gives frames and what was found in them.
        out: Frames with tracks.
        shared: The run.
        keep_state_s: How often the state of the tracker is handed on with a frame, the first one and those
            of about so many seconds later; None for never. Kept only where frames come in step.
    """

    def __init__(
        self,
        tracker: Tracker,
        frames: Distributor,
        out: Channel[TrackedFrame],
        shared: Shared,
        keep_state_s: float | None = None,
    ) -> None:
        self._tracker = tracker
        self._frames = frames
        self._out = out
        self._shared = shared
        self._newest: Detection | None = None
        self._keep_state_s = keep_state_s
        self._kept_at_s = -math.inf

    def run(self) -> None:
        """Track until no more frames come."""
        self._shared.opened.wait()
        # NumPy's BLAS keeps its threads spinning after each product; on few cores that takes a fifth of the
        # network's speed, and the products here are small.
        with threadpool_limits(limits=1, user_api="blas"):
            if self._frames.in_step:
                for detected in self._frames.detected:
                    self._out.put(self._track_in_step(detected))
            else:
                for captured in self._frames.to_tracker:
                    self._out.put(self._track_at_once(captured))
        self._out.close()

    def _track_in_step(self, detected: Detected) -> TrackedFrame:
        started_s = time.perf_counter()
        tracks = self._tracker.update(detected.frame, detected.keypoints)
        times = replace(
            detected.times_ms,
            queue=(detected.times_ms.queue or 0.0) + (started_s - detected.put_at_s) * 1e3,
            track=(time.perf_counter() - started_s) * 1e3,
        )
        if detected.keypoints is not None:
            self._newest = _detection(detected.frame, detected.keypoints)
        age = self._age(detected.frame)
        starts = replace(detected.starts, track=started_s)
        return TrackedFrame(
            detected.frame,
            detected.keypoints,
            tracks,
            times,
            detection_age=age,
            starts=starts,
            tracker_state=self._state(),
        )

    def _track_at_once(self, captured: Captured) -> TrackedFrame:
        frame, late = captured.frame, self._late()
        started_s = time.perf_counter()
        keypoints = None if late is None else late.keypoints
        tracks = self._tracker.update(frame, keypoints)
        if late is not None and keypoints is not None:
            self._newest = _detection(late.frame, keypoints)
        found = StageTimes() if late is None else late.times_ms
        times = replace(
            found,
            grab=captured.grab_ms,
            queue=(started_s - captured.put_at_s) * 1e3,
            track=(time.perf_counter() - started_s) * 1e3,
        )
        detect_s = None if late is None else late.starts.detect
        of_this_frame = late is not None and late.frame.index == frame.index
        return TrackedFrame(
            frame,
            keypoints if of_this_frame else None,
            tracks,
            times,
            late=None if late is None or of_this_frame else self._newest,
            newest=self._newest,
            detection_age=self._age(frame),
            starts=StageStarts(captured.grab_at_s, detect_s, started_s),
        )

    def _state(self) -> bytes | None:
        now_s = time.perf_counter()
        if self._keep_state_s is None or now_s - self._kept_at_s < self._keep_state_s:
            return None
        self._kept_at_s = now_s
        return save_tracker(self._tracker)

    def _late(self) -> Detected | None:
        """What the network has found meanwhile."""
        try:
            return self._frames.detected.get(timeout_s=0)
        except ChannelClosedError:
            return None  # the network is done, the last frames still come

    def _age(self, frame: Frame) -> int | None:
        return None if self._newest is None else frame.index - self._newest.frame_index


def _detection(frame: Frame, keypoints: Keypoints) -> Detection:
    return Detection(frame.index, frame.time_s, frame.size_wh, keypoints)
