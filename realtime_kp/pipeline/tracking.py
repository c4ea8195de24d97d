"""The thread that runs the tracker."""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from contextlib import suppress
from dataclasses import replace

from threadpoolctl import threadpool_limits

from realtime_kp.frame import Frame
from realtime_kp.keypoints import Detection, Keypoints, TrackedFrame
from realtime_kp.pipeline.channel import Channel, ChannelClosedError
from realtime_kp.pipeline.distributor import Distributor
from realtime_kp.pipeline.shared import Captured, Detected, Shared
from realtime_kp.reference import ReferenceFinder
from realtime_kp.timing import StageStarts, StageTimes
from realtime_kp.tracking import Tracker, save_tracker

log = logging.getLogger(__name__)

_MOST_UPDATES = 1001  # beyond the longest trails


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
        self._reference = ReferenceFinder()
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
        if not self._shared.stop.is_set():
            for point in self._tracker.pending:
                log.warning("%s was never followed: its frame has not come", point)
        self._out.close()

    def _track_synchronous(self, detected: Detected) -> TrackedFrame:
        started_s = time.perf_counter()
        self._follow_controls()
        tracks = self._tracker.update(detected.frame, detected.keypoints)
        reference = self._reference.update(detected.frame, tracks, detected.keypoints)
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
            reference=reference,
            refusals=self._take_refusals(),
            tracker_state=self._state_if_due(),
        )

    def _track_asynchronous(self, captured: Captured) -> TrackedFrame:
        frame = captured.frame
        late = self._take_detection(frame.index)
        started_s = time.perf_counter()
        keypoints = None if late is None else late.keypoints
        self._follow_controls()
        tracks = self._tracker.update(frame, keypoints)
        reference = self._reference.update(frame, tracks, keypoints)
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
            reference=reference,
            refusals=self._take_refusals(),
        )

    def _state_if_due(self) -> bytes | None:
        now_s = time.perf_counter()
        if self._keep_state_s is None or now_s - self._state_saved_at_s < self._keep_state_s:
            return None
        self._state_saved_at_s = now_s
        return save_tracker(self._tracker)

    def _follow_controls(self) -> None:
        """Add and remove what the user has asked for or given up since the last frame."""
        self._reference.use(self._shared.reference)
        controls = self._shared.controls
        for point in controls.points[self._points_added :]:
            self._tracker.add(point.xy, point.name, frame=point.frame, time_s=point.time_s)
        self._points_added = len(controls.points)
        for track_id in controls.removed - self._points_removed:
            self._tracker.remove(track_id)
        self._points_removed = controls.removed

    def _take_refusals(self) -> tuple[str, ...]:
        refusal, self._shared.reference_refusal = self._shared.reference_refusal, ""
        return (*self._tracker.take_refusals(), *([refusal] if refusal else []))

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
    return Detection(frame.index, frame.time_s, frame.time_ns, frame.size_wh, keypoints)
