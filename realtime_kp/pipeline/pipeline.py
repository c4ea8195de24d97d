"""The pipeline: owns the threads from source to tracker and yields tracked frames."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

import cv2

from realtime_kp.features import Extractor, ModelInfo
from realtime_kp.frame import Frame
from realtime_kp.keypoints import TrackedFrame
from realtime_kp.pipeline.capture import CaptureWorker
from realtime_kp.pipeline.channel import Channel, ChannelClosedError, Policy
from realtime_kp.pipeline.controls import Controls
from realtime_kp.pipeline.distributor import DetectEvery, Distributor
from realtime_kp.pipeline.inference import FoundElsewhere, InferenceWorker
from realtime_kp.pipeline.pacing import Pacer
from realtime_kp.pipeline.shared import Shared, start_thread
from realtime_kp.pipeline.tracking import TrackingWorker
from realtime_kp.reference import ReferencePicture
from realtime_kp.sources import FrameSource, Regions, ReturningSource, SourceInfo
from realtime_kp.tracking import Tracker

log = logging.getLogger(__name__)

_JOIN_TIMEOUT_S = 10.0
_POLL_TIMEOUT_S = 0.1


@dataclass(frozen=True, slots=True)
class FrameCounts:
    """Frame counts of a run; `read = processed + dropped` after its end.

    Attributes:
        read: Frames delivered by the source.
        processed: Frames tracked and delivered to the render loop.
        dropped: Frames read, but never delivered.
        detected: Detections that arrived with a processed frame.
    """

    read: int
    processed: int
    dropped: int
    detected: int


class Pipeline:
    """Capture, inference and tracking threads behind an iterator of `TrackedFrame`.

    Entering starts the threads, exiting stops and joins them. The first exception of any thread ends the
    run and is raised, with its own traceback, in `poll` or the iteration. A pipeline runs once.

    Args:
        source: The frame source; opened, read and released by the capture thread.
        superpoint: The network; entered and exited by the inference thread.
        tracker: The tracker.
        policy: Queue policy: `block` applies back-pressure and loses no frame; `drop_oldest` drops the oldest
            waiting frame; `auto` drops for live sources and blocks for recordings.
        queue_size: Capacity of the queue before the network.
        batch: Maximum number of frames per network batch; used with `block` only, otherwise 1.
        detect_every: Run the network on every Nth frame. `auto` runs it on every frame if none may be
            dropped, otherwise on the newest frame whenever it is free; a tracker that accepts late keypoints
            then still tracks every frame.
        pacer: Paces the frames of recordings; None reads them as fast as possible.
        loop: Restart the source at its end.
        max_frames: Stop before the frame with this index; None reads to the end.
        skip: Number of leading frames to skip because an earlier run has processed them.
        keep_state_s: Interval in seconds at which frames carry the serialised tracker state, to resume from
            in another run; None never.
        regions: Gives the frames their masks; None masks nothing.
        reference: The reference picture to look for at first; None for none.
        prepare: What every frame gets as it is read, such as its lens.
        found_elsewhere: Asked for every frame before the network; None runs the network on all of them.
    """

    def __init__(
        self,
        source: FrameSource,
        superpoint: Extractor,
        tracker: Tracker,
        *,
        policy: Policy | Literal["auto"] = "block",
        queue_size: int = 2,
        batch: int = 1,
        detect_every: DetectEvery = "auto",
        pacer: Pacer | None = None,
        loop: bool = False,
        max_frames: int | None = None,
        skip: int = 0,
        keep_state_s: float | None = None,
        regions: Regions | None = None,
        reference: ReferencePicture | None = None,
        prepare: Sequence[Callable[[Frame], Frame]] = (),
        found_elsewhere: FoundElsewhere | None = None,
    ) -> None:
        self._superpoint = superpoint
        self._tracker = tracker
        self._shared = Shared()
        self._shared.controls = Controls(reference=reference)
        self._frames = Distributor(
            policy, queue_size, detect_every, accepts_late_keypoints=tracker.takes_late_keypoints, first=skip
        )
        self._results: Channel[TrackedFrame] = Channel(1)
        self._returning = source if isinstance(source, ReturningSource) else None
        if self._returning is not None:
            self._shared.on_end(self._returning.interrupt)
        self._shared.close_on_end(
            self._frames.to_network, self._frames.to_tracker, self._frames.detected, self._results
        )
        self._capture = CaptureWorker(
            source, self._frames, self._shared, pacer, loop, max_frames, skip, regions, prepare
        )
        self._inference = InferenceWorker(
            superpoint, self._frames, self._shared, batch if policy == "block" else 1, found_elsewhere
        )
        self._tracking = TrackingWorker(tracker, self._frames, self._results, self._shared, keep_state_s)
        self._threads: list[threading.Thread] = []
        self._opencv_threads = 0
        self._processed = 0
        self._detections = 0
        self._finished = False
        self._frame_wh: tuple[int, int] | None = None

    def __enter__(self) -> Self:
        if self._threads:
            raise RuntimeError("a pipeline runs once; make a new one")
        # OpenCV's worker threads would compete with the network for the cores, and the tracker's tasks are
        # too small to gain from them.
        self._opencv_threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        for name, body in (
            ("inference", self._inference.run),
            ("capture", self._capture.run),
            ("tracking", self._tracking.run),
        ):
            self._threads.append(start_thread(name, body, self._shared))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        deadline_s = time.perf_counter() + _JOIN_TIMEOUT_S
        for thread in self._threads:
            thread.join(max(0.0, deadline_s - time.perf_counter()))
            if thread.is_alive():
                log.warning("the %s thread did not end within %.0f s", thread.name, _JOIN_TIMEOUT_S)
        cv2.setNumThreads(self._opencv_threads)

    def __iter__(self) -> Iterator[TrackedFrame]:
        while not self._finished:
            tracked = self.poll(_POLL_TIMEOUT_S)
            if tracked is not None:
                yield tracked

    def poll(self, timeout_s: float) -> TrackedFrame | None:
        """Return the next tracked frame.

        Args:
            timeout_s: Maximum waiting time in seconds.

        Returns:
            The frame; None after a timeout or after the last frame (then `finished` is true).

        Raises:
            BaseException: The first exception of any thread; that of the source after all its frames.
        """
        try:
            tracked = self._results.get(timeout_s)
        except ChannelClosedError:
            self._finished = True
            tracked = None
        failure = self._shared.failure or (self._shared.lost if self._finished else None)
        if failure is not None:
            self._finished = True
            raise failure
        if tracked is not None:
            self._processed += 1
            self._detections += tracked.detected
            self._frame_wh = tracked.frame.size_wh
        return tracked

    def stop(self) -> None:
        """End the run: the threads wake up and finish, frames in flight are dropped."""
        self._shared.end()

    def apply(self, controls: Controls) -> None:
        """Apply the user's settings from the next frame on."""
        self._shared.controls = controls
        if controls.paused:
            self._shared.gate.close()
        else:
            self._shared.gate.open()

    @property
    def reference(self) -> ReferencePicture | None:
        """The reference picture that is looked for."""
        return self._shared.controls.reference

    def step(self) -> None:
        """Process one frame while paused."""
        self._shared.gate.step()

    @property
    def finished(self) -> bool:
        """Whether the last frame was returned, or the run failed."""
        return self._finished

    @property
    def limited(self) -> bool:
        """Whether reading stopped at `max_frames`."""
        return self._shared.limited

    @property
    def source_info(self) -> SourceInfo | None:
        """Properties of the source; None until it is open."""
        return self._shared.info

    @property
    def source_lost_s(self) -> float | None:
        """Seconds since a live source was lost; None while it is connected."""
        lost_at_s = None if self._returning is None else self._returning.lost_at_s
        return None if lost_at_s is None else time.perf_counter() - lost_at_s

    @property
    def model_info(self) -> ModelInfo:
        """Model, engine, device and precision in use; valid from the first frame on."""
        return self._superpoint.info

    @property
    def inference_size(self) -> tuple[int, int] | None:
        """Width and height of the network input for the newest frame; None before the first."""
        return None if self._frame_wh is None else self._superpoint.network_size(self._frame_wh)

    @property
    def damage(self) -> str | None:
        """Description of unreadable input; known after the last frame, None if there was none."""
        return self._shared.damage

    @property
    def tracker(self) -> Tracker:
        """The tracker; to be used only after the end of the run."""
        return self._tracker

    @property
    def queue_depth(self) -> int:
        """Number of frames in the queue before the network, or before the tracker in asynchronous mode."""
        return self._frames.waiting

    @property
    def counts(self) -> FrameCounts:
        """Frame counts; exact after the end of the run.

        During the run, frames in flight count neither as processed nor as dropped.
        """
        read, processed = self._shared.read, self._processed
        if self._threads and not any(thread.is_alive() for thread in self._threads):
            dropped = read - processed
        else:
            dropped = self._frames.dropped + self._shared.discarded_paused
        return FrameCounts(read, processed, dropped, self._detections)
