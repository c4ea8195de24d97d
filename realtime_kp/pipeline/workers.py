"""The capture and tracking threads; the inference thread has its own module."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice

from threadpoolctl import threadpool_limits

from realtime_kp.errors import SourceError
from realtime_kp.frame import Frame
from realtime_kp.keypoints import Detection, Keypoints, TrackedFrame
from realtime_kp.pipeline.channel import Channel, ChannelClosedError
from realtime_kp.pipeline.distributor import Distributor
from realtime_kp.pipeline.early_frames import kept_until_ready
from realtime_kp.pipeline.pacing import Pacer
from realtime_kp.pipeline.shared import Captured, Detected, Shared
from realtime_kp.sources import FrameSource, Regions, SourceInfo
from realtime_kp.timing import StageStarts, StageTimes
from realtime_kp.tracking import Tracker, save_tracker

_MIN_PAUSE_S = 0.005

_MOST_UPDATES = 1001  # beyond the longest trails


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
    ) -> None:
        self._regions = regions
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
                frame = replace(frame, index=index, time_s=first_time_s + frame.time_s - zero_s)
                if self._regions is not None:
                    controls = self._shared.controls
                    frame = frame if controls.everywhere else self._regions.on(frame, controls.regions)
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


class TrackingWorker:
    """Owns the tracker and runs it on the frames.

    Args:
        tracker: The tracker.
        frames: Queues of frames and of detections.
        out: Receives the tracked frames.
        shared: State shared by the threads of the run.
        keep_state_s: Interval in seconds at which a frame carries the serialised tracker state, beginning
            with the first frame; None never. Synchronous mode only.
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
        self._early: Detected | None = None
        self._tracked_since: deque[int] = deque(maxlen=_MOST_UPDATES)
        self._keep_state_s = keep_state_s
        self._state_saved_at_s = -math.inf
        self._points_added = 0
        self._points_removed: frozenset[int] = frozenset()

    def run(self) -> None:
        """Track until the frame queue is closed and empty."""
        self._shared.opened.wait()
        # NumPy's BLAS threads busy-wait after each matrix product. On few cores that costs the network a
        # fifth of its speed, and the products here are too small to gain from it.
        with threadpool_limits(limits=1, user_api="blas"):
            if self._frames.synchronous:
                for detected in self._frames.detected:
                    self._out.put(self._track_synchronous(detected))
            else:
                for captured in self._frames.to_tracker:
                    self._out.put(self._track_asynchronous(captured))
        self._out.close()

    def _track_synchronous(self, detected: Detected) -> TrackedFrame:
        started_s = time.perf_counter()
        self._follow_controls()
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
            refusals=self._tracker.take_refusals(),
            tracker_state=self._state_if_due(),
        )

    def _track_asynchronous(self, captured: Captured) -> TrackedFrame:
        frame = captured.frame
        late = self._take_detection(frame.index)
        started_s = time.perf_counter()
        keypoints = None if late is None else late.keypoints
        self._follow_controls()
        tracks = self._tracker.update(frame, keypoints)
        self._tracked_since.append(frame.index)
        if late is not None and keypoints is not None:
            self._newest = _detection(late.frame, keypoints)
            while self._tracked_since and self._tracked_since[0] <= late.frame.index:
                self._tracked_since.popleft()
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
            updates_since_newest=len(self._tracked_since),
            detection_age=self._age(frame),
            starts=StageStarts(captured.grab_at_s, detect_s, started_s),
            refusals=self._tracker.take_refusals(),
        )

    def _state_if_due(self) -> bytes | None:
        now_s = time.perf_counter()
        if self._keep_state_s is None or now_s - self._state_saved_at_s < self._keep_state_s:
            return None
        self._state_saved_at_s = now_s
        return save_tracker(self._tracker)

    def _follow_controls(self) -> None:
        """Add and remove the points that the user has asked for or given up since the last frame."""
        controls = self._shared.controls
        for point in controls.points[self._points_added :]:
            self._tracker.add(point.xy, point.name, frame=point.frame, time_s=point.time_s)
        self._points_added = len(controls.points)
        for track_id in controls.removed - self._points_removed:
            self._tracker.remove(track_id)
        self._points_removed = controls.removed

    def _take_detection(self, index: int) -> Detected | None:
        """Return a detection finished since the last frame; None without one.

        A fast network may be done with a frame while an earlier one still waits for the tracker: then the
        detection is kept.
        """
        if self._early is None:
            # Closed: inference has ended, the last frames are still to be tracked.
            with suppress(ChannelClosedError):
                self._early = self._frames.detected.get(timeout_s=0)
        if self._early is None or self._early.frame.index > index:
            return None
        found, self._early = self._early, None
        return found

    def _age(self, frame: Frame) -> int | None:
        return None if self._newest is None else frame.index - self._newest.frame_index


def _detection(frame: Frame, keypoints: Keypoints) -> Detection:
    return Detection(frame.index, frame.time_s, frame.size_wh, keypoints)
